"""Open a project's database, run a transaction, and say in one line what is wrong when it cannot be done.

Whoever acts is asked for here, at the one door to every project: a viewer's connections cannot write.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlite_utils import Database

from red_core.access import current_user, refuse_viewers
from red_core.errors import AccessError, ProjectError, StoreError
from red_core.records import Project
from red_core.store.migrations import migrations

BUSY_SECONDS = 30
"""How long to wait for another process's short transaction before saying that the database is locked."""
LEAST_FREE = 2**20
"""With less room SQLite cannot even make the small files it reads with, and calls that an I/O error."""
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
    ProjectError, StoreError, AccessError
    """
    refuse_viewers()
    project = Project(workspace, check_name(name))
    with _said_in_one_line(project):
        project.folder.mkdir(parents=True, exist_ok=True)
        with closing(_open(project)) as db:
            _migrate(project, db)
    return project


def find_project(workspace: Path, name: str) -> Project:
    """Return an existing project, its database as it is.

    Raises
    ------
    ProjectError
        If there is no such project; the text lists those there are.
    StoreError
        If its folder cannot be read.
    """
    project = Project(workspace, check_name(name))
    with _said_in_one_line(project):
        is_there = project.database.is_file()
    if not is_there:
        there = ", ".join(project_names(workspace)[:10]) or "none yet"
        raise ProjectError(
            f"there is no project {name!r} in {workspace} (there: {there}). Begin with `red import {name}`."
        )
    return project


def open_project(workspace: Path, name: str) -> Project:
    """Return an existing project, its database brought up to date.

    Raises
    ------
    ProjectError
        If there is no such project; the text lists those there are.
    StoreError
        If the database cannot be read, or was written by a newer version.
    AccessError
        If it has to be brought up to date, and a viewer opens it.
    """
    project = find_project(workspace, name)
    with _said_in_one_line(project), closing(_open(project)) as db:
        _migrate(project, db)
    return project


def project_names(workspace: Path) -> list[str]:
    """Return the names of the projects in a workspace, sorted."""
    return sorted(p.parent.name for p in workspace.glob("*/project.db"))


@contextmanager
def connection(project: Project) -> Iterator[Database]:
    """Open a connection for one operation; a viewer's can only read, whatever is asked of it.

    Raises
    ------
    StoreError
        Whatever SQLite or the file system refuses, in one line.
    AccessError
        If nobody is let in, or a viewer would write.
    """
    with _said_in_one_line(project), closing(_open(project)) as db:
        yield db


@contextmanager
def transaction(project: Project) -> Iterator[Database]:
    """Open a connection and hold the write lock: all of the block is stored, or nothing of it.

    Raises
    ------
    StoreError, AccessError
        As :func:`connection`.
    """
    refuse_viewers()
    with connection(project) as db:
        db.execute("BEGIN IMMEDIATE")
        with db.conn:  # commits, or rolls back on any exception
            yield db


def _open(project: Project) -> Database:
    may_write = current_user().may_write
    with ExitStack() as on_error:
        raw = sqlite3.connect(project.database, timeout=BUSY_SECONDS)
        on_error.callback(raw.close)
        if may_write:
            raw.execute("PRAGMA journal_mode = WAL")
            raw.execute("PRAGMA synchronous = FULL")  # an acknowledged row survives a power cut
        else:
            raw.execute("PRAGMA query_only = ON")  # SQLite itself refuses, also what forgot to ask
        raw.execute("PRAGMA foreign_keys = ON")
        on_error.pop_all()
    return Database(raw, execute_plugins=False)


def missing_migrations(project: Project) -> list[str]:
    """Return the names of the migrations that opening the project would apply; nothing is changed.

    Raises
    ------
    StoreError
        If the database cannot be read, or was written by a newer version.
    """
    with connection(project) as db:
        return _missing(project, db)


def _missing(project: Project, db: Database) -> list[str]:
    with closing(Database(memory=True, execute_plugins=False)) as empty:
        ours = {m.name for m in migrations.pending(empty)}
    applied = [m.name for m in migrations.applied(db)]
    if not ours.issuperset(applied):
        raise StoreError(
            f"{project.database} was written by a newer version of this program ({applied[-1]}). "
            "Update the program, or restart the app if it was updated; nothing was changed."
        )
    return [m.name for m in migrations.pending(db)]


def _migrate(project: Project, db: Database) -> None:
    if not _missing(project, db):
        return
    if not current_user().may_write:
        raise AccessError(
            f"project {project.name} was last opened by an older version of this program. "
            "It is brought up to date when an analyst opens it."
        )
    db.execute("BEGIN IMMEDIATE")  # of programs that open it at once, one brings it up to date, the others wait
    with db.conn:
        missing = _missing(project, db)
        if missing and migrations.applied(db):  # an older database with content
            _keep_copy(project, missing[0])
        migrations.apply(db)


def _keep_copy(project: Project, migration: str) -> None:
    """Keep a copy of the database as it is before a migration, or raise."""
    copy = project.database.with_name(f"project-before-{migration}.db")
    partial = copy.with_name(f"{copy.name}.partial")
    try:
        partial.unlink(missing_ok=True)  # of a process that was killed here
        copy_database(project, partial)
        partial.replace(copy)
    except StoreError as error:
        partial.unlink(missing_ok=True)
        raise StoreError(f"{error} Without that copy the database is not brought up to date.") from error


def copy_database(project: Project, target: Path) -> None:
    """Write the database as it is now to ``target``, which is not there yet, while others may read and write.

    Raises
    ------
    StoreError
    """
    place = f"{project.database.absolute().as_uri()}?mode=rw"  # never makes a database that is not there
    with _said_in_one_line(project), closing(sqlite3.connect(place, uri=True, timeout=BUSY_SECONDS)) as db:
        try:
            db.execute("VACUUM INTO ?", [str(target)])
        except sqlite3.OperationalError as error:
            raise StoreError(f"{target}: {_remedy(str(error), target.parent)}") from error
        with target.open("rb") as file:
            os.fsync(file.fileno())


@contextmanager
def _said_in_one_line(project: Project) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY:
            refuse_viewers()
        raise StoreError(f"{project.database}: {_remedy(str(error), project.folder)}") from error
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


def _remedy(error: str, folder: Path) -> str:
    if "locked" in error:
        return f"another program has held the database for {BUSY_SECONDS} s. Close it, then try again."
    if "full" in error or ("disk I/O" in error and folder.is_dir() and shutil.disk_usage(folder).free < LEAST_FREE):
        return "the disk is full. Free some space, then try again; nothing was lost."
    if "disk I/O" in error:
        return "the disk cannot be read or written. Check its quota, its mount and its health, then try again."
    if "readonly" in error or "unable to open" in error:
        return f"it cannot be written ({error}). Check the folder and its permissions."
    return f"{error}. Restore it from a backup; nothing was changed."
