"""Run four sessions and a worker on the large project for minutes: ``python -m benchmarks.soak --workspace DIR``.

Four sessions of a headless Chromium open the pages, rerun them, decide cards, filter, and select labels on the map,
while rounds run one after another and are fed back or closed. A fifth session has no browser: it takes the time until
the server has finished a run. Printed: seconds of the reruns of each page and of the other actions, with and without a
running round; the memory of server and worker; every error. The exit code is 1 if a budget is missed. The project is a
copy of the one that ``benchmarks.pages`` creates.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from playwright.async_api import Error, Page, async_playwright

from benchmarks.desk import PRESS
from benchmarks.pages import PAGES
from benchmarks.served import CHROMIUM_FLAGS, RESTING, prepare_project, serving
from benchmarks.synthetic import SETTINGS, WORDS
from benchmarks.wire import open_wire
from red_core.errors import StateError
from red_core.records import Project
from red_core.review import feed_back, plan_feed_back
from red_core.rounds import mark_interrupted, start_job
from red_core.settings import make_settings
from red_core.store.database import open_project
from red_core.store.jobs import ask_to_cancel, find_job
from red_core.store.rounds import close_round, list_rounds

RERUN_BUDGET = 0.5
"""Budget for the reruns of any page: seconds at p95."""
GROWTH_BUDGET = 0.05
"""Budget for the memory growth of the server, as a share; see :func:`growth`."""
SAMPLE_SECONDS = 1.0
REVIEW_SECONDS = 45
"""Seconds of review between two rounds."""
PATIENCE = 60
ALL_IN_FRONT = [
    "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
]  # fmt: skip
"""Without these flags a browser draws only one window at full speed, and the others seem slow."""
TITLES = {
    "overview": "Overview",
    "data": "Data",
    "label_map": "Label map",
    "rounds": "Rounds",
    "review": "Review",
    "results": "Results",
}
LEAVE = "document.activeElement.blur()"
"""Leave the field, so that the next key is a command and not a letter."""
STATE = "JSON.stringify({...document.querySelector('[data-testid=stApp]')?.dataset})"
"""Whether Streamlit runs a script, and whether it is connected."""
NOISE = "the server responded with a status of 404"
"""Streamlit's two own requests that fail after a deep link."""


@dataclass
class Measurements:
    """Seconds by action and by whether a round ran, memory by process, and all errors."""

    seconds: dict[tuple[str, bool], list[float]] = field(default_factory=lambda: defaultdict(list))
    memory: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    rounds: list[str] = field(default_factory=list)
    working: bool = False
    processor_seconds: float = 0.0

    async def timed(self, action: str, what: Awaitable[object]) -> None:
        """Await ``what`` and record its seconds, unless a round began or ended meanwhile."""
        began, working = time.perf_counter(), self.working
        await what
        if working == self.working:
            self.seconds[action, working].append(time.perf_counter() - began)


async def rests(page: Page) -> None:
    await page.wait_for_timeout(15)
    await page.wait_for_function(
        "rest => document.querySelector(rest) !== null", arg=RESTING, polling="raf", timeout=PATIENCE * 1000
    )


async def rerun(page: Page) -> None:
    await page.keyboard.press("r")  # Streamlit's key for a rerun
    await rests(page)


async def walk(page: Page, key: str) -> None:
    await page.get_by_test_id("stSidebarNav").get_by_text(TITLES[key], exact=True).click()
    await page.get_by_role("heading", name=TITLES[key], exact=True).first.wait_for(timeout=PATIENCE * 1000)
    await rests(page)


async def choose(page: Page, key: str, words: str) -> None:
    """Search an option of a selectbox by typing, and select the first match."""
    await page.locator(f".st-key-{key} input").first.fill(words)
    await page.keyboard.press("Enter")
    await rests(page)
    await page.evaluate(LEAVE)


async def search(page: Page, words: str) -> None:
    await page.locator(".st-key-results_search input").fill(words)
    await page.keyboard.press("Enter")
    await rests(page)
    await page.evaluate(LEAVE)


