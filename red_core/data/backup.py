"""A whole project in one file, made while others work on it; and a project made from such a file."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from red_core.access import refuse_viewers
from red_core.data.backup_archive import DATABASE, MEMBER, Manifest, pack, read_manifest, refusal, unpack, whole
from red_core.data.tables.source import disk_error
from red_core.errors import InputError, ProjectError, StoreError, one_line
from red_core.records import Project, Report
from red_core.store.arrays import array_files
from red_core.store.database import check_name, copy_database, open_project
from red_core.store.health import database_faults, vector_faults
from red_core.store.jobs import end_job, newest_job
from red_core.store.vectors import indexed_bytes

RESTORING = ".restoring-"
"""How the folder's name begins in which a project is put together before it takes its place."""


def back_up(project: Project, file: str | Path, report: Report = lambda _stage, _done, _total: None) -> Manifest:
    """Write a project to one file, as it stands at one moment; a job may run and people may decide meanwhile.

    Logs of jobs and the copies of the database that updates kept stay out.

    Parameters
    ----------
    file : path
        Not there yet; it is made readable by its owner alone.

    Raises
    ------
    InputError
        If the file is there, or cannot be written.
    StoreError
        If the project is damaged, so that its backup could not be restored.
    """
    target = Path(file)
    if os.path.lexists(target):
        raise InputError(str(file), "it is there already", "Name a file that is not there yet")
    try:
        with TemporaryDirectory(prefix=".backup-", dir=target.parent) as made:
            # The arrays are listed first: then the copy of the database holds the rounds and subsets they belong to.
            arrays = [path for path in array_files(project) if MEMBER.fullmatch(_name(project, path))]
            copy = Project(Path(made), project.name)
            copy.folder.mkdir()
            copy_database(project, copy.database)
            if faults := database_faults(copy) + vector_faults(project):
                raise StoreError(f"{project.folder} is damaged: {faults[0]}. Restore an earlier backup.")
            files = {DATABASE: (copy.database, copy.database.stat().st_size)}
            for path, known in indexed_bytes(copy).items():
                files[path.name] = (project.folder / path.name, known)
            files |= {_name(project, path): (path, path.stat().st_size) for path in arrays}
            archive = Path(made) / "backup.zip"
            moved = _counting("back up", sum(length for _, length in files.values()), report)
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
    """Make a project from a backup, all of it or nothing; a job that ran when it was made is *interrupted*.

    Parameters
    ----------
    name : str, optional
        By default the name the project had. No project may have it yet.

    Raises
    ------
    InputError
        If the file is no whole backup.
    ProjectError
        If the name is taken or not allowed.
    StoreError
        If the workspace cannot be written or has no room.
    AccessError
        If a viewer acts.
    """
    refuse_viewers()
    workspace, path, told = Path(workspace), Path(file), str(file)
    try:
        if not path.is_file():
            raise InputError(told, "there is no such file", "Name a file that `red backup` wrote")
        with path.open("rb") as raw:
            with whole(told):
                zipped = zipfile.ZipFile(raw)
                manifest = read_manifest(told, zipped, path.stat().st_size)
            project = Project(workspace, check_name(name or manifest.project))
            _check_place(project, manifest.bytes)
            workspace.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=RESTORING, dir=workspace) as made:
                copy = Project(Path(made), project.name)
                with whole(told):
                    unpack(told, zipped, manifest, copy.folder, _counting("restore", manifest.bytes, report))
                _make_usable(told, copy)
                copy.folder.rename(project.folder)
                _sync(workspace)
    except OSError as error:
        raise StoreError(
            f"{error.filename or workspace}: {error.strerror}. "
            "Check the folder, its space and its permissions; nothing was restored."
        ) from error
    return project


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
            f"there is a project {project.name!r} in {project.workspace} already. Choose another: --as NAME."
        )
    there = next(folder for folder in (project.workspace, *project.workspace.absolute().parents) if folder.exists())
    if needed > (free := shutil.disk_usage(there).free):
        raise StoreError(
            f"{project.workspace}: the backup needs {needed / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free. "
            "Free some space; nothing was restored."
        )


def _make_usable(file: str, copy: Project) -> None:
    """Check the unpacked project, bring its database up to date, and end the job that ran when it was backed up."""
    try:
        if faults := database_faults(copy) + vector_faults(copy):
            raise refusal(file, f"what it holds is damaged: {faults[0]}")
        open_project(copy.workspace, copy.name)
    except StoreError as error:
        raise refusal(file, f"it cannot be used ({one_line(str(error), 240)})") from error
    job = newest_job(copy)
    if job is not None and job.state in {"waiting", "running"}:
        end_job(copy, job.id, "interrupted", "it ran when this project was backed up")
    for folder in (copy.folder, copy.folder / "rounds", copy.folder / "map"):
        if folder.is_dir():
            _sync(folder)


def _sync(folder: Path) -> None:
    """Make the names in a folder last."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
