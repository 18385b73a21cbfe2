"""Edits of the label set. Each is one transaction and one row, which holds what an undo needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlite_utils import Database

from red_core.errors import StateError
from red_core.records import Floats, Ints, Project
from red_core.store.checksums import seal
from red_core.store.database import connection, now
from red_core.store.guidelines import GuidelineExample
from red_core.store.labels import add_meaning, name_key
from red_core.store.rereading import reread
from red_core.store.rounds import refuse_unfinished
from red_core.store.standing import Standing, standing
from red_core.store.texts import SourceFile, SourceRow, add_source

_STATE = ("id", "name", "name_key", "becomes", "retired", "merged_since")
"""The columns of a label that an edit can change, with its id."""
QUEUE = "label set"
"""The queue name of decisions that an edit of the label set makes."""


@dataclass
class OpenEdit:
    """An edit that is being written. It keeps the old row of every label that it changes.

    Attributes
    ----------
    db : Database
    version : int
    who : str
    before : dict of label id to row
        The old rows of the labels that it changed.
    created : list of int
        The labels that it created.
    about : list of int
        All labels that it concerns: it appears in their history.
    """

    db: Database
    version: int
    who: str
    before: dict[int, dict[str, Any]] = field(default_factory=dict)
    created: list[int] = field(default_factory=list)
    about: list[int] = field(default_factory=list)
    acted: bool = False
    """Whether it has changed anything that the lists above do not name: places, decisions, texts, an undone edit."""

    @property
    def changes(self) -> bool:
        """Whether it has changed anything; an edit that has not is not stored."""
        return bool(self.before or self.created or self.about or self.acted)

    def rename(self, names: Mapping[int, str]) -> None:
        """Rename labels; two of them may swap their names."""
        self._set([(label, {"name_key": f"\n{label}"}) for label in names])
        for label, name in names.items():
            self._refuse_taken(name)
            self._set([(label, {"name": name, "name_key": name_key(name)})])

    def merge(self, labels: Sequence[int], into: int) -> None:
        """Merge labels, and all labels merged into them before, into another label."""
        (last,) = self.db.execute("SELECT coalesce(max(id), 0) FROM decision").fetchone()
        self._set([(into, {"merged_since": last})])
        for label in self._with_merged(labels):
            self._set([(label, {"becomes": into, "name_key": self._no_key(label)})])
        self.extent_changed(into)

    def retire(self, label: int) -> None:
        """Retire a label, and all labels that were merged into it."""
        self._set([(each, {"retired": 1, "name_key": self._no_key(each)}) for each in self._with_merged([label])])

    def create(self, name: str, meaning: str) -> int:
        """Add a label and return its id."""
        self._refuse_taken(name)
        cursor = self.db.execute("INSERT INTO label (name, name_key) VALUES (?, ?)", [name, name_key(name)])
        label = int(cursor.lastrowid or 0)
        self.created.append(label)
        self.about.append(label)
        if meaning:
            self.mean(label, meaning)
        return label

    def mean(self, label: int, meaning: str, excludes: str = "") -> None:
        """Store what belongs to a label, and what does not."""
        self.about.append(label)
        add_meaning(self.db, label, (meaning, excludes), self.who, self.version)

    def put_in_groups(self, paths: Mapping[int, Sequence[str]]) -> None:
        """Store the groups that labels are in, from the top, by label id."""
        self.about.extend(paths)
        self.db.conn.executemany(
            "INSERT INTO label_path (label, path, who, at, edit) VALUES (?, ?, ?, ?, ?)",
            (
                (label, json.dumps(list(path), ensure_ascii=False), self.who, now(), self.version)
                for label, path in paths.items()
            ),
        )

    def show_examples(self, examples: Iterable[GuidelineExample]) -> None:
        """Store examples in the guidelines of their labels, or take them away; see :mod:`red_core.store.guidelines`."""
        for each in examples:
            self.about.append(each.label)
            self.db.execute(
                "INSERT INTO guideline_example (label, text, kind, why, decision, who, at, edit) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [each.label, each.text, each.kind, each.why, each.decision, self.who, now(), self.version],
            )

    def extent_changed(self, label: int) -> None:
        """Mark the label's extent as changed, so that its verdicts become stale."""
        self.about.append(label)
        self.db.conn.executemany(
            "INSERT OR IGNORE INTO label_extent (label, edit) VALUES (?, ?)",
            ((each, self.version) for each in self._with_merged([label])),
        )

    def decide(self, texts: Iterable[int], kind: str, label: int, reason: str) -> None:
        """Store the same decision about several texts; relabelled texts become examples of the label."""
        self.acted = True
        self.db.conn.executemany(
            "INSERT INTO decision (text, kind, label, reason, who, at, queue, edit) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ((int(text), kind, label, reason, self.who, now(), QUEUE, self.version) for text in texts),
        )

    def add_typed(self, label: str, texts: Mapping[str, str]) -> None:
        """Add typed texts (text_id -> content) as seeds of a label, in a source of their own."""
        self.acted = True
        name = f"typed by {self.who}"
        sha256 = hashlib.sha256("\0".join((name, str(self.version), label, *texts)).encode()).hexdigest()
        rows = [SourceRow(row, identity, text, label) for row, (identity, text) in enumerate(texts.items(), 1)]
        add_source(self.db, SourceFile(name, sha256, "labelled", "text", "label", ()), rows, self.who, self.version)

    def place(self, labels: Ints, subset_of: Ints, coordinates: Floats) -> None:
        """Store the subset and the coordinates of all labels, unless nothing changed."""
        rows = [
            (int(label), int(subset), float(x), float(y))
            for label, subset, (x, y) in zip(labels, subset_of, coordinates, strict=True)
        ]
        newest = "(SELECT max(version) FROM label_place)"
        if (
            rows
            != self.db.execute(
                f"SELECT label, subset, x, y FROM label_place WHERE version = {newest} ORDER BY label"
            ).fetchall()
        ):
            self.acted = True
            self.db.conn.executemany(
                "INSERT INTO label_place (version, label, subset, x, y) VALUES (?, ?, ?, ?, ?)",
                ((self.version, *row) for row in rows),
            )

    def restore(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Restore labels from the old rows that an edit kept."""
        self._set([(row["id"], {"name_key": f"\n{row['id']}"}) for row in rows])
        for row in rows:
            if not row["retired"] and row["becomes"] is None:
                self._refuse_taken(row["name"])
            self._set([(row["id"], {name: row[name] for name in _STATE[1:]})])

    def standing(self) -> Standing:
        """Return the state of the project with the changes written so far."""
        reread(self.db, self.version, [*self.before, *self.created])
        return standing(self.db)

    def close(self, kind: str, description: str) -> None:
        """Complete the row of the edit: its kind, its description in one line, and what an undo needs.

        The key ``told`` of the stored detail is the description.
        """
        reread(self.db, self.version, [*self.before, *self.created])
        detail = {
            "told": description, "about": sorted({*self.about, *self.before}), "created": self.created,
            "labels": list(self.before.values()),
        }  # fmt: skip
        self.db.execute(
            "UPDATE label_edit SET kind = ?, detail = ? WHERE version = ?",
            [kind, json.dumps(detail, ensure_ascii=False), self.version],
        )

    def _set(self, changes: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        for label, values in changes:
            if label not in self.before and label not in self.created:
                self.before[label] = _state(self.db, label)
            marks = ", ".join(f"{name} = :{name}" for name in values)
            self.db.execute(f"UPDATE label SET {marks} WHERE id = :id", {**values, "id": label})

    def _with_merged(self, labels: Sequence[int]) -> list[int]:
        query = """
            WITH wanted AS (SELECT value AS id FROM json_each(?))
            SELECT id FROM label WHERE id IN (SELECT id FROM wanted) OR becomes IN (SELECT id FROM wanted)"""
        return [int(label) for (label,) in self.db.execute(query, [json.dumps(list(labels))])]

    def _no_key(self, label: int) -> str:
        """Return a key that no name can have, for a label whose name becomes free."""
        return f"{_state(self.db, label)['name_key']}\n{label}"

    def _refuse_taken(self, name: str) -> None:
        row = self.db.execute("SELECT name FROM label WHERE name_key = ?", [name_key(name)]).fetchone()
        if row is not None:
            raise StateError(f"there is already a label {row[0]!r}. Choose another name.")


def _state(db: Database, label: int) -> dict[str, Any]:
    row = db.execute(f"SELECT {', '.join(_STATE)} FROM label WHERE id = ?", [label]).fetchone()
    return dict(zip(_STATE, row, strict=True))


@contextmanager
def edited(project: Project, who: str, known: int, *, only_tried: bool = False) -> Iterator[OpenEdit]:
    """Open an edit of the label set. At the end all of it is stored, or nothing.

    Parameters
    ----------
    known : int
        The version of the label set that the edit is based on.
    only_tried : bool
        Roll back at the end: a preview.

    Raises
    ------
    StateError
        If a job is running, a round was left open, or the label set was edited since.
    """
    with connection(project) as db:
        db.execute("BEGIN IMMEDIATE")
        try:
            refuse_unfinished(db, project)
            _refuse_if_edited(db, known)
            cursor = db.execute("INSERT INTO label_edit (kind, detail, who, at) VALUES ('', '{}', ?, ?)", [who, now()])
            open_edit = OpenEdit(db, int(cursor.lastrowid or 0), who)
            yield open_edit
        except BaseException:
            db.conn.rollback()
            raise
        if only_tried or not open_edit.changes:
            db.conn.rollback()
        else:
            seal(db, predictions=_changed_predictions(db, open_edit.version))
            db.conn.commit()


def _changed_predictions(db: Database, version: int) -> bool:
    """Return whether an edit, or the edit that it undoes, has changed the confidences of the newest round."""
    query = """
        SELECT EXISTS (SELECT 1 FROM prediction_before WHERE edit IN
            (:version, (SELECT undoes FROM label_edit WHERE version = :version)))"""
    return bool(db.execute(query, {"version": version}).fetchone()[0])


def _refuse_if_edited(db: Database, known: int) -> None:
    (newest,) = db.execute("SELECT coalesce(max(version), 0) FROM label_edit").fetchone()
    if newest != known:
        raise StateError("somebody edited the label set since this was shown. Check it again.")
