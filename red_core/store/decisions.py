"""The analyst's decisions, and what was fed back. A decision is never changed, only undone by another row."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from sqlite_utils import Database

from red_core.errors import StateError
from red_core.records import DecisionKind, FeedBackItem, Project
from red_core.store.database import connection, now, transaction
from red_core.store.rounds import move_to_fed_back, refuse_while_job_runs, round_to_review


def add_decision(
    project: Project,
    text: int,
    kind: DecisionKind,
    *,
    label: int | None,
    proposal: int | None,
    who: str,
    reason: str = "",
    undoes: int | None = None,
) -> int:
    """Store a decision and return its id.

    Raises
    ------
    StateError
        If the text, the label or the proposal is not there, or the decision was undone already.
    """
    try:
        with transaction(project) as db:
            cursor = db.execute(
                "INSERT INTO decision (text, kind, label, proposal, undoes, reason, who, at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [text, kind, label, proposal, undoes, reason, who, now()],
            )
            return int(cursor.lastrowid or 0)
    except sqlite3.IntegrityError as error:
        told = f"cannot {kind}: there is no such text, label or proposal in project {project.name}, or it is undone."
        raise StateError(told) from error


def decided(project: Project) -> dict[int, int]:
    """Return text -> label fixed by a decision that stands; -1 is none of these."""
    with connection(project) as db:
        return dict(db.execute("SELECT text, label FROM decided").fetchall())


def rejected(project: Project) -> set[tuple[int, int]]:
    """Return the (text, label) pairs that standing decisions mask."""
    with connection(project) as db:
        found = db.execute("SELECT text, label FROM ruled_out").fetchall()
    return {(int(text), int(label)) for text, label in found}


def last_decision(project: Project) -> int:
    """Return the id of the newest decision, 0 before the first: what a plan was made on."""
    with connection(project) as db:
        return _last_decision(db)


def _last_decision(db: Database) -> int:
    return int(db.execute("SELECT coalesce(max(id), 0) FROM decision").fetchone()[0])


def find_decision(project: Project, decision: int | None, who: str) -> tuple[int, int, str] | None:
    """Return id, text and kind of a decision that stands, by id or the newest of this person; None if there is none."""
    where, value = ("id = ?", decision) if decision is not None else ("who = ?", who)
    query = f"""
        SELECT id, text, kind FROM decision WHERE {where} AND kind <> 'undo'
        AND id NOT IN (SELECT undoes FROM decision WHERE undoes IS NOT NULL) ORDER BY id DESC LIMIT 1"""
    with connection(project) as db:
        found = db.execute(query, [value]).fetchone()
    return None if found is None else (int(found[0]), int(found[1]), str(found[2]))


def add_feed_back(
    project: Project,
    round_id: int,
    items: Sequence[FeedBackItem],
    *,
    made_on: int,
    accept_evidence_check: bool,
    who: str,
) -> None:
    """Feed back these items and mark the round, in one transaction.

    Parameters
    ----------
    made_on : int
        The newest decision when the items were chosen.

    Raises
    ------
    StateError
        If the round is not to review, a job is running, or a decision was made since.
    """
    with transaction(project) as db:
        refuse_while_job_runs(db, project)
        if round_to_review(db).id != round_id or _last_decision(db) != made_on:
            raise StateError("decisions were made since this was shown. Look at what would be fed back once more.")
        cursor = db.execute(
            "INSERT INTO feed_back (round, accept_evidence_check, who, at) VALUES (?, ?, ?, ?)",
            [round_id, int(accept_evidence_check), who, now()],
        )
        db.conn.executemany(
            "INSERT INTO feed_back_item (feed_back, text, label, weight, source) VALUES (?, ?, ?, ?, ?)",
            ((cursor.lastrowid, i.text, i.label, i.weight, i.source) for i in items),
        )
        move_to_fed_back(db, round_id)


def roll_back(project: Project, round_id: int, who: str) -> int:
    """Take what one round fed back out of the training set again; verdicts and decisions stay. Return the count.

    Raises
    ------
    StateError
        If the round fed nothing back, was rolled back already, or a job is running.
    """
    with transaction(project) as db:
        refuse_while_job_runs(db, project)
        found = db.execute(
            "SELECT id FROM feed_back WHERE round = ? AND id NOT IN (SELECT feed_back FROM rollback)", [round_id]
        ).fetchone()
        if found is None:
            raise StateError(f"round {round_id} has nothing fed back that could be rolled back.")
        db.execute("INSERT INTO rollback (feed_back, who, at) VALUES (?, ?, ?)", [found[0], who, now()])
        return int(db.execute("SELECT count(*) FROM feed_back_item WHERE feed_back = ?", [found[0]]).fetchone()[0])
