"""The definition of a final label and of its source, and the reads of the Results page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlite_utils import Database

from red_core.records import NONE_OF_THESE, Project
from red_core.store.database import connection
from red_core.store.labels import IN_GROUP, stored_group
from red_core.store.searching import found_in, sought

ROWS_PER_PAGE = 50
UNUSED = "left out"
"""The source of rows that cannot be used; a colon and the reason may follow."""
SOURCES = (
    "decision", "decision: none of these", "bulk", "seed", "audit", "audit: none of these", "verdict", "classifiers",
    "none of these", "no round yet", UNUSED, "left out: under two labels", "left out: typed for a label that is gone",
)  # fmt: skip
"""Where a final label comes from; see ``FINAL``."""

_DECISION = "(SELECT decided.id FROM decided WHERE decided.text = source_row.text)"
_AUDIT = """(SELECT a.answer FROM audited a
                WHERE a.text = source_row.text AND a.purpose <> 'planted' AND a.kind <> 'cannot tell'
                AND NOT EXISTS (SELECT 1 FROM ruled_out r WHERE r.text = a.text AND r.label = a.label))"""
_STANDS = "NOT EXISTS (SELECT 1 FROM disputed d WHERE d.text = o.text)"
# One row if the machine's label is ruled out: its other outcomes and their beliefs, best first.
_OTHERS = """json_each(CASE WHEN EXISTS (SELECT 1 FROM ruled_out r WHERE r.text = p.text AND r.label = p.label)
    THEN json_array((SELECT json_group_array(json(value)) FROM
        (SELECT b.value FROM json_each(p.top) b WHERE NOT EXISTS (SELECT 1 FROM ruled_out r
            WHERE r.text = p.text AND r.label = json_extract(b.value, '$[0]')) ORDER BY b.key))) END)"""
_ANSWERED = "SELECT text FROM decision UNION SELECT text FROM audit"


def _final(rows: str = "source_row", *, answers: bool = True) -> str:
    """Return the query of FINAL for some rows; without ``answers`` as if nobody had decided or audited anything.

    ``rows`` is what follows FROM. If it has a LIMIT, SQLite computes each fact of a row once, and not at each use.
    """
    label, belief, rival, rival_belief = (
        f"iif(other.key IS NULL, p.{name}, json_extract(other.value, '{path}'))"
        for name, path in (
            ("label", "$[0][0]"), ("belief", "$[0][1]"), ("runner_up", "$[1][0]"), ("runner_up_belief", "$[1][1]")
        )
    )  # fmt: skip
    stands = _STANDS if answers else "1"
    return f"""
    SELECT facts.*, decision.kind AS decision_kind, p.round, p.prior, {rival} AS runner_up,
        {rival_belief} AS runner_up_belief, audit.id AS audit_answer, other.key IS NOT NULL AS next_best,
        CASE WHEN decision.id IS NOT NULL THEN (SELECT now FROM label WHERE label.id = decision.label)
             WHEN facts.first_seed = facts.last_seed THEN facts.first_seed
             WHEN audit.id IS NOT NULL THEN (SELECT now FROM label WHERE label.id = audit.label)
             WHEN facts.first_seed IS NULL AND {label} <> -1 THEN {label} END AS label,
        CASE WHEN decision.id IS NOT NULL THEN decision.belief
             WHEN facts.first_seed IS NULL AND audit.id IS NULL THEN {belief} END AS belief,
        CASE WHEN facts.left_out IS NOT NULL THEN 'left out: ' || facts.left_out
             WHEN decision.kind = 'none' THEN 'decision: none of these'
             WHEN decision.belief IS NOT NULL THEN 'bulk' WHEN decision.id IS NOT NULL THEN 'decision'
             WHEN facts.first_seed = facts.last_seed THEN 'seed'
             WHEN facts.first_seed IS NOT NULL THEN 'left out: under two labels'
             WHEN audit.kind = 'none' THEN 'audit: none of these' WHEN audit.id IS NOT NULL THEN 'audit'
             WHEN {label} IS NULL AND EXISTS (SELECT 1 FROM source s WHERE s.id = facts.source AND s.edit IS NOT NULL)
                THEN 'left out: typed for a label that is gone'
             WHEN {label} IS NULL THEN 'no round yet' WHEN {label} = -1 THEN 'none of these'
             WHEN 'valid' = (SELECT v.outcome FROM proposed q JOIN verdict v ON v.proposal = q.id
                WHERE q.text = facts.text AND q.label = {label} AND q.round <= :round
                AND NOT EXISTS (SELECT 1 FROM stale_verdict s WHERE s.id = v.id)
                ORDER BY v.id DESC LIMIT 1) THEN 'verdict'
             WHEN EXISTS (SELECT 1 FROM compared c WHERE c.text = facts.text AND c.round <= :round AND NOT c.stale
                AND {label} = CASE c.outcome WHEN 'valid' THEN c.label WHEN 'invalid' THEN c.rival END) THEN 'verdict'
             ELSE 'classifiers' END AS kind
    FROM (
        SELECT source, row, text, left_out, truth, extra,
            {_DECISION if answers else "NULL"} AS decision,
            (SELECT min(o.label) FROM own_label o WHERE o.text = source_row.text AND {stands}) AS first_seed,
            (SELECT max(o.label) FROM own_label o WHERE o.text = source_row.text) AS last_seed,
            {_AUDIT if answers else "NULL"} AS audit
        FROM {rows}
    ) facts
    LEFT JOIN decision ON decision.id = facts.decision
    LEFT JOIN audit_answer audit ON audit.id = facts.audit AND facts.decision IS NULL AND facts.first_seed IS NULL
    LEFT JOIN prediction p ON p.round = :round AND p.text = facts.text
    LEFT JOIN {_OTHERS if answers else "json_each(NULL)"} other"""


FINAL = _final()
"""Every source row with its final label.

