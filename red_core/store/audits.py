"""Blind audits: the texts drawn, the answers, and the looks taken. Rows are only added."""

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
from red_core.steps.certificate import NO_FOCUS, Chance
from red_core.store.certificates import ONE_BY_ONE
from red_core.store.database import connection, now, transaction
from red_core.store.labels import refuse_inactive

AuditPurpose = Literal["certificate", "label"]
"""An audit is for the certificate's random sample, or for the texts of one label."""
AuditKind = Literal["label", "none", "cannot tell"]

_ROUND = "(SELECT max(id) FROM round WHERE metrics <> '{}')"
# The population of the audits: texts whose label is the machine's, with their label in the newest finished round.
_POPULATION = f"""
    SELECT p.round, p.text, p.label, p.top FROM prediction p WHERE p.round = {_ROUND}
    AND p.text NOT IN (SELECT text FROM {ONE_BY_ONE})
    AND p.text NOT IN (SELECT text FROM own_label)"""


_STANDING = """(SELECT count(*) FROM audit_answer n WHERE n.audit = g.audit AND n.kind <> 'undo'
    AND n.id NOT IN (SELECT undoes FROM audit_answer WHERE undoes IS NOT NULL))"""


@dataclass(frozen=True)
class NewAudit:
    """A text to draw.

    ``label`` is the label whose texts are audited, or the known answer of a planted (control) text. ``chance`` belongs
    to a draw for the certificate.
    """

    text: int
    purpose: AuditPurpose | Literal["planted"]
    label: int | None
    options: Sequence[int]
    chance: Chance | None = None


@dataclass(frozen=True)
class AuditCard:
    """A text to audit without anything that could bias the answer: no verdict, belief or ranking, nor if it is planted.

    Attributes
    ----------
    audit, text : int
    content : str
    options : tuple of int
        Label ids in the random order to show them.
    """

    audit: int
    text: int
    content: str
    options: tuple[int, ...]


@dataclass(frozen=True)
class Audit:
    """An audited text that is still in the population, with the machine's label in the newest round.

    Attributes
    ----------
    purpose : {"certificate", "label"}
    about : int or None
        The label whose texts are audited, for the purpose *label*.
    kind : AuditKind or None
        None before it is answered.
    answer : int or None
        The label of the answer; -1 is none of these.
    machine : int
        The machine's label; -1 is none of these.
    round : int
        The round of the machine's label.
    chance : float or None
        The probability with which it was drawn; None for an even draw.
    """

    purpose: AuditPurpose
    about: int | None
    kind: AuditKind | None
    answer: int | None
    machine: int
    round: int
    chance: float | None

    @property
    def right(self) -> bool:
        """Whether the answer is the machine's label; False for *cannot tell*."""
        return self.answer is not None and self.answer == self.machine


@dataclass(frozen=True)
class Look:
    """A check of an earlier version: hits among the first ``audits`` texts, and the lower bound of the share."""

    audits: int
    round: int
    hits: int
    target: float
    lower: float
    who: str
    at: str

    @property
    def given(self) -> bool:
        """Whether the certificate was given at this look."""
        return self.lower >= self.target


def not_dealt(project: Project, label: int) -> Ints:
    """Return the texts with this machine label that were never drawn, shape (n,)."""
    query = f"""
        SELECT text FROM ({_POPULATION}) WHERE label = :label
        AND text NOT IN (SELECT text FROM audit) ORDER BY text"""
    with connection(project) as db:
        rows = db.execute(query, {"label": label}).fetchall()
    return np.asarray(rows, dtype=np.int64).reshape(-1)


