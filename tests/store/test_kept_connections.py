"""Connections that a server keeps open: for the same file and role only, and never with an old snapshot."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from red_core.access.who import Person, acting_as
from red_core.errors import AccessError, ProjectReplaced
from red_core.records import Project
from red_core.store import kept_connections
from red_core.store.database import connection, create_project, open_project, renew_id, transaction
from red_core.store.kept_connections import MOST, keep_connections
from red_core.store.texts import remember, remembered


@pytest.fixture
def project(workspace) -> Iterator[Project]:
    keep_connections()
    yield create_project(workspace, "p")
    keep_connections(keep=False)
    assert kept_connections._idle == []


def test_a_command_keeps_none(workspace):
    remember(create_project(workspace, "p"), "greeting", "hello")
    assert kept_connections._idle == []


def test_the_next_operation_takes_the_same_connection(project):
    with connection(project) as first:
        pass
    with connection(project) as second:
        assert second.conn is first.conn
    with connection(project) as one, connection(project) as another:
        assert one.conn is not another.conn


def test_a_replaced_database_is_another_file(project, workspace):
    remember(project, "greeting", "hello")
    shutil.rmtree(project.folder)
    other = create_project(workspace, "p")
    remember(other, "greeting", "good day")
    assert remembered(Project(workspace, "p"), "greeting") == "good day"
    with pytest.raises(ProjectReplaced):
        remembered(project, "greeting")


def test_a_database_with_a_new_id_in_the_same_file_is_another_project(project, workspace):
    remember(project, "greeting", "hello")
    renew_id(open_project(workspace, "p"))
    with pytest.raises(ProjectReplaced) as caught:
        remember(project, "farewell", "goodbye")
    assert "Nothing was stored" in str(caught.value)
    assert remembered(open_project(workspace, "p"), "farewell", "none") == "none"


def test_a_removed_project_is_not_made_again_by_a_connection_to_it(project):
    remember(project, "greeting", "hello")
    project.database.unlink()
    with pytest.raises(Exception, match="unable to open"):
        remembered(project, "greeting")
    assert not project.database.exists()


def test_a_viewer_never_gets_the_connection_of_an_analyst(project):
    remember(project, "greeting", "hello")
    with acting_as(Person("vera", "viewer")), pytest.raises(AccessError), connection(project) as db:
        db.execute("DELETE FROM project")
    assert remembered(project, "greeting") == "hello"


def test_a_cursor_left_open_does_not_keep_an_old_snapshot(project):
    remember(project, "greeting", "hello")
    with connection(project) as db:
        left = db.execute("SELECT key, value FROM project ORDER BY key")
        left.fetchone()
    with closing(sqlite3.connect(project.database)) as other, other:
        other.execute("UPDATE project SET value = 'good day' WHERE key = 'greeting'")
    assert remembered(project, "greeting") == "good day"
    with pytest.raises(sqlite3.ProgrammingError):
        left.fetchone()


def test_after_an_error_a_connection_is_closed(project):
    def fail() -> None:
        with transaction(project) as db:
            db.execute("INSERT INTO project (key, value) VALUES ('half', 'done')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert kept_connections._idle == []
    assert remembered(project, "half", "no") == "no"


def test_many_threads_share_a_few_connections(project):
    def count() -> None:
        for number in range(20):
            remember(project, f"{threading.get_ident()} {number}", "x")

    threads = [threading.Thread(target=count) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with connection(project) as db:
        assert db.execute("SELECT count(*) FROM project WHERE value = 'x'").fetchone() == (120,)
    assert len(kept_connections._idle) <= MOST
