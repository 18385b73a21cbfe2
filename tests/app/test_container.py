"""The container without a container daemon: the files that the image would hold, and the server started from them."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from playwright.sync_api import Browser

from tests.helpers.browser import CHROMIUM, IDLE, MILLISECONDS
from tests.helpers.paths import ROOT

WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
"""Takes from root the right to write where the mode of a file forbids it."""


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile: (name, arguments)."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text("utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def ignored(path: str) -> bool:
    """Return whether .dockerignore leaves a path of the repository out; the last rule that matches decides."""
    out = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            rule = line.strip().lstrip("!").removeprefix("**/")
            parts = [path, *(parent.as_posix() for parent in Path(path).parents if parent.name)]
            names = [*parts, *(Path(part).name for part in parts)] if "**/" in line else parts
            if any(fnmatch.fnmatchcase(name, rule) for name in names):
                out = not line.startswith("!")
    return out


def context() -> Iterator[str]:
    """Yield the files that a build would send to the daemon, relative to the repository."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in {".git", ".venv", "node_modules"}]
        for name in files:
            path = (Path(folder) / name).relative_to(ROOT).as_posix()
            if not ignored(path):
                yield path


def hashes(file: str) -> dict[str, tuple[str, list[str]]]:
    """Return the name of each package in a file of hashes -> its version and its SHA-256 sums."""
    blocks = re.findall(
        r"^([\w.-]+)==(\S+)((?: \\\n +--hash=sha256:[0-9a-f]{64})+)$", (ROOT / file).read_text("utf-8"), re.MULTILINE
    )
    return {
        re.sub(r"[-_.]+", "-", name).lower(): (version, re.findall(r"sha256:(\w+)", sums))
        for name, version, sums in blocks
    }


def needed() -> set[str]:
    """Return the packages that the app needs, and those that these need, as they are installed here."""
    found, open_ = set[str](), [("red-workbench", ("app", "model"))]
    while open_:
        name, extras = open_.pop()
        for line in requires(name) or ():
            wanted = Requirement(line)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                key = canonicalize_name(wanted.name)
                if key not in found and key != "red-workbench":
                    found.add(key)
                    open_.append((key, tuple(wanted.extras)))
    return found


def test_every_package_of_the_container_has_its_hash():
    sums, pins = (
        hashes("hashes.txt"),
        dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)),
    )
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    assert needed() - sums.keys() == set()
    assert {name: sums[name][0] for name in sums.keys() & pinned} == {
        name: pinned[name] for name in sums.keys() & pinned
    }
    assert all(len(set(each)) == len(each) > 0 for _, each in sums.values())
    assert hashes("hashes-cpu.txt")["torch"][0] == f"{sums['torch'][0]}+cpu"
    installs = [rest for name, rest in instructions() if name == "RUN" and "pip install" in rest]
    for command in re.findall(r"pip install[^&;]*", " ".join(installs)):
        assert "--require-hashes" in command or "--no-deps -e ." in command
    assert re.fullmatch(
        r"python:[\d.]+-slim@sha256:[0-9a-f]{64}", next(rest for name, rest in instructions() if name == "FROM")
    )


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working folder of the image, read-only: what every COPY puts there."""
    tree = tmp_path_factory.mktemp("image") / "app"
    sent = list(context())
    for name, rest in instructions():
        if name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                taken = [path for path in sent if source in {".", path} or path.startswith(f"{source}/")]
                assert taken, f"COPY {source}: .dockerignore leaves it out"
                for path in taken:
                    place = tree / target / path
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / path, place)
    for folder, _, files in os.walk(tree):
        for name in files:
            (Path(folder) / name).chmod(0o444)
    for folder, _, _ in os.walk(tree, topdown=False):
        Path(folder).chmod(0o555)
    return tree


@pytest.fixture(scope="module")
def address(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`red serve` in that folder, by a user who cannot write there; yield its address."""
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    env = dict(re.findall(r"(\w+)=(\S+)", next(rest for name, rest in instructions() if name == "ENV")))
    env |= {"RED_WORKSPACE": str(home / "data"), "RED_SECRETS": str(home / "secrets.toml"), "HOME": str(home)}
    env |= {"PYTHONPATH": str(image), "RED_BEHIND_PROXY": "1", "STREAMLIT_SERVER_ADDRESS": "127.0.0.1"}
    command = [sys.executable, "-c", "from red_core.cli import main; main()", "serve", "--port", str(port)]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root can write everywhere, and there is no setpriv to take that right away")
        command = [*WITHOUT_RIGHTS, *command]
    log = home / "server.log"
    with log.open("wb") as sink:
        server = subprocess.Popen(
            command, cwd=image, env=os.environ | env, stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        end = time.monotonic() + 120
        while not _healthy(port):
            assert server.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < end, log.read_text("utf-8")
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        for folder, _, _ in os.walk(image):
            Path(folder).chmod(0o755)  # so that the folder can be removed


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def test_the_image_holds_every_file_of_the_program_and_nothing_else(image: Path) -> None:
    there = {path.relative_to(image).as_posix() for path in image.rglob("*") if path.is_file()}
    assert {"server.py", "app.py", "red_core/data/demo/pool.csv", ".streamlit/config.toml"} <= there
    assert not [path for path in there if path.split("/")[0] in {"tests", "benchmarks", "docs", "workspace", ".venv"}]
    assert not [path for path in there if "__pycache__" in path or path.endswith(("secrets.toml", ".db"))]


def test_the_command_of_the_image_is_the_one_started_here() -> None:
    assert ("CMD", '["red", "serve"]') in instructions()


def test_the_server_of_the_image_is_healthy_and_sends_its_headers(address: str) -> None:
    with urllib.request.urlopen(address, timeout=10) as reply:  # noqa: S310  our own address
        assert reply.status == 200
        assert "default-src 'self'" in reply.headers["Content-Security-Policy"]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")
def test_a_page_of_the_image_is_drawn(address: str, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(address, timeout=MILLISECONDS)
    page.wait_for_selector(IDLE, timeout=MILLISECONDS)
    assert page.get_by_role("heading", name="Data", exact=True).first.is_visible()
    assert page.get_by_test_id("stException").count() == 0
    page.close()
