"""Every source row beside its label and where that label comes from: the one definition of a final label."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from red_core.records import NONE_OF_THESE, Project
from red_core.store.database import connection

PROVENANCE = (
    "file", "row", "text_id", "text", "label", "belief", "source", "runner_up", "runner_up_belief",
    "verdict", "judge", "judge_model", "prompt_version", "p_valid", "decision", "rejected", "who", "decided_at",
    "reason", "fed_back_in_round", "round", "label_set_version", "truth",
)  # fmt: skip
"""The columns of an export, before those the source files brought along."""

ROWS_PER_PAGE = 50

# A decision beats a seed, a seed beats the classifiers. Scalar subqueries, because each is one index lookup.
_FINAL = """
    SELECT facts.*, decision.kind AS decision_kind, p.round, p.prior, p.runner_up, p.runner_up_belief,
        CASE WHEN decision.id IS NOT NULL THEN decision.label
             WHEN facts.first_seed = facts.last_seed THEN facts.first_seed
             WHEN facts.first_seed IS NULL AND p.label <> -1 THEN p.label END AS label,
        CASE WHEN decision.id IS NULL AND facts.first_seed IS NULL THEN p.belief END AS belief,
        CASE WHEN facts.left_out IS NOT NULL THEN 'left out: ' || facts.left_out
             WHEN decision.kind = 'none' THEN 'decision: none of these' WHEN decision.id IS NOT NULL THEN 'decision'
             WHEN facts.first_seed = facts.last_seed THEN 'seed'
             WHEN facts.first_seed IS NOT NULL THEN 'left out: under two labels'
             WHEN p.label IS NULL THEN 'no round yet' WHEN p.label = -1 THEN 'none of these'
             WHEN 'valid' = (SELECT v.outcome FROM proposal q JOIN verdict v ON v.proposal = q.id
                WHERE q.text = facts.text AND q.label = p.label ORDER BY v.id DESC LIMIT 1) THEN 'verdict'
             ELSE 'classifiers' END AS kind
    FROM (
        SELECT source, row, text, left_out, truth, extra,
            (SELECT decided.id FROM decided WHERE decided.text = source_row.text) AS decision,
            (SELECT min(o.label) FROM source_row o
                WHERE o.text = source_row.text AND o.label IS NOT NULL) AS first_seed,
            (SELECT max(o.label) FROM source_row o
                WHERE o.text = source_row.text AND o.label IS NOT NULL) AS last_seed
        FROM source_row
    ) facts
    LEFT JOIN decision ON decision.id = facts.decision
    LEFT JOIN prediction p ON p.round = :round AND p.text = facts.text"""

# Of a text judged under several labels: the verdict on its final label, else the last one.
_EXPORT = f"""
    SELECT source.file, final.row, text.text_id, text.content AS text, label.name AS label,
        round(final.belief, 5) AS belief, final.kind AS source,
        rival.name AS runner_up, round(final.runner_up_belief, 5) AS runner_up_belief,
        v.outcome || ' for ' || judged.name AS verdict, v.judge, v.model AS judge_model, v.prompt_version,
        round(v.p_valid, 5) AS p_valid, decision.kind AS decision,
        (SELECT group_concat(l.name, ' | ') FROM ruled_out r JOIN label l ON l.id = r.label
            WHERE r.text = final.text) AS rejected,
        coalesce(decision.who, rejection.who) AS who, coalesce(decision.at, rejection.at) AS decided_at,
        coalesce(decision.reason, rejection.reason) AS reason,
        final.fed AS fed_back_in_round, final.round, round.label_set_version, final.truth, final.extra
    FROM (
        SELECT f.*,
            coalesce(
                (SELECT max(v.id) FROM proposal q JOIN verdict v ON v.proposal = q.id
                    WHERE q.text = f.text AND q.label = f.label),
                (SELECT max(v.id) FROM proposal q JOIN verdict v ON v.proposal = q.id WHERE q.text = f.text)
            ) AS verdict,
            (SELECT max(feed_back.round) FROM feed_back_item item JOIN feed_back ON feed_back.id = item.feed_back
                WHERE item.text = f.text AND feed_back.id NOT IN (SELECT feed_back FROM rollback)) AS fed
        FROM ({_FINAL}) f
    ) final
    JOIN source ON source.id = final.source LEFT JOIN text ON text.id = final.text
    LEFT JOIN label ON label.id = final.label LEFT JOIN label rival ON rival.id = final.runner_up
    LEFT JOIN verdict v ON v.id = final.verdict LEFT JOIN proposal ON proposal.id = v.proposal
    LEFT JOIN label judged ON judged.id = proposal.label LEFT JOIN decision ON decision.id = final.decision
    LEFT JOIN round ON round.id = final.round
    LEFT JOIN decision rejection ON rejection.id = (SELECT max(s.id) FROM standing_decision s
        WHERE s.text = final.text AND s.kind = 'reject')"""


def export_rows(project: Project, round_id: int) -> Iterator[dict[str, Any]]:
    """Yield every source row with PROVENANCE and its file's other columns, which never overwrite ours.

    Parameters
    ----------
    round_id : int
        The round whose beliefs count; 0 before the first.
    """
    with connection(project) as db:
        for row in db.query(f"{_EXPORT} ORDER BY final.source, final.row", {"round": round_id}):
            extra = json.loads(row.pop("extra") or "{}")
            yield beside(row, extra)


def beside(ours: dict[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return our columns and then a file's own, which never overwrite ours: those of the same name get a prefix."""
    taken = set(ours)
    both = dict(ours)
    for name, value in theirs.items():
        free = name
        while free in taken or (free != name and free in theirs):
            free = f"source.{free}"
        taken.add(free)
        both[free] = value
    return both


