"""Runs a job outside the browser: ``python -m red_core.worker WORKSPACE PROJECT JOB``.

A page or the command line starts it detached and then only reads the job's row. Closing the browser, the
terminal or the server changes nothing.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from red_core.access import acting, refuse_viewers
from red_core.errors import Cancelled, RedError, StateError, StoreError, one_line
from red_core.judging import judge_check
from red_core.records import Job, Project
from red_core.rounds import Progress, prepare, run_round
from red_core.settings import Settings
from red_core.store.database import open_project
from red_core.store.jobs import (
    SILENT_SECONDS,
    add_job,
    claim_job,
    end_job,
    find_job,
    name_process,
    newest_job,
    report_progress,
)
from red_core.understanding import write_meanings

BEAT_SECONDS = 0.5
"""How often a working job writes its progress and asks whether to stop."""


_started: dict[tuple[Path, int], subprocess.Popen[bytes]] = {}
"""Workers that are children of this process."""


def start_job(project: Project, kind: str, settings: Settings, who: str) -> int:
    """Queue a job and start its worker, detached; return the job's id.

    Parameters
    ----------
    kind : {"prepare", "round", "judge-check", "meanings"}

    Raises
    ------
    StateError
        If another job is waiting or running.
    StoreError
        If its worker cannot be started; then no job stays behind.
    AccessError
        If a viewer acts.
    """
    refuse_viewers()
    mark_interrupted(project)
    job_id = add_job(project, kind, settings.model_dump_json(), who)
    log = log_file(project, job_id)
    command = [sys.executable, "-m", "red_core.worker", str(project.workspace.resolve()), project.name, str(job_id)]
    try:
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as sink:
            process = subprocess.Popen(  # noqa: S603  our own interpreter and module; the name was checked
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
            )
    except OSError as error:
        place = f"{error.filename or log}: {error.strerror}"
        told = f"the job cannot be started ({place}). Check the folder, its space and its permissions."
        end_job(project, job_id, "failed", told)
        raise StoreError(told) from error
    _started[project.folder, job_id] = process
    with suppress(psutil.NoSuchProcess, StoreError):  # it has ended, or says itself who it is when it claims the job
        name_process(project, job_id, process.pid, psutil.Process(process.pid).create_time())
    return job_id


def mark_interrupted(project: Project) -> Job | None:
    """Return the newest job; one whose process is gone or silent is marked *interrupted* first.

    A viewer is told the same, and it is stored when an analyst looks.
    """
    job = newest_job(project)
    if job is None or job.state not in {"waiting", "running"} or _lives(project, job):
        return job
    told = _last_words(log_file(project, job.id))
    if not acting().may_write:
        return replace(job, state="interrupted", error=told)
    end_job(project, job.id, "interrupted", told)
    return find_job(project, job.id)


def log_file(project: Project, job_id: int) -> Path:
    """Return where a job's worker writes what nobody expected, such as a traceback."""
    return project.folder / "jobs" / f"{job_id}.log"


def _last_words(log: Path) -> str:
    """Return why the process ended: the last line of a traceback, or that it was stopped from outside."""
    lines = log.read_text("utf-8", "replace").strip().splitlines() if log.is_file() else []
    if any(line.startswith("Traceback") for line in lines):
        return one_line(f"{lines[-1]} (details: {log})")
    return "its process was stopped from outside"


def _lives(project: Project, job: Job) -> bool:
    if job.pid is None:  # whoever queued it has not started its worker yet, or died before
        return time.time() - job.heartbeat < SILENT_SECONDS
    if (project.folder, job.id) in _started:
        _started[project.folder, job.id].poll()  # a child of this process that has ended is a zombie until it is asked
    try:
        process = psutil.Process(job.pid)
        # Where nobody waits for the orphans of a killed process, as in many containers, they stay as zombies.
        ended = process.status() == psutil.STATUS_ZOMBIE
        return bool(not ended and abs(process.create_time() - (job.process_started or 0.0)) < 1.0)
    except psutil.NoSuchProcess:
        return False


def follow_job(project: Project, job_id: int, show: Callable[[Job], None], every: float = 0.2) -> Job:
    """Call ``show`` with the job until it ends; return it as it ended.

    Raises
    ------
    StateError
        If it failed or was interrupted; the text says why.
    """
    while True:
        mark_interrupted(project)
        job = find_job(project, job_id)
        show(job)
        if job.state not in {"waiting", "running"}:
            break
        time.sleep(every)
    if job.state == "failed":
        raise StateError(job.error)
    if job.state == "interrupted":
        raise StateError(
            f"the job was interrupted: {job.error}. Nothing stored was lost; run the command again to go on."
        )
    return job


def run_job(project: Project, job_id: int) -> None:
    """Claim a job, do its work in this process, and record how it ended.

    An error nobody expected ends the process with its traceback in the log; whoever reads the job next finds the
    process gone and marks the job *interrupted*.
    """
    me = psutil.Process()
    job = claim_job(project, job_id, me.pid, me.create_time())
    if job is None:
        return
    settings = Settings.model_validate_json(job.settings)
    beat = _Beat(project, job_id)
    try:
        WORK[job.kind](project, settings, beat, job.who)
    except Cancelled:
        end_job(project, job_id, "cancelled")
    except RedError as error:
        end_job(project, job_id, "failed", str(error))
    else:
        end_job(project, job_id, "done")


def _judge_check(project: Project, settings: Settings, progress: Progress, _who: str) -> None:
    judge_check(project, settings, lambda done, total: progress("test the judge", done, total))


def _meanings(project: Project, settings: Settings, progress: Progress, _who: str) -> None:
    write_meanings(project, settings, lambda done, total: progress("write meanings", done, total))


WORK: Mapping[str, Callable[[Project, Settings, Progress, str], object]] = {
    "prepare": prepare,
    "round": run_round,
    "judge-check": _judge_check,
    "meanings": _meanings,
}
"""What a job of each kind does."""


class _Beat:
    """The progress callback of a job: writes at most every BEAT_SECONDS, and raises when asked to stop."""

    def __init__(self, project: Project, job_id: int) -> None:
        self._project, self._job_id, self._last, self._stage = project, job_id, 0.0, ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage == self._stage and done < total and time.monotonic() - self._last < BEAT_SECONDS:
            return
        self._last, self._stage = time.monotonic(), stage
        if report_progress(self._project, self._job_id, stage, done, total):
            raise Cancelled(f"job {self._job_id} was cancelled at {stage}.")


def main() -> None:
    """Run one job, named on the command line."""
    workspace, name, job_id = sys.argv[1:]
    run_job(open_project(Path(workspace), name), int(job_id))


if __name__ == "__main__":
    main()