A decision takes precedence over a seed, a seed over a blind audit, and an audit over the classifiers. A label that a
person ruled out does not count: the classifiers' next best one does (``next_best``).

The scalar subqueries are one index lookup each. Only decisions of a batch have a belief, also after a restore, so that
marks them as *bulk*. A planted audit asks for a known label and gives none.
"""
FINAL_OF_BLOCK = _final("source_row WHERE (source, row) > (:last_source, :last_row) ORDER BY source, row LIMIT :rows")
"""FINAL for the next rows after one."""


_REPLACED = """SELECT r.text FROM ruled_out r
    CROSS JOIN prediction m ON m.round = :round AND m.text = r.text AND m.label = r.label
    UNION ALL SELECT text FROM disputed"""
# SQLite reads the index until the page is full. Beside the machine's labels, only bulk decisions have a confidence.
# Where a person ruled out the label, the confidence is that of another one.
_LEAST_CERTAIN = f"""
    SELECT source, row, (SELECT count(*) FROM source_row) AS total FROM (
        SELECT * FROM (
            SELECT p.belief, source_row.source, source_row.row
            FROM prediction p CROSS JOIN source_row ON source_row.text = p.text
            WHERE p.round = :round AND {_DECISION} IS NULL AND {_AUDIT} IS NULL
                AND NOT EXISTS (SELECT 1 FROM own_label o WHERE o.text = p.text) AND p.text NOT IN ({_REPLACED})
            ORDER BY p.belief, source_row.source, source_row.row LIMIT :offset + :limit)
        UNION ALL
        SELECT decision.belief, source_row.source, source_row.row
        FROM decision CROSS JOIN source_row ON source_row.text = decision.text
        WHERE decision.belief IS NOT NULL AND decision.id = {_DECISION}
        UNION ALL
        SELECT belief, source, row FROM ({_final(f"source_row WHERE text IN ({_REPLACED})")})
        WHERE belief IS NOT NULL AND decision IS NULL
    ) ORDER BY belief, source, row LIMIT :limit OFFSET :offset"""


# Each option is one filter of the page.
def results_page(
    project: Project,
    round_id: int,
    *,
    page: int = 0,
    search: str = "",
    label: int | None = None,
    source: str = "",
    group: Sequence[str] = (),
    lowest_first: bool = False,
) -> tuple[list[dict[str, Any]], int]:
    """Return one page of rows with their final labels, and how many rows match in all.

    Parameters
    ----------
    round_id : int
        The round whose beliefs are shown; 0 before the first.
    page : int
        From 0, ROWS_PER_PAGE rows each.
    search : str
        Only texts that contain it, in any case.
    label : int, optional
        Only this label; -1 is none of these.
    source : str
        Only this source, such as ``seed`` or ``classifiers``; '' for all.
    group : sequence of str
        Only labels in this group, or in one inside it; () for all.
    lowest_first : bool
        Sort by belief, the least certain first; else in the order of the files.
    """
    conditions = {
        found_in("text.content"): search.strip(),
        "final.kind LIKE '%none of these'": label == NONE_OF_THESE,
        "final.label = :label": label not in {None, NONE_OF_THESE},
        "final.kind LIKE :source": source,
        f"final.label IN {IN_GROUP}": group,
    }
    where = " AND ".join(condition for condition, asked in conditions.items() if asked) or "1"
    # One pass over all final labels sorts and counts them. Without a filter of the labels, the count needs none.
    plain = label is None and not source and not group
    texts = f"LEFT JOIN text ON text.id = final.text WHERE {where}"
    total = f"(SELECT count(*) FROM source_row final {texts})" if plain else "count(*) OVER ()"
    rows = "source_row" if plain and not lowest_first else f"({FINAL})"
    order = f"{'final.belief IS NULL, final.belief, ' if lowest_first else ''}final.source, final.row"
    sorted_rows = f"""SELECT final.source, final.row, {total} AS total FROM {rows} final {texts}
        ORDER BY {order} LIMIT :limit OFFSET :offset"""
    values = {
        "round": round_id, "label": label,
        "source": "left out%" if source == "left out" else source,
        "group": stored_group(group), "limit": ROWS_PER_PAGE, "offset": page * ROWS_PER_PAGE,
    } | sought(search)  # fmt: skip
    with connection(project) as db:
        indexed = lowest_first and not any(conditions.values())
        results = list(db.query(_shown(_LEAST_CERTAIN, order), values)) if indexed else []
        if len(results) < ROWS_PER_PAGE:  # the last rows have no confidence
            results = list(db.query(_shown(sorted_rows, order), values))
    if not results and page:  # the page is after the last one
        return [], results_page(project, round_id, search=search, label=label, source=source, group=group)[1]
    totals = [int(row.pop("total")) for row in results]
    return results, totals[0] if totals else 0


def _shown(page: str, order: str) -> str:
    """Return the query of what a page shows, from a query of its rows and of how many there are in all."""
    return f"""
        SELECT text.content AS text, label.name AS label, final.belief, final.kind AS source, rival.name AS runner_up,
            final.runner_up_belief, final.prior, source.file, final.row, final.truth, page.total,
            (SELECT json_array(v.outcome, v.log_likelihood_ratio) FROM proposed q JOIN verdict v ON v.proposal = q.id
                WHERE q.text = final.text AND q.label = final.label AND v.id NOT IN (SELECT id FROM stale_verdict)
                ORDER BY v.id DESC LIMIT 1) AS verdict
        FROM ({page}) page
        CROSS JOIN ({FINAL}) final ON final.source = page.source AND final.row = page.row
        JOIN source ON source.id = final.source LEFT JOIN text ON text.id = final.text
        LEFT JOIN label ON label.id = final.label LEFT JOIN label rival ON rival.id = final.runner_up
        ORDER BY {order}"""


def counts_without_answers(project: Project, round_id: int) -> dict[str, int]:
    """Return what :func:`source_counts` would return if nobody had decided or audited a text.

    It reads every row, and changes only with imports, edits of labels and meanings, and rounds.
    """
    with connection(project) as db:
        return _counted(db, _final(answers=False), round_id)


def source_counts(project: Project, round_id: int, before: Mapping[str, int] | None = None) -> dict[str, int]:
    """Return source -> number of rows with a final label from it; all reasons to leave rows out count as ``left out``.

    Parameters
    ----------
    round_id : int
        The round whose beliefs are shown; 0 before the first.
    before : mapping, optional
        The result of :func:`counts_without_answers`, if it is known. Then only the texts with an answer are read.
    """
    counts = dict(counts_without_answers(project, round_id) if before is None else before)
    answered = f"(SELECT * FROM source_row WHERE text IN ({_ANSWERED})) source_row"
    with connection(project) as db:
        without = _counted(db, _final(answered, answers=False), round_id)
        now = _counted(db, _final(answered), round_id)
    for source in {*without, *now}:
        counts[source] = counts.get(source, 0) + now.get(source, 0) - without.get(source, 0)
    return {source: count for source, count in counts.items() if count}


def _counted(db: Database, final: str, round_id: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    for kind, count in db.execute(f"SELECT kind, count(*) FROM ({final}) GROUP BY kind", {"round": round_id}):
        source = "left out" if kind.startswith("left out") else str(kind)
        counts[source] = counts.get(source, 0) + int(count)
    return counts
