"""The fast desk in a real browser: one key, one decision, in order, once, whatever happens to the server."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from red_core.judges.prompt import side
from red_core.labels.edits import apply_edit
from red_core.labels.groups import Group
from red_core.records import Project
from red_core.review.audit_report import summary
from red_core.review.decisions import Provenance, decide
from red_core.store.batches import batch_counts
from red_core.store.database import connection
from red_core.store.flags import flags
from red_core.store.guidelines import guideline_examples
from red_core.store.labels import list_labels, set_meanings
from red_core.store.texts import remember
from tests.helpers.app_projects import HOSTILE_TEXTS, WHO, card_of, decision_rows, project_with_cards, queued
from tests.helpers.browser import CHROMIUM, Server, Watched, saying
from tests.helpers.small_projects import fake_encode, label_ids
from widgets.review.audit_panel import measured_in_words
from widgets.review.desk.audit import DEALT_AHEAD, AuditSitting

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(CHROMIUM is None, reason="neither chromium nor google-chrome is installed"),
]
Serve = Callable[..., Server]
TEXTS = 140
NAMES = [f"topic {letter}" for letter in "abcdefghijkl"]
KEYS = "axna1x2aansa"
KINDS = {"a": "accept", "x": "reject", "n": "none", "s": "skip", "1": "relabel", "2": "relabel"}

STRIKE = """
async ([keys, gap]) => {
  const root = [...document.querySelectorAll("*")].find((e) => e.shadowRoot?.querySelector(".desk")).shadowRoot
  const struck = []
  for (const key of keys) {
    const began = performance.now()
    struck.push([key, root.querySelector(".desk .text").textContent])
    document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, composed: true }))
    await new Promise((done) => setTimeout(done, gap - (performance.now() - began)))
  }
  return struck
}
"""
"""Presses keys at an even gap, and notes what was on the desk before each."""


@pytest.fixture
def many(workspace: object, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with more cards than a tab holds."""
    monkeypatch.setattr("red_core.data.importing.encode", fake_encode, raising=False)
    monkeypatch.setenv("LOGNAME", WHO)
    return project_with_cards(workspace, "many", NAMES, [f"text number {n} about it" for n in range(TEXTS)])  # type: ignore[arg-type]


def desk_of(watched: Watched, server: Server, project: Project, **query: str) -> Page:
    asked = "".join(f"&{name}={value.replace(' ', '+')}" for name, value in query.items())
    page = watched.open(f"{server.address}/review?project={project.name}{asked}")
    page.locator(".desk .text").wait_for()
    return page


def saved(page: Page) -> None:
    expect(page.locator(".desk .saved")).to_have_text("all saved", timeout=60_000)


def text_of(project: Project) -> dict[str, int]:
    with connection(project) as db:
        return {str(content): int(id_) for id_, content in db.execute("SELECT id, content FROM text")}


@pytest.mark.parametrize("kill", [False, True], ids=["served", "killed half-way"])
def test_rapid_keys_decide_the_cards_on_screen_in_order_once(
    many: Project, serve: Serve, watched: Watched, kill: bool
) -> None:
    server = serve(many.workspace)
    page = desk_of(watched, server, many)
    saved(page)
    keys = (KEYS * 9)[:100]
    page.evaluate(f"([keys, gap]) => {{ window.struck = ({STRIKE})([keys, gap]) }}", [keys, 40])
    if kill:
        time.sleep(2)
        server.kill()
    struck = page.evaluate("() => window.struck")
    assert len({content for _, content in struck}) == 100  # each key met the next card
    if kill:
        server.start()
    saved(page)
    ids = text_of(many)
    assert [row[:2] for row in decision_rows(many)] == [(KINDS[key], ids[content]) for key, content in struck]
    watched.complaints.clear()  # while the server was gone, the browser said so


