"""The analyst's decisions and the feed-backs. A decision is never changed, only undone by another row."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import get_args

from sqlite_utils import Database

from red_core.errors import CardChanged, StateError
from red_core.records import BatchKind, Decision, FeedBackItem, Project
from red_core.store.database import connection, now, transaction
from red_core.store.labels import refuse_inactive
from red_core.store.rounds import move_to_fed_back, refuse_while_job_runs, round_to_review, take_back


def add_decision(
    project: Project, made: Decision, *, seen: tuple[int, int] | None = None, own: Sequence[str] = ()
) -> int:
    """Store a decision and return its id; a decision with the same act is stored once.

    Parameters
    ----------
    made : Decision
    seen : (int, int), optional
        What the card was based on: the newest decision about the text, and the id of the label's meaning.
    own : sequence of str
        Acts of the same desk about this text, which may be newer than the card.

    Raises
    ------
    CardChanged
        If another person stored something newer than ``seen``, or the label was merged or retired.
    StateError
        If the text, the label or the proposal does not exist, or the decision is already undone.
    """
    try:
        with transaction(project) as db:
            stored = _id_of_act(db, made.act)
            if stored is not None:
                return stored
            refuse_inactive(db, made.label)
            if seen is not None and made.kind != "skip":  # a skip changes nothing
                _refuse_if_changed(db, made, seen, own)
            return _insert(db, made)
    except sqlite3.IntegrityError as error:
        raise StateError(
            f"cannot {made.kind}: there is no such text, label or suggested label in project {project.name}, or it "
            "is undone."
        ) from error


def add_decisions(project: Project, made: Sequence[Decision]) -> int:
    """Store decisions in one transaction and return how many are new; one with a known act is stored once.

    Raises
    ------
    StateError
        If a job is running, or a text or a label does not exist.
    CardChanged
        If a label was merged or retired.
    """
    new = 0
    try:
        with transaction(project) as db:
            refuse_while_job_runs(db, project)
            for decision in made:
                if _id_of_act(db, decision.act) is None:
                    refuse_inactive(db, decision.label)
                    _insert(db, decision)
                    new += 1
    except sqlite3.IntegrityError as error:
        raise StateError(f"there is no such text or label in project {project.name}.") from error
    return new


def _id_of_act(db: Database, act: str | None) -> int | None:
    row = None if act is None else db.execute("SELECT id FROM decision WHERE act = ?", [act]).fetchone()
    return None if row is None else int(row[0])


def undone_acts(project: Project, beginning: str) -> list[str]:
    """Return the acts with this beginning whose decisions were undone."""
    query = """
        SELECT o.act FROM decision u JOIN decision o ON o.id = u.undoes
        WHERE substr(o.act, 1, length(:beginning)) = :beginning"""
    with connection(project) as db:
        return [str(act) for (act,) in db.execute(query, {"beginning": beginning})]


def _insert(db: Database, made: Decision, *, undoes: int | None = None) -> int:
    cursor = db.execute(
        "INSERT INTO decision (text, kind, label, proposal, undoes, reason, who, at, act, seconds, queue) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [made.text, made.kind, made.label, made.proposal, undoes, made.reason, made.who, now(), made.act,
         made.seconds, made.queue],
    )  # fmt: skip
    return int(cursor.lastrowid or 0)


def _refuse_if_changed(db: Database, made: Decision, seen: tuple[int, int], own: Sequence[str]) -> None:
    """Raise CardChanged if the card changed since it was shown; the message says what changed."""
    newer = db.execute(
        """SELECT d.who, d.kind, label.name, d.at FROM decision d LEFT JOIN label ON label.id = d.label
        WHERE d.text = ? AND d.id > ? AND d.kind <> 'skip'
        AND NOT EXISTS (SELECT 1 FROM decision o WHERE o.id = d.undoes AND o.kind = 'skip')
        AND (d.act IS NULL OR d.act NOT IN (SELECT value FROM json_each(?))) ORDER BY d.id DESC LIMIT 1""",
        [made.text, seen[0], json.dumps(list(own))],
    ).fetchone()
    if newer is not None:
        who, kind, name, at = newer
        what = {"none": "said none of these", "undo": "undid a decision"}.get(kind, f"said {kind}")
        raise CardChanged(f"{who} {what}{f': {name}' if name else ''}, {at[:16].replace('T', ' ')} UTC")
    if made.kind in get_args(BatchKind):
        newest = "SELECT coalesce(max(id), 0) FROM standing_meaning WHERE label = ?"
        if db.execute(newest, [made.label]).fetchone()[0] != seen[1]:
            raise CardChanged("the label's meaning was edited")


def answers(decision: str, label: str) -> str:
    """Return SQL that is true where a decision answers whether its text has a label.

    Every decision that stands answers it, except the rejection of another label.

    Parameters
    ----------
    decision : str
        The name of a decision's row in the query.
    label : str
        An SQL expression for the label's id.
    """
    return f"({decision}.kind <> 'reject' OR {decision}.label = {label})"


def decided(project: Project) -> dict[int, int]:
    """Return text -> label of all valid decisions; -1 is none of these."""
    with connection(project) as db:
        return dict(db.execute("SELECT text, label FROM decided").fetchall())


def decided_in_bulk(project: Project) -> dict[int, float]:
    """Return text -> belief for texts decided by a batch: the lower bound of its sample's agreement."""
    query = "SELECT decided.text, belief FROM decided JOIN decision USING (id) WHERE belief IS NOT NULL"
    with connection(project) as db:
        return dict(db.execute(query).fetchall())


