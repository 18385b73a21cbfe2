"""Any query in the address: the page is drawn, or it shows an error in one line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from red_core.records import Project
from tests.helpers.app_projects import PAGES
from tests.helpers.project_facts import facts

InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]

PARAMETERS = (
    "project", "label", "subset", "map_shown", "review_mode", "review_queue", "review_labels", "review_subset",
    "review_group", "review_round", "review_judge", "review_search", "results_search", "results_label", "results_group",
    "results_source", "results_least", "results_format", "results_tab", "more",
)  # fmt: skip
VALUES = st.text(max_size=20) | st.sampled_from([
    "", "-1", "0", "1", "99", "1e999", "nan", "true", "False", "null", "[]", "../small", "small", "refund", "Download",
    "Parquet", "decided", "Blind audit", "a\0b", "\u202e", "<b>x</b>", "' OR 1=1 --", "%", "x" * 5_000,
])  # fmt: skip
QUERIES = st.dictionaries(st.sampled_from(PARAMETERS), VALUES, min_size=1, max_size=8)
ON_ONE_PROJECT = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def check(page: str, query: dict[str, str], project: Project, open_app: OpenApp) -> None:
    """Open a page with this query and check that nothing was written; ``open_app`` fails on an exception."""
    before = facts(project)
    app = open_app(page, **query)
    assert all("\n" not in shown.value for shown in app.error)
    assert facts(project) == before


@pytest.mark.parametrize("page", PAGES)
def test_any_address_is_drawn_or_refused_in_one_line(page: str, in_state: InState, open_app: OpenApp) -> None:
    project = in_state("decided")

    @settings(max_examples=6, suppress_health_check=ON_ONE_PROJECT)
    @given(QUERIES)
    def opened(query: dict[str, str]) -> None:
        check(page, query, project, open_app)

    opened()


def test_any_address_of_the_cards_of_a_viewer_is_drawn_or_refused_in_one_line(
    in_state: InState, open_as_viewer: OpenApp
) -> None:
    project = in_state("decided")

    @settings(max_examples=6, suppress_health_check=ON_ONE_PROJECT)
    @given(QUERIES)
    def opened(query: dict[str, str]) -> None:
        check("review", query, project, open_as_viewer)

    opened()


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES)
def test_many_addresses_are_drawn_or_refused_in_one_line(page: str, in_state: InState, open_app: OpenApp) -> None:
    project = in_state("decided")

    @settings(max_examples=80, suppress_health_check=ON_ONE_PROJECT)
    @given(QUERIES)
    def opened(query: dict[str, str]) -> None:
        check(page, query, project, open_app)

    opened()


def test_a_way_to_another_page_is_open_while_the_address_holds_a_choice(
    in_state: InState, open_app: OpenApp, workspace: Path
) -> None:
    shutil.copytree(in_state("to review").folder, workspace / "zebra")
    app = open_app("label_map", project="zebra", label="refund")
    app.button(key="to_queue").click().run()
    assert not app.exception
    assert app.radio(key="review_mode").value == "Review"
    assert app.multiselect(key="review_labels").value
    assert app.sidebar.selectbox(key="project").value == "zebra"
