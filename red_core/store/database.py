"""Open a project's database, run a transaction, and say in one line what is wrong when it cannot be done."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlite_utils import Database

from red_core.errors import ProjectError, StoreError
from red_core.records import Project
from red_core.store.migrations import migrations

BUSY_SECONDS = 30
"""How long to wait for another process's short transaction before saying that the database is locked."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def check_name(name: str) -> str:
    """Return ``name`` if a project may have it.

    Raises
    ------
    ProjectError
        If it is not 1 to 64 letters, digits, dots, dashes and underscores, beginning with a letter or digit.
    """
    if not _NAME.fullmatch(name):
        raise ProjectError(
            f"project name {name!r} is not allowed. Use 1 to 64 letters, digits, '.', '-' or '_', "
            "beginning with a letter or digit."
        )
    return name


def create_project(workspace: Path, name: str) -> Project:
    """Return the project of that name, made now if it is not there yet.

    Raises
    ------
    ProjectError, StoreError
    """
    project = Project(workspace, check_name(name))
    with _said_in_one_line(project):
        project.folder.mkdir(parents=True, exist_ok=True)
        with closing(_open(project)) as db:
            _migrate(project, db)
    return project


def open_project(workspace: Path, name: str) -> Project:
    """Return an existing project, its database brought up to date.

    Raises
    ------
    ProjectError
        If there is no such project; the text lists those there are.
    StoreError
        If the database cannot be read, or was written by a newer version.
    """
    project = Project(workspace, check_name(name))
    if not project.database.is_file():
        there = ", ".join(project_names(workspace)[:10]) or "none yet"
        raise ProjectError(
            f"there is no project {name!r} in {workspace} (there: {there}). Begin with `red import {name}`."
        )
    with _said_in_one_line(project), closing(_open(project)) as db:
        _migrate(project, db)
    return project


def project_names(workspace: Path) -> list[str]:
    """Return the names of the projects in a workspace, sorted."""
    return sorted(p.parent.name for p in workspace.glob("*/project.db"))


@contextmanager
def connection(project: Project) -> Iterator[Database]:
    """Open a connection for one operation.

    Raises
    ------
    StoreError
        Whatever SQLite or the file system refuses, in one line.
    """
    with _said_in_one_line(project), closing(_open(project)) as db:
        yield db


@contextmanager
def transaction(project: Project) -> Iterator[Database]:
    """Open a connection and hold the write lock: all of the block is stored, or nothing of it."""
    with connection(project) as db:
        db.execute("BEGIN IMMEDIATE")
        with db.conn:  # commits, or rolls back on any exception
            yield db


def _open(project: Project) -> Database:
    with ExitStack() as on_error:
        raw = sqlite3.connect(project.database, timeout=BUSY_SECONDS)
        on_error.callback(raw.close)
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA synchronous = FULL")  # an acknowledged row survives a power cut
        raw.execute("PRAGMA foreign_keys = ON")
        on_error.pop_all()
    return Database(raw, execute_plugins=False)


def _migrate(project: Project, db: Database) -> None:
    with closing(Database(memory=True, execute_plugins=False)) as empty:
        ours = {m.name for m in migrations.pending(empty)}
    applied = [m.name for m in migrations.applied(db)]
    if not ours.issuperset(applied):
        raise StoreError(
            f"{project.database} was written by a newer version of this program ({applied[-1]}). "
            "Update the program, or restart the app if it was updated; nothing was changed."
        )
    pending = migrations.pending(db)
    if pending and applied:  # an older database with content: keep a copy
        copy = project.database.with_name(f"project-before-{pending[0].name}.db")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy2(project.database, copy)
    if pending:
        migrations.apply(db)


@contextmanager
def _said_in_one_line(project: Project) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreError(f"{project.database}: {_remedy(str(error))}") from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError):
            raise
        raise StoreError(
            f"{project.database} is not a readable database ({error}). Restore it from a backup; nothing was changed."
        ) from error
    except OSError as error:
        raise StoreError(
            f"{error.filename or project.folder}: {error.strerror}. Check the folder, its space and its permissions."
        ) from error


def _remedy(error: str) -> str:
    if "locked" in error:
        return f"another program has held the database for {BUSY_SECONDS} s. Close it, then try again."
    if "full" in error:
        return "the disk is full. Free some space, then try again; nothing was lost."
    if "readonly" in error or "unable to open" in error:
        return f"it cannot be written ({error}). Check the folder and its permissions."
    return f"{error}. Restore it from a backup; nothing was changed."
