"""The label map in a real browser: click, zoom, lasso, merge, undo and a new label."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from red_core.labels.pool_map import draw_pool_map, texts_inside
from red_core.labels.subsets import form_subsets
from red_core.records import Project
from red_core.rounds.run import run_round
from red_core.store.label_undo import edits
from red_core.store.labels import current_layout, list_labels
from red_core.store.texts import seeds
from tests.helpers.app_projects import WHO
from tests.helpers.browser import CHROMIUM, Server, Watched, saying
from tests.helpers.small_projects import EMBEDDING, FAST, fake_encode, pool_rows, seed_rows, small_project

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="neither chromium nor google-chrome is installed"),
]
NAMES = ("refund", "delivery", "warranty", "repair", "voucher", "invoice")
PLOT = ".st-key-map .js-plotly-plot"
# Only the chart knows the pixels of its points and its visible range.
SPOTS = """() => {
  const plot = document.querySelector('.st-key-map .js-plotly-plot'), { xaxis, yaxis, _size } = plot._fullLayout
  const box = plot.getBoundingClientRect()
  return plot.calcdata[0].map(one => [box.x + _size.l + xaxis.c2p(one.x), box.y + _size.t + yaxis.c2p(one.y)])
}"""
INK = "getComputedStyle(document.querySelector('[data-testid=stApp]')).color"
VIEW = "() => document.querySelector('.st-key-map .js-plotly-plot')._fullLayout.xaxis.range"


@pytest.fixture
def mapped(workspace: object, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of six labels after a round."""
    monkeypatch.setattr("red_core.data.importing.encode", fake_encode, raising=False)
    monkeypatch.setenv("LOGNAME", WHO)
    project = small_project(workspace, name="mapped", seeds=seed_rows(NAMES), pool=pool_rows(NAMES))  # type: ignore[arg-type]
    form_subsets(project, FAST, EMBEDDING, WHO)
    run_round(project, FAST, who=WHO)
    return project


def map_of(watched: Watched, server: Server, project: Project) -> Page:
    page = watched.open(f"{server.address}/label_map?project={project.name}")
    page.locator(f"{PLOT} .scatterlayer").first.wait_for()
    watched.settle()
    return page


def lasso(watched: Watched, around: list[list[float]]) -> None:
    """Draw a lasso around these spots on the screen, with a margin."""
    page, spots = watched.page, np.array(around)
    low, high = spots.min(axis=0) - 14, spots.max(axis=0) + 14
    page.locator(".st-key-map [data-title='Lasso Select']").click()
    corners = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1]), (low[0], low[1])]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for x, y in corners[1:]:
        page.mouse.move(x, y, steps=4)
    page.mouse.up()
    page.get_by_role("heading", name="in the lasso").wait_for()
    watched.settle()


def test_a_click_chooses_a_label_and_the_zoom_stays(
    mapped: Project, serve: Callable[..., Server], watched: Watched
) -> None:
    page = map_of(watched, serve(mapped.workspace), mapped)
    whole = page.evaluate(VIEW)
    page.mouse.move(*page.evaluate(SPOTS)[2])
    page.mouse.wheel(0, -240)
    page.wait_for_timeout(600)
    close = page.evaluate(VIEW)
    assert close[1] - close[0] < 0.95 * (whole[1] - whole[0])
    page.mouse.click(*page.evaluate(SPOTS)[2])
    page.get_by_role("heading", name="warranty").wait_for()
    watched.settle()
    assert page.evaluate(VIEW) == close
    page.locator(".st-key-fly button").first.click()
    watched.settle()
    assert page.evaluate(VIEW) != close  # the button moves the map
    page.locator(".st-key-all_subsets button").first.click()
    watched.settle()
    assert page.evaluate(VIEW) == whole
    watched.assert_quiet()


