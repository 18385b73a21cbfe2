"""Labels, their meanings, and the layout: the subset and the map coordinates of each label."""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from sqlite_utils import Database

from red_core.errors import CardChanged, StateError
from red_core.records import Floats, Ints, Label, Project
from red_core.store.database import connection, now, transaction

LABELS = """
    SELECT label.id, name, coalesce(m.meaning, '') AS meaning, coalesce(m.id, 0) AS meaning_id,
        coalesce(m.who, '') AS meaning_by, coalesce(x.excludes, '') AS excludes, coalesce(p.path, '[]') AS path
    FROM label LEFT JOIN standing_meaning m ON m.id = (SELECT max(id) FROM standing_meaning WHERE label = label.id)
    LEFT JOIN meaning_limit x ON x.meaning = m.id
    LEFT JOIN standing_path p ON p.id = (SELECT max(id) FROM standing_path WHERE label = label.id)
    WHERE label.now = label.id"""
"""Every active label with its newest meaning, that meaning's author, and its path as JSON."""

MOST_SIBLINGS = 8
"""With more labels in a group, their names are not shown beside one of them."""
EXAMPLES_SHOWN = 3
"""Examples of a guideline that a label carries, of each kind."""


def name_key(name: str) -> str:
    """Return the key that must be unique among label names: NFC, whitespace collapsed, case folded."""
    folded = " ".join(unicodedata.normalize("NFC", name).split()).casefold()
    return unicodedata.normalize("NFC", folded)  # case folding decomposes some letters


def list_labels(project: Project) -> list[Label]:
    """Return all active labels (not merged, not retired) with their newest meaning, by id."""
    with connection(project) as db:
        return labels_in(db)


def labels_in(db: Database) -> list[Label]:
    """Return what :func:`list_labels` returns, on an open connection."""
    rows = list(db.query(f"{LABELS} ORDER BY label.id"))
    paths = {int(row["id"]): path_of(row["path"]) for row in rows}
    names = {int(row["id"]): str(row["name"]) for row in rows}
    beside = defaultdict[tuple[str, ...], list[int]](list)
    for label, path in paths.items():
        if path:
            beside[path].append(label)
    shown = _newest_examples(db)

    def siblings(label: int) -> tuple[str, ...]:
        others = [names[other] for other in beside.get(paths[label], ()) if other != label]
        return tuple(others) if len(others) <= MOST_SIBLINGS else ()

    return [
        Label(
            label, names[label], str(row["meaning"]), int(row["meaning_id"]), paths[label], str(row["excludes"]),
            siblings(label), tuple(shown.get((label, "good"), ())), tuple(shown.get((label, "bad"), ())),
        )
        for label, row in zip(names, rows, strict=True)
    ]  # fmt: skip


def _newest_examples(db: Database) -> dict[tuple[int, str], list[str]]:
    """Return (label, kind) -> the newest examples of guidelines, as texts."""
    query = "SELECT label, kind, content FROM standing_example e JOIN text ON text.id = e.text ORDER BY e.id DESC"
    shown = defaultdict[tuple[int, str], list[str]](list)
    for label, kind, content in db.execute(query):
        if len(shown[label, kind]) < EXAMPLES_SHOWN:
            shown[label, kind].append(str(content))
    return shown


SEPARATOR = ">"
"""The sign between two groups of a path, as people read and type it."""
MOST_LEVELS = 20
"""Most groups of a label, one in the other."""


def path_in_words(path: Iterable[str]) -> str:
    """Return a path as people read and type it: ``Billing > Cards``; '' for no group."""
    return f" {SEPARATOR} ".join(path)


def path_of(stored: str) -> tuple[str, ...]:
    """Return the path of a label from its JSON."""
    return tuple(map(str, json.loads(stored)))


IN_GROUP = """(SELECT s.label FROM standing_path s
    WHERE s.id = (SELECT max(id) FROM standing_path WHERE label = s.label)
    AND (s.path = :group || ']' OR substr(s.path, 1, length(:group) + 2) = :group || ', '))"""
"""The labels in a group, or in one inside it; ``:group`` is its :func:`stored_group`."""


def stored_group(group: Sequence[str]) -> str | None:
    """Return what IN_GROUP compares with the stored paths; None for no group."""
    return json.dumps(list(group), ensure_ascii=False)[:-1] if group else None


def labels_now(project: Project) -> dict[int, int | None]:
    """Return, for each label that ever existed, its active label: itself, its merge target, or None if retired."""
    with connection(project) as db:
        return dict(db.execute("SELECT id, now FROM label").fetchall())


def ids_by_name(db: Database) -> dict[str, int]:
    """Return name_key -> label id for names of active labels, else of merged labels, else for former names."""
    formerly = """
        SELECT json_extract(was.value, '$.name'), label.id FROM label_edit e, json_each(e.detail, '$.labels') was
        JOIN label ON label.id = json_extract(was.value, '$.id') WHERE label.now IS NOT NULL AND e.undoes IS NULL
        AND NOT EXISTS (SELECT 1 FROM label_edit u WHERE u.undoes = e.version) ORDER BY e.version"""
    called = "SELECT name, id FROM label WHERE now IS NOT NULL ORDER BY now = id"  # a dictionary keeps the last
    rows = [*db.execute(formerly), *db.execute(called)]
    return {name_key(str(name)): int(id_) for name, id_ in rows}