def results_page(
    project: Project,
    round_id: int,
    *,
    page: int = 0,
    search: str = "",
    label: int | None = None,
    source: str = "",
    lowest_first: bool = False,
) -> tuple[list[dict[str, Any]], int]:
    """Return one page of rows with their final labels, and how many rows match in all.

    Parameters
    ----------
    round_id : int
        The round whose beliefs count; 0 before the first.
    page : int
        From 0, ROWS_PER_PAGE rows each.
    search : str
        Only texts that contain it, whatever the case of ASCII letters.
    label : int, optional
        Only this label; -1 is none of these.
    source : str
        Only this source, such as ``seed`` or ``classifiers``; '' for all.
    lowest_first : bool
        By belief, the least certain first; else in the order of the files.
    """
    conditions = {
        "instr(lower(text.content), lower(:search)) > 0": search.strip(),
        "final.kind LIKE '%none of these'": label == NONE_OF_THESE,
        "final.label = :label": label not in {None, NONE_OF_THESE},
        "final.kind LIKE :source": source,
    }
    where = " AND ".join(condition for condition, asked in conditions.items() if asked) or "1"
    # One reading of all final labels sorts and counts; where neither label nor source matter, rows are counted without.
    plain = label is None and not source
    texts = f"LEFT JOIN text ON text.id = final.text WHERE {where}"
    total = f"(SELECT count(*) FROM source_row final {texts})" if plain else "count(*) OVER ()"
    rows = "source_row" if plain and not lowest_first else f"({_FINAL})"
    order = f"{'final.belief IS NULL, final.belief, ' if lowest_first else ''}final.source, final.row"
    shown = f"""
        SELECT text.content AS text, label.name AS label, final.belief, final.kind AS source, rival.name AS runner_up,
            final.runner_up_belief, final.prior, source.file, final.row, final.truth, page.total,
            (SELECT json_array(v.outcome, v.log_likelihood_ratio) FROM proposal q JOIN verdict v ON v.proposal = q.id
                WHERE q.text = final.text AND q.label = final.label AND v.id NOT IN (SELECT id FROM stale_verdict)
                ORDER BY v.id DESC LIMIT 1) AS verdict
        FROM (SELECT final.source, final.row, {total} AS total FROM {rows} final {texts}
            ORDER BY {order} LIMIT :limit OFFSET :offset) page
        CROSS JOIN ({_FINAL}) final ON final.source = page.source AND final.row = page.row
        JOIN source ON source.id = final.source LEFT JOIN text ON text.id = final.text
        LEFT JOIN label ON label.id = final.label LEFT JOIN label rival ON rival.id = final.runner_up
        ORDER BY {order}"""
    values = {
        "round": round_id, "search": search.strip(), "label": label,
        "source": "left out%" if source == "left out" else source,
        "limit": ROWS_PER_PAGE, "offset": page * ROWS_PER_PAGE,
    }  # fmt: skip
    with connection(project) as db:
        found = list(db.query(shown, values))
    if not found and page:  # past the last page
        return [], results_page(project, round_id, search=search, label=label, source=source)[1]
    totals = [int(row.pop("total")) for row in found]
    return found, totals[0] if totals else 0


def source_counts(project: Project, round_id: int) -> dict[str, int]:
    """Return how many rows each source gives their final label, all reasons to be left out as one: ``left out``.

    Parameters
    ----------
    round_id : int
        The round whose beliefs count; 0 before the first.
    """
    counts: dict[str, int] = {}
    with connection(project) as db:
        found = db.execute(f"SELECT kind, count(*) FROM ({_FINAL}) GROUP BY kind", {"round": round_id})
        for kind, count in found:
            source = "left out" if kind.startswith("left out") else str(kind)
            counts[source] = counts.get(source, 0) + int(count)
    return counts
