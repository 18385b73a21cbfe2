"""Measure each page at full size in a real browser: ``python -m benchmarks.pages --workspace DIR``.

For each page: seconds from a click that reruns it until the page is idle (p50 and p95), and seconds of the first paint.
For the label map also: seconds from the end of a lasso until its labels are listed, and reruns with that selection.
The project is synthetic. The first call creates it, runs one round and keeps it in DIR.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page

from benchmarks.served import RESTING, prepare_project, rest, served

PAGES = ("overview", "data", "label_map", "rounds", "review", "results")


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
        rows.append(
            {"page": key, "first_seconds": round(first, 3), "first_kilobytes": round(payload / 1000, 1)}
            | quantiles([rerun(page) for _ in range(times)])
        )
        print(json.dumps(rows[-1]))
    return rows


def measure_lasso(page: Page, base: str, name: str, times: int) -> dict[str, object]:
    """Measure a lasso around the middle of the map, and reruns of the page with that selection."""
    sent = [0]
    page.on("websocket", lambda ws: ws.on("framesent", lambda data: sent.__setitem__(0, sent[0] + len(data))))
    page.goto(f"{base}/label_map?project={name}")
    page.locator(".st-key-map .scatterlayer").first.wait_for(timeout=60_000)
    rest(page)
    page.locator(".st-key-map [data-title='Lasso Select']").click()
    box = page.locator(".st-key-map .nsewdrag").bounding_box()
    assert box is not None
    turns = np.linspace(0, 2 * np.pi, 25)
    corners = np.stack([0.5 + 0.3 * np.cos(turns), 0.5 + 0.3 * np.sin(turns)], axis=1) * (box["width"], box["height"])
    corners += (box["x"], box["y"])
    page.mouse.move(*corners[0])
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(x, y)
    sent[0], start = 0, time.perf_counter()
    page.mouse.up()
    listed = page.get_by_role("heading", name="in the lasso")
    listed.wait_for()
    seconds, kilobytes = time.perf_counter() - start, sent[0] / 1000
    rest(page)
    figures = {
        "lasso": listed.inner_text(), "lasso_to_list_seconds": round(seconds, 3), "sent_kilobytes": round(kilobytes, 1)
    }  # fmt: skip
    return figures | quantiles([rerun(page) for _ in range(times)])


def rerun(page: Page) -> float:
    """Return the seconds of a rerun."""
    start = time.perf_counter()
    page.keyboard.press("r")  # Streamlit's key for a rerun
    page.wait_for_timeout(15)
    page.wait_for_function("rest => document.querySelector(rest) !== null", arg=RESTING, polling="raf")
    return time.perf_counter() - start


def quantiles(seconds: list[float]) -> dict[str, object]:
    return {f"rerun_p{q}": round(float(np.quantile(seconds, q / 100)), 3) for q in (50, 95)}


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
        print(json.dumps(measure_lasso(page, base, name, chosen.times)))


if __name__ == "__main__":
    main()