def seeds_not_dealt(project: Project) -> tuple[Ints, Ints]:
    """Return the seeds that were never drawn: texts and their labels, both of shape (n,)."""
    query = "SELECT text, label FROM seed WHERE text NOT IN (SELECT text FROM audit) ORDER BY text"
    with connection(project) as db:
        pairs = np.asarray(db.execute(query).fetchall(), dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def best_labels(project: Project, texts: Sequence[int]) -> dict[int, list[int]]:
    """Return text -> the machine's best labels in the newest finished round, best first, without *none of these*."""
    marks = ",".join("?" * len(texts))
    query = f"SELECT text, top FROM prediction WHERE round = {_ROUND} AND text IN ({marks})"
    with connection(project) as db:
        rows = db.execute(query, list(texts)).fetchall()
    return {int(text): [int(label) for label, _ in json.loads(top) if label != -1] for text, top in rows}


def add_audits(project: Project, dealt: Sequence[NewAudit], who: str, sample: int | None = None) -> None:
    """Store texts as drawn for a person, in one transaction; texts that another person just got are left out.

    ``sample`` is the sample of the draws for the certificate.
    """
    drawn = [(each.text, each.chance) for each in dealt if each.chance is not None]
    with transaction(project) as db:
        db.conn.executemany(
            "INSERT INTO audit (text, purpose, label, round, options, who, at) "
            f"VALUES (?, ?, ?, {_ROUND}, ?, ?, ?) ON CONFLICT (text) DO NOTHING",
            ((d.text, d.purpose, d.label, json.dumps(list(d.options)), who, now()) for d in dealt),
        )
        db.conn.executemany(
            "INSERT OR IGNORE INTO audit_draw (audit, sample, chance) "
            "SELECT id, ?, ? FROM audit WHERE text = ? AND purpose = 'certificate'",
            ((sample, chance.drawn, text) for text, chance in drawn),
        )
        db.conn.executemany(
            "INSERT OR IGNORE INTO audit_chance (audit, least, focus, least_in_focus) "
            "SELECT id, ?, ?, ? FROM audit WHERE text = ? AND purpose = 'certificate'",
            (
                (chance.least, None if chance.focus == NO_FOCUS else chance.focus, chance.least_in_focus, text)
                for text, chance in drawn
            ),
        )


def pending(project: Project, who: str, label: int | None) -> list[AuditCard]:
    """Return a person's unanswered audits in the order drawn; texts that were decided since are left out.

    Unanswered audits of other persons are included after a day, so that an absent person does not block a proof. Audits
    that this person is asked again come among them.

    Parameters
    ----------
    label : int or None
        The audits of this label; None for the certificate's sample, planted texts included.
    """
    query = f"""
        SELECT audit.id, audit.text, content, options FROM audit JOIN text ON text.id = audit.text
        LEFT JOIN ({_POPULATION}) p ON p.text = audit.text
        WHERE ((who = :who OR julianday('now') - julianday(at) > 1) AND audit.id NOT IN (SELECT id FROM audited)
            OR audit.id IN (SELECT audit FROM audit_again g WHERE g.who = :who AND {_STANDING} < 2))
        AND CASE WHEN :label IS NULL THEN purpose <> 'label'
            ELSE purpose = 'label' AND :label = (SELECT now FROM label WHERE label.id = audit.label) END
        AND (purpose = 'planted' OR p.text IS NOT NULL) ORDER BY audit.id"""
    with connection(project) as db:
        rows = db.execute(query, {"who": who, "label": label}).fetchall()
        is_now = dict(db.execute("SELECT id, now FROM label").fetchall())
    return [
        AuditCard(
            int(id_), int(text), str(content),
            tuple(n for n in dict.fromkeys(is_now[option] for option in json.loads(options)) if n is not None),
        )
        for id_, text, content, options in rows
    ]  # fmt: skip


# Each value is one column of the stored answer.
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
    """Store an answer and return its id; an answer with the same act is stored once.

    Raises
    ------
    StateError
        If the audit or the label does not exist, the audit is answered already, or the act has another answer.
    """
    try:
        with transaction(project) as db:
            stored = _of_act(db, act)
            if stored is not None:
                if (stored["audit"], stored["kind"], stored["label"]) != (audit, kind, label):
                    raise StateError(f"the act {act} was sent with another answer. Answer again.")
                return int(stored["id"])
            refuse_inactive(db, label)
            before = db.execute(
                f"""SELECT who FROM audited WHERE id = :audit AND id NOT IN
                (SELECT audit FROM audit_again g WHERE g.who = :who AND {_STANDING} < 2)""",
                {"audit": audit, "who": who},
            ).fetchone()
            if before is not None:
                raise StateError(f"{before[0]} has already answered audit {audit}. Continue with the next one.")
            return _insert(db, audit, kind, label, None, act, seconds, who)
    except sqlite3.IntegrityError as error:
        raise StateError(f"there is no audit {audit} or no such label in project {project.name}.") from error


def undo_answer(project: Project, who: str, act: str | None) -> int | None:
    """Undo a person's newest valid answer and return its audit; None if there is none.

    Raises
    ------
    StateError
        If the act was sent as an answer before.
    """
    with transaction(project) as db:
        stored = _of_act(db, act)
        if stored is not None:
            if stored["kind"] != "undo":
                raise StateError(f"the act {act} was sent as an answer. Undo again.")
            return int(stored["audit"])
        row = db.execute("SELECT answer, id FROM audited WHERE who = ? ORDER BY answer DESC LIMIT 1", [who]).fetchone()
        if row is None:
            return None
        _insert(db, row[1], "undo", None, row[0], act, None, who)
        return int(row[1])


def _of_act(db: Database, act: str | None) -> dict[str, Any] | None:
    return None if act is None else next(iter(db.query("SELECT * FROM audit_answer WHERE act = ?", [act])), None)


# Each value is one column of the stored answer.
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


def ask_again(project: Project, sample: int, who: str, after: int, rng: np.random.Generator) -> None:
    """Ask a person a second time about each text of a sample whose answer was not the machine's label.

    As many texts whose answer was that label are asked again, so that a text that comes back says nothing.

    Parameters
    ----------
    after : int
        Answers of this person that must have followed.
    """
    query = f"""
        SELECT a.id, a.label IS NOT p.label FROM audited a JOIN audit_draw w ON w.audit = a.id
        JOIN prediction p ON p.text = a.text AND p.round = {_ROUND}
        WHERE w.sample = :sample AND a.who = :who AND a.id NOT IN (SELECT audit FROM audit_again)
        AND (SELECT count(*) FROM audited later WHERE later.who = :who AND later.answer > a.answer) >= :after
        ORDER BY a.id"""
    with connection(project) as db:
        rows = db.execute(query, {"sample": sample, "who": who, "after": after}).fetchall()
    differ, agree = ([audit for audit, other in rows if bool(other) == wanted] for wanted in (True, False))
    if not differ:
        return
    decoys = rng.permutation(agree)[: len(differ)].tolist()
    with transaction(project) as db:
        db.conn.executemany(
            "INSERT OR IGNORE INTO audit_again (audit, who, at) VALUES (?, ?, ?)",
            [(audit, who, now()) for audit in sorted([*differ, *decoys])],
        )


def audits(project: Project) -> list[Audit]:
    """Return the audits that are still in the population, without planted texts, in the order drawn.

    A text that was decided after its audit stays in: otherwise a decision could remove an error from the sample.
    """
    query = f"""
        SELECT audit.purpose, (SELECT now FROM label WHERE label.id = audit.label), a.kind, a.label, p.label, p.round,
            (SELECT chance FROM audit_draw WHERE audit_draw.audit = audit.id)
        FROM audit JOIN prediction p ON p.text = audit.text AND p.round = {_ROUND}
        LEFT JOIN audited a ON a.id = audit.id LEFT JOIN {ONE_BY_ONE} d ON d.text = audit.text
        WHERE audit.purpose <> 'planted' AND (d.id IS NULL OR d.at > a.at)
        AND audit.text NOT IN (SELECT text FROM own_label) ORDER BY audit.id"""
    with connection(project) as db:
        return [Audit(*row) for row in db.execute(query)]


def answers_given(project: Project) -> int:
    """Return how many answers that stand were given to the newest sample, with control texts and second answers."""
    query = """
        SELECT count(*) FROM audit_answer a JOIN audit ON audit.id = a.audit WHERE a.kind <> 'undo'
        AND a.id NOT IN (SELECT undoes FROM audit_answer WHERE undoes IS NOT NULL) AND audit.purpose <> 'label'
        AND audit.id > (
            SELECT coalesce(max(audit), 0) FROM audit_draw WHERE sample < (SELECT max(id) FROM audit_sample))"""
    with connection(project) as db:
        return int(db.execute(query).fetchone()[0])


def planted_answers(project: Project) -> list[bool]:
    """Return whether each answer to a planted text was right; texts that are no longer its seeds are left out."""
    query = """
        SELECT a.label IS a.about FROM audited a
        JOIN seed ON seed.text = a.text AND seed.label = a.about WHERE a.purpose = 'planted' ORDER BY a.id"""
    with connection(project) as db:
        return [bool(right) for (right,) in db.execute(query)]


def judged_pairs(project: Project, judge: str) -> list[tuple[int, Outcome, bool]]:
    """Return (label, newest outcome, label is the answer) for each pair of an audited text with a verdict.

    Stale verdicts and *cannot tell* are left out. Texts that were decided since are included: the answer was blind.
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
    """Return the texts that were drawn, except planted ones: they never train and are never evidence."""
    with connection(project) as db:
        return {int(text) for (text,) in db.execute("SELECT text FROM audit WHERE purpose <> 'planted'")}


def looks(project: Project) -> list[Look]:
    """Return the checks that an earlier version made at fixed numbers of audits, fewest audits first."""
    query = "SELECT audits, round, hits, target, lower, who, at FROM audit_look ORDER BY audits"
    with connection(project) as db:
        return [Look(*row) for row in db.execute(query)]
