"""How long each page takes at full size, in a real browser: ``python -m benchmarks.pages --workspace DIR``.

For each page: seconds from a click that reruns it until the page rests, p50 and p95, and the payload of the label map.
The project is synthetic, made and taken through one round at the first call, and kept in DIR.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.synthetic import synthetic_project
from red_core.rounds import run_round
from red_core.store.database import project_names
from red_core.store.rounds import rounds

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
PAGES = ("data", "label_map", "rounds", "review", "results")
RESTING = "[data-testid=stApp][data-test-script-state=notRunning][data-test-connection-state=CONNECTED]"


def prepare_project(workspace: Path, labels: int, texts: int) -> str:
    name = f"synthetic-{labels}-{texts}"
    if name not in project_names(workspace):
        start = time.perf_counter()
        project, settings = synthetic_project(workspace, name, labels=labels, seeds_per_label=10, texts=texts)
        print(f"made {name} in {time.perf_counter() - start:.1f} s", file=sys.stderr)
        start = time.perf_counter()
        run_round(project, settings)
        print(f"one round in {time.perf_counter() - start:.1f} s", file=sys.stderr)
        assert rounds(project)[-1].state == "to review"
    return name


def rest(page: Page) -> None:
    page.wait_for_selector(RESTING, timeout=60_000)


def measure(page: Page, base: str, name: str, times: int) -> list[dict[str, object]]:
    rows = []
    for key in PAGES:
        received = [0]
        page.on(
            "websocket", lambda ws, r=received: ws.on("framereceived", lambda data: r.__setitem__(0, r[0] + len(data)))
        )
        start = time.perf_counter()
        page.goto(f"{base}/{key}?project={name}")
        page.wait_for_selector("h1", timeout=60_000)
        rest(page)
        first, payload = time.perf_counter() - start, received[0]
        seconds = []
        for _ in range(times):
            start = time.perf_counter()
            page.keyboard.press("r")  # Streamlit's own key for a rerun
            page.wait_for_timeout(15)
            page.wait_for_function("rest => document.querySelector(rest) !== null", arg=RESTING, polling="raf")
            seconds.append(time.perf_counter() - start)
        rows.append(
            {
                "page": key,
                "first_seconds": round(first, 3),
                "first_kilobytes": round(payload / 1000, 1),
                "rerun_p50": round(float(np.quantile(seconds, 0.5)), 3),
                "rerun_p95": round(float(np.quantile(seconds, 0.95)), 3),
            }
        )
        print(json.dumps(rows[-1]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--pool", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--port", type=int, default=8731)
    chosen = parser.parse_args()
    name = prepare_project(chosen.workspace, chosen.labels, chosen.pool)
    environment = os.environ | {"RED_WORKSPACE": str(chosen.workspace.resolve())}
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        f"--server.port={chosen.port}",
        "--server.headless=true",
    ]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{chosen.port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{base}/_stcore/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.25)
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
            measure(browser.new_page(viewport={"width": 1400, "height": 1000}), base, name, chosen.times)
            browser.close()
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    main()