def rejected(project: Project) -> set[tuple[int, int]]:
    """Return the (text, label) pairs that valid decisions rule out."""
    with connection(project) as db:
        rows = db.execute("SELECT text, label FROM ruled_out").fetchall()
    return {(int(text), int(label)) for text, label in rows}


def last_decision(project: Project) -> int:
    """Return the id of the newest decision, 0 if there is none: a plan is valid until it changes."""
    with connection(project) as db:
        return _last_decision(db)


def _last_decision(db: Database) -> int:
    return int(db.execute("SELECT coalesce(max(id), 0) FROM decision").fetchone()[0])


def undo_decision(
    project: Project, *, who: str, decision: int | None = None, of_act: str | None = None, act: str | None = None
) -> tuple[int, str] | None:
    """Undo one valid decision, a batch as a whole; return its text and kind, None if there is nothing to undo.

    Parameters
    ----------
    decision, of_act : optional
        The decision to undo; by default this person's newest.
    act : str, optional
        The id of this undo; sent twice, it is carried out once and returns the same.
    """
    with transaction(project) as db:
        stored = _id_of_act(db, act)
        if stored is not None:
            query = "SELECT o.text, o.kind FROM decision u JOIN decision o ON o.id = u.undoes WHERE u.id = ?"
            undone = db.execute(query, [stored]).fetchone()
            if undone is None:
                raise StateError(f"the act {act} was sent as a decision. Undo again.")
            return int(undone[0]), str(undone[1])
        found = _standing(db, decision, of_act, who)
        if found is None:
            return None
        id_, text, kind, batch = found
        if batch is None:
            _insert(db, Decision(text, "undo", who=who, act=act), undoes=id_)
        else:
            _undo_batch(db, batch, who, act)
        return text, kind


def undo_batch(project: Project, batch: int, who: str) -> int:
    """Undo the valid decisions of a batch in one transaction; return how many."""
    with transaction(project) as db:
        return _undo_batch(db, batch, who, None)


def _undo_batch(db: Database, batch: int, who: str, act: str | None) -> int:
    query = "SELECT id, text FROM kept_decision WHERE batch = ? ORDER BY id DESC"  # also of a label retired since
    standing = db.execute(query, [batch]).fetchall()
    for index, (each, text) in enumerate(standing):
        _insert(db, Decision(text, "undo", who=who, act=None if index else act), undoes=each)
    return len(standing)


