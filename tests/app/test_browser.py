"""The app in a real browser on a real server: the whole path, cold links, keys, restarts, and nothing that leaves."""

from __future__ import annotations

import csv
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from red_core.records import Project
from red_core.store.desk import Card
from red_core.store.jobs import newest_job
from red_core.store.labels import list_labels
from red_core.store.rounds import list_rounds, training_rows
from red_core.store.texts import contents, facts
from tests.helpers.app_projects import HOSTILE, NAME, PAGES, WHO, decision_rows, fed_back_rows, queued
from tests.helpers.browser import CHROMIUM, FOREIGN, Server, Watched, saying, wait_for
from tests.helpers.rendered import JOINER

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="neither chromium nor google-chrome is installed"),
]


def strike(watched: Watched, project: Project, key: str) -> None:
    """Press a key of the desk once, and wait until it has written its one row."""
    before = len(decision_rows(project))
    watched.page.keyboard.press(key)
    end = time.monotonic() + 15
    while len(decision_rows(project)) == before and time.monotonic() < end:
        watched.page.wait_for_timeout(50)
    watched.settle()
    assert len(decision_rows(project)) == before + 1


def address_of(page: str) -> str:
    return "" if page == "data" else page


@pytest.mark.parametrize("target", ["review", "rounds"])
def test_a_cold_deep_link_shows_the_shell_and_the_page(
    in_state: Callable[..., Project], serve: Callable[..., Server], watched: Watched, target: str
) -> None:
    project = in_state("to review")
    shutil.copytree(project.folder, project.workspace / "another")
    server = serve(project.workspace)
    page = watched.open(f"{server.address}/{target}?project={NAME}")
    page.get_by_role("heading", name=target.capitalize(), exact=True).wait_for()
    expect(page.locator("[data-testid=stSidebarNavLink]")).to_have_count(len(PAGES))
    expect(page.locator(".st-key-project input")).to_have_value(NAME)
    page.get_by_text(saying("Round 1, to review")).first.wait_for()
    page.locator(".desk .text" if target == "review" else ".st-key-next_step").wait_for()


def test_keys_decide_and_undo_and_letters_in_a_field_do_not(
    in_state: Callable[..., Project], serve: Callable[..., Server], watched: Watched
) -> None:
    project = in_state("to review")
    server = serve(project.workspace)
    queue = queued(project)
    page = watched.open(f"{server.address}/review?project={NAME}&review_queue=to+decide")
    pressed = [("a", "accept"), ("x", "reject"), ("n", "none"), ("s", "skip"), ("1", "relabel")]
    for place, (key, kind) in enumerate(pressed):
        card = queue[place]
        expect(page.locator(".desk .text")).to_have_text(card.content)
        strike(watched, project, key)
        label = {"accept": card.label.id, "reject": card.label.id, "relabel": card.runner_up.id}.get(kind)
        assert decision_rows(project)[-1] == (kind, card.text, label, card.proposal, None, WHO)
    for place in reversed(range(len(pressed))):
        strike(watched, project, "u")
        expect(page.locator(".desk .text")).to_have_text(queue[place].content)
    rows = decision_rows(project)
    assert [row[0] for row in rows] == [kind for _, kind in pressed] + ["undo"] * len(pressed)
    assert [row[4] for row in rows[len(pressed) :]] == [5, 4, 3, 2, 1]  # which decision each takes back
    assert fed_back_rows(project) == []
    page.get_by_label("Search in the texts").click()
    page.keyboard.type("axns1u")  # letters in a field are letters
    assert len(decision_rows(project)) == 2 * len(pressed)


def test_a_job_is_cancelled_from_its_line(
    in_state: Callable[..., Project], serve: Callable[..., Server], watched: Watched
) -> None:
    project = in_state("round running")
    server = serve(project.workspace)
    page = watched.open(f"{server.address}/rounds?project={NAME}")
    page.get_by_text(saying("Asking the judge · 3 of 10")).wait_for()
    page.locator(".st-key-cancel_job button").first.click()
    page.locator(".st-key-cancel_job button:disabled").first.wait_for()
    job = newest_job(project)
    assert job is not None
    assert job.cancel_asked
    assert page.locator("[data-testid=stException]").count() == 0


def test_not_even_an_icon_comes_from_another_machine(
    tmp_path: Path, serve: Callable[..., Server], watched: Watched
) -> None:
    watched.open(serve(tmp_path / "workspace").address)
    watched.page.wait_for_timeout(500)
    assert watched.icons == []


