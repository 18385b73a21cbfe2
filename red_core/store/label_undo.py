"""The history of the label set, and undo: the newest edit that is not undone comes first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from red_core.errors import StateError
from red_core.records import Floats, Ints, Project
from red_core.store.database import connection, now
from red_core.store.label_edits import OpenEdit
from red_core.store.labels import layout_in
from red_core.store.rereading import put_back


@dataclass(frozen=True)
class EditMade:
    """One edit in the history.

    Attributes
    ----------
    version : int
    kind, told : str
        Its kind in a word, and its description in one line.
    who, at : str
    undone : bool
    """

    version: int
    kind: str
    told: str
    who: str
    at: str
    undone: bool


@dataclass(frozen=True)
class WayBack:
    """The edit that would be undone next.

    Attributes
    ----------
    version : int
    kind, told : str
    labels : tuple of dict
        The old rows of the labels that it changed.
    created : tuple of int
        Labels that it created; an undo retires them.
    places : (label ids, subset numbers, coordinates) or None
        The layout before the edit; None if it did not change.
    """

    version: int
    kind: str
    told: str
    labels: tuple[dict[str, Any], ...]
    created: tuple[int, ...]
    places: tuple[Ints, Ints, Floats] | None


def edits(project: Project) -> list[EditMade]:
    """Return all edits of the label set, oldest first."""
    query = """
        SELECT version, kind, detail, who, at, version IN (SELECT undoes FROM label_edit WHERE undoes IS NOT NULL)
        FROM label_edit ORDER BY version"""
    with connection(project) as db:
        return [
            EditMade(int(version), str(kind), _told(kind, json.loads(detail)), str(who), str(at), bool(undone))
            for version, kind, detail, who, at, undone in db.execute(query)
        ]


def _told(kind: str, detail: Any) -> str:  # noqa: ANN401  the stored detail differs by kind
    if kind == "labels added":
        return f"{len(detail):,} labels came with a file"
    if kind == "subsets formed":
        return f"{detail['subsets']:,} subsets formed"
    return str(detail["told"])


def way_back(project: Project) -> WayBack | None:
    """Return what :func:`undo` would undo now, None if nothing is left to undo.

    Labels from an import are not undone, nor the first subsets, nor subsets formed for the labels of a later import.
    """
    query = """
        SELECT version, kind, detail FROM label_edit e WHERE kind NOT IN ('labels added', 'undo')
        AND NOT EXISTS (SELECT 1 FROM label_edit u WHERE u.undoes = e.version) ORDER BY version DESC"""
    with connection(project) as db:
        for version, kind, detail_json in db.execute(query).fetchall():
            detail = json.loads(detail_json)
            after, before = _places_around(db, version)
            if kind == "subsets formed":
                if after is None or before is None or after[0].tolist() != before[0].tolist():
                    continue
                detail = {"told": _told(kind, detail), "labels": [], "created": []}
            places = before if after is not None else None
            return WayBack(version, kind, detail["told"], tuple(detail["labels"]), tuple(detail["created"]), places)
    return None


def _places_around(
    db: Database, version: int
) -> tuple[tuple[Ints, Ints, Floats] | None, tuple[Ints, Ints, Floats] | None]:
    """Return the layout that an edit stored, and the one before it; None for either if there is none."""
    earlier = db.execute("SELECT max(version) FROM label_place WHERE version < ?", [version]).fetchone()[0]
    after, before = layout_in(db, version), layout_in(db, earlier or 0)
    return (after if len(after[0]) else None), (before if len(before[0]) else None)


def edit_of_meaning(project: Project, meaning: int) -> int | None:
    """Return the edit that gave a label this meaning (its id); None if none did, or there is no such meaning."""
    with connection(project) as db:
        row = db.execute("SELECT edit FROM label_meaning WHERE id = ?", [meaning]).fetchone()
    return None if row is None else row[0]


def active_after(project: Project, back: WayBack) -> set[int]:
    """Return the ids of the labels that will be active after an edit is undone."""
    with connection(project) as db:
        active = {int(label) for (label,) in db.execute("SELECT id FROM label WHERE now = id")}
    active |= {row["id"] for row in back.labels if not row["retired"] and row["becomes"] is None}
    return active - set(back.created)


def undo(to: OpenEdit, back: WayBack) -> None:
    """Undo an edit, except for the layout, which :meth:`OpenEdit.place` stores.

    Raises
    ------
    StateError
        If a label that it created was used since, or a name that it freed is taken.
    """
    for label in back.created:
        _refuse_if_used(to.db, label, back.version)
        to.retire(label)
    to.restore(back.labels)
    standing = to.db.execute("SELECT id, text FROM kept_decision WHERE edit = ? ORDER BY id", [back.version]).fetchall()
    to.db.conn.executemany(
        "INSERT INTO decision (text, kind, undoes, reason, who, at, edit) VALUES (?, 'undo', ?, '', ?, ?, ?)",
        ((text, decision, to.who, now(), to.version) for decision, text in standing),
    )
    put_back(to.db, back.version)
    to.db.execute("UPDATE label_edit SET undoes = ? WHERE version = ?", [back.version, to.version])
    to.acted = True  # a meaning comes back without any other change


def _refuse_if_used(db: Database, label: int, version: int) -> None:
    """Raise StateError if decisions, rows, audits or feed-backs would lose their label."""
    uses = {
        "decisions": "SELECT count(*) FROM kept_decision WHERE label = :label AND edit IS NOT :version",
        "rows of a file": "SELECT count(*) FROM source_row r JOIN source s ON s.id = r.source "
        "WHERE r.label = :label AND s.edit IS NOT :version",
        "audits": "SELECT count(*) FROM audit_answer WHERE label = :label AND kind <> 'undo'",
        "texts fed back": "SELECT count(*) FROM feed_back_item WHERE label = :label "
        "AND feed_back NOT IN (SELECT feed_back FROM rollback)",
    }
    for what, query in uses.items():
        (count,) = db.execute(query, {"label": label, "version": version}).fetchone()
        if count:
            (name,) = db.execute("SELECT name FROM label WHERE id = ?", [label]).fetchone()
            raise StateError(
                f"label {name!r} cannot be undone: {count:,} {what} use it now. Retire it instead: that can be undone "
                "and loses nothing."
            )
