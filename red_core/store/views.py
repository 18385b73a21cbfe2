"""Reads of the screens: small or paged. Nothing here writes, and nothing reads a whole corpus."""

from __future__ import annotations

import json
from bisect import insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from red_core.records import Project
from red_core.store.database import connection
from red_core.store.labels import LABELS, path_of
from red_core.store.texts import shown_file

LEAST = 0.1
"""Two labels with fewer confused texts do not count as confused: among 1,000 labels every pair has a few hundredths."""
_BELIEVED = """
    SELECT min(p.label, runner_up) AS one, max(p.label, runner_up) AS other, sum(runner_up_belief) AS expected
    FROM {texts} WHERE p.round = ? AND p.label > 0 AND runner_up > 0 GROUP BY 1, 2"""
# The judge said *valid* and the analyst gave another label, or it said *invalid* and the analyst gave this label.
_CHECKED = """
    SELECT d.text, q.label, CASE v.outcome WHEN 'valid' THEN d.label ELSE q.runner_up END AS instead,
        CASE v.outcome WHEN 'valid' THEN d.label <> q.label ELSE d.label = q.label END AS overturned,
        v.id, d.at, d.id AS decision
    FROM decided d JOIN proposed q ON q.text = d.text JOIN verdict v ON v.proposal = q.id
    WHERE v.outcome IN ('valid', 'invalid')"""
"""Verdicts on texts that a person decided, and whether the decision overturned the verdict."""
_OVERTURNED = f"""
    SELECT min(label, instead) AS one, max(label, instead) AS other, count(DISTINCT text) AS n FROM ({_CHECKED})
    WHERE overturned AND instead > 0 AND instead <> label GROUP BY 1, 2"""


LabelledTexts = Mapping[int, tuple[int, float]]
"""A label's id, the number of texts that a round labels with it, and their mean belief."""


def labelled_texts_of(project: Project, round_id: int) -> LabelledTexts:
    """Return how many texts have each label after a round, decisions aside; it reads every text."""
    query = "SELECT label, count(*), avg(belief) FROM prediction WHERE round = ? GROUP BY label"
    with connection(project) as db:
        return {int(label): (int(n), float(belief)) for label, n, belief in db.execute(query, [round_id])}


def label_table(project: Project, round_id: int, labelled: LabelledTexts | None = None) -> list[dict[str, Any]]:
    """Return a row per label: name, path, guideline, author, subset, coordinates, counts of texts, mean belief.

    ``trained`` is 1 if the round was trained on it.

    Parameters
    ----------
    round_id : int
        The round whose beliefs count; 0 before the first.
    labelled : mapping, optional
        The result of :func:`labelled_texts_of`, if it is known.
    """
    labelled = labelled_texts_of(project, round_id) if labelled is None else labelled
    # The casts let SQLite index what it joins: a column of a view has no type. 10,000 labels took 8 s without them.
    query = f"""
        SELECT l.id, l.name, l.path, l.meaning, l.excludes, l.meaning_by, place.subset, place.x, place.y,
            coalesce(s.n, 0) AS seeds, coalesce(f.n, 0) AS fed_back, coalesce(d.n, 0) AS decided,
            l.id IN (SELECT label FROM training_row WHERE round = :round) AS trained
        FROM ({LABELS}) l
        LEFT JOIN label_place place ON place.label = l.id
            AND place.version = (SELECT max(version) FROM label_place)
        LEFT JOIN (SELECT CAST(label AS INTEGER) AS label, count(*) AS n FROM seed GROUP BY 1) s ON s.label = l.id
        LEFT JOIN (SELECT CAST(label.now AS INTEGER) AS label, count(DISTINCT text) AS n FROM feed_back_item i
            JOIN label ON label.id = i.label
            WHERE feed_back NOT IN (SELECT feed_back FROM rollback) GROUP BY label.now) f ON f.label = l.id
        LEFT JOIN (SELECT CAST(label AS INTEGER) AS label, count(*) AS n FROM decided GROUP BY 1) d ON d.label = l.id
        ORDER BY l.id"""
    with connection(project) as db:
        rows = list(db.query(query, {"round": round_id}))
    counts = (labelled.get(int(row["id"]), (0, None)) for row in rows)
    return [
        row | {"path": path_of(row["path"]), "labelled": count, "belief": belief}
        for row, (count, belief) in zip(rows, counts, strict=True)
    ]


