from __future__ import annotations

import hashlib
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from red_core.errors import ProjectError, StoreError
from red_core.records import Project
from red_core.store import database
from red_core.store.database import connection, create_project, open_project, project_names, transaction
from red_core.store.jobs import add_job, newest_job
from red_core.store.migrations import migrations
from red_core.store.texts import remember, remembered


@pytest.fixture
def project(workspace: Path) -> Project:
    made = create_project(workspace, "p")
    remember(made, "greeting", "hello")
    return made


def refusal(caught: pytest.ExceptionInfo[Exception]) -> str:
    line = str(caught.value)
    assert "\n" not in line
    assert line.isprintable()
    return line


def files_of(project: Project) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in project.folder.iterdir() if p.is_file()}


def begin_to_write(project: Project) -> None:
    remember(project, "another", "one")


# Names


@pytest.mark.parametrize("name", ["a", "A-b_c.9", "9lives", "x" * 64])
def test_a_project_may_be_named_with_letters_digits_dots_dashes_and_underscores(name, workspace):
    create_project(workspace, name)
    assert project_names(workspace) == [name]


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", "a\\b", "-a", ".hidden", "a b", "é", "x" * 65, "a\n"])
def test_any_other_name_is_refused_before_anything_is_made(name, workspace):
    with pytest.raises(ProjectError, match="is not allowed") as caught:
        create_project(workspace, name)
    refusal(caught)
    assert not workspace.exists()


@pytest.mark.parametrize("name", ["../up", "", "a\n"])
def test_opening_by_a_name_that_is_not_allowed_is_refused(name, workspace):
    with pytest.raises(ProjectError, match="is not allowed"):
        open_project(workspace, name)


def test_a_project_that_is_not_there_is_refused_with_those_that_are(project):
    with pytest.raises(ProjectError, match=r"no project 'q' in .*\(existing: p\).*red import q") as caught:
        open_project(project.workspace, "q")
    refusal(caught)
    assert project_names(project.workspace) == ["p"]


def test_in_an_empty_workspace_there_are_none_yet(workspace):
    with pytest.raises(ProjectError, match="existing: none"):
        open_project(workspace, "p")


def test_making_a_project_twice_keeps_what_is_in_it(project):
    assert remembered(create_project(project.workspace, "p"), "greeting") == "hello"


# Transactions


class StoppedError(Exception):
    """Stands for a crash in the middle."""


def stop_half_way(project: Project) -> None:
    with transaction(project) as db:
        db.execute("INSERT INTO project (key, value) VALUES ('half', 'done')")
        raise StoppedError


def test_a_transaction_that_fails_stores_nothing(project):
    with pytest.raises(StoppedError):
        stop_half_way(project)
    assert remembered(project, "half", "absent") == "absent"


def test_what_a_transaction_stored_is_there_for_the_next_connection(project):
    with connection(project) as db:
        assert db.execute("SELECT value FROM project WHERE key = 'greeting'").fetchall() == [("hello",)]


