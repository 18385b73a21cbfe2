"""Jobs: work outside the browser, one at a time per project. A page only reads them."""

from __future__ import annotations

import sqlite3
import time

from sqlite_utils import Database

from red_core.errors import StateError
from red_core.records import Job, JobState, Project
from red_core.store.database import connection, now, transaction

SILENT_SECONDS = 60.0
"""A running job with an older heartbeat, or without its process, counts as interrupted."""


def add_job(project: Project, kind: str, settings: str, who: str) -> int:
    """Queue a job and return its id.

    Raises
    ------
    StateError
        If another job is waiting or running.
    """
    try:
        with transaction(project) as db:
            cursor = db.execute(
                "INSERT INTO job (kind, state, settings, heartbeat, who, at) VALUES (?, 'waiting', ?, ?, ?, ?)",
                [kind, settings, time.time(), who, now()],
            )
            return int(cursor.lastrowid or 0)
    except sqlite3.IntegrityError as error:
        raise StateError(
            f"a job is already running in project {project.name}. Wait for it, or cancel it first."
        ) from error


def name_process(project: Project, job_id: int, pid: int, process_started: float) -> None:
    """Store the process that will claim a waiting job, so that its death is noticed before it claims the job."""
    with transaction(project) as db:
        db.execute(
            "UPDATE job SET pid = ?, process_started = ? WHERE id = ? AND state = 'waiting'",
            [pid, process_started, job_id],
        )


def claim_job(project: Project, job_id: int, pid: int, process_started: float) -> Job | None:
    """Claim a waiting job for this process and return it; None if another process has it."""
    with transaction(project) as db:
        taken = db.execute(
            "UPDATE job SET state = 'running', pid = ?, process_started = ?, heartbeat = ? "
            "WHERE id = ? AND state = 'waiting' RETURNING id",
            [pid, process_started, time.time(), job_id],
        ).fetchone()
        return _job(db, job_id) if taken else None


def report_progress(project: Project, job_id: int, stage: str, done: int, total: int) -> bool | None:
    """Store the progress and the heartbeat of a running job; return whether it was asked to stop.

    None means that the job is not running any more, for example because its worker was taken for dead.
    """
    with transaction(project) as db:
        row = db.execute(
            "UPDATE job SET stage = ?, done = ?, total = ?, heartbeat = ? WHERE id = ? AND state = 'running' "
            "RETURNING cancel_asked",
            [stage, done, total, time.time(), job_id],
        ).fetchone()
    return None if row is None else bool(row[0])


def ask_to_cancel(project: Project, job_id: int) -> None:
    """Ask a job to stop at its next safe point; a job that is still waiting is cancelled at once."""
    with transaction(project) as db:
        db.execute("UPDATE job SET cancel_asked = 1 WHERE id = ?", [job_id])
        db.execute("UPDATE job SET state = 'cancelled' WHERE id = ? AND state = 'waiting'", [job_id])


def end_job(project: Project, job_id: int, state: JobState, error: str = "") -> None:
    """Store how an active job ended; a job that has already ended is not changed."""
    with transaction(project) as db:
        db.execute(
            "UPDATE job SET state = ?, error = ?, heartbeat = ? WHERE id = ? AND state IN ('waiting', 'running')",
            [state, error, time.time(), job_id],
        )


def newest_job(project: Project) -> Job | None:
    """Return the newest job, None if there is none."""
    with connection(project) as db:
        newest = db.execute("SELECT max(id) FROM job").fetchone()[0]
        return None if newest is None else _job(db, int(newest))


def find_job(project: Project, job_id: int) -> Job:
    """Return one job."""
    with connection(project) as db:
        return _job(db, job_id)


def _job(db: Database, job_id: int) -> Job:
    row = next(iter(db.query("SELECT * FROM job WHERE id = ?", [job_id])))
    wanted = {name: row[name] for name in Job.__dataclass_fields__}
    return Job(**(wanted | {"cancel_asked": bool(row["cancel_asked"])}))
