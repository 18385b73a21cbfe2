"""From the opened app to the first decision in the demo: ``python -m benchmarks.first_decision``.

A person in a headless Chromium creates the demo project, runs its first round and accepts the first card, each as soon
as the screen offers it. Printed: the seconds of each action by the clock. The server has started before; aim: 3 actions
and 30 s on a quiet machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from benchmarks.served import rest, served

PATIENCE = 600_000
"""The longest wait for a step, in milliseconds."""


def create_demo(page: Page) -> None:
    """Create the demo; at the end the app offers the first round."""
    page.get_by_role("button", name="Create the demo project").click()
    expect(page.get_by_role("button", name="Run round 1").first).to_be_enabled(timeout=PATIENCE)


def run_round(page: Page) -> None:
    """Run the round; at the end the app offers the review."""
    page.get_by_role("button", name="Run round 1").first.click()
    expect(page.get_by_role("button", name="Review").first).to_be_enabled(timeout=PATIENCE)


def review(page: Page) -> None:
    """Open the desk; at the end the first card is on the screen."""
    page.get_by_role("button", name="Review").first.click()
    page.locator(".desk .text").wait_for(timeout=PATIENCE)


def decide(page: Page) -> None:
    """Accept the first card; at the end the decision is stored."""
    page.keyboard.press("a")
    expect(page.get_by_text("1 decided here")).to_be_visible(timeout=PATIENCE)


ACTIONS: tuple[Callable[[Page], None], ...] = (create_demo, run_round, review, decide)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8571)
    parser.add_argument("--pictures", type=Path, help="a folder for a picture after each action")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as workspace, served(Path(workspace), options.port) as (base, page):
        begun = time.perf_counter()
        page.goto(base)
        rest(page)
        print(f"{'opened':14}{time.perf_counter() - begun:7.1f} s", flush=True)
        for action in ACTIONS:
            step = time.perf_counter()
            action(page)
            print(f"{action.__name__:14}{time.perf_counter() - step:7.1f} s", flush=True)
            if options.pictures:
                options.pictures.mkdir(parents=True, exist_ok=True)
                page.screenshot(path=options.pictures / f"{action.__name__}.png")
        seconds = time.perf_counter() - begun
        print(f"{len(ACTIONS) - 1} actions to the first card and one key, {seconds:.1f} s")


if __name__ == "__main__":
    main()
