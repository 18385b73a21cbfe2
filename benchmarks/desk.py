"""Measure the review desk at full size in a real browser: ``python -m benchmarks.desk --workspace DIR``.

Milliseconds from a key until the next card is on the screen, p50 and p95, and the bytes that a decision sends. The
project is a copy of the one that ``benchmarks.pages`` makes, so that its queue stays whole.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page

from benchmarks.served import prepare_project, rest, served

PRESS = """
async ([key, times, gap, card]) => {
  const host = [...document.querySelectorAll("*")].find((e) => e.shadowRoot?.querySelector(".desk"))
  const root = host?.shadowRoot ?? document
  const shown = () => root.querySelector(card)?.textContent
  const took = []
  for (let turn = 0; turn < times; turn += 1) {
    const before = shown()
    const began = performance.now()
    const how = { key, code: "KeyA", keyCode: 65, bubbles: true, cancelable: true, composed: true }
    document.dispatchEvent(new KeyboardEvent("keydown", how))
    while (shown() === before || shown() === undefined) await new Promise(requestAnimationFrame)
    await new Promise(requestAnimationFrame)
    took.push(performance.now() - began)
    await new Promise((done) => setTimeout(done, Math.max(0, gap - (performance.now() - began))))
  }
  return took
}
"""
"""Measures until the frame after the one that drew the next card."""


def measure(page: Page, address: str, card: str, times: int, gap: int) -> dict[str, float]:
    heard = [0, 0]

    def watch(ws) -> None:
        ws.on("framereceived", lambda frame: heard.__setitem__(0, heard[0] + len(frame)))
        ws.on("framesent", lambda frame: heard.__setitem__(1, heard[1] + len(frame)))

    page.on("websocket", watch)
    page.goto(address)
    page.wait_for_selector(card, timeout=60_000)
    rest(page)
    time.sleep(1)
    opened, heard[:] = heard[0], [0, 0]
    took = page.evaluate(PRESS, ["a", times, gap, card])
    rest(page)
    time.sleep(2)
    return {
        "opens_with_kilobytes": round(opened / 1000, 1),
        "key_to_card_p50_ms": round(float(np.quantile(took, 0.5)), 1),
        "key_to_card_p95_ms": round(float(np.quantile(took, 0.95)), 1),
        "kilobytes_a_decision": round(sum(heard) / times / 1000, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--pool", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--port", type=int, default=8732)
    chosen = parser.parse_args()
    name = prepare_project(chosen.workspace, chosen.labels, chosen.pool)
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(chosen.workspace / name, Path(copy) / name)
        with served(Path(copy), chosen.port) as (base, page):
            address = f"{base}/review?project={name}"
            for desk, query, card, gap in (
                ("one key a second", "", ".desk .text", 1000),
                ("a key every 40 ms", "", ".desk .text", 40),
            ):
                times = chosen.times if gap == 40 else chosen.times // 2
                print(json.dumps({"desk": desk, **measure(page, address + query, card, times, gap)}), flush=True)


if __name__ == "__main__":
    main()
