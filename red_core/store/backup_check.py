"""Check an unpacked backup and bring it up to date, in a process of its own with limits on time, memory and bytes.

A restore starts it. It prints one line of JSON: what is wrong, '' if nothing is.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from red_core.errors import RedError, one_line
from red_core.records import Project
from red_core.store.array_check import array_faults
from red_core.store.contents import content_faults
from red_core.store.database import open_project, renew_id
from red_core.store.health import database_faults, foreign_parts, vector_faults
from red_core.store.jobs import end_job, newest_job

SPARE_MEMORY = 1 << 30
"""Bytes of memory beyond those of the program and of three copies of the largest file."""
SPARE_BYTES = 1 << 28
"""Bytes that a file may grow to beyond twice the whole project: a migration adds columns and checksums."""


def main(workspace: str, name: str) -> None:
    """Check the project of that name and print the result."""
    project = Project(Path(workspace), name)
    try:
        _limit(project.folder)
        fault = next(_faults(project), "")
    except MemoryError:
        fault = "it needs more memory than a project of its size"
    except RedError as error:
        fault = one_line(str(error), 240)
    except (sqlite3.Error, OSError, ValueError, RecursionError) as error:
        fault = f"it cannot be read ({type(error).__name__})"
    sys.stdout.write(json.dumps({"fault": fault}) + "\n")


def _faults(project: Project) -> Iterator[str]:
    """Yield what is wrong, and change the project: at the end it is up to date and has an id of its own."""
    yield from foreign_parts(project)  # nothing of a foreign view or trigger may run, so this comes first
    yield from database_faults(project)
    yield from vector_faults(project)
    open_project(project.workspace, project.name)
    yield from content_faults(project)
    yield from array_faults(project)
    yield from database_faults(project)
    job = newest_job(project)
    if job is not None and job.state in {"waiting", "running"}:
        end_job(project, job.id, "interrupted", "it was running when this project was backed up")
    renew_id(project)


def _limit(folder: Path) -> None:
    """Limit this process: address space and bytes of a file. The process that started it limits the time."""
    with suppress(ImportError, ValueError, OSError):  # not every system has these limits
        import resource  # noqa: PLC0415

        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
        memory = used + SPARE_MEMORY + 3 * max(sizes, default=0)
        for kind, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, 2 * sum(sizes) + SPARE_BYTES)):
            resource.setrlimit(kind, (most, most))