def test_what_a_dead_server_did_not_hear_is_sent_after_a_reload(many: Project, serve: Serve, watched: Watched) -> None:
    server = serve(many.workspace)
    page = desk_of(watched, server, many)
    saved(page)
    server.kill()
    struck = page.evaluate(STRIKE, ["axn", 100])
    expect(page.locator(".desk .saved")).to_contain_text("3 decisions are not saved yet", timeout=10_000)
    assert decision_rows(many) == []
    server.start()
    page.reload()
    page.locator(".desk .text").wait_for()
    saved(page)
    ids = text_of(many)
    assert [row[:2] for row in decision_rows(many)] == [(KINDS[key], ids[content]) for key, content in struck]
    watched.complaints.clear()


def test_a_key_costs_little_time_and_little_wire(many: Project, serve: Serve, watched: Watched) -> None:
    server = serve(many.workspace)
    heard = []
    watched.page.on("websocket", lambda ws: ws.on("framereceived", lambda frame: heard.append(len(frame))))
    page = desk_of(watched, server, many)
    saved(page)
    heard.clear()
    page.evaluate(STRIKE, ["a" * 40, 150])
    saved(page)
    assert sum(heard) / 40 < 20_000


def test_undo_goes_back_as_far_as_there_is_something(many: Project, serve: Serve, watched: Watched) -> None:
    first = queued(many)
    decide(many, first[5].text, "none", who=WHO)  # in an earlier sitting
    server = serve(many.workspace)
    page = desk_of(watched, server, many)
    feed_back = page.locator(".st-key-feed_back_panel button")
    before = int(re.findall(r"\d+", feed_back.inner_text())[-1])
    page.evaluate(STRIKE, ["ax1", 60])
    expect(feed_back).to_contain_text(f"Feed back {before + 2}", timeout=15_000)  # without a run of the page
    page.evaluate(STRIKE, ["uuu", 60])
    expect(feed_back).to_contain_text(f"Feed back {before}", timeout=15_000)
    expect(page.locator(".desk .text")).to_have_text(first[0].content)
    saved(page)
    assert [row[0] for row in decision_rows(many)] == ["none", "accept", "reject", "relabel", "undo", "undo", "undo"]
    page.keyboard.press("u")
    expect(page.locator(".desk .text")).to_have_text(first[5].content)
    saved(page)
    page.keyboard.press("a")  # decided anew after its undo: no conflict with oneself
    saved(page)
    assert [row[:2] for row in decision_rows(many)][-2:] == [("undo", first[5].text), ("accept", first[5].text)]
    page.keyboard.press("u")
    page.keyboard.press("u")
    expect(page.locator(".desk .notice")).to_contain_text("there is no decision to undo")


def test_a_number_gives_the_label_that_stands_on_its_button(many: Project, serve: Serve, watched: Watched) -> None:
    page = desk_of(watched, serve(many.workspace), many)
    saved(page)
    names = {label.id: label.name for label in list_labels(many)}
    for number in (1, 2, 3):
        card = queued(many)[0]
        shown = page.locator(".desk .numbers button:visible").nth(number - 1).inner_text()
        page.keyboard.press(str(number))
        saved(page)
        kind, text, label, *_ = decision_rows(many)[-1]
        assert (kind, text) == ("relabel", card.text)
        assert names[label] in shown
        assert label != card.label.id
        assert (number == 1) == (label == card.runner_up.id)


def test_at_the_end_of_a_queue_undo_is_still_there(
    in_state: Callable[..., Project], serve: Serve, watched: Watched
) -> None:
    project = in_state("to review")
    valid = queued(project, "judged valid")
    assert valid
    page = desk_of(watched, serve(project.workspace), project, review_queue="judged valid")
    for card in valid:
        expect(page.locator(".desk .text")).to_have_text(card.content)
        page.keyboard.press("n")
    expect(page.locator(".desk .empty")).to_have_text("All cards here are done.")
    page.keyboard.press("u")
    expect(page.locator(".desk .text")).to_have_text(valid[-1].content)
    saved(page)