def test_data_has_an_address_like_the_other_pages(
    in_state: Callable[..., Project], serve: Callable[..., Server], watched: Watched
) -> None:
    server = serve(in_state("prepared").workspace)
    watched.open(server.address)  # from here on the server knows its pages
    page = watched.open(f"{server.address}/data?project={NAME}")
    page.get_by_role("heading", name="Data", exact=True).wait_for()
    page.wait_for_timeout(1_000)
    assert page.get_by_text("Page not found").count() == 0


def test_hostile_names_stay_words_in_the_browser(
    in_state: Callable[..., Project], serve: Callable[..., Server], watched: Watched
) -> None:
    project = in_state("hostile", trial=False)
    server = serve(project.workspace)
    for name in PAGES:
        page = watched.open(f"{server.address}/{address_of(name)}?project=hostile")
        assert page.locator("[data-testid=stException]").count() == 0, name
        assert page.locator("[data-testid=stMain]").locator(FOREIGN).count() == 0, name


SHOW_CARD = """
from pathlib import Path
import streamlit as st
from red_core.records import Project
from red_core.store.labels import list_labels
from tests.helpers.app_projects import queued
from widgets.review.verdict_card import show_card
project = Project(Path({workspace!r}), "hostile")
card = queued(project)[int(st.query_params["card"])]
show_card(card, {{label.id: label for label in list_labels(project)}})
"""
"""One card as viewers see it."""


def test_hostile_names_stay_words_on_the_card_of_a_viewer(
    in_state: Callable[..., Project], serve: Callable[..., Server], watched: Watched, tmp_path: Path
) -> None:
    project = in_state("hostile", trial=False)
    script = tmp_path / "card.py"
    script.write_text(SHOW_CARD.format(workspace=str(project.workspace)), "utf-8")
    server = serve(project.workspace, script)
    for index in range(5):
        page = watched.open(f"{server.address}/?card={index}")
        page.locator(".st-key-card_runner_up").wait_for()
        assert page.locator("[data-testid=stException]").count() == 0, index
        assert page.locator("[data-testid=stMain]").locator(FOREIGN).count() == 0, index


SHOW_ALL = """
import streamlit as st
from widgets.shell.untrusted import plain
for place, text in enumerate({texts!r}):
    with st.container(key=f"t{{place}}"):
        st.markdown(plain(text))
    st.button(plain(text), key=f"b{{place}}")
"""
SPECIAL = (
    "a -> b", "a <- b", "a <-> b", "a -- b", "a >= b", "a <= b", "a ~= b", ":smile:", ":streamlit:",
    ":material/check:", ":material_check:", "www.beacon.invalid", "http://beacon.invalid/x", "a@beacon.invalid",
    "(c) (tm) ... 'quoted'", "1/2 x^2 H~2~O", "== marked ==", ":blue-badge[x]", "[^1] note", "- [ ] task",
)  # fmt: skip
"""What Streamlit's Markdown knows beyond the ordinary."""
LINKED = "http://", "www.", "@beacon"
DRAWN = " -> ", " <- ", " <-> ", " -- ", " >= ", " <= ", " ~= ", ":streamlit:", ":material_"


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> dict[str, tuple[list[str], int]]:
    """Every text that Streamlit does not show as it is, though escaped: what is shown, and how many tags."""
    from widgets.shell.untrusted import visible  # noqa: PLC0415  beside app.py, found once conftest has said where

    folder = tmp_path_factory.mktemp("all")
    texts = [*HOSTILE, *SPECIAL]
    script = folder / "all.py"
    script.write_text(SHOW_ALL.format(texts=texts), "utf-8")
    server, seen = Server(script, folder, folder / "server.log"), Watched(browser)
    found = {}
    try:
        server.start()
        page = seen.open(server.address)
        for place, text in enumerate(texts):
            whole = " ".join(visible(text).split())
            boxes = [page.locator(f".st-key-{kind}{place} [data-testid=stMarkdownContainer]") for kind in "tb"]
            shown = [" ".join(box.inner_text().replace(JOINER, "").split()) for box in boxes]
            tags = boxes[0].locator("a, img, strong, em, code, .katex, h1, li, table, input, sup, del").count()
            if tags or shown != [whole, whole]:
                found[text] = (shown, tags)
    finally:
        server.kill()
        seen.context.close()
    return found


def test_escaped_texts_are_shown_as_they_are(changed: dict[str, tuple[list[str], int]]) -> None:
    known = [text for text in changed if any(sign in f" {text} " for sign in (*LINKED, *DRAWN))]
    assert {text: changed[text] for text in changed if text not in known} == {}


