"""Disks that are full, folders that cannot be written, databases that are locked, damaged or newer: one line each."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from small_projects import write_csv

from red_core import cli
from red_core.records import Project
from red_core.store import database
from red_core.store.vectors import append_vectors, indexed_bytes, vector_file, without_vector

RED = Path(sys.executable).with_name("red")
VERBS = {
    "status": [],
    "round": [],
    "feed-back": [],
    "close": [],
    "roll-back": ["1"],
    "export": ["out.csv"],
    "predict": ["in.csv", "out.csv"],
    "import": ["--pool", "in.csv"],
    "backup": ["out.zip"],
    "meanings": [],
}


@pytest.fixture
def closing_at_the_end() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


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


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_verb_says_in_one_line_what_is_wrong_and_changes_nothing(
    fault: Callable[..., str], verb, project, closing_at_the_end, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "in.csv", ["text"], [["a text"]])
    says = fault(project, closing_at_the_end, monkeypatch)
    there, before = set(tmp_path.iterdir()), project.database.read_bytes()
    result = CliRunner().invoke(cli.main, ["--workspace", str(project.workspace), verb, "small", *VERBS[verb]])
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert says in line
    assert project.database.read_bytes() == before
    assert set(tmp_path.iterdir()) == there


def test_an_error_of_the_file_system_that_nobody_foresaw_is_one_line_too(project, monkeypatch):
    def broken(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/some/where")

    monkeypatch.setattr("red_core.cli.rounds.status", broken)
    result = CliRunner().invoke(cli.main, ["--workspace", str(project.workspace), "status", "small"])
    assert result.exit_code == 1
    assert result.stderr == "Error: /some/where: Permission denied. Check the disk and the permissions.\n"


def test_vectors_that_do_not_fit_on_the_disk_leave_no_half_of_them(project, monkeypatch):
    known = indexed_bytes(project)[vector_file(project, "fake")]
    with database.transaction(project) as db:
        db.execute("INSERT INTO text (text_id, content) VALUES ('new', 'new')")

    def full_disk(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("red_core.store.vectors.os.fsync", full_disk)
    with pytest.raises(database.StoreError, match="No space left"):
        append_vectors(project, "fake", without_vector(project, "fake"), np.ones((1, 24), dtype=np.float32))
    assert vector_file(project, "fake").stat().st_size == known


IN_A_SMALL_ROOM = """
set -e
mount -t tmpfs -o size=2000k tmpfs "$1"
cp -r "$2" "$1/small"
head -c 100000000 /dev/zero >"$1/fill" 2>/dev/null || true
cd "$1"
"$3" --workspace "$1" export small out.csv && exit 9
rm fill
mount -o remount,ro "$1"
"$3" --workspace "$1" export small out.csv && exit 9
mount -o remount,rw "$1"
"$3" --workspace "$1" status small >/dev/null
"""


@pytest.mark.long
@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare: a small file system cannot be made")
def test_on_a_disk_that_is_really_full_and_then_really_read_only(project, tmp_path):
    (tmp_path / "room").mkdir()
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*alone, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path / "room")], check=False).returncode:
        pytest.skip("a small file system may not be made here")
    command = [*alone, "sh", "-c", IN_A_SMALL_ROOM, "sh", str(tmp_path / "room"), str(project.folder), str(RED)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    first, second = done.stderr.splitlines()
    assert first.endswith("the disk is full. Free some space, then try again; nothing was lost.")
    assert second.startswith("Error: ")
    assert "it cannot be written" in second
