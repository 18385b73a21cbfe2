"""How long each page takes at full size, in a real browser: ``python -m benchmarks.pages --workspace DIR``.

For each page: seconds from a click that reruns it until the page rests, p50 and p95, and the payload of the label map.
The project is synthetic, made and taken through one round at the first call, and kept in DIR.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page

from benchmarks.served import RESTING, prepare_project, rest, served

PAGES = ("data", "label_map", "rounds", "review", "results")


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
    with served(chosen.workspace, chosen.port) as (base, page):
        measure(page, base, name, chosen.times)


if __name__ == "__main__":
    main()
