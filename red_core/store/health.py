"""Checks of a stored project. They only read: nothing is repaired, and no migration is applied."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from sqlite_utils import Database

from red_core.records import Project
from red_core.store.checksums import changed_facts
from red_core.store.database import connection, migration_names, missing_migrations
from red_core.store.migrations import migrations
from red_core.store.vectors import damaged_vectors, indexed_bytes

OLDEST_SQLITE = (3, 37)
"""The first version with STRICT tables."""
_MOST_FAULTS = 3
"""Most faults that SQLite's integrity check lists."""


def sqlite_version() -> tuple[str, bool]:
    """Return the version of SQLite in this Python, and whether it is new enough."""
    return sqlite3.sqlite_version, sqlite3.sqlite_version_info >= OLDEST_SQLITE


def foreign_parts(project: Project) -> list[str]:
    """Return what a database has that no version of this program creates, such as a view or a virtual table.

    It reads only the list of the schema, so that nothing foreign runs.
    """
    names = migration_names()
    ours = {part for count in range(1, len(names) + 1) for part in _schema_without(names[count:]).items()}
    with connection(project) as db:
        there = _schema(db)
        applied = db.execute("SELECT sql FROM sqlite_schema WHERE name = '_sqlite_migrations'").fetchone()
    parts = [f"{kind} {name} is none of this program" for (kind, name), sql in there.items() - ours]
    if applied is None or not str(applied[0]).upper().startswith("CREATE TABLE"):
        parts.append("it has no list of the versions that wrote it")
    return sorted(parts)


def database_faults(project: Project) -> list[str]:
    """Return the faults of a project's database, each in a few words; empty if there are none.

    Raises
    ------
    StoreError
        If it cannot be read, or was written by a newer version.
    """
    missing = missing_migrations(project)
    expected = _schema_without(missing)
    with connection(project) as db:
        faults = [str(line) for (line,) in db.execute(f"PRAGMA integrity_check({_MOST_FAULTS})") if line != "ok"]
        if faults:
            return faults
        schema = _schema(db)
        strays = db.execute(
            'SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2 ORDER BY 1, 2'
        ).fetchall()
    faults += [f"{count} rows of {table} refer to a missing row of {parent}" for table, parent, count in strays]
    differs = sorted({key for key, _ in schema.items() ^ expected.items()})
    faults += [f"its {kind} {name} differs from what this program creates" for kind, name in differs]
    return faults or ([] if missing else fact_faults(project))


def fact_faults(project: Project) -> list[str]:
    """Return the kinds of facts that are not as they were stored, each in a few words; empty if all are."""
    with connection(project) as db:
        return [f"the {facts} are not as they were stored" for facts in changed_facts(db)]


def vector_faults(project: Project) -> list[str]:
    """Return the vector files that are missing, too short or damaged; empty if every vector is as it was stored."""
    faults = {
        path.name: f"{path.name} is missing or too short"
        for path, known in indexed_bytes(project).items()
        if not path.is_file() or path.stat().st_size < known
    }
    if not faults and "m005_checksums" not in missing_migrations(project):
        damaged = damaged_vectors(project)
        faults = {name: f"{count:,} vectors of {name} are damaged" for name, count in damaged.items()}
    indexed = {path.name for path in indexed_bytes(project)} if faults else set()  # a round may have removed some
    return [fault for name, fault in faults.items() if name in indexed]


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
