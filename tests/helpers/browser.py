"""The app on a loopback port, and Chromium."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from red_core.records import Project
from red_core.store.jobs import newest_job
from tests.helpers.paths import ROOT
from tests.helpers.prepared_process import Fork, PreparedProcess
from tests.helpers.rendered import JOINER

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SHUTDOWN_SECONDS = 10
ICON = "https://fonts.gstatic.com/s/i/short-term/release/materialsymbolsrounded/"
"""Where Streamlit loads a page icon that is a Material symbol; another test checks that the app has none."""
PATIENCE = 240
"""Longest time for a job on a busy machine, in seconds."""


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
IDLE = "[data-testid=stApp][data-test-script-state=notRunning][data-test-connection-state=CONNECTED]"
MILLISECONDS = 60_000
expect.set_options(timeout=MILLISECONDS)  # its own 5 seconds are few where three processes share two cores
FOREIGN = "img[src*=beacon], script, iframe, .katex, a[href^=javascript]"
"""Elements that a text from outside must never become."""


class Server:
    """The app on a loopback port; it can be killed and started again on the same port."""

    def __init__(self, script: Path, workspace: Path, log: Path, prepared: PreparedProcess | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.script, self.workspace, self.log = script, workspace, log
        self.prepared = prepared
        self.process: subprocess.Popen[bytes] | Fork | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def arguments(self) -> list[str]:
        return ["run", str(self.script), "--server.port", str(self.port), "--server.headless", "true"]

    def command(self) -> list[str]:
        return [sys.executable, "-m", "streamlit", *self.arguments()]

    def start(self) -> None:
        environment = os.environ | {"RED_WORKSPACE": str(self.workspace), "PYTHONPATH": str(ROOT)}
        start = subprocess.Popen if self.prepared is None else self.prepared.start
        with self.log.open("ab") as sink:
            self.process = start(
                self.command(), cwd=ROOT, env=environment,
                stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=2) as reply:  # noqa: S310
                return bool(reply.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(SHUTDOWN_SECONDS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def serve(tmp_path: Path, prepared_process: PreparedProcess) -> Iterator[Callable[..., Server]]:
    """A function that starts the app, or another script, with a workspace; all of them are killed at the end."""
    servers: list[Server] = []

    def start(workspace: Path, script: Path = ROOT / "app.py") -> Server:
        servers.append(Server(script, workspace, tmp_path / "server.log", prepared_process))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


class Watched:
    """A page of the browser; it collects requests to other hosts, and errors on the console."""

    def __init__(self, browser: Browser, scheme: str = "light") -> None:
        self.context = browser.new_context(
            viewport={"width": 1440, "height": 900},
            color_scheme=scheme,
            accept_downloads=True,  # type: ignore[arg-type]
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(MILLISECONDS)
        self.left: list[str] = []
        self.icons: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", self._requested)
        self.page.on("websocket", lambda socket_: self._address(socket_.url))
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))

    def _requested(self, request: Request) -> None:
        self._address(request.url)

    def _address(self, url: str) -> None:
        parts = urlsplit(url)
        if url.startswith(ICON):
            self.icons.append(url)
        elif parts.scheme not in {"data", "blob"} and parts.hostname != "127.0.0.1":
            self.left.append(url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not self._harmless(message):
            self.complaints.append(f"{message.text} {message.location}")

    def _harmless(self, message: ConsoleMessage) -> bool:
        """A direct link requests two of Streamlit's own files next to the page, where they do not exist."""
        url = str((message.location or {}).get("url", ""))
        return ("404" in message.text and "_stcore" in url) or url.startswith(ICON)

    def open(self, address: str) -> Page:
        self.page.goto(address)
        self.settle()
        return self.page

    def settle(self) -> None:
        self.page.wait_for_selector(IDLE, state="attached")
        self.page.wait_for_timeout(150)
        self.page.wait_for_selector(IDLE, state="attached")

    def press(self, key: str) -> None:
        """Press the button of this key and wait until the page is done.

        By the keyboard: an expander that was just opened still moves, and a click could miss the button.
        """
        self.page.locator(f".st-key-{key} button").press("Enter")
        self.settle()

    def choose(self, field: str, option: str | re.Pattern[str]) -> None:
        """Open the list of the field with this key and choose this option.

        The page moves first: a list that is open closes when the page moves.
        """
        box = self.page.locator(f".st-key-{field} input")
        box.scroll_into_view_if_needed()
        box.click()
        self.page.get_by_role("option", name=option, exact=isinstance(option, str)).click()
        self.settle()

    def assert_quiet(self) -> None:
        assert self.left == []
        assert self.complaints == []


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    """A page; its test fails at the end if a request left 127.0.0.1, or the console has an error."""
    page = Watched(browser)
    yield page
    page.assert_quiet()
    page.context.close()


def wait_for(project: Project, number: int, kind: str) -> None:
    """Wait until the job of this number is done."""
    end = time.monotonic() + PATIENCE
    while (
        not project.database.is_file()
        or (job := newest_job(project)) is None
        or job.id < number
        or job.state in {"waiting", "running"}
    ):
        assert time.monotonic() < end, f"job {number}, {kind}"
        time.sleep(0.2)
    assert (job.id, job.kind, job.state) == (number, kind, "done"), job


def saying(text: str) -> re.Pattern[str]:
    """Return a pattern for a text on the page that allows an invisible joiner next to every sign."""
    return re.compile(re.sub(r"\\?([^\w\s])", rf"{JOINER}?\\\1{JOINER}?", text))
