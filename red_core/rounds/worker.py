"""Run a job in a process of its own: ``python -m red_core.rounds.worker WORKSPACE PROJECT JOB``.

A page or the command line starts it detached and then only reads the job's row. The job continues when the browser,
the terminal or the server is closed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from red_core.errors import Cancelled, RedError, StateError
from red_core.judges import judge_check, write_meanings
from red_core.records import Project, Report
from red_core.rounds.encoder_change import change_encoder, compare, is_to_choose
from red_core.rounds.jobs import process_identity
from red_core.rounds.run import prepare, run_round
from red_core.settings import Settings
from red_core.store.database import open_project
from red_core.store.jobs import claim_job, end_job, report_progress
from red_core.store.kept_connections import keep_connections

BEAT_SECONDS = 0.5
"""Seconds between two progress reports; with each one the job asks whether it was cancelled."""
LOCK = "worker.lock"
"""The file in the project's folder that one worker at a time holds. The system frees it when the worker ends."""
SECONDS_FOR_THE_LOCK = 5.0
NICE = 10
"""The worker's priority: beside a page of priority 0 it gets about a tenth of a core that both want."""
SESSION_NICE = 5
"""The same for its session, where Linux shares the processor between sessions first: it gets about a quarter."""


def run_job(project: Project, job_id: int) -> None:
    """Claim a job, do its work in this process, and store how it ended.

    An unexpected error ends the process with a traceback in the log. The next reader of the job sees that the process
    is gone and marks the job *interrupted*.
    """
    job = claim_job(project, job_id, os.getpid(), process_identity(os.getpid()))
    if job is None:
        return
    settings = Settings.model_validate_json(job.settings)
    beat = _Beat(project, job_id)
    try:
        with FileLock(project.folder / LOCK, timeout=SECONDS_FOR_THE_LOCK):
            WORK[job.kind](project, settings, beat, job.who)
    except Timeout:
        message = "an earlier worker of this project is still running. Try again in a minute."
        end_job(project, job_id, "failed", message)
    except Cancelled:
        end_job(project, job_id, "cancelled")
    except RedError as error:
        sys.stderr.write(f"{error}\n")  # the job's log; a worker that lost its claim has no other place
        end_job(project, job_id, "failed", str(error))
    else:
        end_job(project, job_id, "done")


def _judge_check(project: Project, settings: Settings, progress: Report, _who: str) -> None:
    judge_check(project, settings, lambda done, total: progress("test the judge", done, total))


def _meanings(project: Project, settings: Settings, progress: Report, _who: str) -> None:
    write_meanings(project, settings, lambda done, total: progress("write meanings", done, total))


def _prepare(project: Project, settings: Settings, progress: Report, who: str) -> None:
    if not is_to_choose(project, progress):
        prepare(project, settings, progress, who)


WORK: Mapping[str, Callable[[Project, Settings, Report, str], object]] = {
    "prepare": _prepare,
    "encoder": change_encoder,
    "compare encoders": compare,
    "round": run_round,
    "judge-check": _judge_check,
    "meanings": _meanings,
}
"""The work of each kind of job."""


class _Beat:
    """The progress callback of a job: writes at most every BEAT_SECONDS; raises Cancelled when a person cancelled."""

    def __init__(self, project: Project, job_id: int) -> None:
        self._project, self._job_id, self._last, self._stage = project, job_id, 0.0, ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage == self._stage and done < total and time.monotonic() - self._last < BEAT_SECONDS:
            return
        self._last, self._stage = time.monotonic(), stage
        cancelled = report_progress(self._project, self._job_id, stage, done, total)
        if cancelled is None:
            raise StateError(f"job {self._job_id} is not this worker's any more: it was marked as ended. It stops.")
        if cancelled:
            raise Cancelled(f"job {self._job_id} was cancelled at {stage}.")


def step_back() -> None:
    """Lower the priority of this process, so that a page beside it gets the processor at once."""
    process = psutil.Process()
    if psutil.WINDOWS:
        process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        process.nice(max(NICE, process.nice()))
        if os.getsid(0) == os.getpid():  # otherwise the session is that of others, too
            with suppress(OSError):
                Path("/proc/self/autogroup").write_text(str(SESSION_NICE), "ascii")


def main() -> None:
    """Run the job that the command line names."""
    step_back()
    keep_connections()
    workspace, name, job_id = sys.argv[1:]
    run_job(open_project(Path(workspace), name), int(job_id))


if __name__ == "__main__":
    main()
