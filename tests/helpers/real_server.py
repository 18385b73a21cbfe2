"""Start a real server in a process of its own, on a free port of loopback, and end it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2


@contextmanager
def real_server(
    command: Callable[[int], Sequence[str]],
    log: Path,
    seconds: float,
    *,
    health: str = "/health",
    environment: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Yield the address of a server, up to and with /v1, once it answers; ``command`` takes the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with log.open("wb") as sink:
        server = subprocess.Popen(
            command(port), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=os.environ | (environment or {})
        )
    try:
        end = time.monotonic() + seconds
        while not _answers(f"http://127.0.0.1:{port}{health}"):
            assert server.poll() is None, log.read_text("utf-8", "replace")[-2000:]
            assert time.monotonic() < end, "the server took too long to start"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait(seconds)


def _answers(address: str) -> bool:
    try:
        return httpx2.get(address, timeout=5).status_code == 200
    except httpx2.TransportError:
        return False