def test_the_likelier_label_is_the_button_to_press(many: Project, serve: Serve, watched: Watched) -> None:
    """Its cards begin with a verdict *valid* and one *invalid*; the second one's rival becomes the likelier label."""
    first, second = queued(many)[:2]
    assert (first.outcome, second.outcome) == ("valid", "invalid")
    top = json.dumps([[second.runner_up.id, 0.7], [second.label.id, 0.2]])
    with connection(many) as db:
        db.execute("UPDATE prediction SET top = ? WHERE text = ?", [top, second.text])
        db.conn.commit()
    page = desk_of(watched, serve(many.workspace), many)
    accept, reject = (page.locator(f".desk [data-act={name}]") for name in ("accept", "reject"))
    one, main = page.locator(".desk .numbers button").first, re.compile(r"\bmain\b")
    expect(page.locator(".desk .side").nth(1)).to_contain_text("Runner-up")
    expect(accept).to_have_class(main)
    expect(one).not_to_have_class(main)
    expect(reject).to_contain_text("(the judge said valid)")
    page.keyboard.press("s")
    expect(page.locator(".desk .text")).to_have_text(second.content)
    expect(page.locator(".desk .side").nth(1)).to_contain_text(f"More likely now {second.runner_up.name}")
    expect(one).to_have_class(main)
    expect(accept).not_to_have_class(main)
    expect(accept).to_contain_text("(the judge said invalid)")
    saved(page)


def test_a_decided_card_says_what_was_decided_and_takes_another_decision(
    many: Project, serve: Serve, watched: Watched
) -> None:
    card = queued(many)[0]
    provenance = Provenance(proposal=card.proposal)
    decide(many, card.text, "accept", label=card.label.id, who=WHO, provenance=provenance)
    page = desk_of(watched, serve(many.workspace), many, review_queue="decided")
    notice = f"Decided: accepted {card.label.name}. Another decision replaces it."
    expect(page.locator(".desk .notice")).to_have_text(notice)
    page.keyboard.press("1")
    saved(page)
    assert card_of(many, card.text).decision == f"relabel: {card.runner_up.name}"


def test_a_card_that_somebody_else_decided_is_refused_with_what_changed(
    many: Project, serve: Serve, watched: Watched
) -> None:
    cards = queued(many)
    server = serve(many.workspace)
    page = desk_of(watched, server, many)
    saved(page)
    decide(many, cards[0].text, "none", who="Ana")
    decide(many, cards[2].text, "accept", label=cards[2].label.id, who="Ana")
    page.keyboard.press("a")
    expect(page.locator(".desk .notice")).to_contain_text("Ana said none of these")
    assert [row[5] for row in decision_rows(many)] == ["Ana", "Ana"]
    expect(page.locator(".desk .text")).to_have_text(cards[1].content)
    page.keyboard.press("n")
    expect(page.locator(".desk .text")).to_have_text(cards[0].content)  # as it is now, and before the third is dropped
    expect(page.locator(".desk .notice")).to_contain_text("Decided: none of these")
    page.keyboard.press("a")  # now she has seen it
    expect(page.locator(".desk .text")).to_have_text(cards[3].content)
    saved(page)
    assert [(row[0], row[1]) for row in decision_rows(many)][2:] == [("none", cards[1].text), ("accept", cards[0].text)]


def test_an_edited_meaning_is_another_question(many: Project, serve: Serve, watched: Watched) -> None:
    server = serve(many.workspace)
    page = desk_of(watched, server, many)
    saved(page)
    card = queued(many)[0]
    set_meanings(many, {card.label.id: "something else"}, "Ana")
    page.keyboard.press("a")
    expect(page.locator(".desk .notice")).to_contain_text("the label's meaning was edited")
    assert decision_rows(many) == []


