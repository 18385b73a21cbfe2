"""A process that has imported the program, and starts servers as its forks: an import costs six processor seconds.

Run as a script it reads one line of JSON for each server to start, and prints the number of its process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT


class Fork:
    """A started server; the part of ``subprocess.Popen`` that tests use."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        """Return None while the process runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return -1
        return None

    def wait(self, timeout: float) -> None:
        """Wait until the process has ended."""
        end = time.monotonic() + timeout
        while self.poll() is None:
            assert time.monotonic() < end, f"process {self.pid} has not ended"
            time.sleep(0.02)


class PreparedProcess:
    """Starts Streamlit servers that need not import the program."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def start(self, arguments: list[str], environment: dict[str, str], log: Path) -> Fork:
        """Start ``streamlit`` with these arguments; its output goes to the end of the log."""
        wires = self._process.stdin, self._process.stdout
        assert wires[0] is not None
        assert wires[1] is not None
        wires[0].write(json.dumps([arguments, environment, str(log)]) + "\n")
        wires[0].flush()
        return Fork(int(wires[1].readline()))

    def end(self) -> None:
        """End the process; the servers are ended by their tests."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="session")
def prepared_process() -> Iterator[PreparedProcess]:
    """The prepared process of this test process."""
    process = PreparedProcess()
    yield process
    process.end()


def main() -> None:
    """Import the program, and fork for each line."""
    import plotly.graph_objects  # noqa: F401, PLC0415  only this process needs it
    from streamlit.web import cli  # noqa: PLC0415

    import red_core.api  # noqa: F401, PLC0415

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system takes ended servers away
    for line in sys.stdin:
        arguments, environment, log = json.loads(line)
        pid = os.fork()
        if not pid:
            _become(arguments, environment, log)
            cli.main()
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _become(arguments: list[str], environment: dict[str, str], log: str) -> None:
    """Turn this fork into what a new process would be."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for wire, target in ((nothing, 0), (sink, 1), (sink, 2)):
        os.dup2(wire, target)
    sys.argv = ["streamlit", *arguments]


if __name__ == "__main__":
    main()