def active_by_name(project: Project) -> dict[str, int]:
    """Return name_key -> id of the active label, for all present and former names."""
    with connection(project) as db:
        is_now = dict(db.execute("SELECT id, now FROM label").fetchall())
        return {key: int(is_now[id_]) for key, id_ in ids_by_name(db).items()}


def names_by_key(project: Project) -> dict[str, str]:
    """Return name_key -> name of the active label; see :func:`active_by_name`."""
    named = {label.id: label.name for label in list_labels(project)}
    return {key: named[label] for key, label in active_by_name(project).items()}


def refuse_inactive(db: Database, label: int | None) -> None:
    """Raise CardChanged if a label was merged or retired."""
    if label is None:
        return
    row = db.execute(
        "SELECT l.name, o.name FROM label l LEFT JOIN label o ON o.id = l.now WHERE l.id = ? AND l.now IS NOT l.id",
        [label],
    ).fetchone()
    if row is not None:
        raise CardChanged(f"label {row[0]!r} was {f'merged into {row[1]!r}' if row[1] else 'retired'}")


def label_name(project: Project, label: int) -> str:
    """Return the name of an active label.

    Raises
    ------
    StateError
        If there is no such label, or it was merged or retired.
    """
    with connection(project) as db:
        row = db.execute("SELECT name FROM label WHERE id = ? AND now = id", [label]).fetchone()
    if row is None:
        raise StateError(f"there is no label {label} in project {project.name} any more. Load the page again.")
    return str(row[0])


def label_set_version(project: Project) -> int:
    """Return the number of the newest edit of the label set, 0 if there is none."""
    with connection(project) as db:
        return int(db.execute("SELECT coalesce(max(version), 0) FROM label_edit").fetchone()[0])


def set_meanings(project: Project, meanings: dict[int, str], who: str) -> None:
    """Store a new meaning for each of these label ids; earlier meanings stay in the history.

    What does not belong to a label stays as it is.
    """
    with transaction(project) as db:
        excludes = {label.id: label.excludes for label in labels_in(db)}
        for label, meaning in meanings.items():
            add_meaning(db, label, (meaning, excludes.get(label, "")), who)


def add_meaning(db: Database, label: int, words: tuple[str, str], who: str, edit: int | None = None) -> None:
    """Add a version of what belongs to a label and what does not: the two parts of ``words``."""
    meaning, excludes = words
    row = db.execute(
        "INSERT INTO label_meaning (label, meaning, who, at, edit) VALUES (?, ?, ?, ?, ?)",
        [label, meaning, who, now(), edit],
    )
    if excludes:
        db.execute("INSERT INTO meaning_limit (meaning, excludes) VALUES (?, ?)", [row.lastrowid, excludes])


def meaning_authors(project: Project) -> dict[int, str]:
    """Return label id -> author of its newest meaning, '' if it has none."""
    with connection(project) as db:
        return {int(r["id"]): str(r["meaning_by"]) for r in db.query(LABELS)}


def save_layout(project: Project, label_ids: Ints, subset_of: Ints, places: Floats, who: str) -> int:
    """Store new subsets as one edit of the label set; return its version.

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


def current_layout(project: Project) -> tuple[Ints, Ints, Floats]:
    """Return label ids (L,), subset numbers (L,) and map coordinates (L, 2) of the newest layout; empty if none."""
    return _places(project, newest_formation(project))


def earlier_layout(project: Project) -> tuple[Ints, Ints, Floats]:
    """Return what :func:`current_layout` returned before the newest layout."""
    newest = newest_formation(project)
    with connection(project) as db:
        row = db.execute("SELECT coalesce(max(version), 0) FROM label_place WHERE version < ?", [newest]).fetchone()
    return _places(project, int(row[0]))


def newest_formation(project: Project) -> int:
    """Return the label set version of the newest layout, 0 if there is none."""
    with connection(project) as db:
        return int(db.execute("SELECT coalesce(max(version), 0) FROM label_place").fetchone()[0])


def _places(project: Project, version: int) -> tuple[Ints, Ints, Floats]:
    with connection(project) as db:
        return layout_in(db, version)


def layout_in(db: Database, version: int) -> tuple[Ints, Ints, Floats]:
    """Return label ids, subset numbers and coordinates that one version stored."""
    rows = db.execute(
        "SELECT label, subset, x, y FROM label_place WHERE version = ? ORDER BY label", [version]
    ).fetchall()
    table = np.asarray(rows, dtype=np.float64).reshape(-1, 4)
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:]


def unlike(name: str, taken: set[str]) -> str:
    """Return the name, with a number after it if it is taken, and add it to ``taken``."""
    free, number = name, 2
    while name_key(free) in taken:
        free, number = f"{name} {number}", number + 1
    taken.add(name_key(free))
    return free


def all_label_ids(project: Project) -> set[int]:
    """Return the ids of all labels that ever were, with merged and retired ones."""
    with connection(project) as db:
        return {int(label) for (label,) in db.execute("SELECT id FROM label")}
