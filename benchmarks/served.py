"""Serve the app on a loopback port and open it in a headless Chromium, for the benchmarks of the screens."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.synthetic import synthetic_project
from red_core.rounds import run_round
from red_core.store.database import project_names
from red_core.store.rounds import list_rounds

CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RESTING = "[data-testid=stApp][data-test-script-state=notRunning][data-test-connection-state=CONNECTED]"


def prepare_project(workspace: Path, labels: int, texts: int) -> str:
    """Create a synthetic project and run one round, unless it exists; return its name."""
    name = f"synthetic-{labels}-{texts}"
    if name not in project_names(workspace):
        start = time.perf_counter()
        project, settings = synthetic_project(workspace, name, labels=labels, seeds_per_label=10, texts=texts)
        print(f"created {name} in {time.perf_counter() - start:.1f} s", file=sys.stderr)
        start = time.perf_counter()
        run_round(project, settings)
        print(f"one round in {time.perf_counter() - start:.1f} s", file=sys.stderr)
        assert list_rounds(project)[-1].state == "to review"
    return name


def wait_until_healthy(base: str, server: subprocess.Popen[bytes]) -> None:
    """Wait for the server; raise RuntimeError if it ended, TimeoutError after a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if server.poll() is not None:
            raise RuntimeError(f"red serve ended with {server.returncode}: is the port of {base} in use?")
        with suppress(OSError):
            return urllib.request.urlopen(f"{base}/_stcore/health", timeout=1).close()
        time.sleep(0.25)
    raise TimeoutError(f"{base} does not answer")


@contextmanager
def serving(workspace: Path, port: int, log: Path | None = None) -> Iterator[tuple[str, int]]:
    """Yield the address of the app and the process id of its server, whose output goes into ``log``."""
    command = [str(Path(sys.executable).with_name("red")), "serve", "--port", str(port)]
    environment = os.environ | {"RED_WORKSPACE": str(workspace.resolve()), "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    base = f"http://127.0.0.1:{port}"
    with (log or Path(os.devnull)).open("wb") as sink:
        server = subprocess.Popen(command, env=environment, stdout=sink, stderr=sink)
    try:
        wait_until_healthy(base, server)
        yield base, server.pid
    finally:
        server.terminate()
        server.wait(10)


@contextmanager
def served(workspace: Path, port: int) -> Iterator[tuple[str, Page]]:
    """Yield the address of the app and a browser page; end both afterwards."""
    with serving(workspace, port) as (base, _), sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        yield base, browser.new_page(viewport={"width": 1400, "height": 1000})
        browser.close()


def rest(page: Page) -> None:
    """Wait until Streamlit runs no script."""
    page.wait_for_selector(RESTING, timeout=60_000)