async def session(page: Page, base: str, name: str, number: int, seen: Measurements, end: float) -> None:
    """Act as one person until the time ``end``."""
    rng = np.random.default_rng(number)
    page.on("pageerror", lambda error: seen.errors.append(f"page error: {error}"))
    page.on("console", lambda message: note_console(seen, message.type, message.text))
    await page.goto(f"{base}/data?project={name}")
    await rests(page)
    while time.monotonic() < end:
        key = str(rng.choice(PAGES))
        try:
            await visit(page, key, rng, seen)
        except Error as error:
            seen.errors.append(f"{key}: {str(error).splitlines()[0]} {await page.evaluate(STATE)}")
            await page.goto(f"{base}/{key}?project={name}")
        for exception in await page.locator("[data-testid=stException]").all_inner_texts():
            seen.errors.append(f"{key}: {exception[:200]}")
        await asyncio.sleep(float(rng.uniform(0.5, 2)))  # a person reads in between


def note_console(seen: Measurements, kind: str, text: str) -> None:
    if kind == "error" and NOISE not in text:
        seen.errors.append(f"console: {text[:200]}")


async def visit(page: Page, key: str, rng: np.random.Generator, seen: Measurements) -> None:
    """Open a page, rerun it, and do the usual action of that page."""
    await seen.timed(f"walk to {key}", walk(page, key))
    for _ in range(2):
        await seen.timed(f"rerun {key}", rerun(page))
    if key == "label_map":
        await seen.timed("choose a label", choose(page, "label", f"label {rng.integers(1000):04d}"))
        await seen.timed("rerun label_map, a label open", rerun(page))
    elif key == "results":
        await seen.timed("search and filter", search(page, str(rng.choice(WORDS))))
        await search(page, "")
    elif key == "review" and not seen.working and await page.locator(".desk .text").count():
        for kind in rng.choice(["a", "x", "n"], 5, p=[0.6, 0.3, 0.1]):
            decided = page.evaluate(PRESS, [str(kind), 1, 300, ".desk .text"])
            with suppress(TimeoutError):  # the queue may be empty
                (took,) = await asyncio.wait_for(decided, 20)
                seen.seconds["key to card", seen.working].append(took / 1000)


async def wire_session(port: int, name: str, seen: Measurements, end: float) -> None:
    """Open and rerun the pages without a browser until the time ``end``."""
    rng, wire = np.random.default_rng(99), await open_wire(port, name)
    while time.monotonic() < end:
        key = str(rng.choice(PAGES))
        await seen.timed(f"server: walk to {key}", wire.run(key))
        for _ in range(2):
            await seen.timed(f"server: rerun {key}", wire.run())
            await asyncio.sleep(float(rng.uniform(0.5, 2)))
        if key == "label_map":
            await seen.timed("server: choose a label", wire.fill("label", f"label {rng.integers(1000):04d}"))
            await seen.timed("server: rerun label_map, a label open", wire.run())
    seen.errors += [f"server: {each}" for each in wire.exceptions]
    await wire.connection.close()


# Rounds in the background, and the memory


async def work(project: Project, seen: Measurements, end: float) -> None:
    """Wait, then run rounds one after another; each is reviewed for a while and then fed back."""
    settings = make_settings("recommended", SETTINGS)
    await asyncio.sleep(min(REVIEW_SECONDS, max(0.0, end - time.monotonic()) / 3))
    while time.monotonic() < end:
        if list_rounds(project)[-1].state == "to review":
            await asyncio.to_thread(feed_back_or_close, project)
        began, job = time.monotonic(), start_job(project, "round", settings, "soak")
        seen.working = True
        while (now := mark_interrupted(project)) is not None and now.state in {"waiting", "running"}:
            if time.monotonic() > end:
                ask_to_cancel(project, job)
            await asyncio.sleep(0.5)
        seen.working = False
        ended = find_job(project, job)
        seen.rounds.append(f"{ended.state} after {time.monotonic() - began:.0f} s")
        if ended.state not in {"done", "cancelled"}:
            seen.errors.append(f"round: {ended.error}")
        await asyncio.sleep(max(0.0, min(REVIEW_SECONDS, end - time.monotonic())))


def feed_back_or_close(project: Project) -> None:
    """Feed back what is planned; plan again if somebody decided meanwhile."""
    while True:
        plan = plan_feed_back(project, accept_evidence_check=True)
        if not plan.items:
            return close_round(project)
        with suppress(StateError):
            return feed_back(project, plan)


