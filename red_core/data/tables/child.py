"""Read a table in a process of its own, which is stopped at a limit of time or memory, or when a person cancels.

Files come from anywhere. A small one can unpack to more than the machine holds, or take minutes, and Python cannot stop
that from inside. The processes are forked from a server process that has the libraries already, so that one starts in
milliseconds.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from red_core.data.tables import limits
from red_core.data.tables.reading import Table, read_table
from red_core.errors import Cancelled, InputError, RedError

STEP = 0.1
"""Seconds between two looks at the clock and at the wish to cancel."""
KILL_AFTER = 2.0
"""Seconds that a process has to end after it was asked to."""


def start_server() -> None:
    """Start the server process from which the readers are forked, so that the first file does not wait for it."""
    from multiprocessing.forkserver import ensure_running  # noqa: PLC0415  it is a method of a hidden singleton

    _context()
    ensure_running()


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def read_table_apart(  # the options of read_table, and the limits
    path: str | Path,
    *,
    seconds: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    **options: Any,  # noqa: ANN401  of read_table
) -> Table:
    """Read a table as :func:`read_table` does, in a process that can be killed.

    Parameters
    ----------
    path : path
    seconds : float, optional
        Time limit, ``limits.PREVIEW_SECONDS`` by default.
    progress : callable, optional
        progress(done, total), as :func:`read_table` reports it.
    cancelled : callable
        Asked ten times a second whether to stop.

    Raises
    ------
    InputError
        As :func:`read_table`, and if the file takes too long, or more memory than ``limits.MAX_MEMORY``.
    Cancelled
        If ``cancelled`` returned True.
    """
    shown = str(options.get("name") or path)
    allowed = limits.PREVIEW_SECONDS if seconds is None else seconds
    context = _context()
    ours, theirs = context.Pipe(duplex=False)
    values = {name: getattr(limits, name) for name in dir(limits) if name.isupper()}
    process = context.Process(target=_read, args=(theirs, str(path), options, values), daemon=True)
    started = time.monotonic()
    process.start()
    theirs.close()
    try:
        while True:
            if cancelled():
                raise Cancelled(f"{shown}: reading was cancelled; nothing is stored.")
            if time.monotonic() - started > allowed:
                rule = f"reading takes longer than {allowed:.0f} seconds"
                raise InputError(shown, rule, "Split the file, save it as CSV, or import it with `red import`")
            if not ours.poll(STEP):
                continue
            try:
                kind, *message = ours.recv()
            except EOFError:
                rule = f"reading it needs more than {limits.MAX_MEMORY >> 30} GB of memory, or it ended the reader"
                raise InputError(shown, rule, "Split the file, or save it as CSV") from None
            if kind == "progress" and progress is not None:
                progress(*message)
            elif kind == "table":
                return message[0]  # type: ignore[no-any-return]
            elif kind == "error":
                raise message[0]
    finally:
        ours.close()
        _end(process)


def _end(process: Any) -> None:  # noqa: ANN401
    """End a process: it holds nothing that could be lost."""
    process.join(0 if process.is_alive() else None)
    if process.is_alive():
        process.terminate()
        process.join(KILL_AFTER)
    if process.is_alive():
        process.kill()
        process.join()


def _read(out: Connection, path: str, options: dict[str, Any], values: dict[str, float]) -> None:
    """Read the table and send it; this is what the process runs."""
    for name, value in values.items():
        setattr(limits, name, value)
    with suppress(ValueError, OSError):  # the machine may allow less
        used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + limits.MAX_MEMORY, resource.RLIM_INFINITY))
    with suppress(BrokenPipeError, OSError):  # nobody waits any more
        try:
            table = read_table(path, progress=lambda done, total: out.send(("progress", done, total)), **options)
            out.send(("table", table))
        except RedError as error:
            out.send(("error", error))
        except MemoryError:
            rule = f"reading it needs more than {limits.MAX_MEMORY >> 30} GB of memory"
            out.send(("error", InputError(str(options.get("name") or path), rule, "Split the file, or save it as CSV")))
        out.close()