def test_addresses_in_texts_are_no_links(changed: dict[str, tuple[list[str], int]]) -> None:
    assert {text: seen for text, seen in changed.items() if any(sign in text for sign in LINKED)} == {}


def test_arrows_and_signs_in_texts_stay_as_they_are(changed: dict[str, tuple[list[str], int]]) -> None:
    assert {text: seen for text, seen in changed.items() if any(sign in f" {text} " for sign in DRAWN)} == {}


# --- the whole path


def subset_of_the_demo(folder: Path, label_count: int = 12, each: int = 6) -> tuple[Path, Path]:
    """Write seeds of a few labels of the demo and the pool texts of the same labels."""
    demo = Path(str(files("red_core.data.demo")))
    with (demo / "seeds.csv").open(encoding="utf-8", newline="") as file:
        seeds = list(csv.DictReader(file))
    with (demo / "pool_truth.csv").open(encoding="utf-8", newline="") as file:
        pool = list(csv.DictReader(file))
    names = list(dict.fromkeys(row["label"] for row in seeds))[:label_count]
    kept = [row for name in names for row in [r for r in seeds if r["label"] == name][:each]]
    paths = folder / "labelled.csv", folder / "pool.csv"
    for path, columns, rows in (
        (paths[0], ["text", "label"], [[r["text"], r["label"]] for r in kept]),
        (paths[1], ["text"], [[r["text"]] for r in pool if r["label"] in names]),
    ):
        with path.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([columns, *rows])
    return paths


def upload(watched: Watched, path: Path, counted: str) -> None:
    """Choose a file and wait until its preview, and not that of the file before, says what it counted."""
    watched.page.locator("[class*=st-key-import_upload_] input[type=file]").set_input_files(path)
    watched.page.get_by_text(counted).wait_for()
    watched.page.locator(".st-key-import_now button").wait_for()
    watched.settle()


def screenshots(browser: Browser, server: Server, project: Project) -> None:
    """Save every page, light and dark, where RED_SCREENSHOTS says."""
    folder = os.environ.get("RED_SCREENSHOTS")
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        one = Watched(browser, scheme)
        for name in PAGES:
            one.open(f"{server.address}/{address_of(name)}?project={project.name}")
            one.page.wait_for_timeout(700)
            one.page.screenshot(path=Path(folder) / f"{name}-{scheme}.png")
        one.context.close()


def bring_in(watched: Watched, project: Project, labelled: Path, pool: Path) -> None:
    """Upload the seeds, then the pool; each is previewed, and then prepared in the background."""
    page = watched.page
    upload(watched, labelled, "72 rows: 72 used, 0 duplicates, 0 left out. 12 labels.")
    watched.press("import_now")
    wait_for(project, 1, "prepare")
    page.locator(".st-key-next_step").wait_for()
    role = page.locator(".st-key-import_role").get_by_role("radiogroup")  # its tooltip has the same words
    role.get_by_text("Texts without labels").click()
    watched.settle()
    with pool.open(encoding="utf-8", newline="") as file:
        rows = len(list(csv.DictReader(file)))
    upload(watched, pool, f"{rows} used, 0 duplicates, 0 left out.")
    watched.press("import_now")
    wait_for(project, 2, "prepare")
    counts = facts(project)
    assert (counts["labels"], counts["seeds"]) == (12, 72)
    assert counts["pool"] > 50


def run_a_round(watched: Watched, server: Server, project: Project, *, kill: bool) -> None:
    """Press Run; where asked, kill the server meanwhile, begin it again on a cold deep link, and reload the page."""
    page = watched.open(f"{server.address}/rounds?project={project.name}")
    number = len(list_rounds(project)) + 1
    page.locator(".st-key-run_round button").click()
    page.locator(".st-key-cancel_job").wait_for()
    if kill:
        server.kill()
        job = newest_job(project)
        assert job is not None
        assert (job.kind, job.state in {"waiting", "running", "done"}) == ("round", True)
        server.start()
        watched.open(f"{server.address}/rounds?project={project.name}")
        expect(page.locator("[data-testid=stSidebarNavLink]")).to_have_count(len(PAGES))
        page.reload()  # F5 begins a new session
    wait_for(project, number + 2, "round")
    page.get_by_text(saying(f"Round {number}, to review")).first.wait_for()
    assert [r.state for r in list_rounds(project)] == ["fed back"] * (number - 1) + ["to review"]
    if kill:
        watched.complaints.clear()  # while the server was gone, the browser said so


