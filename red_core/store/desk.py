"""Reads of the review desk: queues of texts, and a card for each. Nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlite_utils import Database

from red_core.records import Example, Label, Outcome, Project
from red_core.store.database import connection
from red_core.store.decisions import answers
from red_core.store.labels import IN_GROUP, labels_in, stored_group
from red_core.store.searching import found_in, sought

Item = tuple[int, int | None]
"""A text of a queue and its proposal; None if nothing was proposed for it."""
Nearest = Callable[[int, int], tuple[Example, ...]]
"""nearest(text, label): the valid samples of a label that are nearest to a text."""

LONGEST_QUEUE = 10_000
"""Most items of a queue."""

OF_PROPOSALS = {
    "to decide": "reason <> 'confirm' AND NOT decided AND (belief < 0.95 OR reason = 'analyst' AND of_this_round)",
    "judge against classifiers": "outcome = 'invalid' AND NOT decided",
    "judge unsure": "outcome IN ('unsure', 'refused', 'unparseable') AND NOT decided",
    "judged valid": "outcome = 'valid' AND NOT decided",
    "stale": "stale AND NOT decided",
}
"""Queues of proposals: a name and the SQL condition of its proposals. The most informative come first."""
_ORDER = {"to decide": "min(belief)"}
"""The place of a text in its queue; by default ``-max(gain)``, what a second answer about the proposed label gains.

A decision names the right label, whatever was proposed. So it gains most where the belief is lowest.
"""

# The proposals of all rounds so far, with the current belief: an undecided one stays in the queues.
_PROPOSALS = f"""
    SELECT proposal.id, proposal.text, proposal.label, proposal.gain, proposal.reason,
        proposal.round = :round AS of_this_round,
        coalesce(p.belief, proposal.belief) AS belief, coalesce(verdict.outcome, '') AS outcome,
        verdict.id IN (SELECT id FROM stale_verdict) AS stale,
        EXISTS (SELECT 1 FROM standing_decision s WHERE s.text = proposal.text
            AND {answers("s", "proposal.label")}) AS decided
    FROM proposed proposal LEFT JOIN verdict ON verdict.proposal = proposal.id
    LEFT JOIN prediction p ON p.text = proposal.text AND p.round = :round
    WHERE proposal.round <= :round"""

_NEWEST = "(SELECT max(q.id) FROM proposal q WHERE q.text = p.text AND q.round <= :round)"
_UNDECIDED = "NOT EXISTS (SELECT 1 FROM standing_decision s WHERE s.text = p.text)"
_WITHOUT_LABEL = "NOT EXISTS (SELECT 1 FROM standing_decision s WHERE s.text = p.text AND s.kind <> 'reject')"
_PREDICTED = f"FROM prediction p WHERE p.round = :round AND {_UNDECIDED}"
# The lowest confidence that the certificates of the newest target cover; 0 if all texts are covered, NULL without any.
_CERTIFIED_FROM = """(SELECT min(c.threshold) FROM certificate c WHERE c.round = :round
    AND c.target = (SELECT target FROM certificate WHERE round = :round ORDER BY id DESC LIMIT 1))"""
OF_TEXTS = {
    "low belief": f"SELECT p.text, {_NEWEST} AS proposal, p.label, p.belief AS place {_PREDICTED} AND p.belief < 0.5",
    "not certified": f"""SELECT p.text, {_NEWEST} AS proposal, p.label, p.belief AS place {_PREDICTED}
        AND p.belief < {_CERTIFIED_FROM}""",
    "none of these": f"SELECT p.text, {_NEWEST} AS proposal, p.label, -p.belief AS place {_PREDICTED} AND p.label = -1",
    "contradictions": f"""SELECT p.text, NULL AS proposal, min(p.label) AS label, p.text AS place FROM own_label p
        WHERE p.text IN (SELECT text FROM contradiction) AND {_WITHOUT_LABEL} GROUP BY p.text""",
    "random": f"""SELECT p.text, {_NEWEST} AS proposal, p.label,
        (SELECT text_id FROM text WHERE text.id = p.text) AS place {_PREDICTED}""",
    "flagged": f"""SELECT p.text, {_NEWEST} AS proposal,
        (SELECT b.label FROM prediction b WHERE b.round = :round AND b.text = p.text) AS label, -p.id AS place
        FROM standing_flag p""",
    "decided": """SELECT s.text, s.proposal, s.label, -s.id AS place FROM standing_decision s
        WHERE s.id = (SELECT max(n.id) FROM standing_decision n WHERE n.text = s.text)""",
}
"""Queues of texts, with or without a proposal; ``place`` is their order."""

QUEUES = (*OF_PROPOSALS, *OF_TEXTS)


@dataclass(frozen=True)
class Filters:
    """Filters of a queue. By default everything is shown.

    Attributes
    ----------
    labels : tuple of int
        Only texts whose proposed or best label is one of these; () for all.
    subset : int or None
        Only texts whose label is in this subset.
    group : tuple of str
        Only texts whose label is in this group, or in one inside it; () for all.
    round : int or None
        Only proposals of this round.
    judge : str
        Only proposals with a verdict of this judge.
    search : str
        Only texts that contain it, in any case; in the queue *decided* also reasons that do.
    """

    labels: tuple[int, ...] = ()
    subset: int | None = None
    round: int | None = None
    judge: str = ""
    search: str = ""
    group: tuple[str, ...] = ()


class Compared(NamedTuple):
    """A judge's answer whether it is rather the label of a card than its rival: *valid* says yes."""

    rival: str
    outcome: Outcome
    chance: float | None
    judge: str
    stale: bool


