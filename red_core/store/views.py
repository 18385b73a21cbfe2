"""What the screens show: small, paged reads. Nothing here writes, and nothing reads a whole corpus."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from red_core.records import Example, Label, Outcome, Project
from red_core.store.database import connection
from red_core.store.labels import LABELS, labels_in

QUEUES = {
    "to decide": "reason <> 'confirm' AND NOT decided AND belief < 0.95",
    "judge against classifiers": "outcome = 'invalid' AND NOT decided",
    "judge unsure": "outcome IN ('unsure', 'refused', 'unparseable') AND NOT decided",
    "judged valid": "outcome = 'valid' AND NOT decided",
    "stale": "stale AND NOT decided",
    "low belief": "belief < 0.5 AND NOT decided",
    "decided": "decided",
}
"""The queues of the review desk: a name and the condition a proposal meets."""

# Of all rounds so far: what was not decided in one round still waits in the next, with its belief of now.
_PROPOSALS = """
    SELECT proposal.id, proposal.text, proposal.label, proposal.gain, proposal.reason,
        coalesce(p.belief, proposal.belief) AS belief, coalesce(verdict.outcome, '') AS outcome,
        verdict.id IN (SELECT id FROM stale_verdict) AS stale,
        EXISTS (SELECT 1 FROM standing_decision s WHERE s.text = proposal.text
            AND (s.kind <> 'reject' OR s.label = proposal.label)) AS decided
    FROM proposal LEFT JOIN verdict ON verdict.proposal = proposal.id
    LEFT JOIN prediction p ON p.text = proposal.text AND p.round = :round
    WHERE proposal.round <= :round"""


@dataclass(frozen=True)
class Card:
    """One proposal as the analyst sees it, with the evidence the judge had.

    Attributes
    ----------
    proposal, text : int
    content : str
    label, runner_up : Label
    belief, runner_up_belief : float
        Now, where they are among the best five; else when the question was selected.
    reason : str
    gain : float
    examples, rival_examples : tuple of Example
    outcome : Outcome or ''
        '' where the judge has not answered.
    p_valid : float or None
    verdict : int or None
        The verdict's id.
    stale : bool
        The label's meaning was edited since the verdict.
    log_likelihood_ratio : float
        What the verdict adds to the label's exponent in the belief.
    judge, raw : str
    best : tuple of (label id, belief)
        The best five outcomes after the round; -1 is none of these.
    prior : float or None
        Belief in the best of them before any verdict.
    decision : str
        What a person decided about the text, as it stands: a kind, and the label's name where there is one; ''
        before.
    """

    proposal: int
    text: int
    content: str
    label: Label
    runner_up: Label
    belief: float
    runner_up_belief: float
    reason: str
    gain: float
    examples: tuple[Example, ...]
    rival_examples: tuple[Example, ...]
    outcome: Outcome | str
    p_valid: float | None
    verdict: int | None
    stale: bool
    log_likelihood_ratio: float
    judge: str
    raw: str
    best: tuple[tuple[int, float], ...]
    prior: float | None
    decision: str


def queue_counts(project: Project, round_id: int) -> dict[str, int]:
    """Return how many texts are in each queue after a round."""
    counts = ", ".join(f"count(DISTINCT CASE WHEN {where} THEN text END)" for where in QUEUES.values())
    with connection(project) as db:
        found = db.execute(f"SELECT {counts} FROM ({_PROPOSALS})", {"round": round_id}).fetchone()
    return dict(zip(QUEUES, (int(n) for n in found), strict=True))


def queue(
    project: Project, round_id: int, name: str, *, label: int | None = None, search: str = ""
) -> list[tuple[int, int]]:
    """Return (proposal, text) of a queue, the most informative first, one per text: the newest.

    Parameters
    ----------
    name : str
        One of QUEUES.
    label : int, optional
        Only proposals of this label.
    search : str
        Only texts that contain it, whatever the case of ASCII letters.
    """
    query = f"""
        SELECT max(p.id), p.text FROM ({_PROPOSALS}) p JOIN text ON text.id = p.text
        WHERE ({QUEUES[name]}) AND (:label IS NULL OR p.label = :label)
        AND (:search = '' OR instr(lower(text.content), lower(:search)) > 0)
        GROUP BY p.text ORDER BY max(p.gain) DESC, p.text"""
    with connection(project) as db:
        values = {"round": round_id, "label": label, "search": search.strip()}
        return [(int(id_), int(text)) for id_, text in db.execute(query, values)]


def card(project: Project, proposal: int) -> Card:
    """Return one proposal with everything shown beside it; beliefs are those after the newest round."""
    query = """
        SELECT proposal.*, text.content, verdict.outcome, verdict.p_valid, verdict.judge, verdict.raw,
            verdict.id AS verdict, coalesce(verdict.log_likelihood_ratio, 0.0) AS log_likelihood_ratio,
            verdict.id IN (SELECT id FROM stale_verdict) AS stale, prediction.top, prediction.prior,
            (SELECT d.kind || coalesce(': ' || label.name, '') FROM standing_decision d
                LEFT JOIN label ON label.id = d.label WHERE d.text = proposal.text ORDER BY d.id DESC LIMIT 1)
                AS decision
        FROM proposal JOIN text ON text.id = proposal.text LEFT JOIN verdict ON verdict.proposal = proposal.id
        LEFT JOIN prediction ON prediction.text = proposal.text
            AND prediction.round = (SELECT max(round) FROM prediction)
        WHERE proposal.id = ?"""
    with connection(project) as db:
        row = next(iter(db.query(query, [proposal])))
        evidence = json.loads(row["evidence"])
        shown = [int(text) for side in evidence.values() for text, _, _ in side]
        marks = ",".join("?" * len(shown))
        contents = dict(db.execute(f"SELECT id, content FROM text WHERE id IN ({marks})", shown).fetchall())
        named = {label.id: label for label in labels_in(db)}
    sides = {
        side: tuple(Example(int(t), contents[int(t)], float(s), str(origin)) for t, s, origin in examples)
        for side, examples in evidence.items()
    }
    best = {int(label): float(b) for label, b in json.loads(row["top"] or "[]")}
    return Card(
        proposal=proposal,
        text=row["text"],
        content=row["content"],
        label=named[row["label"]],
        runner_up=named[row["runner_up"]],
        belief=best.get(row["label"], row["belief"]),
        runner_up_belief=best.get(row["runner_up"], row["runner_up_belief"]),
        reason=row["reason"],
        gain=row["gain"],
        examples=sides["label"],
        rival_examples=sides["runner_up"],
        outcome=row["outcome"] or "",
        p_valid=row["p_valid"],
        verdict=row["verdict"],
        stale=bool(row["stale"]),
        log_likelihood_ratio=row["log_likelihood_ratio"],
        judge=row["judge"] or "",
        raw=row["raw"] or "",
        best=tuple(best.items()),
        prior=row["prior"],
        decision=row["decision"] or "",
    )


def label_table(project: Project, round_id: int) -> list[dict[str, Any]]:
    """Return a row per label: name, meaning, its author, subset, seeds, fed back, texts labelled, belief, decided.

    Parameters
    ----------
    round_id : int
        The round whose beliefs count; 0 before the first.
    """
    query = f"""
        SELECT l.id, l.name, l.meaning, l.meaning_by, place.subset, place.x, place.y,
            coalesce(s.n, 0) AS seeds, coalesce(f.n, 0) AS fed_back, coalesce(p.n, 0) AS labelled, p.belief,
            coalesce(d.n, 0) AS decided
        FROM ({LABELS}) l
        LEFT JOIN label_place place ON place.label = l.id
            AND place.version = (SELECT max(version) FROM label_place)
        LEFT JOIN (SELECT label, count(*) AS n FROM seed GROUP BY label) s ON s.label = l.id
        LEFT JOIN (SELECT label, count(DISTINCT text) AS n FROM feed_back_item
            WHERE feed_back NOT IN (SELECT feed_back FROM rollback) GROUP BY label) f ON f.label = l.id
        LEFT JOIN (SELECT label, count(*) AS n, avg(belief) AS belief FROM prediction
            WHERE round = ? GROUP BY label) p ON p.label = l.id
        LEFT JOIN (SELECT label, count(*) AS n FROM decided GROUP BY label) d ON d.label = l.id
        ORDER BY l.id"""
    with connection(project) as db:
        return list(db.query(query, [round_id]))


def label_texts(project: Project, label: int, round_id: int, limit: int = 20) -> dict[str, list[str]]:
    """Return the seeds of a label, and the pool texts of highest belief in it."""
    seeds = "SELECT content FROM seed JOIN text ON text.id = text WHERE label = ? ORDER BY text LIMIT ?"
    found = """
        SELECT content FROM prediction JOIN text ON text.id = text WHERE round = ? AND label = ?
        ORDER BY belief DESC LIMIT ?"""
    with connection(project) as db:
        return {
            "seeds": [str(c) for (c,) in db.execute(seeds, [label, limit])],
            "pool": [str(c) for (c,) in db.execute(found, [round_id, label, limit])],
        }


def sources(project: Project) -> list[dict[str, Any]]:
    """Return a row per imported file: name, role, rows, columns used, notes, who, when."""
    query = """
        SELECT source.id, file, role, (SELECT count(*) FROM source_row WHERE source = source.id) AS rows,
        text_column, label_column, notes, who, at FROM source ORDER BY id"""
    with connection(project) as db:
        return [row | {"notes": "; ".join(json.loads(str(row["notes"])))} for row in db.query(query)]


def version(project: Project) -> tuple[int, ...]:
    """Return numbers that change whenever anything a screen shows does: the key of its caches."""
    tables: Sequence[str] = ("source", "label_edit", "label_meaning", "decision", "feed_back", "rollback")
    keys = {"label_edit": "version", "rollback": "feed_back"}
    parts = ", ".join(f"(SELECT coalesce(max({keys.get(t, 'id')}), 0) FROM {t})" for t in tables)
    finished = "(SELECT count(*) FROM round WHERE state <> 'open'), (SELECT count(*) FROM round)"
    with connection(project) as db:
        return tuple(int(n) for n in db.execute(f"SELECT {parts}, {finished}").fetchone())
