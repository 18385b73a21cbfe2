"""Faults of a disk or a database. Each function causes one fault and returns words of the expected error message."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing

import pytest

from red_core.records import Project
from red_core.store import database


def corrupt(project: Project, *_: object) -> str:
    """Overwrite the database after its header."""
    content = project.database.read_bytes()
    project.database.write_bytes(content[:100] + b"\xa5" * (len(content) - 100))
    return "is not a readable database"


def newer(project: Project, *_: object) -> str:
    """Record a migration that this program does not know."""
    with closing(sqlite3.connect(project.database)) as db, db:
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('red_core', 'm999_later', 'now')"
        )
    return "was written by a newer version of this program"


def locked(project: Project, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let another connection hold an exclusive lock."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    other = stack.enter_context(closing(sqlite3.connect(project.database)))
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN IMMEDIATE")
    return "another program has held the database"


def failing(monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    """Make SQLite fail with this message when it opens a file; a database in memory still works."""
    connect = sqlite3.connect

    class Failing(sqlite3.Connection):
        def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
            if statement.startswith("PRAGMA journal_mode"):
                raise sqlite3.OperationalError(says)
            return super().execute(statement, *values)

    def failing_file(path: str, **more: object) -> sqlite3.Connection:
        return connect(path, **more | ({} if path == ":memory:" else {"factory": Failing}))  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite3, "connect", failing_file)


def full(_: Project, __: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """Fail as SQLite does on a full disk."""
    failing(monkeypatch, "database or disk is full")
    return "the disk is full. Free some space"


def read_only(_: Project, __: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """Fail as SQLite does with a read-only database."""
    failing(monkeypatch, "attempt to write a readonly database")
    return "it cannot be written (attempt to write a readonly database). Check the folder"


def unopenable(_: Project, __: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """Fail as SQLite does without permission for the file."""
    failing(monkeypatch, "unable to open database file")
    return "it cannot be written (unable to open database file). Check the folder"


def full_reported_as_io_error(_: Project, __: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """Fail with an I/O error while the disk has no free space."""
    failing(monkeypatch, "disk I/O error")
    monkeypatch.setattr(database, "LEAST_FREE", 2**63)
    return "the disk is full. Free some space"


def failing_disk(_: Project, __: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """Fail with an I/O error while the disk has free space."""
    failing(monkeypatch, "disk I/O error")
    return "the disk cannot be read or written"


FAULTS = [corrupt, newer, locked, read_only, unopenable, full, full_reported_as_io_error, failing_disk]
"""Faults with which a project can be neither read nor written."""


def refusing(monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    """Let SQLite read, but make every write transaction fail with this message."""
    connect = sqlite3.connect

    class Refusing(sqlite3.Connection):
        def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
            if statement == "BEGIN IMMEDIATE":
                raise sqlite3.OperationalError(says)
            return super().execute(statement, *values)

    def refusing_file(path: str, **more: object) -> sqlite3.Connection:
        return connect(path, **more | ({} if path == ":memory:" else {"factory": Refusing}))  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite3, "connect", refusing_file)


def full_for_writers(_: Project, __: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """Refuse writes as SQLite does on a full disk."""
    refusing(monkeypatch, "database or disk is full")
    return "the disk is full. Free some space"


def read_only_for_writers(_: Project, __: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """Refuse writes as SQLite does with a read-only database."""
    refusing(monkeypatch, "attempt to write a readonly database")
    return "it cannot be written (attempt to write a readonly database). Check the folder"


def locked_for_writers(project: Project, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let another connection hold the write lock. With a write-ahead log, readers are not affected."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    other = stack.enter_context(closing(sqlite3.connect(project.database)))
    other.execute("BEGIN IMMEDIATE")
    return "another program has held the database"


WRITING_FAULTS = [full_for_writers, read_only_for_writers, locked_for_writers]
"""Faults with which a project can be read but not written."""