def test_transactions_of_many_threads_wait_for_each_other(project):
    def add_one() -> None:
        for _ in range(10):
            with transaction(project) as db:
                number = int(db.execute("SELECT count(*) FROM project").fetchone()[0])
                db.execute("INSERT INTO project (key, value) VALUES (?, '')", [f"key {number}"])

    threads = [threading.Thread(target=add_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with connection(project) as db:
        assert db.execute("SELECT count(*) FROM project").fetchone() == (42,)  # with the greeting and the id


def test_a_reader_is_not_kept_waiting_by_a_writer(project):
    with transaction(project) as db:
        db.execute("INSERT INTO project (key, value) VALUES ('new', '')")
        assert remembered(project, "greeting") == "hello"


# Databases that cannot be used: one line, and nothing is changed


def test_a_locked_database_is_refused_in_one_line(project, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    before = files_of(project)
    with closing(sqlite3.connect(project.database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program has held the database") as caught:
            begin_to_write(project)
    assert str(project.database) in refusal(caught)
    assert files_of(project)["project.db"] == before["project.db"]


def test_a_read_only_database_is_refused_in_one_line(project, monkeypatch):
    before, connect = files_of(project), sqlite3.connect
    # A superuser may write everywhere, so permissions cannot be set: SQLite itself opens it to read only.
    monkeypatch.setattr(sqlite3, "connect", lambda path, **more: connect(path.replace("mode=rw", "mode=ro"), **more))
    with pytest.raises(StoreError, match=r"cannot be written .*Check the folder and its permissions") as caught:
        begin_to_write(project)
    refusal(caught)
    assert files_of(project)["project.db"] == before["project.db"]


def damage_header(content: bytes) -> bytes:
    return b"this is no database at all " * 10 + content[270:]


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 3]


def damage_tables(content: bytes) -> bytes:
    return content[:100] + b"\xa5" * (len(content) - 100)


@pytest.mark.parametrize("damage", [damage_header, cut_short, damage_tables])
def test_a_corrupt_database_is_refused_in_one_line(damage, project, workspace):
    project.database.write_bytes(damage(project.database.read_bytes()))
    before = files_of(project)
    with pytest.raises(StoreError, match="Restore it from a backup; nothing was changed") as caught:
        open_project(workspace, "p")
    refusal(caught)
    assert files_of(project)["project.db"] == before["project.db"]


def test_a_database_of_a_newer_version_is_refused_in_one_line(project, workspace):
    with closing(sqlite3.connect(project.database)) as db, db:
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('red_core', 'm999_later', 'now')"
        )
    before = files_of(project)
    with pytest.raises(StoreError, match=r"newer version of this program .m999_later.*Update the program") as caught:
        open_project(workspace, "p")
    refusal(caught)
    assert files_of(project) == before


def test_a_newer_database_is_refused_where_a_project_would_be_made_too(project, workspace):
    with closing(sqlite3.connect(project.database)) as db, db:
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('red_core', 'm999_later', 'now')"
        )
    with pytest.raises(StoreError, match="newer version"):
        create_project(workspace, "p")


def test_a_workspace_that_is_a_file_is_refused_in_one_line(workspace):
    workspace.write_text("a file")
    with pytest.raises(StoreError, match="Check the folder") as caught:
        create_project(workspace, "p")
    refusal(caught)
    assert workspace.read_text() == "a file"


def test_a_folder_where_the_database_should_be_is_refused_in_one_line(workspace):
    (workspace / "p" / "project.db").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be written") as caught:
        create_project(workspace, "p")
    refusal(caught)


def fill_the_disk(project: Project) -> None:
    with transaction(project) as db:
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        db.execute("INSERT INTO project (key, value) VALUES ('long', ?)", ["x" * 1_000_000])


def test_a_full_disk_is_refused_in_one_line(project):
    with pytest.raises(StoreError, match="the disk is full") as caught:
        fill_the_disk(project)
    refusal(caught)
    assert remembered(project, "long", "absent") == "absent"


def test_a_database_of_another_program_is_refused_and_its_tables_stay(workspace):
    (workspace / "p").mkdir(parents=True)
    path = workspace / "p" / "project.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE text (something TEXT)")
        db.execute("INSERT INTO text VALUES ('of theirs')")
    with pytest.raises(StoreError) as caught:
        create_project(workspace, "p")
    refusal(caught)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT * FROM text").fetchall() == [("of theirs",)]
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('job', 'source')").fetchone() == (0,)


# Migrations


def test_opening_a_database_that_is_up_to_date_changes_nothing(project, workspace):
    before = files_of(project)
    open_project(workspace, "p")
    assert files_of(project) == before


def with_one_more(fail: bool = False) -> Migrations:
    more = Migrations("red_core")
    for landed in migrations._migrations:
        more(name=landed.name)(landed.fn)

    @more()
    def m999_add_mood(db: Database) -> None:
        db.execute("CREATE TABLE mood (name TEXT) STRICT")
        if fail:
            db.execute("CREATE TABLE mood (name TEXT) STRICT")

    return more


def test_an_older_database_is_brought_up_to_date_with_what_is_in_it(project, workspace, monkeypatch):
    monkeypatch.setattr(database, "migrations", with_one_more())
    with connection(open_project(workspace, "p")) as db:
        assert db.execute("SELECT count(*) FROM mood").fetchone() == (0,)
    assert remembered(project, "greeting") == "hello"


def test_an_older_database_is_copied_before_it_is_changed(project, monkeypatch):
    monkeypatch.setattr(database, "migrations", with_one_more())
    open_project(project.workspace, "p")
    with closing(sqlite3.connect(project.folder / "project-before-m999_add_mood.db")) as copy:
        assert copy.execute("SELECT value FROM project WHERE key = 'greeting'").fetchall() == [("hello",)]
        assert copy.execute("SELECT count(*) FROM sqlite_master WHERE name = 'mood'").fetchone() == (0,)


def test_a_migration_that_fails_leaves_the_database_as_it_was(project, monkeypatch):
    monkeypatch.setattr(database, "migrations", with_one_more(fail=True))
    with pytest.raises(StoreError):
        open_project(project.workspace, "p")
    monkeypatch.undo()
    assert remembered(open_project(project.workspace, "p"), "greeting") == "hello"


def test_a_new_project_has_no_job_and_takes_one(project):
    assert newest_job(project) is None
    assert add_job(project, "prepare", "{}", "tester") == 1