def label_texts(project: Project, label: int, round_id: int, limit: int = 20) -> dict[str, list[str]]:
    """Return the seeds of a label (``seeds``), and its pool texts of highest belief (``pool``), as texts."""
    seeds = "SELECT content FROM seed JOIN text ON text.id = text WHERE label = ? ORDER BY text LIMIT ?"
    query = """
        SELECT content FROM prediction JOIN text ON text.id = text WHERE round = ? AND label = ?
        ORDER BY belief DESC LIMIT ?"""
    with connection(project) as db:
        return {
            "seeds": [str(c) for (c,) in db.execute(seeds, [label, limit])],
            "pool": [str(c) for (c,) in db.execute(query, [round_id, label, limit])],
        }


def machine_labels(project: Project, texts: Sequence[int], round_id: int, limit: int) -> list[dict[str, Any]]:
    """Return text, label (None: none of these) and belief of some texts in a round, the lowest belief first."""
    query = f"""
        SELECT t.content AS text, (SELECT name FROM ({LABELS}) WHERE id = p.label) AS label, p.belief
        FROM json_each(?) wanted JOIN text t ON t.id = wanted.value
        LEFT JOIN prediction p ON p.text = t.id AND p.round = ? ORDER BY p.belief, t.id LIMIT ?"""
    with connection(project) as db:
        return list(db.query(query, [json.dumps(list(texts)), round_id, limit]))


def sources(project: Project) -> list[dict[str, Any]]:
    """Return a row per imported file: name, role, rows, columns used, notes, who, when."""
    query = """
        SELECT source.id, file, role, (SELECT count(*) FROM source_row WHERE source = source.id) AS rows,
        text_column, label_column, notes, who, at FROM source ORDER BY id"""
    with connection(project) as db:
        rows = list(db.query(query))
    return [
        row | {"file": shown_file(str(row["file"])), "notes": "; ".join(json.loads(str(row["notes"])))} for row in rows
    ]


def version(project: Project) -> tuple[str | int, ...]:
    """Return the key of a screen's caches: the project's id and encoder, and numbers that change with its data."""
    tables = (
        *("source", "label_edit", "label_meaning", "decision", "feed_back", "rollback", "audit_answer", "flag"),
        *("audit_sample", "certificate"),
    )
    keys = {"label_edit": "version", "rollback": "feed_back"}
    parts = ", ".join(f"(SELECT coalesce(max({keys.get(t, 'id')}), 0) FROM {t})" for t in tables)
    finished = "(SELECT count(*) FROM round WHERE state <> 'open'), (SELECT count(*) FROM round)"
    with connection(project) as db:
        of_project = " || ' ' || ".join(
            f"coalesce((SELECT value FROM project WHERE key = '{key}'), '')" for key in ("id", "embedding")
        )
        return tuple(db.execute(f"SELECT {of_project}, {parts}, {finished}").fetchone())


def pace(project: Project) -> list[dict[str, Any]]:
    """Return a row per person and queue: ``who``, ``queue``, ``decisions``, and ``p50`` and ``p95`` in seconds.

    All timed single decisions count, even undone ones: their time was spent. Batches and skips do not count.
    """
    query = """
        SELECT who, queue, seconds FROM decision
        WHERE seconds IS NOT NULL AND belief IS NULL AND kind NOT IN ('skip', 'undo')"""
    taken: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    with connection(project) as db:
        for who, queue, seconds in db.execute(query):
            taken[who, queue].append(seconds)
    return [
        {
            "who": who,
            "queue": queue,
            "decisions": len(seconds),
            "p50": float(np.percentile(seconds, 50)),
            "p95": float(np.percentile(seconds, 95)),
        }
        for (who, queue), seconds in sorted(taken.items())
    ]


