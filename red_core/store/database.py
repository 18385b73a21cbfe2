"""Connections and transactions on a project's database; SQLite's errors become one-line messages.

Every connection checks the current user first: a viewer's connections cannot write.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from sqlite_utils import Database, Migrations

from red_core.access import current_user, refuse_viewers
from red_core.errors import AccessError, ProjectError, ProjectReplaced, StoreError
from red_core.records import Project
from red_core.store.checksums import seal
from red_core.store.kept_connections import KeptConnection, Key, give_back, key_of, take
from red_core.store.migrations import migrations
from red_core.store.searching import add_search

BUSY_SECONDS = 30
"""Seconds to wait for another process's transaction before the database counts as locked."""
LEAST_FREE = 2**20
"""With fewer free bytes SQLite cannot create its temporary files and reports an I/O error."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def now() -> str:
    """Return the current time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def check_name(name: str) -> str:
    """Return ``name`` if it is allowed for a project.

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
    """Return the project of that name; it is created if it does not exist.

    Raises
    ------
    ProjectError, StoreError, AccessError
    """
    refuse_viewers()
    project = Project(workspace, check_name(name))
    with _one_line_errors(project):
        project.folder.mkdir(parents=True, exist_ok=True)
        with closing(_open(project, create=True)) as db:
            _migrate(project, db)
            return replace(project, id=_id_in(db))


def find_project(workspace: Path, name: str) -> Project:
    """Return an existing project, its database as it is.

    Raises
    ------
    ProjectError
        If there is no such project; the message lists the existing ones.
    StoreError
        If its folder cannot be read.
    """
    project = Project(workspace, check_name(name))
    with _one_line_errors(project):
        is_there = project.database.is_file()
    if not is_there:
        names = ", ".join(project_names(workspace)[:10]) or "none"
        raise ProjectError(
            f"there is no project {name!r} in {workspace} (existing: {names}). Create it with `red import {name}`."
        )
    return project


def open_project(workspace: Path, name: str) -> Project:
    """Return an existing project, its database brought up to date.

    Raises
    ------
    ProjectError
        If there is no such project; the message lists the existing ones.
    StoreError
        If the database cannot be read, or was written by a newer version.
    AccessError
        If it has to be updated, and the current user is a viewer.
    """
    project = find_project(workspace, name)
    with connection(project) as db:
        _migrate(project, db)
        return replace(project, id=_id_in(db))


def _id_in(db: Database) -> str:
    row = db.execute("SELECT value FROM project WHERE key = 'id'").fetchone()
    return str(row[0]) if row else ""


def renew_id(project: Project) -> None:
    """Give a project a new id, because it is a copy: what was opened as another project is not this one."""
    with transaction(project) as db:
        db.execute("INSERT OR REPLACE INTO project (key, value) VALUES ('id', lower(hex(randomblob(16))))")


def project_names(workspace: Path) -> list[str]:
    """Return the names of the projects in a workspace, sorted; a folder that is no project is left out."""
    folders = (path.parent for path in workspace.glob("*/project.db"))
    return sorted(folder.name for folder in folders if _NAME.fullmatch(folder.name) and _has_database(folder))


def _has_database(folder: Path) -> bool:
    try:
        return (folder / "project.db").is_file()
    except OSError:  # a folder of somebody else
        return False


@contextmanager
def connection(project: Project) -> Iterator[Database]:
    """Open a connection for one operation; a viewer's connection can only read.

    Raises
    ------
    StoreError
        If SQLite or the file system reports an error.
    ProjectReplaced
        If the folder holds another project than the one that was opened.
    AccessError
        If nobody is signed in, or a viewer tries to write.
    """
    with _one_line_errors(project), ExitStack() as on_error:
        db = _open(project)
        on_error.callback(db.conn.close)
        yield db
        on_error.pop_all()
        give_back(db.conn)


@contextmanager
def transaction(project: Project) -> Iterator[Database]:
    """Open a connection and hold the write lock: all of the block is stored, or nothing of it.

    Raises
    ------
    StoreError, ProjectReplaced, AccessError
        As :func:`connection`.
    """
    refuse_viewers()
    with connection(project) as db:
        db.execute("BEGIN IMMEDIATE")
        with db.conn:  # commits, or rolls back on any exception
            yield db
            seal(db)


def _open(project: Project, *, create: bool = False) -> Database:
    may_write = current_user().may_write
    key = key_of(project.database, may_write=may_write)
    raw: sqlite3.Connection | None = take(key) if key else None
    with ExitStack() as on_error:
        if raw is None:
            try:
                raw = _connected(project, "mode=rwc" if create else "mode=rw", key, may_write=may_write)
            except sqlite3.OperationalError:
                if not _has_no_room_for_files(project.folder) or project.database.with_name("project.db-wal").exists():
                    raise
                # SQLite needs a file beside the database even to read. Without that file nobody can write to it.
                raw = _connected(project, "mode=ro&immutable=1", None, may_write=False)
            on_error.callback(raw.close)
        else:
            on_error.callback(raw.close)
        db = Database(raw, execute_plugins=False)
        if project.id and _id_in(db) != project.id:
            raise ProjectReplaced(project.name)
        on_error.pop_all()
    return db


def _connected(project: Project, mode: str, key: Key | None, *, may_write: bool) -> sqlite3.Connection:
    """Return a new connection that has read the database once."""
    uri = f"file:{quote(str(project.database.absolute()))}?{mode}"
    with ExitStack() as on_error:
        if key is None:
            raw = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)
        else:  # another thread may use a kept connection later, but never two at once
            raw = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False, factory=KeptConnection)
            raw.key = key
        on_error.callback(raw.close)
        if may_write:
            raw.execute("PRAGMA journal_mode = WAL")
            raw.execute("PRAGMA synchronous = FULL")  # an acknowledged row survives a power cut
        else:
            raw.execute("PRAGMA query_only = ON")  # SQLite refuses every write, even one without a check of ours
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute("PRAGMA trusted_schema = OFF")  # a restored database may come from anybody
        raw.execute("PRAGMA schema_version")
        add_search(raw)
        on_error.pop_all()
        return raw


def _has_no_room_for_files(folder: Path) -> bool:
    """Return whether the file system has no free inode; some file systems do not count them."""
    counts = os.statvfs(folder)
    return counts.f_files > 0 and counts.f_favail == 0


def missing_migrations(project: Project) -> list[str]:
    """Return the names of the migrations that opening the project would apply; nothing is changed.

    Raises
    ------
    StoreError
        If the database cannot be read, or was written by a newer version.
    """
    with connection(project) as db:
        return _missing(project, db)


def migration_names() -> list[str]:
    """Return the names of all migrations of this program, the first one first."""
    return list(_names(migrations))


@lru_cache(maxsize=4)
def _names(all_of_them: Migrations) -> tuple[str, ...]:
    with closing(Database(memory=True, execute_plugins=False)) as empty:
        return tuple(migration.name for migration in all_of_them.pending(empty))


def _missing(project: Project, db: Database) -> list[str]:
    applied = [m.name for m in migrations.applied(db)]
    if not set(migration_names()).issuperset(applied):
        raise StoreError(
            f"{project.database} was written by a newer version of this program ({applied[-1]}). "
            "Update the program, or restart the app after an update. Nothing was changed."
        )
    return [m.name for m in migrations.pending(db)]


def _migrate(project: Project, db: Database) -> None:
    if not _missing(project, db):
        return
    if not current_user().may_write:
        raise AccessError(
            f"project {project.name} was last opened by an older version of this program. "
            "It is updated when an analyst opens it."
        )
    db.execute("BEGIN IMMEDIATE")  # if several programs open it at once, one updates it and the others wait
    with db.conn:
        missing = _missing(project, db)
        copied = bool(missing and migrations.applied(db))  # an older database with data
        if copied:
            _keep_copy(project, missing[0])
        migrations.apply(db)
    if copied:
        _remove_older_copies(project, missing[0])


def _keep_copy(project: Project, migration: str) -> None:
    """Write a copy of the database before a migration, or raise StoreError."""
    copy = project.database.with_name(f"project-before-{migration}.db")
    partial = copy.with_name(f"{copy.name}.partial")
    try:
        partial.unlink(missing_ok=True)  # left by a process that was killed here
        copy_database(project, partial)
        partial.replace(copy)
    except StoreError as error:
        partial.unlink(missing_ok=True)
        raise StoreError(f"{error} The database is not updated without that copy.") from error


def _remove_older_copies(project: Project, newest: str) -> None:
    """Remove the copies of earlier updates: what they hold is in the newest one, too."""
    with suppress(OSError):  # they only take space
        for copy in project.folder.glob("project-before-*.db"):
            if copy.name != f"project-before-{newest}.db":
                copy.unlink()


def copy_database(project: Project, target: Path) -> None:
    """Write a consistent copy of the database to ``target``, a new file, while others may read and write.

    Raises
    ------
    StoreError
    """
    uri = f"{project.database.absolute().as_uri()}?mode=rw"  # mode=rw: never create a database
    with _one_line_errors(project), closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as db:
        try:
            db.execute("VACUUM INTO ?", [str(target)])
        except sqlite3.OperationalError as error:
            raise StoreError(f"{target}: {_remedy(str(error), target.parent)}") from error
        with target.open("rb") as file:
            os.fsync(file.fileno())


@contextmanager
def _one_line_errors(project: Project) -> Iterator[None]:
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
    except json.JSONDecodeError as error:  # of what was stored: nothing else is read inside
        raise StoreError(
            f"{project.database} holds a value that cannot be read ({error.msg}). Check it with `red doctor`, and "
            "restore a backup."
        ) from error
    except OSError as error:
        raise StoreError(
            f"{error.filename or project.folder}: {error.strerror}. Check the folder, its space and its permissions."
        ) from error


def _remedy(error: str, folder: Path) -> str:
    if "locked" in error:
        return f"another program has held the database for {BUSY_SECONDS} s. Close it, then try again."
    if folder.is_dir() and _has_no_room_for_files(folder):
        return "the disk has no room for another file. Delete some files, then try again; nothing was lost."
    if "full" in error or ("disk I/O" in error and folder.is_dir() and shutil.disk_usage(folder).free < LEAST_FREE):
        return "the disk is full. Free some space, then try again; nothing was lost."
    if "disk I/O" in error:
        return "the disk cannot be read or written. Check its quota, its mount and its health, then try again."
    if "readonly" in error or "unable to open" in error:
        return f"it cannot be written ({error}). Check the folder and its permissions."
    return f"{error}. Restore it from a backup; nothing was changed."
