"""What can be wrong with a disk or a database: each function brings it about and returns what a person is told."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing

import pytest

from red_core.records import Project
from red_core.store import database


def corrupt(project: Project, *_: object) -> str:
    content = project.database.read_bytes()
    project.database.write_bytes(content[:100] + b"\xa5" * (len(content) - 100))
    return "is not a readable database"


def newer(project: Project, *_: object) -> str:
    with closing(sqlite3.connect(project.database)) as db, db:
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('red_core', 'm999_later', 'now')"
        )
    return "was written by a newer version of this program"


def locked(project: Project, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    other = stack.enter_context(closing(sqlite3.connect(project.database)))
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN IMMEDIATE")
    return "another program has held the database"


def failing(monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    """Let SQLite fail to open a file as it does on a full disk, in a folder that is read-only, and so on."""
    connect = sqlite3.connect

    class Failing(sqlite3.Connection):
        def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
            if statement.startswith("PRAGMA journal_mode"):
                raise sqlite3.OperationalError(says)
            return super().execute(statement, *values)

    def failing_file(place: str, **more: object) -> sqlite3.Connection:
        return connect(place, **more | ({} if place == ":memory:" else {"factory": Failing}))  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite3, "connect", failing_file)


def full(_: Project, __: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    failing(monkeypatch, "database or disk is full")
    return "the disk is full. Free some space"


def read_only(_: Project, __: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    failing(monkeypatch, "attempt to write a readonly database")
    return "it cannot be written (attempt to write a readonly database). Check the folder"


def not_ours(_: Project, __: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    failing(monkeypatch, "unable to open database file")
    return "it cannot be written (unable to open database file). Check the folder"


def full_by_another_name(_: Project, __: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    failing(monkeypatch, "disk I/O error")
    monkeypatch.setattr(database, "LEAST_FREE", 2**63)
    return "the disk is full. Free some space"


def failing_disk(_: Project, __: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    failing(monkeypatch, "disk I/O error")
    return "the disk cannot be read or written"


FAULTS = [corrupt, newer, locked, read_only, not_ours, full, full_by_another_name, failing_disk]
"""With these nothing can be read either."""


def refusing(monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    """Let SQLite read, and refuse whatever begins to write."""
    connect = sqlite3.connect

    class Refusing(sqlite3.Connection):
        def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
            if statement == "BEGIN IMMEDIATE":
                raise sqlite3.OperationalError(says)
            return super().execute(statement, *values)

    def refusing_file(place: str, **more: object) -> sqlite3.Connection:
        return connect(place, **more | ({} if place == ":memory:" else {"factory": Refusing}))  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite3, "connect", refusing_file)


def full_for_writers(_: Project, __: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    refusing(monkeypatch, "database or disk is full")
    return "the disk is full. Free some space"


def read_only_for_writers(_: Project, __: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    refusing(monkeypatch, "attempt to write a readonly database")
    return "it cannot be written (attempt to write a readonly database). Check the folder"


def locked_for_writers(project: Project, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> str:
    """Another process writes for long; with a write-ahead log, whoever only reads does not notice."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    other = stack.enter_context(closing(sqlite3.connect(project.database)))
    other.execute("BEGIN IMMEDIATE")
    return "another program has held the database"


WRITING_FAULTS = [full_for_writers, read_only_for_writers, locked_for_writers]
"""With these everything can be read, and nothing written."""