def _standing(
    db: Database, decision: int | None, of_act: str | None, who: str
) -> tuple[int, int, str, int | None] | None:
    # Decisions of a label set edit are undone with the edit, and rejections that came with a file were made elsewhere.
    where, value = "edit IS NULL AND who = :who AND (act IS NULL OR act NOT LIKE 'import:%')", 0
    if of_act is not None:
        where = "act = :act AND who = :who"  # only their own decisions
    if decision is not None:
        where, value = "id = :value", decision
    query = f"""
        SELECT id, text, kind, batch FROM decision d WHERE {where} AND kind <> 'undo'
        AND NOT EXISTS (SELECT 1 FROM decision u WHERE u.undoes = d.id) ORDER BY id DESC LIMIT 1"""
    row = db.execute(query, {"value": value, "act": of_act, "who": who}).fetchone()
    return None if row is None else (int(row[0]), int(row[1]), str(row[2]), row[3])


def add_feed_back(
    project: Project,
    round_id: int,
    items: Sequence[FeedBackItem],
    *,
    made_on: int,
    accept_evidence_check: bool,
    who: str,
) -> None:
    """Store a feed-back and mark its round as fed back, in one transaction.

    Parameters
    ----------
    made_on : int
        The newest decision when the items were chosen. Later decisions about other texts wait for the next feed-back.

    Raises
    ------
    StateError
        If the round is not to review, a job is running, or somebody decided about one of the texts since.
    """
    with transaction(project) as db:
        refuse_while_job_runs(db, project)
        later = """
            SELECT EXISTS (SELECT 1 FROM decision WHERE id > ? AND kind <> 'skip'
                AND text IN (SELECT value FROM json_each(?)))"""
        (decided_since,) = db.execute(later, [made_on, json.dumps([item.text for item in items])]).fetchone()
        if round_to_review(db).id != round_id or decided_since:
            raise StateError(
                "somebody decided about these texts, or ended the round, since this was shown. "
                "Check again what would be fed back."
            )
        for label in {item.label for item in items}:
            refuse_inactive(db, label)
        cursor = db.execute(
            "INSERT INTO feed_back (round, accept_evidence_check, who, at) VALUES (?, ?, ?, ?)",
            [round_id, int(accept_evidence_check), who, now()],
        )
        db.conn.executemany(
            "INSERT INTO feed_back_item (feed_back, text, label, weight, source) VALUES (?, ?, ?, ?, ?)",
            ((cursor.lastrowid, i.text, i.label, i.weight, i.source) for i in items),
        )
        move_to_fed_back(db, round_id)


def round_to_roll_back(project: Project) -> int | None:
    """Return the newest round whose feed back was not taken back; None if there is none."""
    query = "SELECT max(round) FROM feed_back WHERE id NOT IN (SELECT feed_back FROM rollback)"
    with connection(project) as db:
        (number,) = db.execute(query).fetchone()
    return None if number is None else int(number)


def roll_back(project: Project, round_id: int, who: str) -> int:
    """Remove what one round fed back from the training set; return how many texts. Verdicts and decisions stay.

    If it is the newest round, it is ready for review again. Otherwise it is closed.

    Raises
    ------
    StateError
        If the round fed nothing back, was rolled back already, or a job is running.
    """
    with transaction(project) as db:
        refuse_while_job_runs(db, project)
        row = db.execute(
            "SELECT id FROM feed_back WHERE round = ? AND id NOT IN (SELECT feed_back FROM rollback)", [round_id]
        ).fetchone()
        if row is None:
            raise StateError(f"round {round_id} has no feed back to undo.")
        db.execute("INSERT INTO rollback (feed_back, who, at) VALUES (?, ?, ?)", [row[0], who, now()])
        take_back(db, round_id)
        return int(db.execute("SELECT count(*) FROM feed_back_item WHERE feed_back = ?", [row[0]]).fetchone()[0])
