"""Back up a project to one file while others work on it, and restore a project from such a file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from red_core.access import refuse_viewers
from red_core.data.backup_archive import DATABASE, MEMBER, Manifest, pack, read_manifest, refusal, unpack, whole
from red_core.data.tables.source import disk_error
from red_core.errors import InputError, ProjectError, StoreError
from red_core.records import Project, Report
from red_core.store.arrays import array_files
from red_core.store.contents import content_faults
from red_core.store.database import check_name, copy_database, open_project
from red_core.store.health import database_faults, vector_faults
from red_core.store.vectors import indexed_bytes

RESTORING = ".restoring-"
"""Prefix of the temporary folder in which a project is restored before it gets its name."""
CHECK_SECONDS, CHECK_BYTES = 120, 5_000_000
"""The check of a restored project may take so many seconds, and one more for each so many bytes."""
PACKAGE = Path(__file__).parents[1]
_CHECK = """
import sys, types
package = types.ModuleType("red_core")  # without its __init__, which imports all rooms: that would take seconds
package.__path__ = [sys.argv[1]]
sys.modules["red_core"] = package
from red_core.store.backup_check import main
main(*sys.argv[2:])
"""


def back_up(project: Project, file: str | Path, report: Report = lambda _stage, _done, _total: None) -> Manifest:
    """Write a snapshot of a project to one file and return its manifest; others may go on working.

    Job logs and the database copies made by updates are left out.

    Parameters
    ----------
    file : path
        A new file; only its owner may read it.

    Raises
    ------
    InputError
        If the file exists, or cannot be written.
    StoreError
        If the project is damaged, so that its backup could not be restored.
    """
    target = Path(file)
    if os.path.lexists(target):
        raise InputError(str(file), "it exists already", "Choose another file name")
    try:
        with TemporaryDirectory(prefix=".backup-", dir=target.parent) as folder:
            # List the arrays first, so that the copy of the database has the rounds and subsets they belong to.
            arrays = [path for path in array_files(project) if MEMBER.fullmatch(_name(project, path))]
            copy = Project(Path(folder), project.name)
            copy.folder.mkdir()
            copy_database(project, copy.database)
            if faults := database_faults(copy) + vector_faults(project) or list(islice(content_faults(copy), 1)):
                raise StoreError(f"{project.folder} is damaged: {faults[0]}. Restore an earlier backup.")
            files: dict[str, tuple[Path, int | None]] = {DATABASE: (copy.database, copy.database.stat().st_size)}
            for path, known in indexed_bytes(copy).items():
                files[path.name] = (project.folder / path.name, known)
            size = sum(known or 0 for _, known in files.values()) + sum(path.stat().st_size for path in arrays)
            files |= {_name(project, path): (path, None) for path in arrays}
            archive = Path(folder) / "backup.zip"
            moved = _counting("back up", size, report)
            manifest = pack(archive, project.name, files, moved)
            archive.rename(target)
            _sync(target.parent)
    except OSError as error:
        raise disk_error(str(file), "written", error) from error
    return manifest


def restore(
    workspace: str | Path,
    file: str | Path,
    name: str | None = None,
    report: Report = lambda _stage, _done, _total: None,
) -> Project:
    """Return a project restored from a backup, completely or not at all; a job that was running is *interrupted*.

    Parameters
    ----------
    name : str, optional
        The new name; by default the old one. It must be free.

    Raises
    ------
    InputError
        If the file is not a complete backup.
    ProjectError
        If the name is taken or not allowed.
    StoreError
        If the workspace cannot be written or is full.
    AccessError
        If the current user is a viewer.
    """
    refuse_viewers()
    workspace, path, shown = Path(workspace), Path(file), str(file)
    try:
        if not path.is_file():
            raise InputError(shown, "there is no such file", "Name a file that `red backup` wrote")
        with path.open("rb") as raw:
            with whole(shown):
                zipped = zipfile.ZipFile(raw)
                manifest = read_manifest(shown, zipped, path.stat().st_size)
            project = Project(workspace, check_name(name or manifest.project))
            _check_place(project, manifest.bytes)
            workspace.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=RESTORING, dir=workspace) as folder:
                copy = Project(Path(folder), project.name)
                with whole(shown):
                    unpack(shown, zipped, manifest, copy.folder, _counting("restore", manifest.bytes, report))
                _make_usable(shown, copy, manifest.bytes)
                copy.folder.rename(project.folder)
                _sync(workspace)
    except OSError as error:
        raise StoreError(
            f"{error.filename or workspace}: {error.strerror}. "
            "Check the folder, its space and its permissions; nothing was restored."
        ) from error
    return open_project(workspace, project.name)


def _name(project: Project, path: Path) -> str:
    return path.relative_to(project.folder).as_posix()


def _counting(stage: str, total: int, report: Report) -> Callable[[int], None]:
    done = 0

    def moved(count: int) -> None:
        nonlocal done
        done += count
        report(stage, done, total)

    return moved


def _check_place(project: Project, needed: int) -> None:
    if os.path.lexists(project.folder):
        raise ProjectError(
            f"there is already a project {project.name!r} in {project.workspace}. Choose another name: --as NAME."
        )
    existing = next(folder for folder in (project.workspace, *project.workspace.absolute().parents) if folder.exists())
    if needed > (free := shutil.disk_usage(existing).free):
        raise StoreError(
            f"{project.workspace}: the backup needs {needed / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free. "
            "Free some space; nothing was restored."
        )


def _make_usable(file: str, copy: Project, size: int) -> None:
    """Check the unpacked project and update its database, in another process that is stopped when it takes too long."""
    command = [sys.executable, "-c", _CHECK, str(PACKAGE), str(copy.workspace.absolute()), copy.name]
    seconds = CHECK_SECONDS + size / CHECK_BYTES
    try:
        checked = subprocess.run(  # noqa: S603  our own module
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise refusal(file, f"checking its content takes longer than {seconds:.0f} s") from None
    try:
        fault = str(json.loads(checked.stdout)["fault"])
    except (ValueError, KeyError, TypeError):
        fault = f"the check of its content was stopped ({checked.returncode})"
    if fault:
        raise refusal(file, f"its content cannot be used: {fault.rstrip('.')}")
    for folder in (copy.folder, copy.folder / "rounds", copy.folder / "map"):
        if folder.is_dir():
            _sync(folder)


def _sync(folder: Path) -> None:
    """Flush the names in a folder to disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