@dataclass(frozen=True)
class Card:
    """One text as the analyst sees it, with the judge's evidence.

    Attributes
    ----------
    text : int
    proposal : int or None
        None if nothing was proposed: the card then shows the most probable labels.
    content : str
    label, runner_up : Label
    belief, runner_up_belief : float or None
        The current beliefs if they are among the best five, else those at selection. None for a seed.
    reason : str
        The rule that selected the question; '' if there was none.
    gain : float
    examples, rival_examples : tuple of Example
    outcome : Outcome or ''
        '' if there is no verdict.
    p_valid : float or None
    verdict : int or None
        The verdict's id.
    stale : bool
        True if the label's meaning or extent changed after the verdict.
    log_likelihood_ratio : float
        What the verdict adds to the label's logit.
    judge, raw : str
    best : tuple of (label id, belief)
        The best five outcomes after the round; -1 is none of these.
    classifier_belief : float or None
        Belief in the best of them before any verdict.
    decision : str
        The valid decision about the text: its kind, and the label's name if it has one; '' if there is none.
    compared : Compared or None
        The newest answer of a judge that compared this label with another.
    seen : (int, int)
        The newest decision about the text and the id of the label's meaning, to detect changes (optimistic lock).
    """

    text: int
    proposal: int | None
    content: str
    label: Label
    runner_up: Label
    belief: float | None
    runner_up_belief: float | None
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
    classifier_belief: float | None
    decision: str
    seen: tuple[int, int]
    compared: Compared | None = None


def queue_counts(project: Project, round_id: int) -> dict[str, int]:
    """Return queue name -> number of texts, after a round."""
    counts = ", ".join(f"count(DISTINCT CASE WHEN {where} THEN text END)" for where in OF_PROPOSALS.values())
    with connection(project) as db:
        row = db.execute(f"SELECT {counts} FROM ({_PROPOSALS})", {"round": round_id}).fetchone()
        texts = [
            db.execute(f"SELECT count(*) FROM ({query})", {"round": round_id}).fetchone()[0]
            for query in OF_TEXTS.values()
        ]
    return dict(zip(QUEUES, (int(n) for n in (*row, *texts)), strict=True))


