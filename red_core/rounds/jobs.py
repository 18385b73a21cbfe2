"""Start jobs, watch them, and notice when a worker is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import psutil
from joblib import cpu_count

from red_core.access import current_user, refuse_viewers
from red_core.errors import StateError, StoreError, one_line
from red_core.records import Job, Project
from red_core.settings import Settings
from red_core.store.jobs import SILENT_SECONDS, add_job, end_job, find_job, name_process, newest_job

WORKER = "red_core.rounds.worker"
THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS", "LOKY_MAX_CPU_COUNT",
)  # fmt: skip
"""Variables that limit the threads of BLAS, torch, numba, the tokenizers and joblib."""
FEW_CORES = 2
_started: dict[tuple[Path, int], subprocess.Popen[bytes]] = {}
"""Workers that are children of this process."""


def start_job(project: Project, kind: str, settings: Settings, who: str) -> int:
    """Queue a job and start its worker, detached; return the job's id.

    Parameters
    ----------
    kind : str
        A key of ``red_core.rounds.worker.WORK``.

    Raises
    ------
    StateError
        If another job is waiting or running.
    StoreError
        If its worker cannot be started; then the job is marked failed.
    AccessError
        If the user is a viewer.
    """
    refuse_viewers()
    mark_interrupted(project)
    job_id = add_job(project, kind, settings.model_dump_json(), who)
    log = log_file(project, job_id)
    command = [sys.executable, "-m", WORKER, str(project.workspace.resolve()), project.name, str(job_id)]
    try:
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as sink:
            process = subprocess.Popen(  # noqa: S603  our own interpreter and module; the name was checked
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True,
                env=_threads() | os.environ,
            )  # fmt: skip
    except OSError as error:
        place = f"{error.filename or log}: {error.strerror}"
        message = f"the job cannot be started ({place}). Check the folder, its space and its permissions."
        end_job(project, job_id, "failed", message)
        raise StoreError(message) from error
    _started[project.folder, job_id] = process
    with suppress(psutil.NoSuchProcess, StoreError):  # it has ended already, or names itself when it claims the job
        name_process(project, job_id, process.pid, process_identity(process.pid))
    return job_id


def _threads() -> dict[str, str]:
    """Return the environment in which every library of a worker leaves one core to the server.

    With two cores there is none to spare: there the lower priority of the worker alone keeps the pages quick.
    """
    cores = cpu_count()
    return dict.fromkeys(THREADS, str(cores - 1)) if cores > FEW_CORES else {}


def mark_interrupted(project: Project) -> Job | None:
    """Return the newest job; mark it *interrupted* first if its process is gone or silent.

    A viewer sees the same state; it is stored when an analyst looks.
    """
    job = newest_job(project)
    if job is None or job.state not in {"waiting", "running"} or _lives(project, job):
        return job
    reason = _reason_of_end(log_file(project, job.id))
    if not current_user().may_write:
        return replace(job, state="interrupted", error=reason)
    end_job(project, job.id, "interrupted", reason)
    return find_job(project, job.id)


def log_file(project: Project, job_id: int) -> Path:
    """Return the file into which a job's worker writes unexpected output, such as a traceback."""
    return project.folder / "jobs" / f"{job_id}.log"


def _reason_of_end(log: Path) -> str:
    """Return why the process ended: the last line of a traceback, or that it was stopped from outside."""
    lines = log.read_text("utf-8", "replace").strip().splitlines() if log.is_file() else []
    if any(line.startswith("Traceback") for line in lines):
        return one_line(f"{lines[-1]} (details: {log})")
    return "its process was stopped from outside"


def _lives(project: Project, job: Job) -> bool:
    if job.pid is None:  # its worker is not started yet, or the starting process died before
        return time.time() - job.heartbeat < SILENT_SECONDS
    if (project.folder, job.id) in _started:
        _started[project.folder, job.id].poll()  # an ended child stays a zombie until it is polled
    try:
        process = psutil.Process(job.pid)
        # In many containers no process reaps orphans: after a kill they stay as zombies.
        ended = process.status() == psutil.STATUS_ZOMBIE
        return bool(not ended and process_identity(job.pid) == job.process_started)
    except psutil.NoSuchProcess:
        return False


def process_identity(pid: int) -> float:
    """Return a number that no other process with this pid has had: the boot and the start of the process.

    A change of the wall clock does not move it. On Linux it holds 20 bits of the boot id and the start in clock ticks
    since the boot, exact in a float64 for 2.7 years of uptime. Elsewhere it is the start in seconds since 1970.

    Raises
    ------
    psutil.NoSuchProcess
        If there is no such process.
    """
    boot_id, stat = Path("/proc/sys/kernel/random/boot_id"), Path(f"/proc/{pid}/stat")
    if not boot_id.is_file():
        return float(psutil.Process(pid).create_time())
    try:
        fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()  # the name may hold spaces
    except OSError as error:
        raise psutil.NoSuchProcess(pid) from error
    ticks_since_boot = int(fields[19])
    return float((crc32(boot_id.read_bytes()) & 0xFFFFF) * 2**33 + ticks_since_boot)


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
