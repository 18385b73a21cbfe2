"""Blind audits: what was dealt, what was answered, and which looks were taken. All of it is only ever added."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sqlite_utils import Database

from red_core.errors import StateError
from red_core.records import Ints, Outcome, Project
from red_core.store.database import connection, now, transaction
from red_core.store.labels import refuse_inactive

AuditPurpose = Literal["certificate", "label"]
"""An audit is for the certificate's random sample, or for the texts of one label."""
AuditKind = Literal["label", "none", "cannot tell"]

_ROUND = "(SELECT max(id) FROM round WHERE metrics <> '{}')"
# Whom the audits speak for: the texts whose label is the machine's, with that label as of the newest finished round.
_POPULATION = f"""
    SELECT p.round, p.text, p.label, p.top FROM prediction p WHERE p.round = {_ROUND}
    AND p.text NOT IN (SELECT text FROM decided)
    AND p.text NOT IN (SELECT text FROM own_label)"""


@dataclass(frozen=True)
class NewAudit:
    """A text to deal: ``label`` is whose texts are audited, or the known answer of a planted one."""

    text: int
    purpose: AuditPurpose | Literal["planted"]
    label: int | None
    options: Sequence[int]


@dataclass(frozen=True)
class AuditCard:
    """A text to audit as it may be shown: no verdict, no belief, no ranking, nor whether it is planted.

    Attributes
    ----------
    audit, text : int
    content : str
    options : tuple of int
        Label ids, in the order to show them, which was drawn.
    """

    audit: int
    text: int
    content: str
    options: tuple[int, ...]


@dataclass(frozen=True)
class Audit:
    """A text that was dealt and still is in the population, beside the machine's label of the newest round.

    Attributes
    ----------
    purpose : {"certificate", "label"}
    about : int or None
        The label whose texts are audited, where the purpose is that.
    kind : AuditKind or None
        None where it is not answered.
    answer : int or None
        The label answered; -1 is none of these.
    machine : int
        The machine's label; -1 is none of these.
    round : int
        The round it is of.
    """

    purpose: AuditPurpose
    about: int | None
    kind: AuditKind | None
    answer: int | None
    machine: int
    round: int

    @property
    def right(self) -> bool:
        """Whether the answer is the machine's label: *cannot tell* never is."""
        return self.answer is not None and self.answer == self.machine


@dataclass(frozen=True)
class Look:
    """One look at the sample: how many of its first ``audits`` were right, and the lower bound of their share."""

    audits: int
    round: int
    hits: int
    target: float
    lower: float
    who: str
    at: str

    @property
    def given(self) -> bool:
        """Whether the certificate was given."""
        return self.lower >= self.target


def not_dealt(project: Project, label: int | None = None) -> Ints:
    """Return the texts of the population never dealt, shape (n,); with ``label`` those the machine gives it."""
    query = f"""
        SELECT text FROM ({_POPULATION}) WHERE (:label IS NULL OR label = :label)
        AND text NOT IN (SELECT text FROM audit) ORDER BY text"""
    with connection(project) as db:
        found = db.execute(query, {"label": label}).fetchall()
    return np.asarray(found, dtype=np.int64).reshape(-1)