@dataclass(frozen=True)
class Confusion:
    """Two labels that are confused with each other.

    Attributes
    ----------
    labels : (int, int)
        Label ids, ascending.
    expected : float
        Expected number of undecided texts with one of the labels that belong to the other: the sum of the beliefs in
        the runner-up.
    overturned : int
        Texts where an analyst overturned the judge, which confused the two.
    """

    labels: tuple[int, int]
    expected: float
    overturned: int

    @property
    def texts(self) -> float:
        """The number of confused texts, ``expected`` and ``overturned`` together."""
        return self.expected + self.overturned

    def other(self, label: int) -> int:
        """Return the other of the two."""
        return self.labels[self.labels[0] == label]


@dataclass(frozen=True)
class Believed:
    """What the beliefs of a round say of confused labels, as if no text were decided.

    Attributes
    ----------
    expected : mapping
        Two label ids, ascending, and the sum of the beliefs in the runner-up: all pairs.
    confused : sequence of Confusion
        The pairs with at least LEAST, most texts first.
    """

    expected: Mapping[tuple[int, int], float]
    confused: Sequence[Confusion]


def believed_pairs(project: Project, round_id: int) -> Believed:
    """Return what the beliefs of a round say of confused labels; it reads every text."""
    with connection(project) as db:
        rows = db.execute(_BELIEVED.format(texts="prediction p"), [round_id])
        expected = {(int(one), int(other)): float(share) for one, other, share in rows}
    confused = (Confusion(pair, share, 0) for pair, share in expected.items() if share >= LEAST)
    return Believed(expected, sorted(confused, key=_most_texts_first))


def confusions(project: Project, round_id: int, believed: Believed | None = None) -> list[Confusion]:
    """Return the pairs of labels with at least LEAST confused texts, most texts first.

    Parameters
    ----------
    round_id : int
        The round whose beliefs count; 0 before the first.
    believed : Believed, optional
        The result of :func:`believed_pairs`, if it is known. Then only the decided texts are read.
    """
    believed = believed or believed_pairs(project, round_id)
    decided = _BELIEVED.format(texts="decided CROSS JOIN prediction p ON p.text = decided.text")
    with connection(project) as db:
        settled = {(one, other): share for one, other, share in db.execute(decided, [round_id])}
        overturned = {(one, other): n for one, other, n in db.execute(_OVERTURNED)}
    changed = {*settled, *overturned}
    found = [each for each in believed.confused if each.labels not in changed]
    for pair in changed:
        expected = max(0.0, believed.expected.get(pair, 0.0) - settled.get(pair, 0.0))
        one = Confusion(pair, expected, overturned.get(pair, 0))
        if one.texts >= LEAST:
            insort(found, one, key=_most_texts_first)
    return found


def overturned_verdicts(project: Project) -> dict[int, tuple[int, int]]:
    """Return label id -> texts where a person overturned the judge's verdict on this label, and all that were checked.

    Only single decisions count that were made since the guideline of the label was edited last.
    """
    query = f"""
        SELECT c.label, count(DISTINCT CASE WHEN c.overturned THEN c.text END), count(DISTINCT c.text)
        FROM ({_CHECKED}) c
        WHERE c.at > coalesce((SELECT max(m.at) FROM standing_meaning m WHERE m.label = c.label), '')
        AND c.id NOT IN (SELECT id FROM stale_verdict)
        AND (SELECT belief FROM decision WHERE decision.id = c.decision) IS NULL GROUP BY c.label"""
    with connection(project) as db:
        return {int(label): (int(times), int(of)) for label, times, of in db.execute(query)}


def _most_texts_first(pair: Confusion) -> tuple[float, tuple[int, int]]:
    return -pair.texts, pair.labels
