"""Batches of questions at a judge's server: which requests a batch holds, and how far it is.

A row is stored together with the reserved tokens, before anything is uploaded. The names that the server gives are
added as they come, so that after a crash the same batch is found again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import astuple, dataclass

from sqlite_utils import Database

from red_core.records import Project
from red_core.store.database import connection, now, transaction


@dataclass(frozen=True)
class BatchRequest:
    """A question in a batch: its attempt and reserved tokens, its pair, and what is stored with its verdict.

    ``rival`` is None unless the question compares the label with it.
    """

    attempt: int
    reserved: int
    text: int
    label: int
    question_key: str
    cut: bool
    meaning_id: int | None
    rival: int | None = None
    rival_meaning_id: int | None = None
    label_first: bool = True

    @property
    def question(self) -> tuple[int, int, int | None]:
        """The question's text and label, and the rival if it compares."""
        return self.text, self.label, self.rival


@dataclass(frozen=True)
class JudgeBatch:
    """A batch that was not read to its end yet.

    Attributes
    ----------
    id : int
    requests : tuple of BatchRequest
    file, name : str
        What the server calls the uploaded file and the batch; '' before that is known.
    """

    id: int
    requests: tuple[BatchRequest, ...]
    file: str = ""
    name: str = ""


@dataclass
class NewBatch:
    """A batch that is stored in the transaction of its attempts: pass it as ``also`` to ``add_attempts``.

    Attributes
    ----------
    requests : callable(ids)
        Returns the requests of the attempts with these ids.
    stored : JudgeBatch or None
        None as long as no attempt was stored.
    """

    round_id: int
    judge: str
    requests: Callable[[list[int]], list[BatchRequest]]
    stored: JudgeBatch | None = None

    def __call__(self, db: Database, ids: list[int]) -> None:
        """Store the batch, before it is uploaded."""
        requests = self.requests(ids)
        cursor = db.execute(
            "INSERT INTO judge_batch (round, judge, requests, at) VALUES (?, ?, ?, ?)",
            [self.round_id, self.judge, json.dumps([astuple(request) for request in requests]), now()],
        )
        self.stored = JudgeBatch(int(cursor.lastrowid or 0), tuple(requests))


def name_file(project: Project, batch: int, file: str) -> None:
    """Store what the server calls the uploaded file of a batch."""
    with transaction(project) as db:
        db.execute("UPDATE judge_batch SET file = ? WHERE id = ?", [file, batch])


def name_batch(project: Project, batch: int, name: str) -> None:
    """Store what the server calls a batch."""
    with transaction(project) as db:
        db.execute("UPDATE judge_batch SET name = ? WHERE id = ?", [name, batch])


def end_judge_batch(project: Project, batch: int) -> None:
    """Mark a batch as read: all its answers are stored."""
    with transaction(project) as db:
        db.execute("UPDATE judge_batch SET ended = 1 WHERE id = ?", [batch])


def open_judge_batches(project: Project, judge: str, round_id: int) -> list[JudgeBatch]:
    """Return the batches of a judge in a round that were not read to their end, the oldest first."""
    return _batches(project, "round = ?", [judge, round_id])


def batches_to_read(project: Project, judge: str) -> list[JudgeBatch]:
    """Return what :func:`open_judge_batches` does, of the round that is open, if there is one."""
    return _batches(project, "round IN (SELECT id FROM round WHERE state = 'open')", [judge])


def left_judge_batches(project: Project, judge: str) -> list[JudgeBatch]:
    """Return the batches of a judge that nobody will read, because their round is not open any more."""
    return _batches(project, "round IN (SELECT id FROM round WHERE state <> 'open')", [judge])


def _batches(project: Project, where: str, values: list[str | int]) -> list[JudgeBatch]:
    query = f"SELECT id, requests, file, name FROM judge_batch WHERE judge = ? AND NOT ended AND {where} ORDER BY id"
    with connection(project) as db:
        rows = db.execute(query, values).fetchall()
    return [
        JudgeBatch(int(id_), tuple(BatchRequest(*row) for row in json.loads(requests)), file, name)
        for id_, requests, file, name in rows
    ]