def seeds_not_dealt(project: Project) -> tuple[Ints, Ints]:
    """Return the seeds never dealt: texts and their labels, both of shape (n,)."""
    query = "SELECT text, label FROM seed WHERE text NOT IN (SELECT text FROM audit) ORDER BY text"
    with connection(project) as db:
        pairs = np.asarray(db.execute(query).fetchall(), dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def best_labels(project: Project, texts: Sequence[int]) -> dict[int, list[int]]:
    """Return text -> the machine's best labels in the newest finished round, best first, without none of these."""
    marks = ",".join("?" * len(texts))
    query = f"SELECT text, top FROM prediction WHERE round = {_ROUND} AND text IN ({marks})"
    with connection(project) as db:
        found = db.execute(query, list(texts)).fetchall()
    return {int(text): [int(label) for label, _ in json.loads(top) if label != -1] for text, top in found}


def add_audits(project: Project, dealt: Sequence[NewAudit], who: str) -> None:
    """Store texts as dealt to a person, in one transaction; one that somebody else was just dealt is left out."""
    with transaction(project) as db:
        db.conn.executemany(
            "INSERT INTO audit (text, purpose, label, round, options, who, at) "
            f"VALUES (?, ?, ?, {_ROUND}, ?, ?, ?) ON CONFLICT (text) DO NOTHING",
            ((d.text, d.purpose, d.label, json.dumps(list(d.options)), who, now()) for d in dealt),
        )


def pending(project: Project, who: str, label: int | None) -> list[AuditCard]:
    """Return what a person was dealt and nobody answered, in the order dealt; texts decided since are left out.

    What was dealt to another person more than a day ago is among it, so that nobody's leaving keeps a look waiting.

    Parameters
    ----------
    label : int or None
        The extras of this label; None for the certificate's sample with the planted texts among it.
    """
    query = f"""
        SELECT audit.id, audit.text, content, options FROM audit JOIN text ON text.id = audit.text
        LEFT JOIN ({_POPULATION}) p ON p.text = audit.text
        WHERE (who = :who OR julianday('now') - julianday(at) > 1) AND audit.id NOT IN (SELECT id FROM audited)
        AND CASE WHEN :label IS NULL THEN purpose <> 'label'
            ELSE purpose = 'label' AND :label = (SELECT now FROM label WHERE label.id = audit.label) END
        AND (purpose = 'planted' OR p.text IS NOT NULL) ORDER BY audit.id"""
    with connection(project) as db:
        found = db.execute(query, {"who": who, "label": label}).fetchall()
        is_now = dict(db.execute("SELECT id, now FROM label").fetchall())
    return [
        AuditCard(
            int(id_), int(text), str(content),
            tuple(n for n in dict.fromkeys(is_now[option] for option in json.loads(options)) if n is not None),
        )
        for id_, text, content, options in found
    ]  # fmt: skip


def add_answer(
    project: Project,
    audit: int,
    kind: AuditKind,
    *,
    label: int | None,
    who: str,
    seconds: float | None,
    act: str | None,
) -> int:
    """Store an answer and return its id; one whose act is stored already is not stored again.

    Raises
    ------
    StateError
        If there is no such audit or label, it is answered already, or the act was another one.
    """
    try:
        with transaction(project) as db:
            stored = _of_act(db, act)
            if stored is not None:
                if (stored["audit"], stored["kind"], stored["label"]) != (audit, kind, label):
                    raise StateError(f"the act {act} was another answer. Answer once more.")
                return int(stored["id"])
            refuse_inactive(db, label)
            before = db.execute("SELECT who FROM audited WHERE id = ?", [audit]).fetchone()
            if before is not None:
                raise StateError(f"{before[0]} has answered audit {audit} already. Go on with the next one.")
            return _insert(db, audit, kind, label, None, act, seconds, who)
    except sqlite3.IntegrityError as error:
        raise StateError(f"there is no audit {audit} or no such label in project {project.name}.") from error


def undo_answer(project: Project, who: str, act: str | None) -> int | None:
    """Undo a person's newest answer that stands and return its audit; None if there is none.

    Raises
    ------
    StateError
        If the act was an answer.
    """
    with transaction(project) as db:
        stored = _of_act(db, act)
        if stored is not None:
            if stored["kind"] != "undo":
                raise StateError(f"the act {act} was an answer. Undo once more.")
            return int(stored["audit"])
        found = db.execute(
            "SELECT answer, id FROM audited WHERE who = ? ORDER BY answer DESC LIMIT 1", [who]
        ).fetchone()
        if found is None:
            return None
        _insert(db, found[1], "undo", None, found[0], act, None, who)
        return int(found[1])


def _of_act(db: Database, act: str | None) -> dict[str, Any] | None:
    return None if act is None else next(iter(db.query("SELECT * FROM audit_answer WHERE act = ?", [act])), None)


def _insert(
    db: Database,
    audit: int,
    kind: str,
    label: int | None,
    undoes: int | None,
    act: str | None,
    seconds: float | None,
    who: str,
) -> int:
    cursor = db.execute(
        "INSERT INTO audit_answer (audit, kind, label, undoes, act, seconds, who, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [audit, kind, label, undoes, act, seconds, who, now()],
    )
    return int(cursor.lastrowid or 0)


def audits(project: Project) -> list[Audit]:
    """Return what was dealt and still is in the population, planted texts left out, in the order dealt.

    One that was decided after its own audit stays: whoever knows the answers could otherwise decide the misses away.
    """
    query = f"""
        SELECT audit.purpose, (SELECT now FROM label WHERE label.id = audit.label), a.kind, a.label, p.label, p.round
        FROM audit JOIN prediction p ON p.text = audit.text AND p.round = {_ROUND}
        LEFT JOIN audited a ON a.id = audit.id LEFT JOIN decided d ON d.text = audit.text
        WHERE audit.purpose <> 'planted' AND (d.id IS NULL OR d.at > a.at)
        AND audit.text NOT IN (SELECT text FROM own_label) ORDER BY audit.id"""
    with connection(project) as db:
        return [Audit(*row) for row in db.execute(query)]


def planted_answers(project: Project) -> list[bool]:
    """Return whether each answer to a planted text is its known label, of those that still are seeds under it."""
    query = """
        SELECT a.label IS a.about FROM audited a
        JOIN seed ON seed.text = a.text AND seed.label = a.about WHERE a.purpose = 'planted' ORDER BY a.id"""
    with connection(project) as db:
        return [bool(right) for (right,) in db.execute(query)]


def judged_pairs(project: Project, judge: str) -> list[tuple[int, Outcome, bool]]:
    """Return each label that a judge was asked about an audited text, its newest verdict, and whether it is the answer.

    Stale verdicts and texts that nobody could tell are left out; texts decided since are not, as the answer was blind.
    """
    query = """
        SELECT q.label, v.outcome, q.label = a.label FROM audited a
        JOIN proposed q ON q.text = a.text JOIN verdict v ON v.proposal = q.id
        WHERE a.purpose <> 'planted' AND a.kind <> 'cannot tell' AND v.judge = ?
        AND v.id NOT IN (SELECT id FROM stale_verdict)
        AND v.id = (SELECT max(w.id) FROM verdict w JOIN proposed o ON o.id = w.proposal
            WHERE o.text = q.text AND o.label = q.label AND w.judge = v.judge)"""
    with connection(project) as db:
        return [(int(label), outcome, bool(right)) for label, outcome, right in db.execute(query, [judge])]


def in_the_audit(project: Project) -> set[int]:
    """Return the texts that were dealt, but for planted ones: they never train and are never evidence."""
    with connection(project) as db:
        return {int(text) for (text,) in db.execute("SELECT text FROM audit WHERE purpose <> 'planted'")}


def looks(project: Project) -> list[Look]:
    """Return the looks taken, fewest audits first."""
    query = "SELECT audits, round, hits, target, lower, who, at FROM audit_look ORDER BY audits"
    with connection(project) as db:
        return [Look(*row) for row in db.execute(query)]


def add_look(project: Project, audits: int, round_id: int, hits: int, target: float, lower: float, who: str) -> None:
    """Store a look; one that was taken already stays as it is."""
    with transaction(project) as db:
        db.execute(
            "INSERT OR IGNORE INTO audit_look (audits, round, hits, target, lower, who, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            [audits, round_id, hits, target, lower, who, now()],
        )
