"""A process that has imported the program, and runs commands as its forks: an import costs seconds of a processor.

Run as a script it takes one request at a time from a socket: to start a command, or to tell how one ended. A fork is
what a new process would be: its own arguments, environment, folder, files and end.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from types import SimpleNamespace
from typing import IO, Any

import pytest

from tests.helpers.paths import ROOT

PYTHON = sys.executable
LONGEST_REQUEST = 1 << 16
PROGRAM = ("red_core.api", "red_core.cli.files", "red_core.cli.rounds", "red_core.rounds.worker")
APP = ("red_core.api", "plotly.graph_objects", "streamlit.web.cli")


class Fork:
    """A started command; the part of ``subprocess.Popen`` that tests and jobs use."""

    def __init__(self, owner: PreparedProcess, pid: int) -> None:
        self._owner, self.pid = owner, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return how the process ended, None while it runs."""
        if self.returncode is None:
            self.returncode = self._owner.ask({"ended": self.pid})
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait until the process has ended; return how."""
        end, pause = time.monotonic() + timeout, 0.005
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(max(0.0, min(pause, end - time.monotonic())))
            pause = min(1.5 * pause, 0.1)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process, unless it has ended."""
        self.send_signal(signal.SIGKILL)


class PreparedProcess:
    """Starts commands that need not import the program."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), *modules], cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
            )  # fmt: skip

    def ask(self, request: dict[str, Any], files: Sequence[int] = ()) -> Any:
        """Return the answer to a request that goes with these open files."""
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], list(files))
            return json.loads(self._socket.recv(LONGEST_REQUEST))

    def start(
        self, command: Sequence[str], *, stdin: int | IO[Any] = subprocess.DEVNULL, stdout: IO[Any], stderr: IO[Any],
        cwd: Path | None = None, env: dict[str, str] | None = None, start_new_session: bool = False,
    ) -> Fork:  # fmt: skip
        """Start a command as ``subprocess.Popen`` would: ``red ...``, or ``python -m MODULE ...``, or ``-c CODE``."""
        environment = {"PYTHONPATH": str(ROOT)} | (dict(os.environ) if env is None else env)
        request = {
            "command": list(command), "environment": environment, "folder": str(cwd or Path.cwd()),
            "session": start_new_session,
        }  # fmt: skip
        with Path(os.devnull).open("rb") as nothing:
            source = nothing if isinstance(stdin, int) else stdin
            pid = self.ask(request, [source.fileno(), stdout.fileno(), stderr.fileno()])
        return Fork(self, pid)

    def run(self, command: Sequence[str], *, seconds: float, **how: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as ``subprocess.run`` would with ``capture_output``."""
        with TemporaryFile() as out, TemporaryFile() as errors:
            process = self.start(command, stdout=out, stderr=errors, **how)
            try:
                code = process.wait(seconds)
            finally:
                process.kill()
            out.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(command, code, out.read().decode(), errors.read().decode())

    def end(self) -> None:
        """End the process; the commands are ended by their tests."""
        self._socket.close()
        self._process.wait(60)


@pytest.fixture(scope="session")
def prepared_process() -> Iterator[PreparedProcess]:
    """A process of this test process that has imported Streamlit and the app's libraries."""
    process = PreparedProcess(APP)
    yield process
    process.end()


@pytest.fixture(scope="session")
def prepared_red() -> Iterator[PreparedProcess]:
    """A process of this test process that has imported the core: for ``red`` and for workers."""
    process = PreparedProcess(PROGRAM)
    yield process
    process.end()


@pytest.fixture(scope="module")
def forked_workers(prepared_red: PreparedProcess) -> Iterator[None]:
    """Start every worker of a job as a fork of a prepared process."""

    def popen(command: Sequence[str], **how: Any) -> Any:
        return (prepared_red.start if command[0] == PYTHON else subprocess.Popen)(command, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("red_core.rounds.jobs.subprocess", SimpleNamespace(Popen=popen, DEVNULL=subprocess.DEVNULL))
        yield


# What the process itself runs


def main() -> None:
    """Import the modules that the command line names, and serve until the socket is closed."""
    descriptor, *modules = sys.argv[1:]
    for module in modules:
        import_module(module)
    with socket.socket(fileno=int(descriptor)) as requests:
        while True:
            message, files, _, _ = socket.recv_fds(requests, LONGEST_REQUEST, 3)
            if not message:
                return
            request = json.loads(message)
            answer = _end_of(request["ended"]) if "ended" in request else _start(request, files, requests)
            requests.send(json.dumps(answer).encode())
            for file in files:
                os.close(file)


def _end_of(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _start(request: dict[str, Any], files: list[int], requests: socket.socket) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        requests.close()
        for target, file in enumerate(files):
            os.dup2(file, target)
            os.close(file)
        if request["session"]:
            os.setsid()
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        code = _ended(request["command"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ended(command: list[str]) -> int:
    """Run a command to its end in this process; return the exit code."""
    try:
        _run(command)
        threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does at its end
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
            return 1
        return end.code or 0
    except BaseException:  # noqa: BLE001  the interpreter prints any error, and so do we
        traceback.print_exc()
        return 1
    finally:
        atexit._run_exitfuncs()
    return 0


def _run(command: list[str]) -> None:
    if command[1] == "-c":
        sys.argv = ["-c", *command[3:]]
        exec(command[2], {"__name__": "__main__"})  # noqa: S102  the code of a test
    elif command[1] == "-m":
        sys.argv = command[2:]
        module = {"streamlit": "streamlit.web.cli"}.get(command[2], command[2])
        import_module(module).main()
    else:
        sys.argv = command
        import_module("red_core.cli").main()


if __name__ == "__main__":
    main()