def queue(
    project: Project,
    round_id: int,
    name: str,
    filters: Filters = Filters(),
    *,
    who: str = "",
    longest: int = LONGEST_QUEUE,
) -> list[Item]:
    """Return the items of a queue in order, one per text; texts that this person skipped come last.

    Parameters
    ----------
    name : str
        One of QUEUES.
    """
    items = (
        OF_TEXTS.get(name)
        or f"""
        SELECT w.text, w.proposal, o.label, w.place FROM (
            SELECT text, max(id) AS proposal, {_ORDER.get(name, "-max(gain)")} AS place FROM ({_PROPOSALS})
            WHERE {OF_PROPOSALS[name]} AND (:labels IS NULL OR label IN (SELECT value FROM json_each(:labels)))
            GROUP BY text
        ) w JOIN proposed o ON o.id = w.proposal"""
    )
    query = f"""
        SELECT i.text, i.proposal FROM ({items}) i JOIN text ON text.id = i.text
        LEFT JOIN proposal q ON q.id = i.proposal LEFT JOIN verdict v ON v.proposal = i.proposal
        WHERE (:labels IS NULL OR i.label IN (SELECT value FROM json_each(:labels)))
        AND (:asked_in IS NULL OR q.round = :asked_in)
        AND (:subset IS NULL OR i.label IN (SELECT label FROM label_place
            WHERE version = (SELECT max(version) FROM label_place) AND subset = :subset))
        AND (:group IS NULL OR i.label IN {IN_GROUP})
        AND (:judge = '' OR v.judge = :judge)
        AND (:search = '' OR {found_in("text.content")} OR (:decided AND EXISTS (
            SELECT 1 FROM standing_decision s WHERE s.text = i.text AND {found_in("s.reason")})))
        ORDER BY i.text IN (SELECT s.text FROM decision s WHERE s.kind = 'skip' AND s.who = :who
            AND s.id NOT IN (SELECT undoes FROM decision WHERE undoes IS NOT NULL)), i.place, i.text
        LIMIT :longest"""
    values = {
        "round": round_id, "labels": json.dumps(filters.labels) if filters.labels else None,
        "asked_in": filters.round, "subset": filters.subset,
        "judge": filters.judge, "decided": name == "decided", "who": who, "longest": longest,
        "group": stored_group(filters.group),
    } | sought(filters.search)  # fmt: skip
    with connection(project) as db:
        return [(int(text), proposal) for text, proposal in db.execute(query, values)]


def item_of(project: Project, text: int) -> Item:
    """Return a text with its newest proposal, None if it has none."""
    with connection(project) as db:
        row = db.execute("SELECT max(id) FROM proposed WHERE text = ?", [text]).fetchone()
    return text, row[0]


def decided_among(project: Project, items: Sequence[Item], *, rejections: bool = True) -> set[int]:
    """Return the texts of these items that are decided, or whose proposed label is rejected.

    Parameters
    ----------
    rejections : bool
        Whether a rejection counts. It does not settle a contradiction, which stays in its queue.
    """
    query = f"""
        SELECT s.text FROM json_each(:items) item
        JOIN standing_decision s ON s.text = json_extract(item.value, '$[0]')
        LEFT JOIN proposed q ON q.id = json_extract(item.value, '$[1]')
        WHERE (q.id IS NULL OR {answers("s", "q.label")}) AND (:rejections OR s.kind <> 'reject')"""
    values = {"items": json.dumps(items), "rejections": rejections}
    with connection(project) as db:
        return {int(text) for (text,) in db.execute(query, values)}


def judges(project: Project) -> list[str]:
    """Return the names of the judges with verdicts in this project, sorted."""
    with connection(project) as db:
        return [str(name) for (name,) in db.execute("SELECT DISTINCT judge FROM verdict ORDER BY judge")]


_CARDS = """
    SELECT text.id AS text, text.content, q.id AS proposal, q.label, q.runner_up, q.belief, q.runner_up_belief,
        coalesce(q.reason, '') AS reason, coalesce(q.gain, 0.0) AS gain, q.evidence,
        coalesce(v.outcome, '') AS outcome, v.p_valid, coalesce(v.judge, '') AS judge, coalesce(v.raw, '') AS raw,
        v.id AS verdict, coalesce(v.log_likelihood_ratio, 0.0) AS log_likelihood_ratio,
        coalesce(v.id IN (SELECT id FROM stale_verdict), 0) AS stale, prediction.top,
        prediction.prior AS classifier_belief,
        (SELECT d.kind || coalesce(': ' || label.name, '') FROM standing_decision d
            LEFT JOIN label ON label.id = d.label WHERE d.text = text.id ORDER BY d.id DESC LIMIT 1) AS decision,
        (SELECT coalesce(max(d.id), 0) FROM decision d WHERE d.text = text.id AND d.kind <> 'skip') AS newest,
        (SELECT json_group_array(DISTINCT r.label) FROM own_label r WHERE r.text = text.id) AS own,
        (SELECT json_group_array(json_array(c.id, c.label, c.rival, c.outcome, c.chance, c.judge, c.stale))
            FROM compared c WHERE c.text = text.id) AS compared
    FROM json_each(:items) item
    JOIN text ON text.id = json_extract(item.value, '$[0]')
    LEFT JOIN proposed q ON q.id = json_extract(item.value, '$[1]')
    LEFT JOIN verdict v ON v.proposal = q.id
    LEFT JOIN prediction ON prediction.text = text.id AND prediction.round = (SELECT max(round) FROM prediction)
    ORDER BY item.key"""


