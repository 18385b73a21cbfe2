"""Checks of a stored project. They only read: nothing is repaired, and no migration is applied."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from sqlite_utils import Database

from red_core.records import Project
from red_core.store.database import connection, missing_migrations
from red_core.store.migrations import migrations
from red_core.store.vectors import indexed_bytes

OLDEST_SQLITE = (3, 37)
"""The first version with STRICT tables."""
_MOST_FAULTS = 3
"""Most faults that SQLite's quick check lists."""


def sqlite_version() -> tuple[str, bool]:
    """Return the version of SQLite in this Python, and whether it is new enough."""
    return sqlite3.sqlite_version, sqlite3.sqlite_version_info >= OLDEST_SQLITE


def database_faults(project: Project) -> list[str]:
    """Return the faults of a project's database, each in a few words; empty if there are none.

    Raises
    ------
    StoreError
        If it cannot be read, or was written by a newer version.
    """
    expected = _schema_without(missing_migrations(project))
    with connection(project) as db:
        faults = [str(line) for (line,) in db.execute(f"PRAGMA quick_check({_MOST_FAULTS})") if line != "ok"]
        if faults:
            return faults
        schema = _schema(db)
        strays = db.execute(
            'SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2 ORDER BY 1, 2'
        ).fetchall()
    faults += [f"{count} rows of {table} refer to a missing row of {parent}" for table, parent, count in strays]
    differs = sorted({key for key, _ in schema.items() ^ expected.items()})
    faults += [f"its {kind} {name} differs from what this program creates" for kind, name in differs]
    return faults


def vector_faults(project: Project) -> list[str]:
    """Return the vector files that are missing or shorter than their index; empty if all are complete."""
    return [
        f"{path.name} is missing or too short"
        for path, known in indexed_bytes(project).items()
        if not path.is_file() or path.stat().st_size < known
    ]


def _schema(db: Database) -> dict[tuple[str, str], str]:
    """Return (kind, name) -> SQL of the schema, without the list of migrations and SQLite's own tables."""
    rows = db.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND (type IN ('trigger', 'view') "
        "OR (tbl_name <> '_sqlite_migrations' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'))"
    ).fetchall()
    return {(str(kind), str(name)): str(sql) for kind, name, sql in rows}


def _schema_without(missing: list[str]) -> dict[tuple[str, str], str]:
    with closing(Database(memory=True, execute_plugins=False)) as empty:
        migrations.apply(empty, stop_before=missing)
        return _schema(empty)
