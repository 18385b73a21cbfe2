"""One pair of labels at a time: rows of the grid are decided at once, and the decision is taken back."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from red_core.records import Project
from red_core.review.decisions import decide
from red_core.store.decisions import decided
from red_core.store.pairs import Between, between
from red_core.store.views import Confusion, confusions
from tests.helpers.rendered import keys_of, words_on

InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]


def first_pair(project: Project) -> tuple[Confusion, list[Between]]:
    pair = confusions(project, 1)[0]
    return pair, between(project, 1, *pair.labels)


def choose(app: AppTest, *rows: int, grid: int = 0) -> None:
    app.session_state[f"pair_grid_{grid}"] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    app.run()


def test_chosen_rows_get_a_label_at_once_and_lose_it_again(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    pair, texts = first_pair(project)
    assert len(texts) >= 3
    app = open_app("review", review_mode="Pairs")
    assert f"{len(texts)} texts. The first ones are surely the left label" in words_on(app)
    assert app.button(key="pair_A").disabled
    choose(app, 0, 2)
    app.button(key="pair_B").click().run()
    assert not app.exception
    assert decided(project) == {texts[0].text: pair.labels[1], texts[2].text: pair.labels[1]}
    assert f"{len(texts) - 2} text" in words_on(app)
    app.button(key="pair_undo_button").click().run()
    assert decided(project) == {}
    assert "pair_undo_button" not in keys_of(app)


def test_none_of_these_is_an_answer_too(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    _, texts = first_pair(project)
    app = open_app("review", review_mode="Pairs")
    choose(app, 1)
    app.button(key="pair_N").click().run()
    assert decided(project) == {texts[1].text: -1}


def test_a_row_that_somebody_decided_meanwhile_is_refused_and_the_others_are_kept(
    in_state: InState, open_app: OpenApp
) -> None:
    project = in_state("to review")
    pair, texts = first_pair(project)
    app = open_app("review", review_mode="Pairs")
    choose(app, 0, 1)
    decide(project, texts[0].text, "none", who="somebody else")
    app.button(key="pair_A").click().run()
    assert not app.exception
    assert "1 text was not decided" in words_on(app)
    assert decided(project) == {texts[0].text: -1, texts[1].text: pair.labels[0]}


def test_a_viewer_decides_nothing(in_state: InState, open_as_viewer: OpenApp) -> None:
    in_state("to review")
    app = open_as_viewer("review", review_mode="Pairs")
    assert "Only analysts decide texts." in words_on(app)
    assert not [key for key in keys_of(app) if key.startswith("pair_")]