def test_meaning_flag_and_columns_of_a_card_by_keyboard(many: Project, serve: Serve, watched: Watched) -> None:
    remember(many, "card columns", json.dumps(["**col** <i>"]))
    server = serve(many.workspace)
    page = desk_of(watched, server, many)
    card = queued(many)[0]
    notice = page.locator(".desk .notice")
    expect(page.locator(".desk .facts")).to_have_text("**col** <i> =1+1")
    page.keyboard.press("m")
    expect(page.locator(".desk .note-input")).to_have_value(card.label.meaning)
    page.locator(".desk .note-input").fill("sent back by the shop")
    page.keyboard.press("Enter")
    expect(notice).to_contain_text(f"The meaning of {card.label.name} is saved.")
    expect(page.locator(".desk .meaning").first).to_have_text("sent back by the shop")
    page.keyboard.press("u")
    expect(notice).to_contain_text("is as it was before")
    expect(page.locator(".desk .meaning").first).to_have_text(card.label.meaning)
    page.keyboard.press("Shift+M")  # of the label on the right
    page.locator(".desk .note-input").fill("kept by the shop")
    page.keyboard.press("Enter")
    saved(page)
    page.keyboard.press("f")
    expect(page.locator(".desk .note-input")).to_be_focused()
    page.keyboard.type("which team <b>?")
    page.keyboard.press("Enter")
    expect(page.locator(".desk .flag")).to_contain_text("Flagged by you: which team <b>?")
    page.keyboard.press("a")  # on a card whose label has a new meaning since
    saved(page)
    assert {label.id: label.meaning for label in list_labels(many)}[card.runner_up.id] == "kept by the shop"
    assert flags(many, [card.text])[card.text].comment == "which team <b>?"
    assert decision_rows(many) == [("accept", card.text, card.label.id, card.proposal, None, WHO)]
    page = desk_of(watched, server, many, review_queue="flagged")
    expect(page.locator(".desk .flag")).to_contain_text(f"Flagged by {WHO}")
    page.keyboard.press("f")
    expect(notice).to_contain_text("The flag is removed.")
    saved(page)
    assert flags(many, [card.text]) == {}


def test_what_is_typed_stays_while_an_edited_meaning_makes_another_queue(
    many: Project, serve: Serve, watched: Watched
) -> None:
    page = desk_of(watched, serve(many.workspace), many)
    card = queued(many)[0]
    note = page.locator(".desk .note-input")
    page.keyboard.press("m")
    note.fill("sent back by the shop")
    page.keyboard.press("Enter")
    page.keyboard.press("f")  # before the server has answered
    page.keyboard.type("which team")
    saved(page)
    expect(page.locator(".desk .meaning").first).to_have_text("sent back by the shop")
    expect(note).to_be_focused()
    page.keyboard.type(" and none")
    page.keyboard.press("Enter")
    saved(page)
    assert flags(many, [card.text])[card.text].comment == "which team and none"
    assert decision_rows(many) == []


def test_an_open_guideline_takes_every_key_and_the_text_is_always_in_sight(
    many: Project, serve: Serve, watched: Watched
) -> None:
    watched.page.set_viewport_size({"width": 1280, "height": 720})
    page = desk_of(watched, serve(many.workspace), many)
    saved(page)
    cards, field, text = queued(many), page.locator(".desk .guide textarea").first, page.locator(".desk .text")
    meaning = cards[0].label.meaning
    bottom = page.locator(".desk .small").evaluate("e => e.getBoundingClientRect().bottom")
    assert bottom + 34 <= 720  # all keys, also with another row of labels
    page.keyboard.press("g")
    page.keyboard.type("as xn")  # at once: the server has not sent the examples yet
    expect(field).to_have_value(f"{meaning}as xn")
    expect(page.locator(".desk .guide")).to_contain_text("No example yet.")
    expect(field).to_have_value(f"{meaning}as xn")
    text.click()
    page.keyboard.press("x")
    expect(page.locator(".desk .notice")).to_contain_text("a field is open")
    expect(field).to_be_focused()
    page.locator(".desk [data-act=accept]").click()  # what was typed would be lost
    expect(page.locator(".desk .notice")).to_contain_text("Nothing was decided.")
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)
    expect(page.locator(".desk [data-act=guide]")).to_be_focused()
    assert decision_rows(many) == []
    page.keyboard.press("?")  # opens below the card
    expect(page.locator(".desk .below")).to_be_in_viewport()
    page.keyboard.press("s")
    expect(text).to_have_text(cards[1].content)
    expect(text).to_be_in_viewport(ratio=1)
    assert text.evaluate("e => e.getBoundingClientRect().top") > 60  # below the header of the page
    assert page.get_by_test_id("stMain").evaluate("e => e.scrollTop") == 0
    saved(page)


def test_groups_and_the_guideline_of_a_label_by_keyboard(many: Project, serve: Serve, watched: Watched) -> None:
    ids = label_ids(many)
    apply_edit(many, Group({ids["topic k"]: ("Area", "Deep"), ids["topic h"]: ("Area",)}), "Ana")
    page = desk_of(watched, serve(many.workspace), many)
    card, notice, rows = queued(many)[0], page.locator(".desk .notice"), page.locator(".desk .picker-row")
    page.keyboard.press("a")
    page.keyboard.press("y")
    expect(notice).to_contain_text(f"The example is in the guideline of {card.label.name}.")
    assert [each.text for each in guideline_examples(many)[card.label.id]] == [card.text]
    page.keyboard.press("u")
    expect(notice).to_contain_text("The guideline is as it was before.")
    assert guideline_examples(many) == {}
    page.keyboard.press("g")
    page.locator(".desk .guide textarea").nth(1).fill("no <b>letter</b>")
    page.keyboard.press("Control+Enter")
    expect(notice).to_contain_text("is saved")
    expect(page.locator(".desk .side").first).to_contain_text("Not: no <b>letter</b>")
    asked = {label.id: side(label, (), "")["does_not_belong"] for label in list_labels(many) if label.excludes}
    assert list(asked.values()) == ["no <b>letter</b>"]  # what the judge is asked next
    page.keyboard.press("/")
    page.keyboard.type("area")
    expect(rows.first).to_contain_text("Area")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".desk .picker")).to_contain_text("In Area.")
    expect(rows).to_have_count(3)
    page.keyboard.press("ArrowRight")
    expect(rows).to_have_count(1)
    page.keyboard.press("ArrowLeft")
    page.keyboard.type("deep k")
    page.keyboard.press("Enter")
    saved(page)
    assert decision_rows(many)[-1][2] == ids["topic k"]


def test_favourite_and_recent_labels_come_first_in_the_finder(many: Project, serve: Serve, watched: Watched) -> None:
    server = serve(many.workspace)
    page = desk_of(watched, server, many)
    rows = page.locator(".desk .picker-row")
    page.keyboard.press("/")
    page.keyboard.type("topic k")
    page.keyboard.press("Shift+Enter")
    expect(rows.first).to_contain_text("favourite")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("topic h")
    page.keyboard.press("Enter")
    saved(page)
    page.reload()
    page.locator(".desk .text").wait_for()
    page.keyboard.press("/")
    expect(rows.nth(0)).to_contain_text("topic k")
    expect(rows.nth(1)).to_contain_text("recent")
    expect(rows.nth(1)).to_contain_text("topic h")


def test_a_label_is_found_and_given_by_keyboard_alone(many: Project, serve: Serve, watched: Watched) -> None:
    server = serve(many.workspace)
    page = desk_of(watched, server, many)
    card = queued(many)[0]
    page.keyboard.press("/")
    expect(page.locator(".desk .picker-row").first).to_contain_text(card.label.name)  # the likeliest first
    page.keyboard.type("axn pick")
    expect(page.locator(".desk .picker")).to_contain_text("No label fits")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("tpc k")
    page.keyboard.press("Enter")
    saved(page)
    wanted = next(label.id for label in list_labels(many) if label.name == "topic k")
    assert [row[:3] for row in decision_rows(many)] == [("relabel", card.text, wanted)]
    page.keyboard.press("/")
    page.keyboard.type("topic")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    saved(page)
    assert len(decision_rows(many)) == 2


