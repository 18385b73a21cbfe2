"""Restore decisions from an export: each once, unchanged, and never over a newer decision."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlite_utils import Database

from red_core.records import FIXES_OUTCOME, NewDecisionKind, Project
from red_core.store.database import now, transaction
from red_core.store.labels import ids_by_name, name_key
from red_core.store.rounds import refuse_while_job_runs
from red_core.text import listed

Key = tuple[str, int | None, str, str]  # kind, label, who, at
NAMES_LISTED = 3
"""Most names of unknown labels in a message."""


@dataclass(frozen=True, slots=True)
class MadeDecision:
    """A decision of an export.

    Attributes
    ----------
    kind : NewDecisionKind
    label : str or None
        The label's name.
    who, at, reason, queue : str
    seconds, belief : float or None
    act : str
        The id of this decision, the same in every project that it is restored to.
    turn : int
        Number of earlier decisions with the same text, kind, label, who and at.
    """

    kind: NewDecisionKind
    label: str | None
    who: str
    at: str
    reason: str
    queue: str
    seconds: float | None
    belief: float | None
    act: str
    turn: int


@dataclass
class Restored:
    """The result of a restore.

    Attributes
    ----------
    restored : int
        Decisions added.
    there : int
        Decisions that the project already had, undone ones included.
    overtaken : int
        Decisions not added because a newer one counts: one in this project, or one whose label is unknown here.
    unknown_texts : int
        Texts with decisions that are not in the project.
    unknown_labels : list of str
        Names of labels that the project does not have, in the order of the file.
    """

    restored: int = 0
    there: int = 0
    overtaken: int = 0
    unknown_texts: int = 0
    unknown_labels: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """Return the result in one line, with label names as in the file."""
        unknown = listed(self.unknown_labels, NAMES_LISTED)
        parts = {
            f"{self.there:,} already there": self.there,
            f"{self.overtaken:,} replaced by a newer one": self.overtaken,
            f"decided texts that are not in this project: {self.unknown_texts:,}": self.unknown_texts,
            f"labels that are not in this project: {unknown}": bool(unknown),
        }
        return (
            "; ".join([f"Decisions restored: {self.restored:,}", *(part for part, applies in parts.items() if applies)])
            + "."
        )


def add_restored(project: Project, decisions: Mapping[str, Sequence[MadeDecision]], *, file: str, who: str) -> Restored:
    """Add decisions by text_id, oldest first, in one transaction; store the file and the person who restored it.

    Raises
    ------
    StateError
        If a job is running.
    """
    done = Restored()
    with transaction(project) as db:
        refuse_while_job_runs(db, project)
        labels = ids_by_name(db)
        for identity, of_text in decisions.items():
            row = db.execute("SELECT id FROM text WHERE text_id = ?", [identity]).fetchone()
            if row is None:
                done.unknown_texts += 1
                continue
            _insert(db, int(row[0]), _missing(db, int(row[0]), of_text, labels, done))
        if done.restored:
            origin = json.dumps({"file": file, "who": who, "decisions": done.restored}, ensure_ascii=False)
            db.execute("INSERT OR REPLACE INTO project (key, value) VALUES (?, ?)", [f"restored at {now()}", origin])
    done.unknown_labels = list(dict.fromkeys(done.unknown_labels))
    return done


def _missing(
    db: Database, text: int, made: Iterable[MadeDecision], labels: Mapping[str, int], done: Restored
) -> list[tuple[MadeDecision, int | None]]:
    """Return the decisions to add about a text, with label ids; count the others in ``done``."""
    rows = db.execute("SELECT kind, label, who, at, act FROM decision WHERE text = ?", [text]).fetchall()
    here, acts = Counter[Key](tuple(row[:4]) for row in rows), {row[4] for row in rows}
    newest = db.execute("SELECT max(at) FROM standing_decision WHERE text = ?", [text]).fetchone()[0] or ""
    missing: list[tuple[MadeDecision, int | None]] = []
    for decision in made:
        label = None if decision.label is None else labels.get(name_key(decision.label))
        if decision.label is not None and label is None:
            done.unknown_labels.append(decision.label)
            if decision.kind in FIXES_OUTCOME:  # it replaced earlier ones, which must not come back in its stead
                without_fixed = [each for each in missing if each[0].kind not in FIXES_OUTCOME]
                done.overtaken += len(missing) - len(without_fixed)
                missing = without_fixed
        elif decision.act in acts or decision.turn < here[decision.kind, label, decision.who, decision.at]:
            done.there += 1
        elif newest > decision.at:
            done.overtaken += 1
        else:
            missing.append((decision, label))
    done.restored += len(missing)
    return missing


def _insert(db: Database, text: int, made: Sequence[tuple[MadeDecision, int | None]]) -> None:
    db.conn.executemany(
        "INSERT INTO decision (text, kind, label, reason, who, at, act, seconds, queue, belief) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((text, d.kind, label, d.reason, d.who, d.at, d.act, d.seconds, d.queue, d.belief) for d, label in made),
    )
