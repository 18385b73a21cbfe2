"""Read the content of a project without row ids and times, so that tests can compare two projects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from red_core.records import Project
from red_core.store.database import connection
from red_core.store.exports import opened_export
from red_core.store.rounds import list_rounds

FACTS = {
    "sources": "SELECT source, row, text, label, truth, extra FROM source_row ORDER BY source, row",
    "labels": "SELECT id, name, becomes, retired FROM label ORDER BY id",
    "edits": "SELECT version, kind, detail, undoes FROM label_edit ORDER BY version",
    "meanings": "SELECT label, meaning FROM label_meaning ORDER BY id",
    "subsets": "SELECT version, label, subset, x, y FROM label_place ORDER BY version, label",
    "training": "SELECT round, text, label, weight FROM training_row ORDER BY round, text",
    "proposals": "SELECT round, text, label, runner_up, reason, evidence FROM proposal ORDER BY round, text, label",
    "verdicts": "SELECT text, label, judge, outcome, raw FROM verdict JOIN proposal p ON p.id = proposal "
    "ORDER BY text, label",
    "predictions": "SELECT round, text, label, runner_up FROM prediction ORDER BY round, text",
    "decisions": "SELECT text, kind, label, undoes, reason, who, act FROM decision ORDER BY id",
    "fed back": "SELECT round, text, label, weight, source FROM feed_back JOIN feed_back_item ON feed_back = id "
    "ORDER BY round, text",
    "rolled back": "SELECT feed_back FROM rollback ORDER BY feed_back",
    "rounds": "SELECT id, state FROM round ORDER BY id",
}
FIGURES = "SELECT text, belief, runner_up_belief, none_belief, prior FROM prediction ORDER BY round, text"


def export_rows(project: Project, round_id: int, *, lossless: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the rows of an export, without a file."""
    with opened_export(project, round_id, lossless=lossless) as (_, rows):
        yield from rows


def facts(project: Project) -> dict[str, Any]:
    """Return the rows of every kind of fact, as name -> rows."""
    with connection(project) as db:
        return {name: db.execute(query).fetchall() for name, query in FACTS.items()}


def figures(project: Project) -> np.ndarray:
    """Return the beliefs of all rounds, shape (n, 5): a text's row id and four probabilities in [0, 1]."""
    with connection(project) as db:
        return np.array(db.execute(FIGURES).fetchall())


def metrics(project: Project) -> Any:
    """Return the metrics of the only round, rounded to four digits."""
    (only,) = list_rounds(project)
    return json.loads(json.dumps(only.metrics), parse_float=lambda number: round(float(number), 4))


def is_sound(project: Project) -> bool:
    """Return whether the database passes SQLite's integrity and foreign key checks."""
    with connection(project) as db:
        return bool(
            db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            and db.execute("PRAGMA foreign_key_check").fetchall() == []
        )


def all_bytes(folder: Path) -> dict[str, str]:
    """Return path -> SHA-256 of every file, without the -wal and -shm files of an open database."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }
