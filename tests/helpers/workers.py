"""Wait for the workers of jobs, kill them, and read what they stored."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from red_core.records import Job, Project
from red_core.rounds.jobs import _started, mark_interrupted
from red_core.store.database import connection
from red_core.store.jobs import find_job


@pytest.fixture(autouse=True)
def no_worker_left_over() -> Iterator[None]:
    """Wait for the workers of a test: the next test uses the same job numbers."""
    yield
    forget_workers()


def verdict_rows(project: Project) -> set[tuple[object, ...]]:
    """Return all rows of the table verdict."""
    with connection(project) as db:
        return set(db.execute("SELECT * FROM verdict").fetchall())


def wait_for(reached: Callable[[], bool], what: str, *, every: float = 0.01, seconds: float = 120) -> None:
    """Call ``reached`` until it returns True; fail after this many seconds."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(every)


def kill(project: Project, job: int) -> Job:
    """Kill the worker of a job with SIGKILL, and return the job as the next reader sees it."""
    pid = find_job(project, job).pid
    assert pid is not None
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)

    def gone() -> bool:
        marked = mark_interrupted(project)
        return marked is not None and marked.state not in ("waiting", "running")

    wait_for(gone, "the end of the worker")
    return find_job(project, job)


def forget_workers() -> None:
    """Wait until all workers of this process have ended, and forget them."""
    for process in _started.values():
        process.wait(timeout=120)
    _started.clear()
