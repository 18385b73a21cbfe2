"""One pair of labels at a time: rows of the grid are decided at once, and the decision is taken back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from red_core.labels.edit_kinds import Merge
from red_core.labels.edits import apply_edit
from red_core.records import Project
from red_core.review.decisions import decide, undo
from red_core.store.decisions import decided
from red_core.store.labels import list_labels
from red_core.store.pairs import Between, between, of_label
from red_core.store.views import Confusion, confusions
from tests.helpers.app_projects import WHO
from tests.helpers.rendered import keys_of, plotly_specs, select_points, words_on

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
    assert all(re.search(r": about [\d,]+ mistakes?$", each) for each in app.selectbox(key="review_pair").options)
    assert "Mistakes are texts that have one of the two labels and belong to the other." in words_on(app)
    assert app.button(key="pair_A").disabled
    choose(app, 0, 2)
    app.button(key="pair_B").click().run()
    assert not app.exception
    assert decided(project) == {texts[0].text: pair.labels[1], texts[2].text: pair.labels[1]}
    assert f"{len(texts) - 2} text" in words_on(app)
    app.button(key="pair_undo_button").click().run()
    assert decided(project) == {}
    assert "pair_undo_button" not in keys_of(app)


def test_the_answers_are_taken_back_one_after_the_other(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    pair, texts = first_pair(project)
    app = open_app("review", review_mode="Pairs")
    choose(app, 0)
    app.button(key="pair_A").click().run()
    choose(app, 0, 1, grid=1)
    app.button(key="pair_N").click().run()
    answered = {texts[0].text: pair.labels[0], texts[1].text: -1, texts[2].text: -1}
    assert decided(project) == answered
    app.button(key="pair_undo_button").click().run()
    assert decided(project) == {texts[0].text: pair.labels[0]}
    assert [toast.value for toast in app.toast] == ["2 decisions are undone."]
    app.button(key="pair_undo_button").click().run()
    assert not app.exception
    assert decided(project) == {}
    assert "pair_undo_button" not in keys_of(app)


def test_an_answer_that_somebody_took_back_already_is_said(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    _, texts = first_pair(project)
    app = open_app("review", review_mode="Pairs")
    choose(app, 0, 1)
    app.button(key="pair_A").click().run()
    undo(project, who=WHO)  # the last of the two
    app.button(key="pair_undo_button").click().run()
    assert "1 text was not undone" in words_on(app)
    assert decided(project) == {}
    assert len(texts) == len(between(project, 1, *first_pair(project)[0].labels))


def test_the_texts_of_one_label_are_decided_in_a_grid(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    label = first_pair(project)[0].labels[0]
    texts, names = of_label(project, 1, label), {each.id: each.name for each in list_labels(project)}
    app = open_app("label_map", label=names[label])
    app.button(key=f"decide_pair_{label}").click().run()
    assert f"{len(texts)} texts. The first ones are surely this label" in words_on(app)
    app.switch_page("pages/review.py").run()  # AppTest would go back to the map
    choose(app, 0)
    app.button(key="pair_A").click().run()
    other = next(each for each in names if each != label)
    app.selectbox(key="pair_other").set_value(other).run()
    choose(app, len(texts) - 2, grid=1)
    app.button(key="pair_B").click().run()
    assert not app.exception
    assert decided(project) == {texts[0].text: label, texts[-1].text: other}


def test_two_labels_chosen_on_the_map_lead_to_their_grid(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    pair, names = confusions(project, 1)[-1], {each.id: each.name for each in list_labels(project)}
    app = open_app("label_map")
    points = [fields[0] for fields in json.loads(plotly_specs(app)[0])["data"][0]["customdata"]]
    select_points(app, *(points.index(names[label]) for label in pair.labels), lasso=[(-9, -9), (9, -9), (0, 9)])
    button = app.button(key=f"decide_pair_{pair.labels[0]}_{pair.labels[1]}")
    assert all(names[label] in button.label for label in pair.labels)
    button.click().run()
    assert app.selectbox(key="review_pair").value == pair.labels
    assert "the left label" in words_on(app)


def test_every_label_that_a_label_is_confused_with_has_a_way_to_the_grid(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    label, names = list_labels(project)[0].id, {each.id: each.name for each in list_labels(project)}
    pairs = [pair.labels for pair in confusions(project, 1) if label in pair.labels]
    assert len(pairs) > 1
    app = open_app("label_map", label=names[label])
    assert {f"decide_pair_{one}_{other}" for one, other in pairs} <= keys_of(app)
    app.button(key="decide_pair_{}_{}".format(*pairs[-1])).click().run()
    assert app.selectbox(key="review_pair").value == pairs[-1]


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


def test_a_press_after_a_label_of_the_pair_was_merged_is_refused_in_one_line(
    in_state: InState, open_app: OpenApp
) -> None:
    project = in_state("to review")
    app = open_app("review", review_mode="Pairs")
    first, second = app.selectbox(key="review_pair").value
    choose(app, 0)
    apply_edit(project, Merge((first,), second), "colleague")
    app.button(key="pair_A").click().run()
    assert not app.exception
    assert "1 text was not decided" in words_on(app)
    assert decided(project) == {}