def cards(project: Project, items: Sequence[Item], nearest: Nearest) -> list[Card]:
    """Return the cards of these items, in order, with the beliefs after the newest round.

    Parameters
    ----------
    nearest : callable(text, label) -> tuple of Example
        Finds the evidence of an item without a proposal.
    """
    with connection(project) as db:
        rows = list(db.query(_CARDS, {"items": json.dumps(items)}))
        named = {label.id: label for label in labels_in(db)}
        contents = _contents_of(db, rows)
    return [_card(row, named, contents, nearest) for row in rows]


def _contents_of(db: Database, rows: Sequence[dict[str, Any]]) -> dict[int, str]:
    """Return text id -> text for all samples in the evidence of these rows."""
    sides = [side for row in rows if row["evidence"] for side in json.loads(row["evidence"]).values()]
    shown = sorted({int(text) for side in sides for text, _, _ in side})
    query = "SELECT id, content FROM text WHERE id IN (SELECT value FROM json_each(?))"
    return dict(db.execute(query, [json.dumps(shown)]).fetchall())


def _card(row: dict[str, Any], named: dict[int, Label], contents: dict[int, str], nearest: Nearest) -> Card:
    best = {int(label): float(b) for label, b in json.loads(row["top"] or "[]")}
    label, rival = row["label"], row["runner_up"]
    likely = list(dict.fromkeys([*json.loads(row["own"]), *(n for n in best if n in named), *named]))
    if row["proposal"] is None:  # its own labels first, then the most probable ones
        label, rival = likely[:2]
        examples, rivals = nearest(row["text"], label), nearest(row["text"], rival)
    elif rival in {None, label}:  # the runner-up was retired, or merged with the label
        rival = next(other for other in likely if other != label)
        examples, rivals = nearest(row["text"], label), nearest(row["text"], rival)
    else:
        sides = json.loads(row["evidence"])
        examples, rivals = (
            tuple(Example(int(t), contents[int(t)], float(s), str(origin)) for t, s, origin in sides[side])
            for side in ("label", "runner_up")
        )
    return Card(
        text=row["text"],
        proposal=row["proposal"],
        content=row["content"],
        label=named[label],
        runner_up=named[rival],
        belief=best.get(label, row["belief"]),
        runner_up_belief=best.get(rival, row["runner_up_belief"]),
        examples=examples,
        rival_examples=rivals,
        stale=bool(row["stale"]),
        best=tuple(best.items()),
        decision=row["decision"] or "",
        seen=(int(row["newest"]), named[label].meaning_id),
        compared=_compared(row["compared"], label, named),
        **{name: row[name] for name in _AS_STORED},
    )


def _compared(stored: str, label: int, named: dict[int, Label]) -> Compared | None:
    """Return the newest comparison of a label, from a JSON list of them."""
    about = [each for each in json.loads(stored) if label in each[1:3]]
    if not about:
        return None
    _, first, second, outcome, chance, judge, stale = max(about)
    if label != first:
        outcome = {"valid": "invalid", "invalid": "valid"}.get(outcome, outcome)
        chance = None if chance is None else 1.0 - chance
    return Compared(named[second if label == first else first].name, outcome, chance, judge, bool(stale))


_AS_STORED = (
    "reason", "gain", "outcome", "p_valid", "verdict", "log_likelihood_ratio", "judge", "raw", "classifier_belief",
)  # fmt: skip
