"""Embed the texts of a project outside a round: in this process or on a cluster."""

from __future__ import annotations

from filelock import FileLock, Timeout

from red_core.access import refuse_viewers
from red_core.errors import Cancelled, StateError
from red_core.records import Project, Report
from red_core.rounds.worker import LOCK
from red_core.training import embed_missing
from red_core.training.encoder_choice import encoder_of
from red_core.training.parts import Run, run_here


def embed_texts(project: Project, report: Report, run: Run = run_here) -> int:
    """Embed every text that has no vector of the project's encoder; return their number.

    Parameters
    ----------
    run : Run
        Where: such as :func:`red_core.results.dask_cluster.on_cluster`; by default in this process.

    Raises
    ------
    StateError
        If a worker of this project is running.
    EmbeddingError
        If the encoder cannot be loaded where the texts are embedded.
    Cancelled
        At Ctrl-C; finished blocks stay.
    """
    refuse_viewers()
    counted = [0, 0]

    def count(done: int, total: int) -> None:
        counted[:] = done, total
        report("embed", done, total)

    try:
        with FileLock(project.folder / LOCK, timeout=0):
            return embed_missing(project, encoder_of(project), count, run)
    except Timeout as error:
        message = f"a job is running in project {project.name}. Wait for it, or cancel it first."
        raise StateError(message) from error
    except KeyboardInterrupt as stop:
        done, total = counted
        message = f"cancelled: {done:,} of {total:,} texts are embedded and kept. Run the command again to continue."
        raise Cancelled(message) from stop
