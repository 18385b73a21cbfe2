"""Batches: lists of proposals that get the same decision, after a random sample was decided one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlite_utils import Database

from red_core.errors import StateError
from red_core.records import BatchKind, Project
from red_core.store.database import connection, now, transaction
from red_core.store.decisions import answers
from red_core.store.desk import Item


@dataclass(frozen=True)
class BatchCounts:
    """The progress of a batch.

    Attributes
    ----------
    id : int
    kind : {"accept", "reject"}
    filters : str
        The filters of the list, in words.
    members, sampled, decided, agreed : int
        All texts; those in the sample; those of the sample that are decided; and those decided as the batch would be.
    applied : int
        Decisions of the batch that are not undone.
    was_applied, dropped : int
        1 if the batch was ever applied; 1 if it was given up.
    """

    id: int
    kind: BatchKind
    filters: str
    members: int
    sampled: int
    decided: int
    agreed: int
    applied: int
    was_applied: int
    dropped: int


def add_batch(
    project: Project, kind: BatchKind, filters: str, items: Sequence[tuple[int, int]], sampled: Sequence[int], who: str
) -> int:
    """Store a list of (text, proposal) and its sample as a batch; return the batch id."""
    chosen = set(sampled)
    with transaction(project) as db:
        cursor = db.execute(
            "INSERT INTO batch (kind, filters, who, at) VALUES (?, ?, ?, ?)", [kind, filters, who, now()]
        )
        batch = int(cursor.lastrowid or 0)
        db.conn.executemany(
            "INSERT INTO batch_member (batch, text, proposal, sampled) VALUES (?, ?, ?, ?)",
            ((batch, text, proposal, int(text in chosen)) for text, proposal in items),
        )
    return batch


def batch_counts(project: Project, batch: int | None = None) -> BatchCounts | None:
    """Return the progress of a batch, by default of the newest; None if there is none."""
    with connection(project) as db:
        return _counts(db, batch)


# A decision about this text and label; the rejection of another label is no answer.
_ANSWER = f"n.text = m.text AND {answers('n', 'q.label')}"
# A sampled text agrees with *accept* if it got this label, and with *reject* if it got any other decision.
_COUNTS = f"""
    SELECT batch.id, batch.kind, batch.filters, count(*) AS members, coalesce(sum(m.sampled), 0) AS sampled,
        coalesce(sum(m.sampled AND s.id IS NOT NULL), 0) AS decided,
        coalesce(sum(m.sampled AND s.id IS NOT NULL
            AND (batch.kind = 'accept') = (s.kind IN ('accept', 'relabel') AND s.label = q.label)), 0) AS agreed,
        (SELECT count(*) FROM standing_decision d WHERE d.batch = batch.id) AS applied,
        EXISTS (SELECT 1 FROM decision d WHERE d.batch = batch.id) AS was_applied,
        EXISTS (SELECT 1 FROM batch_drop d WHERE d.batch = batch.id) AS dropped
    FROM batch JOIN batch_member m ON m.batch = batch.id JOIN proposed q ON q.id = m.proposal
    LEFT JOIN standing_decision s ON m.sampled AND s.id = (
        SELECT max(n.id) FROM standing_decision n WHERE {_ANSWER})
    WHERE batch.id = coalesce(?, (SELECT max(id) FROM batch)) GROUP BY batch.id"""


def _counts(db: Database, batch: int | None) -> BatchCounts | None:
    row = db.execute(_COUNTS, [batch]).fetchone()
    return None if row is None else BatchCounts(*row)


def drop_batch(project: Project, batch: int, who: str) -> None:
    """Give a batch up; the decisions about its sample stay."""
    with transaction(project) as db:
        db.execute("INSERT OR IGNORE INTO batch_drop (batch, who, at) VALUES (?, ?, ?)", [batch, who, now()])


def sample_of(project: Project, batch: int) -> list[Item]:
    """Return the undecided texts of a batch's sample, in random order."""
    query = f"""
        SELECT m.text, m.proposal FROM batch_member m JOIN text ON text.id = m.text
        JOIN proposed q ON q.id = m.proposal WHERE m.batch = ? AND m.sampled
        AND NOT EXISTS (SELECT 1 FROM standing_decision n WHERE {_ANSWER}) ORDER BY text.text_id"""
    with connection(project) as db:
        return [(int(text), int(proposal)) for text, proposal in db.execute(query, [batch])]


def apply_batch(project: Project, counts: BatchCounts, belief: float, who: str) -> int:
    """Decide all undecided members in one transaction; return how many.

    Raises
    ------
    StateError
        If the sample or the batch changed since ``counts`` was read.
    """
    with transaction(project) as db:
        if _counts(db, counts.id) != counts:
            raise StateError("new decisions were made since this was shown. Check the figures of the sample again.")
        query = f"""
            SELECT m.text, q.label, m.proposal FROM batch_member m JOIN proposed q ON q.id = m.proposal
            WHERE m.batch = ? AND NOT m.sampled
            AND NOT EXISTS (SELECT 1 FROM standing_decision n WHERE {_ANSWER}) ORDER BY m.text"""
        members = db.execute(query, [counts.id]).fetchall()
        db.conn.executemany(
            "INSERT INTO decision (text, kind, label, proposal, reason, who, at, queue, batch, belief) "
            "VALUES (?, ?, ?, ?, '', ?, ?, 'bulk', ?, ?)",
            ((text, counts.kind, label, proposal, who, now(), counts.id, belief) for text, label, proposal in members),
        )
    return len(members)
