"""The label map as an editor: every edit is previewed, carried out and undone from the page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from app_projects import label_ids
from rendered import words_on
from streamlit.testing.v1 import AppTest

from red_core.label_edits import edits
from red_core.records import Project
from red_core.store.labels import current_places, labels
from red_core.store.texts import seeds

InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]


def names(project: Project) -> list[str]:
    return [label.name for label in labels(project)]


def choose(app: AppTest, label: str, kind: str) -> None:
    app.selectbox(key="label").set_value(label).run()
    app.segmented_control(key="edit_kind").set_value(kind).run()
    assert not app.exception


def carry_out(app: AppTest) -> str:
    """Preview and do it; return what the preview said."""
    assert app.button(key="edit_do").disabled
    app.button(key="edit_preview").click().run()
    told = words_on(app)
    assert not app.button(key="edit_do").disabled, told
    app.button(key="edit_do").click().run()
    assert not app.exception
    return told


def test_a_label_is_renamed_and_named_back(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    before, app = names(project), open_app("label_map")
    choose(app, before[0], "Rename")
    app.text_input(key=f"rename_{label_ids(project)[before[0]]}").set_value("money back").run()
    told = carry_out(app)
    assert "It moves no text." in told
    assert "Every verdict still counts." in told
    assert names(project)[0] == "money back"
    app.button(key="edit_undo").click().run()
    assert names(project) == before
    assert "Undone: renamed" in words_on(app)


def test_nothing_is_done_that_was_not_previewed(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    before, app = names(project), open_app("label_map")
    choose(app, before[0], "Rename")
    field = f"rename_{label_ids(project)[before[0]]}"
    app.text_input(key=field).set_value("one").run()
    app.button(key="edit_preview").click().run()
    app.text_input(key=field).set_value("two").run()
    assert app.button(key="edit_do").disabled
    assert names(project) == before


def test_labels_are_merged_with_their_seeds(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    ids, app = label_ids(project), open_app("label_map")
    first, second, *_ = names(project)
    choose(app, first, "Merge")
    app.selectbox(key="merge_into").set_value(ids[second]).run()
    told = carry_out(app)
    assert "seeds" in told
    assert first not in names(project)
    assert (seeds(project)[1] == ids[second]).sum() == 8
    app.button(key="edit_undo").click().run()
    assert (seeds(project)[1] == ids[first]).sum() == 4


def test_a_label_is_retired_and_comes_back(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    before, app = names(project), open_app("label_map")
    choose(app, before[2], "Retire")
    carry_out(app)
    assert names(project) == [*before[:2], before[3]]
    app.button(key="edit_undo").click().run()
    assert names(project) == before


def test_a_label_is_added_with_typed_examples(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    before, app = current_places(project), open_app("label_map")
    app.text_input(key="add_name_").set_value("praise").run()
    assert app.button(key="edit_preview").disabled  # examples are missing
    app.text_area(key="add_examples").set_value("what a lovely shop\nthank you so much").run()
    carry_out(app)
    assert names(project)[-1] == "praise"
    after = current_places(project)
    assert after[2][: len(before[2])].tolist() == before[2].tolist()  # the picture keeps its place


@pytest.mark.parametrize("examples", ["only one", "twice\ntwice"])
def test_too_few_examples_are_refused_in_one_line(in_state: InState, open_app: OpenApp, examples: str) -> None:
    project = in_state("to review")
    app = open_app("label_map")
    app.text_input(key="add_name_").set_value("praise").run()
    app.text_area(key="add_examples").set_value(examples).run()
    app.button(key="edit_preview").click().run()
    assert "a new label needs at least 2 different examples" in words_on(app)
    assert len(names(project)) == 4


@pytest.mark.parametrize("name", ["![x](http://beacon.invalid)", "<b>x</b>", "=1+1", "\u202egnp"])
def test_a_hostile_name_is_previewed_as_words(in_state: InState, open_app: OpenApp, name: str) -> None:
    project = in_state("to review")
    app = open_app("label_map")
    choose(app, names(project)[0], "Rename")
    app.text_input(key=f"rename_{label_ids(project)[names(project)[0]]}").set_value(name).run()
    carry_out(app)
    assert labels(project)[0].name == name
    assert not app.exception


def test_an_edit_is_refused_while_a_job_runs(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review, working")
    app = open_app("label_map")
    choose(app, names(project)[0], "Retire")
    app.button(key="edit_preview").click().run()
    assert "a job is running" in words_on(app)
    assert edits(project)[-1].kind != "retire"


def test_groups_of_texts_that_fit_no_label_wait_for_a_round(in_state: InState, open_app: OpenApp) -> None:
    in_state("prepared")
    app = open_app("label_map")
    assert "After the first round" in words_on(app)
    assert not [button for button in app.button if button.key == "find_clusters"]


def test_groups_are_looked_for_on_demand(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    app = open_app("label_map")
    app.button(key="find_clusters").click().run()
    assert not app.exception
    assert "no label seems to be missing" in words_on(app)


def test_drift_says_what_it_needs(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    assert "Import more pool texts later and run a round" in words_on(open_app("data"))
