"""Labels, their meanings, and where each stands: its subset and its place on the map."""

from __future__ import annotations

import json

import numpy as np
from sqlite_utils import Database

from red_core.records import Floats, Ints, Label, Project
from red_core.store.database import connection, now, transaction

LABELS = """
    SELECT label.id, name, coalesce(meaning, '') AS meaning, coalesce(m.id, 0) AS meaning_id,
        coalesce(m.who, '') AS meaning_by
    FROM label LEFT JOIN label_meaning m ON m.id = (SELECT max(id) FROM label_meaning WHERE label = label.id)"""
"""Every label with its newest meaning and that meaning's author."""


def labels(project: Project) -> list[Label]:
    """Return all labels with their newest meaning, ordered by id."""
    with connection(project) as db:
        return labels_in(db)


def labels_in(db: Database) -> list[Label]:
    """Return what :func:`labels` returns, on an open connection."""
    found = db.query(f"{LABELS} ORDER BY label.id")
    return [Label(int(r["id"]), str(r["name"]), str(r["meaning"]), int(r["meaning_id"])) for r in found]


def label_set_version(project: Project) -> int:
    """Return the number of the newest edit of the label set; 0 before the first."""
    with connection(project) as db:
        return int(db.execute("SELECT coalesce(max(version), 0) FROM label_edit").fetchone()[0])


def set_meanings(project: Project, meanings: dict[int, str], who: str) -> None:
    """Add a new meaning for each of these label ids; the earlier ones stay as history."""
    with transaction(project) as db:
        db.conn.executemany(
            "INSERT INTO label_meaning (label, meaning, who, at) VALUES (?, ?, ?, ?)",
            ((label, meaning, who, now()) for label, meaning in meanings.items()),
        )


def meaning_authors(project: Project) -> dict[int, str]:
    """Return who wrote the newest meaning of each label; '' where none is written."""
    with connection(project) as db:
        return {int(r["id"]): str(r["meaning_by"]) for r in db.query(LABELS)}


def save_places(project: Project, label_ids: Ints, subset_of: Ints, places: Floats, who: str) -> int:
    """Record newly formed subsets as one edit of the label set; return its version.

    Parameters
    ----------
    label_ids, subset_of : ndarray of shape (L,), int64
    places : ndarray of shape (L, 2)
        Coordinates on the map.
    """
    with transaction(project) as db:
        detail = json.dumps({"subsets": int(subset_of.max()) + 1})
        edit = db.execute(
            "INSERT INTO label_edit (kind, detail, who, at) VALUES ('subsets formed', ?, ?, ?)", [detail, who, now()]
        )
        version = int(edit.lastrowid or 0)
        db.conn.executemany(
            "INSERT INTO label_place (version, label, subset, x, y) VALUES (?, ?, ?, ?, ?)",
            (
                (version, int(label), int(subset), float(x), float(y))
                for label, subset, (x, y) in zip(label_ids, subset_of, places, strict=True)
            ),
        )
    return version


def current_places(project: Project) -> tuple[Ints, Ints, Floats]:
    """Return label ids (L,), subset numbers (L,) and map coordinates (L, 2) of the newest formation; empty before."""
    return _places(project, newest_formation(project))


def earlier_places(project: Project) -> tuple[Ints, Ints, Floats]:
    """Return what :func:`current_places` returned before the newest formation."""
    newest = newest_formation(project)
    with connection(project) as db:
        found = db.execute("SELECT coalesce(max(version), 0) FROM label_place WHERE version < ?", [newest]).fetchone()
    return _places(project, int(found[0]))


def newest_formation(project: Project) -> int:
    """Return the label set version in which the subsets were last formed; 0 before the first time."""
    with connection(project) as db:
        return int(db.execute("SELECT coalesce(max(version), 0) FROM label_place").fetchone()[0])


def _places(project: Project, version: int) -> tuple[Ints, Ints, Floats]:
    with connection(project) as db:
        found = db.execute(
            "SELECT label, subset, x, y FROM label_place WHERE version = ? ORDER BY label", [version]
        ).fetchall()
    table = np.asarray(found, dtype=np.float64).reshape(-1, 4)
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:]
