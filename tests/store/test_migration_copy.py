"""An older database is copied before it is brought up to date, or it is not brought up to date."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from red_core.errors import StoreError
from red_core.records import Project
from red_core.store import database
from red_core.store.database import copy_database, create_project, missing_migrations, open_project, transaction
from red_core.store.migrations import migrations
from red_core.store.texts import remember, remembered

COPY = "project-before-m999_add_mood.db"


def with_one_more(*, fails: bool = False) -> Migrations:
    more = Migrations("red_core")
    for landed in migrations._migrations:
        more(name=landed.name)(landed.fn)

    @more()
    def m999_add_mood(db: Database) -> None:
        db.execute("CREATE TABLE mood (name TEXT) STRICT")
        if fails:
            db.execute("INSERT INTO nowhere VALUES (1)")

    return more


@pytest.fixture
def older(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose database lacks one migration."""
    project = create_project(workspace, "p")
    remember(project, "greeting", "hello")
    monkeypatch.setattr(database, "migrations", with_one_more())
    return project


def tables(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as db:
        return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def names(project: Project) -> set[str]:
    return {path.name for path in project.folder.iterdir()}


def test_the_copy_is_the_older_database(older):
    assert missing_migrations(older) == ["m999_add_mood"]
    open_project(older.workspace, "p")
    assert missing_migrations(older) == []
    assert "mood" in tables(older.database)
    assert "mood" not in tables(older.folder / COPY)
    with closing(sqlite3.connect(older.folder / COPY)) as copy:
        assert copy.execute("SELECT value FROM project WHERE key = 'greeting'").fetchall() == [("hello",)]
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_the_copy_holds_what_is_in_the_write_ahead_log_alone(older, monkeypatch):
    with closing(sqlite3.connect(older.database)) as reader:  # while it is open, nothing is moved out of the log
        reader.execute("PRAGMA wal_autocheckpoint = 0")
        monkeypatch.setattr(database, "migrations", migrations)
        remember(older, "farewell", "goodbye")
        monkeypatch.setattr(database, "migrations", with_one_more())
        open_project(older.workspace, "p")
    with closing(sqlite3.connect(older.folder / COPY)) as copy:
        assert copy.execute("SELECT value FROM project WHERE key = 'farewell'").fetchall() == [("goodbye",)]


def test_the_copy_put_back_is_the_project_as_it_was(older, monkeypatch):
    open_project(older.workspace, "p")
    monkeypatch.setattr(database, "migrations", migrations)  # the older program again
    with pytest.raises(StoreError, match="newer version"):
        open_project(older.workspace, "p")
    (older.folder / COPY).replace(older.database)
    assert remembered(open_project(older.workspace, "p"), "greeting") == "hello"


def test_only_the_copy_of_the_newest_update_is_kept(older):
    for earlier in ("project-before-m004_label_edits.db", "project-before-m013_least_certain.db"):
        (older.folder / earlier).write_bytes(b"an older copy")
    open_project(older.workspace, "p")
    assert names(older) == {"project.db", COPY}


def test_an_update_that_fails_keeps_the_copies_of_earlier_ones(older, monkeypatch):
    earlier = older.folder / "project-before-m013_least_certain.db"
    earlier.write_bytes(b"an older copy")
    monkeypatch.setattr(database, "migrations", with_one_more(fails=True))
    with pytest.raises(StoreError):
        open_project(older.workspace, "p")
    assert earlier.exists()


def test_a_new_database_and_one_that_is_up_to_date_are_not_copied(workspace):
    project = create_project(workspace, "p")
    open_project(workspace, "p")
    assert names(project) == {"project.db"}


def test_without_room_for_the_copy_nothing_is_changed(older, monkeypatch):
    def no_room(_: Project, target: Path) -> None:
        target.write_bytes(b"half")
        raise StoreError(f"{target}: the disk is full. Free some space, then try again; nothing was lost.")

    monkeypatch.setattr(database, "copy_database", no_room)
    with pytest.raises(StoreError, match=r"disk is full.*is not updated without that copy") as caught:
        open_project(older.workspace, "p")
    assert "\n" not in str(caught.value)
    assert "mood" not in tables(older.database)
    assert names(older) == {"project.db"}


@pytest.mark.parametrize("call", ["os.fsync", "Path.replace"])
def test_a_copy_that_cannot_be_made_to_last_stops_the_migration_too(call, older, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(f"red_core.store.database.{call}", full)
    with pytest.raises(StoreError, match="No space left"):
        open_project(older.workspace, "p")
    monkeypatch.undo()
    assert "mood" not in tables(older.database)
    assert COPY not in names(older)


def test_a_copy_into_a_full_file_system_is_refused_in_one_line(older, tmp_path, monkeypatch):
    connect = sqlite3.connect

    class Full(sqlite3.Connection):
        def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
            if statement.startswith("VACUUM INTO"):
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(statement, *values)

    monkeypatch.setattr(sqlite3, "connect", lambda *place, **more: connect(*place, factory=Full, **more))
    with pytest.raises(StoreError, match=r"copy\.db: the disk is full"):
        copy_database(older, tmp_path / "copy.db")


def test_a_migration_that_fails_leaves_the_database_and_the_copy(older, monkeypatch):
    monkeypatch.setattr(database, "migrations", with_one_more(fails=True))
    for _ in range(2):
        with pytest.raises(StoreError):
            open_project(older.workspace, "p")
    assert "mood" not in tables(older.database)
    assert names(older) == {"project.db", COPY}


def test_half_a_copy_of_a_process_that_was_killed_is_replaced(older):
    (older.folder / f"{COPY}.partial").write_bytes(b"half")
    open_project(older.workspace, "p")
    assert names(older) == {"project.db", COPY}


def at_once(act: Callable[[], object]) -> list[StoreError]:
    """Do it in eight threads, each with a connection of its own; return what failed."""
    failed: list[StoreError] = []

    def one() -> None:
        try:
            act()
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def test_of_many_that_open_an_older_database_at_once_one_brings_it_up_to_date(older):
    assert at_once(lambda: open_project(older.workspace, "p")) == []
    assert "mood" not in tables(older.folder / COPY)
    assert remembered(older, "greeting") == "hello"


def test_of_many_that_make_the_same_project_at_once_all_succeed(workspace):
    assert at_once(lambda: create_project(workspace, "p")) == []
    with transaction(Project(workspace, "p")) as db:
        assert db.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()[0] == len(migrations._migrations)