async def sample(project: Project, server: int, seen: Measurements, end: float) -> None:
    """Record the resident memory in MB of the server, and of the worker while a round runs."""
    while time.monotonic() < end:
        job = mark_interrupted(project)
        worker = job.pid if job is not None and job.state == "running" else None
        for name, pid in (("server", server), ("worker", worker)):
            with suppress(psutil.NoSuchProcess):
                if pid is not None:
                    seen.memory[name].append((time.monotonic(), psutil.Process(pid).memory_info().rss / 1e6))
        await asyncio.sleep(SAMPLE_SECONDS)


async def soak(workspace: Path, name: str, people: int, minutes: float, port: int) -> Measurements:
    """Run all sessions and the rounds; return the measurements."""
    seen, project, log = Measurements(), open_project(workspace, name), workspace / "server.log"
    with serving(workspace, port, log) as (base, server):
        async with async_playwright() as play:
            browser = await play.chromium.launch(
                executable_path=shutil.which("chromium"), args=[*CHROMIUM_FLAGS, *ALL_IN_FRONT]
            )
            contexts = [await browser.new_context(viewport={"width": 1400, "height": 1000}) for _ in range(people)]
            pages = [await context.new_page() for context in contexts]
            end = time.monotonic() + 60 * minutes
            sessions = [session(page, base, name, number, seen, end) for number, page in enumerate(pages)]
            beside = wire_session(port, name, seen, end), work(project, seen, end), sample(project, server, seen, end)
            await asyncio.gather(*sessions, *beside)
            spent = psutil.Process(server).cpu_times()
            seen.processor_seconds = spent.user + spent.system
            await browser.close()
    output = log.read_text("utf-8", "replace")
    seen.errors += [f"server log: {line}" for line in output.splitlines() if line.startswith("Traceback")]
    return seen


# The report


def p95(seconds: list[float]) -> float:
    return float(np.quantile(seconds, 0.95))


def growth(samples: list[tuple[float, float]]) -> float:
    """Return the growth from the end of the first third of the time (15 minutes: the fifth) to the end, as a share.

    Medians of a fifteenth of the time are compared: one page that is being drawn is not growth.
    """
    held = np.array([size for _, size in samples])
    third, width = len(held) // 3, max(1, len(held) // 15)
    return float(np.median(held[-width:]) / np.median(held[third : third + width]) - 1)


def print_report(seen: Measurements) -> list[str]:
    """Print tables; return the budgets that were missed."""
    missed = [f"{len(seen.errors)} errors"] if seen.errors else []
    print("| action | without a round: times | p50, s | p95, s | a round running: times | p50, s | p95, s |")
    print("|---|---|---|---|---|---|---|")
    for action in sorted({action for action, _ in seen.seconds}):
        cells = []
        for working in (False, True):
            seconds = seen.seconds.get((action, working), [])
            cells += (
                [f"{len(seconds)}", f"{np.median(seconds):.2f}", f"{p95(seconds):.2f}"] if seconds else ["0", "", ""]
            )
            if seconds and "rerun" in action and p95(seconds) > RERUN_BUDGET:
                missed.append(f"{action}, {'a' if working else 'no'} round running: p95 {p95(seconds):.2f} s")
        print(f"| {action} | {' | '.join(cells)} |")
    for name, samples in seen.memory.items():
        sizes = [size for _, size in samples]
        print(f"{name}: {min(sizes):,.0f} to {max(sizes):,.0f} MB, growth {growth(samples):+.1%}")
    actions = sum(map(len, seen.seconds.values()))
    spent = seen.processor_seconds
    print(
        f"server: {spent:,.0f} processor seconds for {actions:,} actions measured, {spent / max(1, actions):.2f} each"
    )
    if growth(seen.memory["server"]) > GROWTH_BUDGET:
        missed.append(f"the server's memory grew by {growth(seen.memory['server']):.0%}")
    print(f"rounds: {', '.join(seen.rounds) or 'none finished'}")
    for error in seen.errors[:20]:
        print(f"error: {error}")
    return missed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--pool", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--port", type=int, default=8733)
    chosen = parser.parse_args()
    name = prepare_project(chosen.workspace, chosen.labels, chosen.pool)
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(chosen.workspace / name, Path(copy) / name)
        seen = asyncio.run(soak(Path(copy), name, chosen.people, chosen.minutes, chosen.port))
    missed = print_report(seen)
    print(f"missed: {'; '.join(missed) or 'nothing'}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