def overrule(watched: Watched, server: Server, project: Project) -> Card:
    """Accept with a key what the judge found invalid, or the first card where it found nothing so; reload the page."""
    page = watched.open(f"{server.address}/review?project={project.name}")
    name = "judge against classifiers" if queued(project, "judge against classifiers") else "to decide"
    watched.choose("review_queue", re.compile(f"^{re.escape(name)}:"))
    card = queued(project, name)[0]
    expect(page.locator(".desk .text")).to_have_text(card.content)
    assert card.label.name in page.locator(".desk .side").first.inner_text()
    page.locator("[data-testid=stMain] h1").first.click()
    strike(watched, project, "a")
    assert [row[:4] for row in decision_rows(project)] == [("accept", card.text, card.label.id, card.proposal)]
    page.reload()
    watched.settle()
    assert [row[:4] for row in decision_rows(project)] == [("accept", card.text, card.label.id, card.proposal)]
    assert fed_back_rows(project) == []
    return card


def feed_back(watched: Watched, project: Project, card: Card) -> None:
    """Feed back what was decided, and nothing else."""
    page = watched.page
    page.locator(".st-key-feed_back_panel button").first.click()
    page.locator(".st-key-feed_back button").get_by_text("Feed back 1 text").wait_for()
    watched.press("feed_back")
    try:
        page.locator(".st-key-feed_back").wait_for(state="detached")
    except PlaywrightTimeoutError:
        pytest.fail(f"the button is still there; the page says:\n{page.locator('[data-testid=stMain]').inner_text()}")
    assert [(row[0], row[1], row[3]) for row in fed_back_rows(project)] == [(card.text, card.label.id, "decision")]


def downloaded(watched: Watched, server: Server, project: Project, folder: Path) -> list[dict[str, str]]:
    """Return the rows of the CSV that the page Results hands out."""
    page = watched.open(f"{server.address}/results?project={project.name}")
    page.get_by_role("tab", name="Download").click()
    button = page.get_by_role("button", name="Download CSV")
    button.wait_for()
    watched.settle()
    with page.expect_download() as caught:
        button.click()
    path = folder / caught.value.suggested_filename
    caught.value.save_as(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_download_of_a_damaged_project_says_why_at_its_button(
    in_state: Callable[..., Project], serve: Callable[..., Server], watched: Watched
) -> None:
    project = in_state("to review")
    with closing(sqlite3.connect(project.database)) as db, db:  # as a failing disk would, without a word to the program
        db.execute("UPDATE text SET content = content || '!' WHERE id = 1")
    server = serve(project.workspace)
    page = watched.open(f"{server.address}/results?project={project.name}&results_tab=Download")
    page.get_by_role("button", name="Download CSV").click()
    said = page.get_by_test_id("stDownloadButtonError")
    expect(said).to_have_text(
        "small/project.db: the texts are not as they were stored. Restore a backup, or write what is left with "
        "`red export --unverified`."
    )
    assert "Traceback" not in server.log.read_text()
    assert "A download failed: small/project.db" in server.log.read_text()


def test_the_whole_path_from_files_to_labels(
    tmp_path: Path, serve: Callable[..., Server], watched: Watched, browser: Browser
) -> None:
    workspace = tmp_path / "workspace"
    server, project = serve(workspace), Project(workspace, "labelled")
    watched.open(server.address)
    bring_in(watched, project, *subset_of_the_demo(tmp_path))

    page = watched.open(f"{server.address}/label_map?project=labelled")
    page.locator(".js-plotly-plot .scatterlayer").first.wait_for()

    run_a_round(watched, server, project, kill=True)
    card = overrule(watched, server, project)
    feed_back(watched, project, card)
    run_a_round(watched, server, project, kill=False)
    assert (card.text, card.label.id, 1.0) in training_rows(project, 2)
    assert card.text not in {row[0] for row in training_rows(project, 1)}

    rows, counts = downloaded(watched, server, project, tmp_path), facts(project)
    assert len(rows) == 72 + counts["pool"] + counts["folded"]
    (row,) = [r for r in rows if r["decision"]]
    content = contents(project, np.array([card.text]))[0]
    assert (row["text"], row["label"], row["decision"]) == (content, card.label.name, "accept")
    assert row["fed_back_in_round"] == "1"
    assert {r["label"] for r in rows} <= {label.name for label in list_labels(project)} | {""}
    screenshots(browser, server, project)