def test_labels_in_a_lasso_are_merged_and_the_merge_undone(
    mapped: Project, serve: Callable[..., Server], watched: Watched
) -> None:
    page = map_of(watched, serve(mapped.workspace), mapped)
    pixels, coordinates = page.evaluate(SPOTS), current_layout(mapped)[2]
    distance = np.linalg.norm(coordinates - coordinates[0], axis=1)
    pair = [0, int(np.argsort(distance)[1])]  # a label and its nearest neighbour on the map
    lasso(watched, [pixels[index] for index in pair])
    wanted = [NAMES[index] for index in pair]
    page.locator(".st-key-pool_texts label").first.click()
    watched.settle()
    low, high = coordinates[pair].min(axis=0), coordinates[pair].max(axis=0)
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    inside = texts_inside(draw_pool_map(mapped, EMBEDDING), corners)  # at least the texts between the two labels
    shown = int(page.get_by_text("Each text is placed between the three labels").inner_text().split()[0])
    assert len(inside) <= shown <= 60

    page.get_by_text("Edit the labels", exact=True).click()
    page.locator(".st-key-edit_kind").get_by_text("Merge").click()
    watched.settle()
    for name in wanted:  # the form starts with the labels in the lasso
        expect(page.locator("[class*=st-key-merge_]").first).to_contain_text(name)
    watched.choose("merge_into", wanted[1])
    watched.press("edit_preview")
    page.get_by_text("This edit moves 4 labelled examples").first.wait_for()
    assert len(list_labels(mapped)) == 6  # a preview changes nothing
    watched.press("edit_do")
    page.get_by_text(saying("Done: merged")).first.wait_for()
    assert wanted[0] not in {label.name for label in list_labels(mapped)}
    assert len(page.evaluate(SPOTS)) == 5
    left = np.delete(np.arange(6), 0)
    assert (current_layout(mapped)[2] == coordinates[left]).all()  # the other labels do not move

    page.locator(".st-key-edit_undo button").first.click()  # its help has the same words
    watched.settle()
    page.get_by_text(saying("Undone: merged")).first.wait_for()
    assert [label.name for label in list_labels(mapped)] == list(NAMES)
    assert len(page.evaluate(SPOTS)) == 6
    assert edits(mapped)[-1].kind == "undo"
    watched.assert_quiet()


def test_a_label_is_added_from_the_map(mapped: Project, serve: Callable[..., Server], watched: Watched) -> None:
    page = map_of(watched, serve(mapped.workspace), mapped)
    page.get_by_text("Edit the labels", exact=True).click()
    page.locator(".st-key-add_name_ input").fill("<b>praise</b>")
    page.locator(".st-key-add_examples textarea").fill("what a lovely shop\nthank you so much")
    page.locator(".st-key-add_examples textarea").press("Control+Enter")
    watched.settle()
    watched.press("edit_preview")
    page.get_by_text("Afterwards there are 7 labels").first.wait_for()
    watched.press("edit_do")
    page.get_by_text(saying("Done: added")).first.wait_for()
    added = list_labels(mapped)[-1]
    assert added.name == "<b>praise</b>"
    assert (seeds(mapped)[1] == added.id).sum() == 2
    assert len(page.evaluate(SPOTS)) == 7
    assert page.locator("[data-testid=stMain] b", has_text="praise").count() == 0
    watched.assert_quiet()


def test_the_names_take_the_ink_of_a_theme_that_is_changed_on_the_open_page(
    mapped: Project, serve: Callable[..., Server], watched: Watched
) -> None:
    page = map_of(watched, serve(mapped.workspace), mapped)
    name = page.locator(f"{PLOT} .textpoint text").first
    for theme in ("Dark", "Light"):
        before = page.evaluate(INK)
        page.get_by_test_id("stMainMenuButton").click()
        page.get_by_test_id("stMainMenuPopover").get_by_text(theme).click()
        page.wait_for_function(f"before => {INK} !== before", arg=before)
        page.keyboard.press("Escape")
        expect(name).to_have_css("fill", page.evaluate(INK))
