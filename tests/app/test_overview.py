"""The page Overview: the goal, the plan, the next action, the labels that need the analyst."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from math import ceil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from red_core.records import Project
from red_core.review import audit_sample
from red_core.review.audit_report import summary
from red_core.review.audits import answer, begin_sample, deal, set_target, target
from red_core.review.decisions import decide
from red_core.rounds.plan import band as accuracy_band
from red_core.rounds.plan import plan
from red_core.rounds.status import project_status
from red_core.store import views
from red_core.store.certificates import certificates
from red_core.store.database import create_project
from red_core.store.desk import queue
from red_core.store.jobs import newest_job
from red_core.store.overview import decisions_lately, outdated_verdicts, seconds_per_decision
from red_core.store.rounds import close_round, predicted_labels
from red_core.store.texts import pool
from tests.helpers.app_projects import NAME, PAGES, WHO
from tests.helpers.audits import ANN, tell, truth
from tests.helpers.rendered import keys_of, plotly_specs, words_on
from tests.helpers.small_projects import pool_rows, reviewed_round, small_project
from widgets.overview.plan_panel import _banded
from widgets.review.queues import TO_GOAL

InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]


def test_the_app_opens_where_the_goal_is_seen(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    app = open_app("overview")
    words = words_on(app)
    assert app.title[0].value == "Overview"
    assert "of the labels are right" in words
    assert "What it takes to reach 95.0%" in words
    assert [each in words for each in ("You alone", "The judge alone", "The judge, then you")] == [True] * 3
    assert "No LLM judge was tested here." in words
    assert "Assumed pace: 6 seconds" in words


def test_every_curve_of_the_plan_has_the_band_of_its_forecast(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    traces = json.loads(plotly_specs(open_app("overview"))[-1])["data"]
    for band, line in zip(traces[::2], traces[1::2], strict=True):
        assert band["fillcolor"] == line["line"]["color"]
        count = len(line["x"])
        assert band["x"] == [*line["x"], *line["x"][::-1]]
        ends = zip(band["y"][:count], line["y"], band["y"][count:][::-1], strict=True)
        assert all((low, high) == pytest.approx(accuracy_band(y)) for low, y, high in ends)
    assert len(traces) == 6


def test_before_the_first_round_the_page_says_what_it_will_show_and_starts_the_round(
    in_state: InState, open_app: OpenApp
) -> None:
    project = in_state("prepared")
    app = open_app("overview")
    assert "what it takes to reach your goal" in words_on(app)
    app.button(key="next_round").click().run()
    assert not app.exception
    job = newest_job(project)
    assert job is not None
    assert job.kind == "round"


def test_after_feed_back_the_next_step_does_what_it_says(in_state: InState, open_app: OpenApp) -> None:
    set_target(in_state("fed back"), 0.999)
    app = open_app("overview")
    assert "Run round 2: it learns from" in words_on(app)
    assert app.button(key="next_round").label == "Run round 2"


def test_a_certificate_for_a_part_opens_the_queue_of_the_rest(
    in_state: InState, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.0)
    project = in_state("to review")
    believed = {text: (label, 0.99) for text, label in list(truth(project).items())[:30]}
    believed |= {text: (label % 4 + 1, 0.4) for text, label in list(truth(project).items())[30:]}
    close_round(project)
    reviewed_round(project, believed)
    set_target(project, 0.8)
    tell(project, deal(project, who=ANN, count=40))
    app = open_app("overview")
    assert "Certified for 75% of the texts" in words_on(app)
    app.button(key="decide_rest").click().run()
    assert not app.exception
    assert app.title[0].value == "Review"
    assert app.selectbox(key="review_queue").value == "not certified"


def test_the_goal_is_the_target_of_the_audit(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    app = open_app("overview")
    app.number_input(key="goal").set_value(80.0)
    app.button(key="set_goal").click().run()
    assert target(project) == pytest.approx(0.8)
    assert "What it takes to certify 80.0%" in words_on(app)


def test_a_label_with_few_examples_opens_on_the_map(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    app = open_app("overview")
    needed = [key for key in keys_of(app) if key.startswith("need_")]
    assert needed
    said = words_on(app)
    app.button(key=needed[0]).click().run()
    assert not app.exception
    assert app.title[0].value == "Label map"
    assert "It has only 4 examples." in said


def test_a_label_whose_verdicts_are_overturned_often_leads_to_its_guideline(
    in_state: InState, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = in_state("to review")
    monkeypatch.setattr("red_core.review.needs.FEW_EXAMPLES", 0)
    label = max(views.label_table(project, 1), key=lambda row: row["labelled"] * (1 - row["belief"]))
    monkeypatch.setattr("red_core.store.views.overturned_verdicts", lambda _project: {label["id"]: (4, 9)})
    app = open_app("overview")
    assert "4 verdicts of the judge were corrected since its guideline was written." in words_on(app)
    app.button(key=f"need_{label['id']}").click().run()
    assert not app.exception
    assert app.selectbox(key="label").value == label["name"]


def test_the_queue_opens_on_what_the_plan_takes_to_the_goal(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    before = plan(project)
    assert before is not None
    set_target(project, (before.now + before.you.reaches) / 2)
    needed = plan(project)
    assert needed is not None
    assert needed.you.needed is not None
    app = open_app("review")
    assert app.selectbox(key="review_queue").value == "towards the goal"
    sitting = app.session_state["review_sitting"]
    assert len(sitting.queue.items) == ceil(needed.you.needed.decisions)
    assert sitting.queue.items == queue(project, 1, "to decide")[: len(sitting.queue.items)]


def test_the_tour_of_a_first_project_ends_for_good(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    app = open_app("overview")
    assert "1 of 3" in words_on(app)
    app.button(key="tour_next").click().run()
    app.button(key="tour_next").click().run()
    assert "tour_next" not in keys_of(app)
    app.button(key="tour_end").click().run()
    assert "tour_end" not in keys_of(app)
    assert "tour_end" not in keys_of(open_app("overview"))


def test_a_viewer_sees_the_plan_and_no_button(in_state: InState, open_as_viewer: OpenApp) -> None:
    in_state("to review")
    app = open_as_viewer("overview")
    assert "of the labels are right" in words_on(app)
    assert not {"set_goal", "next_round"} & set(keys_of(app))
    assert not [key for key in keys_of(app) if key.startswith("need_")]


def test_what_was_done_lately_counts_standing_answers(in_state: InState) -> None:
    project = in_state("decided")
    lately = decisions_lately(project)
    assert sum(lately.values()) > 0
    assert set(lately) == {WHO}
    assert seconds_per_decision(project, "nobody") == (0.0, 0)
    assert outdated_verdicts(project) == {}


def test_the_mode_and_the_filters_of_one_project_are_not_those_of_the_next(
    in_state: InState, open_app: OpenApp, workspace: Path
) -> None:
    in_state("to review")
    shutil.copytree(workspace / NAME, workspace / "zebra")
    app = open_app("review", review_mode="Blind audit")
    assert "What the audit shows so far" in words_on(app)
    app.sidebar.selectbox(key="project").set_value("zebra").run()
    assert not app.exception
    assert not app.exception
    assert app.title[0].value == "Review"
    assert "What the audit shows so far" not in words_on(app)
    assert app.selectbox(key="review_queue").value in {"to decide", "towards the goal"}


def test_drafts_undos_and_messages_of_one_project_are_not_those_of_the_next(
    in_state: InState, open_app: OpenApp, workspace: Path
) -> None:
    in_state("to review")
    shutil.copytree(workspace / NAME, workspace / "zebra")
    app = open_app("label_map")
    of_a_project = {
        "new_label": {"name": "from elsewhere", "texts": [10_000]}, "edit_kind": "Add a label", "edit_done": "Done.",
        "pair_undo": [[1]], "pair_error": "refused", "drift_table": None, "anything_new": 1,
    }  # fmt: skip
    for name, value in of_a_project.items():
        app.session_state[name] = value
    app.session_state["import_upload_turn"] = 3
    app.sidebar.selectbox(key="project").set_value("zebra").run()
    assert not app.exception
    assert "from elsewhere" not in words_on(app)
    app.switch_page("pages/review.py").run()
    app.radio(key="review_mode").set_value("Pairs").run()
    assert not app.exception
    assert "pair_undo_button" not in keys_of(app)
    assert "anything_new" not in app.session_state
    assert app.session_state["import_upload_turn"] == 3


def test_the_rows_to_download_are_chosen_anew_in_another_project(
    in_state: InState, open_app: OpenApp, workspace: Path
) -> None:
    in_state("to review")
    shutil.copytree(workspace / NAME, workspace / "zebra")
    app = open_app("results", results_tab="Download")
    app.selectbox(key="export_source").set_value("seed").run()
    app.slider(key="export_confidence").set_value((10, 90)).run()
    assert "meet every condition" in words_on(app)
    app.sidebar.selectbox(key="project").set_value("zebra").run()
    assert not app.exception
    assert app.slider(key="export_confidence").value == (0, 100)
    assert "meet every condition" not in words_on(app)


@pytest.mark.parametrize("page", PAGES)
def test_another_project_opens_from_every_page(
    page: str, in_state: InState, open_app: OpenApp, workspace: Path
) -> None:
    in_state("to review")
    shutil.copytree(workspace / NAME, workspace / "zebra")
    app = open_app(page, review_search="text", results_search="text")
    app.sidebar.selectbox(key="project").set_value("zebra").run()
    assert not app.exception
    assert app.sidebar.selectbox(key="project").value == "zebra"


def test_a_goal_that_is_reached_by_the_estimate_leads_to_the_audit(in_state: InState, open_app: OpenApp) -> None:
    set_target(in_state("to review"), 0.5)
    app = open_app("overview")
    assert "By the estimate, the goal of 50.0% is reached. Certify it: about" in words_on(app)
    assert re.search(r"A blind audit on Review, by the confidences with about \d+ answers\.", words_on(app))
    app.button(key="next_go").click().run()
    assert not app.exception
    assert (app.title[0].value, app.radio(key="review_mode").value) == ("Review", "Blind audit")


def forecast(reaches: float) -> dict[str, object]:
    """Return the metrics of a round whose plan ends at this accuracy, whoever answers."""
    curve = {"answers": [0, 10], "accuracy": [0.5, reaches], "taught": [0, 0]}
    return {"training_rows": 16, "forecast": {"assumed": True, "you": curve, "judge": curve, "then_you": curve}}


def test_a_goal_that_is_reached_too_narrowly_is_not_to_be_audited(workspace: Path, open_app: OpenApp) -> None:
    project = small_project(workspace, pool=[(f"a text, number {n}", "refund") for n in range(2000)])
    reviewed_round(project, dict.fromkeys(pool(project).tolist(), (1, 0.955)), metrics=forecast(0.99))
    words = words_on(open_app("overview"))
    assert "By the estimate, the goal of 95.0% is reached. More decisions, or another round, make it sure" in words
    assert "too low for a certificate of all texts" in words


def test_a_few_decisions_come_before_the_audit_where_they_make_it_shorter(workspace: Path, open_app: OpenApp) -> None:
    project = small_project(workspace, pool=[(f"a text, number {n}", "refund") for n in range(400)])
    texts = pool(project).tolist()
    believed = {text: (1, 0.3 if place < 20 else 0.999) for place, text in enumerate(texts)}
    reviewed_round(project, believed, metrics=forecast(0.99))
    assert "Decide the 25 texts of lowest confidence, then certify it: about" in words_on(open_app("overview"))


@pytest.fixture
def sure_of_a_part(workspace: Path) -> Project:
    """A project that is sure of 240 of 400 texts and right, and whose goal is out of reach."""
    project = small_project(workspace, pool=pool_rows(each=100))
    known = list(truth(project).items())
    believed = {text: (label, 0.995) for text, label in known[:240]}
    believed |= {text: (label % 4 + 1, 0.45) for text, label in known[240:]}
    reviewed_round(project, believed, metrics=forecast(0.8))
    return project


def test_a_goal_out_of_reach_leads_to_a_certificate_for_the_surest_part(
    sure_of_a_part: Project, open_app: OpenApp
) -> None:
    assert "or more can be certified: about" in words_on(open_app("overview"))
    close_round(sure_of_a_part)
    app = open_app("overview")
    words = words_on(app)
    assert "The goal of 95.0% is out of reach for all texts. Certify the surest 60% or more: about" in words
    app.button(key="next_go").click().run()
    assert (app.title[0].value, app.radio(key="review_mode").value) == ("Review", "Blind audit")


def test_a_part_that_is_certified_is_not_to_be_certified_again(sure_of_a_part: Project, open_app: OpenApp) -> None:
    close_round(sure_of_a_part)
    while summary(sure_of_a_part).selective is None:
        tell(sure_of_a_part, deal(sure_of_a_part, who=ANN, count=10))
    words = words_on(open_app("overview"))
    assert "Certified for 60% of the texts" in words
    assert "Certify the surest" not in words
    assert "can be certified" not in words


@pytest.mark.parametrize("page", ["overview", "data", "label_map", "rounds", "results"])
def test_while_a_round_waits_one_button_of_every_page_leads_to_its_queue(
    in_state: InState, open_app: OpenApp, page: str
) -> None:
    in_state("to review")
    app = open_app("review", review_mode="Pairs", review_subset="0")
    app.switch_page(f"pages/{page}.py").run()
    (button,) = {"sidebar_go", "next_go"} & keys_of(app)
    assert (button == "sidebar_go") == (page == "label_map")
    app.button(key=button).click().run()
    assert not app.exception
    assert (app.title[0].value, app.radio(key="review_mode").value) == ("Review", "Review")
    assert app.selectbox(key="review_queue").value == TO_GOAL
    assert app.selectbox(key="review_subset").value is None
    app.switch_page("pages/review.py").run()
    assert "sidebar_go" not in keys_of(app)


def test_the_sidebar_starts_the_next_round_but_not_on_its_own_page(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("prepared")
    assert not {"sidebar_go", "sidebar_round"} & keys_of(open_app("rounds"))
    open_app("label_map").sidebar.button(key="sidebar_round").click().run()
    job = newest_job(project)
    assert job is not None
    assert (job.kind, job.state) == ("round", "waiting")
    assert not {"sidebar_go", "sidebar_round"} & keys_of(open_app("label_map"))  # the work goes on


def test_a_viewer_has_no_next_step_in_the_sidebar(in_state: InState, open_as_viewer: OpenApp) -> None:
    in_state("to review")
    assert not {"sidebar_go", "sidebar_round"} & keys_of(open_as_viewer("label_map"))


def test_once_the_goal_is_certified_the_next_step_is_the_download(
    in_state: InState, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.0)
    project = in_state("to review")
    set_target(project, 0.5)
    machine = dict(zip(*(column.tolist() for column in predicted_labels(project, 1)), strict=True))
    for card in deal(project, who=ANN, count=40):
        answer(project, card.audit, "label", label=machine[card.text], who=ANN)
    words = words_on(open_app("overview"))
    assert "The goal is reached: 50.0% are certified. Download the labels." in words
    assert "What it takes" not in words


@pytest.mark.parametrize("page", PAGES)
def test_a_project_whose_first_import_was_stopped_can_be_imported_again(
    workspace: Path, open_app: OpenApp, page: str
) -> None:
    create_project(workspace, "empty")
    app = open_app(page, project="empty")
    if page == "data":
        assert "This project has no texts yet. Import a file." in words_on(app)
        assert len(app.file_uploader) > 0


def test_what_pages_keep_of_a_project_ends_with_a_new_sample_and_a_new_certificate(
    in_state: InState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_sample, "PLANTED_SHARE", 0.0)
    project = in_state("closed")
    tell(project, deal(project, who=WHO, count=14), WHO)
    before = views.version(project)
    begin_sample(project, WHO)
    assert views.version(project) != before
    tell(project, deal(project, who=WHO, count=14), WHO)
    set_target(project, 0.3)
    before = views.version(project)
    deal(project, who=WHO, count=1)
    assert certificates(project)
    assert views.version(project) != before


def test_folders_that_are_no_project_or_a_damaged_one_do_not_hide_the_others(
    in_state: InState, open_app: OpenApp, workspace: Path
) -> None:
    in_state("to review")
    (workspace / "aaa-empty").mkdir()
    (workspace / "aaa damaged").mkdir()  # a name that no project has
    (workspace / "aab-damaged").mkdir()
    (workspace / "aab-damaged" / "project.db").write_bytes(b"no database")
    (workspace / "a-file").write_text("no folder", "utf-8")
    app = open_app("overview")
    assert app.sidebar.selectbox(key="project").value == NAME
    assert [message.value for message in app.error] == []


def test_after_decisions_every_page_and_the_status_say_the_same_accuracies(
    in_state: InState, open_app: OpenApp
) -> None:
    project = in_state("to review")
    before = project_status(project)
    right = truth(project)
    for text in pool(project)[:25].tolist():
        decide(project, text, "relabel", label=right[text], who=ANN)
    now = project_status(project)
    assert now["expected_agreement"] > before["expected_agreement"]
    estimated, true = f"{now['expected_agreement']:.1%}", f"{now['true_agreement']:.1%}"
    app = open_app("overview")
    assert f"About {estimated} of the labels are right" in words_on(app)
    for page in PAGES:
        app.switch_page(f"pages/{page}.py").run()
        assert f"estimated accuracy {estimated} · true accuracy (trial) {true}" in words_on(app), page
    app.switch_page("pages/results.py").run()
    assert {"Estimated accuracy": estimated, "True accuracy (trial)": true}.items() <= {
        metric.label: metric.value for metric in app.metric
    }.items()


@pytest.mark.parametrize(
    ("count", "fewest", "most", "words"),
    [
        (270.0, 230.0, 380.0, "About 270 (230 to 380)"),
        (919.0, 919.0, 919.0, "About 920"),
        (100.0, 40.0, None, "About 100 (40 or more)"),
        (100.0, 100.0, None, "About 100 (100 or more)"),
        (0.4, 0.0, 3.0, "No"),
    ],
)
def test_a_range_is_shown_where_it_says_something(count: float, fewest: float, most: float | None, words: str) -> None:
    assert _banded(count, fewest, most) == words