def test_a_reason_goes_with_the_decision_and_is_searched(many: Project, serve: Serve, watched: Watched) -> None:
    server = serve(many.workspace)
    page = desk_of(watched, server, many)
    card = queued(many)[0]
    page.keyboard.press("w")
    page.keyboard.type("an axe, not an x")
    page.keyboard.press("Enter")
    page.keyboard.press("x")
    saved(page)
    with connection(many) as db:
        stored = db.execute("SELECT text, reason, queue, seconds > 0 FROM decision").fetchall()
    assert stored == [(card.text, "an axe, not an x", "to decide", 1)]
    page = desk_of(watched, server, many, review_queue="decided", review_search="an axe")
    expect(page.locator(".desk .text")).to_have_text(card.content)


def test_history_and_the_whole_text_are_shown_on_demand(
    workspace: object, serve: Serve, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("red_core.data.importing.encode", fake_encode, raising=False)
    monkeypatch.setenv("LOGNAME", WHO)
    long = "![x](http://beacon.invalid) " + "word " * 2_000 + "the very end"
    project = project_with_cards(workspace, "long", NAMES, [long, *(f"text {n}" for n in range(5))])  # type: ignore[arg-type]
    page = desk_of(watched, serve(project.workspace), project)
    page.keyboard.press("t")
    expect(page.locator(".desk .said")).to_contain_text("the very end")
    page.keyboard.press("h")
    expect(page.locator(".desk .below")).to_contain_text("row 2, without a label")
    page.keyboard.press("s")
    expect(page.locator(".desk .below")).to_be_empty()


def test_hostile_words_stay_words_on_the_desk(in_state: Callable[..., Project], serve: Serve, watched: Watched) -> None:
    project = in_state("hostile", trial=False)
    page = desk_of(watched, serve(project.workspace), project)
    for card in queued(project):
        shown = page.locator(".desk .text").text_content() or ""
        assert len(shown) >= min(len(card.content), 1_200)
        assert page.locator(".desk .face *:not(div, span, b, kbd, mark)").count() == 0
        page.keyboard.press("h")
        page.locator(".desk .event").first.wait_for()
        assert page.locator(".desk .below *:not(div, span, b)").count() == 0
        page.keyboard.press("/")
        assert page.locator(".desk .picker *:not(div, b, input)").count() == 0
        page.keyboard.press("Escape")
        page.keyboard.press("s")
    expect(page.locator(".desk .empty")).to_be_visible()
    saved(page)
    assert [row[0] for row in decision_rows(project)] == ["skip"] * len(HOSTILE_TEXTS)


def test_the_place_is_kept_on_reload_and_a_link_opens_it(many: Project, serve: Serve, watched: Watched) -> None:
    server = serve(many.workspace)
    cards = queued(many, labels=(list_labels(many)[0].id,))
    page = desk_of(watched, server, many, review_labels=list_labels(many)[0].name)
    expect(page.locator(".desk .text")).to_have_text(cards[0].content)
    page.evaluate(STRIKE, ["as", 60])
    saved(page)
    page.reload()
    expect(page.locator(".desk .text")).to_have_text(cards[2].content)


def test_a_list_is_decided_at_once_only_after_its_sample(many: Project, serve: Serve, watched: Watched) -> None:
    server = serve(many.workspace)
    page = desk_of(watched, server, many)
    page.get_by_text("Decide a whole list at once").click()
    page.locator(".st-key-batch_accept button").click()
    watched.settle()
    expect(page.locator(".st-key-review_queue input")).to_have_value(re.compile(r"^sample of a list: "))
    expect(page.locator(".st-key-batch_apply")).to_have_count(0)
    page.evaluate(STRIKE, ["a" * 29 + "x", 60])
    saved(page)
    page.reload()
    page.get_by_text("In the sample, you would accept 29 of 30 (97%; range 83% to 99%)").wait_for()
    page.locator(".st-key-batch_apply button").click()
    watched.settle()
    counts = batch_counts(many)
    assert counts is not None
    assert (counts.members, counts.agreed, counts.applied) == (TEXTS, 29, TEXTS - 30)
    with connection(many) as db:
        bulk = db.execute("SELECT DISTINCT kind, queue, seconds, round(belief, 2) FROM decision WHERE batch = 1")
        assert bulk.fetchall() == [("accept", "bulk", None, 0.83)]
    page.locator(".st-key-batch_undo button").click()
    watched.settle()
    after = batch_counts(many)
    assert after is not None
    assert after.applied == 0
    with connection(many) as db:
        assert db.execute("SELECT count(*) FROM standing_decision").fetchone() == (30,)


def test_a_blind_audit_is_answered_by_keys_and_shows_nothing_of_the_machine(
    many: Project, serve: Serve, watched: Watched
) -> None:
    server = serve(many.workspace)
    page = desk_of(watched, server, many, review_mode="Blind audit")
    face = page.locator(".desk").inner_text().lower()
    for hint in ("confidence", "judge", "verdict", "valid", "accept", "suggested"):
        assert hint not in face, hint
    options = page.locator(".desk .numbers button:visible")
    assert options.count() == 10
    struck = page.evaluate(STRIKE, ["12n30c", 200])
    assert len({content for _, content in struck}) == 6
    page.keyboard.press("u")
    expect(page.locator(".desk .text")).to_have_text(struck[-1][1])
    page.keyboard.press("/")
    page.keyboard.type("topic b")
    page.keyboard.press("Enter")
    saved(page)
    with connection(many) as db:
        kinds = [kind for (kind,) in db.execute("SELECT kind FROM audit_answer ORDER BY id")]
    assert kinds == ["label", "label", "none", "label", "label", "cannot tell", "undo", "label"]
    assert decision_rows(many) == []
    found = summary(many)
    page.reload()
    page.get_by_text("What the audit shows so far").click()
    page.get_by_text(saying("Not certified yet.")).wait_for()
    page.get_by_text(saying(measured_in_words(found.accuracy))).wait_for()
    assert json.dumps(found.accuracy.of) == str(6 - found.planted.of)
    page.locator(".desk .text").wait_for()
    page.evaluate(STRIKE, ["1111", 200])
    saved(page)
    more = summary(many)
    assert more.accuracy.of > found.accuracy.of
    page.get_by_text(saying(measured_in_words(more.accuracy))).wait_for(timeout=5_000)  # without another click


def test_keys_answer_right_after_the_mode_was_clicked(many: Project, serve: Serve, watched: Watched) -> None:
    page = desk_of(watched, serve(many.workspace), many)
    page.get_by_text("Blind audit", exact=True).click()
    page.locator(".desk .numbers button:visible").nth(9).wait_for()
    page.keyboard.press("1")  # the radio button still has the focus
    expect(page.locator(".desk .line")).to_contain_text("1 decided here")
    saved(page)
    with connection(many) as db:
        assert db.execute("SELECT kind FROM audit_answer").fetchall() == [("label",)]
    page.get_by_text("Review", exact=True).last.click()
    expect(page.locator(".desk .line")).to_contain_text("0 decided here")  # the answer was given elsewhere


def test_a_tab_that_holds_the_dealt_texts_is_told_of_no_more(many: Project) -> None:
    cards, gone, rest = AuditSitting(many, "key", None).next_cards([], 100)
    assert (len(cards), gone, rest) == (DEALT_AHEAD, [], 0)  # told of more, it would ask without end
