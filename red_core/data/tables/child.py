"""Read a table in a process of its own, which is stopped at a limit of time or memory, or when a person cancels.

Files come from anywhere. A small one can unpack to more than the machine holds, or take minutes, and Python cannot stop
that from inside. The readers are forked from a server process that has the libraries already, so that one starts in
milliseconds. It is a process of our own and not that of :mod:`multiprocessing`, which would run the page of the app in
every reader: Streamlit puts its script in the place of the main module.
"""

from __future__ import annotations

import atexit
import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from red_core.data.tables import limits
from red_core.data.tables.reading import Table, read_table
from red_core.errors import Cancelled, InputError, RedError

STEP = 0.1
"""Seconds between two looks at the clock and at the wish to cancel."""
LONGEST_REQUEST = 1 << 16
_MODULE = "red_core.data.tables.child"
_lock = threading.Lock()
_servers: list[tuple[subprocess.Popen[bytes], socket.socket]] = []
"""The server process and the socket to it; at most one."""


def start_server() -> None:
    """Start the server process from which the readers are forked, so that the first file does not wait for it."""
    with _lock:
        _server()


def _server() -> socket.socket:
    """Return the socket to the server process, which is started if there is none."""
    if _servers and _servers[0][0].poll() is not None:
        _stop()
    if not _servers:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(  # noqa: S603  our own module
                [sys.executable, "-m", _MODULE, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        _servers.append((process, ours))
    return _servers[0][1]


@atexit.register
def _stop() -> None:
    """End the server process; it ends when its socket is closed."""
    while _servers:
        process, ours = _servers.pop()
        ours.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
        if process.poll() is None:
            process.kill()
            process.wait()


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
    values = {name: getattr(limits, name) for name in dir(limits) if name.isupper()}
    ours, theirs = Pipe(duplex=False)
    pid = None
    with theirs, _lock:
        request = pickle.dumps((str(path), options, values))
        socket.send_fds(_server(), [request], [theirs.fileno()])
    try:
        for kind, *message in _messages(ours, shown, allowed, cancelled):
            if kind == "pid":
                pid = message[0]
            elif kind == "progress" and progress is not None:
                progress(*message)
            elif kind == "table":
                pid = None  # it ends by itself
                return message[0]  # type: ignore[no-any-return]
            elif kind == "error":
                pid = None
                raise message[0]
    finally:
        ours.close()
        if pid is not None:
            with suppress(ProcessLookupError):  # it has ended
                os.kill(pid, signal.SIGKILL)
    raise _too_large(shown)


def _messages(
    reader: Connection, shown: str, allowed: float, cancelled: Callable[[], bool]
) -> Iterator[tuple[str, Any]]:
    """Yield what the reader sends, until it ends; raise InputError when the time is over, Cancelled on wish."""
    started = time.monotonic()
    while True:
        if cancelled():
            raise Cancelled(f"{shown}: reading was cancelled; nothing is stored.")
        if time.monotonic() - started > allowed:
            rule = f"reading takes longer than {allowed:.0f} seconds"
            raise InputError(shown, rule, "Split the file, save it as CSV, or import it with `red import`")
        if reader.poll(STEP):
            try:
                message = reader.recv()
            except EOFError:
                return
            if message[0] == "pid":
                started = time.monotonic()  # the time of the server's own start does not count
            yield message


def _too_large(shown: str) -> InputError:
    rule = f"reading it needs more than {limits.MAX_MEMORY >> 30} GB of memory, or it ended the reader"
    return InputError(shown, rule, "Split the file, or save it as CSV")


def _read(out: Connection, path: str, options: dict[str, Any], values: dict[str, float]) -> None:
    """Read the table and send it; this is what the process runs."""
    for name, value in values.items():
        setattr(limits, name, value)
    with suppress(ValueError, OSError):  # the machine may allow less
        used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + limits.MAX_MEMORY, resource.RLIM_INFINITY))
    with suppress(BrokenPipeError, OSError):  # nobody waits any more
        out.send(("pid", os.getpid()))
        try:
            table = read_table(path, progress=lambda done, total: out.send(("progress", done, total)), **options)
            out.send(("table", table))
        except RedError as error:
            out.send(("error", error))
        except MemoryError:
            out.send(("error", _too_large(str(options.get("name") or path))))
        out.close()


def serve(file_descriptor: int) -> None:
    """Fork a reader for every request, until the socket is closed; this is what the server process runs."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # readers that ended leave nothing behind
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program that waits
    with socket.socket(fileno=file_descriptor) as requests:
        while True:
            message, descriptors, _, _ = socket.recv_fds(requests, LONGEST_REQUEST, 1)
            if not message:
                return
            if os.fork() == 0:
                requests.close()
                path, options, values = pickle.loads(message)  # noqa: S301  from our own process
                with Connection(descriptors[0], readable=False) as out:
                    _read(out, path, options, values)
                os._exit(0)
            os.close(descriptors[0])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
