"""Reads for new labels and drift: the beliefs of each pool text in a round, and the import it came with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from red_core.records import NONE_OF_THESE, Booleans, Floats, Ints, Project
from red_core.store.database import connection


@dataclass(frozen=True)
class Scored:
    """The results of a round for n pool texts.

    Attributes
    ----------
    texts : ndarray of shape (n,), int64
        Row ids, ascending.
    labels : ndarray of shape (n,), int64
        The id of the best label, even if *none of these* is more probable.
    none : ndarray of shape (n,), bool
        True if *none of these* is the most probable outcome.
    belief, none_belief : ndarray of shape (n,)
        Belief in the most probable outcome, and in *none of these*.
    classifier_belief : ndarray of shape (n,)
        Belief in the most probable outcome before any verdict.
    """

    texts: Ints
    labels: Ints
    none: Booleans
    belief: Floats
    none_belief: Floats
    classifier_belief: Floats


@dataclass(frozen=True)
class PoolImport:
    """One import with pool texts; ``texts`` are their row ids, ascending, with those that were there before."""

    source: int
    file: str
    at: str
    texts: Ints


def scored_texts(project: Project, round_id: int) -> Scored:
    """Return the beliefs of a round in each pool text."""
    query = """
        SELECT text, label, runner_up, belief, none_belief, prior FROM prediction
        WHERE round = ? AND text IN (SELECT text FROM without_label) ORDER BY text"""
    with connection(project) as db:
        rows = np.asarray(db.execute(query, [round_id]).fetchall(), dtype=np.float64).reshape(-1, 6)
    texts, best, second = (rows[:, column].astype(np.int64) for column in range(3))
    none = best == NONE_OF_THESE
    return Scored(texts, np.where(none, second, best), none, rows[:, 3], rows[:, 4], rows[:, 5])


def settled_texts(project: Project) -> Ints:
    """Return the row ids of texts that a new label may not use, ascending: those decided or in the blind audit."""
    with connection(project) as db:
        rows = db.execute("SELECT text FROM decided UNION SELECT text FROM audit ORDER BY text").fetchall()
    return np.asarray(rows, dtype=np.int64).reshape(-1)


def pool_imports(project: Project) -> list[PoolImport]:
    """Return the imports with pool texts, oldest first."""
    query = """
        SELECT DISTINCT source, text FROM source_row
        WHERE label IS NULL AND text IS NOT NULL AND text IN (SELECT text FROM without_label) ORDER BY source, text"""
    with connection(project) as db:
        rows = np.asarray(db.execute(query).fetchall(), dtype=np.int64).reshape(-1, 2)
        named = {int(id_): (str(file), str(at)) for id_, file, at in db.execute("SELECT id, file, at FROM source")}
    return [
        PoolImport(source, *named[source], rows[rows[:, 0] == source, 1]) for source in np.unique(rows[:, 0]).tolist()
    ]


def undecided_of_import(project: Project, round_id: int, source: int) -> dict[int, int]:
    """Return label id -> number of texts of an import that have this label in a round and that nobody has decided."""
    query = """
        SELECT p.label, count(*) FROM (SELECT DISTINCT text FROM source_row WHERE source = :source) row
        JOIN prediction p ON p.round = :round AND p.text = row.text
        WHERE NOT EXISTS (SELECT 1 FROM decided WHERE decided.text = p.text) GROUP BY p.label"""
    with connection(project) as db:
        rows = db.execute(query, {"round": round_id, "source": source}).fetchall()
    return {int(label): int(number) for label, number in rows}
