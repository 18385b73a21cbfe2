"""An LLM judge in a real browser: connected, tested, asked, explained, fed back, paid for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from red_core.records import Project
from red_core.store.attempts import spent
from red_core.store.desk import Card
from red_core.store.labels import list_labels
from red_core.store.rounds import list_rounds
from red_core.store.verdicts import explanation
from red_core.training.background import background_texts
from red_core.training.embeddings import name_vectors
from tests.helpers.app_projects import NAME, fed_back_rows, queued
from tests.helpers.browser import CHROMIUM, FOREIGN, Server, Watched, saying, wait_for
from tests.helpers.oracle import KEY, MODEL, Oracle, no_judge, oracle
from tests.helpers.small_projects import EMBEDDING, fake_encode, pool_rows, seed_rows

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(CHROMIUM is None, reason="neither chromium nor google-chrome is installed"),
]
ERROR = 0.1
"""The share of its answers that are wrong, so that it reads like a model and not like a table."""


@pytest.fixture(autouse=True)
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the server, and the workers it starts, keep a judge's settings here and nowhere else."""
    no_judge(monkeypatch, tmp_path / "secrets.toml")
    return tmp_path / "secrets.toml"


@pytest.fixture
def judge() -> Iterator[Oracle]:
    with oracle(dict(seed_rows()) | dict(pool_rows()), error=ERROR) as running:
        yield running


@pytest.fixture
def prepared(in_state: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> Project:
    """A trial project that a worker can judge though no model makes its vectors: also those of its names are there."""
    project = in_state("prepared")
    monkeypatch.setattr("red_core.training.embeddings.encode", fake_encode)
    name_vectors(project, EMBEDDING, [*(label.name for label in list_labels(project)), *background_texts()])
    return project


def picture(watched: Watched, name: str) -> None:
    """Save what is on the screen where RED_SCREENSHOTS says."""
    if folder := os.environ.get("RED_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        watched.page.wait_for_timeout(500)
        watched.page.screenshot(path=Path(folder) / f"judge-{name}.png", full_page=True)


def fill(watched: Watched, **typed: str) -> None:
    for name, value in typed.items():
        box = watched.page.locator(f".st-key-connect_{name} input").first
        box.fill(value)
        box.press("Tab")


def choose_llm(watched: Watched) -> None:
    watched.page.locator(".st-key-judge").get_by_text("LLM judge", exact=True).click()
    watched.settle()


def assert_sound(watched: Watched) -> None:
    """Fail where the page holds an exception, the key, or markup from outside."""
    main = watched.page.locator("[data-testid=stMain]")
    assert watched.page.locator("[data-testid=stException]").count() == 0
    assert main.locator(FOREIGN).count() == 0
    assert KEY not in main.inner_text()


def try_and_keep(watched: Watched, judge: Oracle, secrets: Path) -> None:
    """Connect in the browser: what cannot work is told, what works is told and kept."""
    page = watched.page
    choose_llm(watched)
    page.get_by_text(saying("no judge model is named")).wait_for()
    expect(page.locator(".st-key-run_round button")).to_be_disabled()
    picture(watched, "1-none-yet")
    fill(watched, base_url=judge.address, api_key=KEY, model=MODEL, price_in="2", price_out="8")
    judge.status = 401
    page.locator(".st-key-connect_try button").click()
    expect(page.get_by_text(saying("refused the key"))).to_be_in_viewport()
    picture(watched, "2-refused")
    judge.status, judge.error = 200, 0.0
    page.locator(".st-key-connect_try button").click()
    expect(page.get_by_text(saying(f"It works. The server says that its model is {MODEL}."))).to_be_in_viewport()
    judge.error = ERROR
    picture(watched, "3-tried")
    assert not secrets.exists()
    page.locator(".st-key-connect_keep button").click()
    page.get_by_text(saying("Saved in secrets.toml. Only you can read this file.")).wait_for()
    watched.settle()
    assert secrets.stat().st_mode & 0o777 == 0o600
    page.get_by_text(saying(f"chat/{MODEL}")).first.wait_for()
    picture(watched, "4-kept")
    assert_sound(watched)


def explain(watched: Watched, judge: Oracle, card: Card) -> None:
    """Ask for an explanation with a key: first of a server that refuses, then of one that answers."""
    page = watched.page
    judge.status = 401
    page.keyboard.press("e")
    page.get_by_text(saying("refused the key")).wait_for()
    expect(page.locator(".desk .text")).to_have_text(card.content)  # the card stays
    judge.status = 200
    page.keyboard.press("e")
    page.get_by_text(f"{MODEL} wrote this explanation later. It is not the reason for the verdict.").wait_for()
    expect(page.get_by_text(judge.words)).to_be_visible()


def test_an_llm_is_connected_tested_asked_explained_and_paid_for(
    prepared: Project, judge: Oracle, secrets: Path, serve: Callable[..., Server], watched: Watched
) -> None:
    server = serve(prepared.workspace)
    page = watched.open(f"{server.address}/rounds?project={NAME}")
    try_and_keep(watched, judge, secrets)

    page.locator(".st-key-judge_check button").click()
    wait_for(prepared, 1, "judge-check")
    page.get_by_text(re.compile(r"It called \d+ of \d+ right labels")).wait_for()
    watched.settle()
    picture(watched, "5-tested")

    expect(page.locator(".st-key-run_round button")).to_be_enabled()
    page.locator(".st-key-run_round button").click()
    page.locator(".st-key-cancel_job").wait_for()
    picture(watched, "6-running")
    wait_for(prepared, 2, "round")
    page.get_by_text(saying("Round 1, to review")).first.wait_for()
    watched.settle()
    picture(watched, "7-done")
    assert list_rounds(prepared)[-1].metrics["judge"].startswith(f"chat/{MODEL} at 127.0.0.1:")

    page = watched.open(f"{server.address}/review?project={NAME}&review_queue=judged+valid")
    card = queued(prepared, "judged valid")[0]
    shown = page.locator(".desk .side").first
    expect(shown).to_contain_text(f"chat/{MODEL}")
    assert card.label.name in shown.inner_text()
    assert card.examples[0].content in shown.inner_text()
    picture(watched, "8-card")
    explain(watched, judge, card)
    assert card.verdict is not None
    assert explanation(prepared, card.verdict) == (judge.words, MODEL)
    picture(watched, "9-explained")
    assert_sound(watched)

    page.locator(".st-key-feed_back_panel button").first.click()
    page.locator(".st-key-feed_back button").wait_for()
    picture(watched, "10-to-feed-back")
    watched.press("feed_back")
    page.locator(".st-key-feed_back").wait_for(state="detached")
    assert {row[3] for row in fed_back_rows(prepared)} == {"verdict"}

    page = watched.open(f"{server.address}/results?project={NAME}")
    took = spent(prepared)
    assert took.money is not None
    page.get_by_text(
        saying(f"The judge used {took.tokens / 0.04:,.0f} tokens per 1,000 texts. Cost: {took.money / 0.04:,.2f}.")
    ).wait_for()
    picture(watched, "11-results")
    assert_sound(watched)
    page = watched.open(f"{server.address}/rounds?project={NAME}")
    page.get_by_text("Undo the feed back of round 1").wait_for()
    picture(watched, "12-next-round")
