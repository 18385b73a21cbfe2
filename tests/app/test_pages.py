"""Every page in every state: it raises nothing, and shows what it should."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from red_core.labels.edits import apply_edit
from red_core.labels.groups import Group
from red_core.records import Project
from red_core.review.audits import answer, begin_sample, deal
from red_core.review.decisions import Provenance, decide, plan_feed_back
from red_core.review.outlook import second_answers
from red_core.rounds.changes import what_changed
from red_core.rounds.status import recommendation
from red_core.settings import ARTICLE, RECOMMENDED, Settings
from red_core.store.audits import answers_given
from red_core.store.database import connection, open_project
from red_core.store.desk import QUEUES, Card
from red_core.store.final_labels import results_page
from red_core.store.jobs import end_job, newest_job
from red_core.store.labels import list_labels
from red_core.store.rounds import list_rounds
from red_core.store.texts import facts, pool
from red_core.store.verdicts import confirmations
from tests.helpers.app_projects import (
    HOSTILE,
    HOSTILE_TEXTS,
    NAME,
    PAGES,
    STATES,
    WHO,
    fed_back_rows,
    label_ids,
    queued,
)  # fmt: skip
from tests.helpers.paths import ROOT
from tests.helpers.rendered import (
    assert_harmless,
    everything_harmless,
    keys_of,
    markdown_of,
    plotly_strings,
    words_on,
)
from tests.helpers.small_projects import seed_rows, write_csv
from widgets.review.audit_panel import ahead_in_words
from widgets.review.queues import queue_name
from widgets.shell.shell import NO_FILTERS
from widgets.shell.words import JUDGES

InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]

NEXT = {
    "waiting": "Work goes on in the background",
    "preparing": "Work goes on in the background",
    "preparing failed": "",
    "preparing cancelled": "",
    "prepared": "The first round labels 40 texts.",
    "round running": "Work goes on in the background",
    "round failed": "Round 1 was not finished. Continue it.",
    "round cancelled": "Round 1 was not finished. Continue it.",
    "round cancelled at once": "The first round labels 40 texts.",
    "round interrupted": "Round 1 was not finished. Continue it.",
    "to review": "Your decision helps most for",
    "to review, working": "Work goes on in the background",
    "decided": "ready to be fed back",
    "fed back": "",
    "closed": "Round 1 is closed",
    "second round": "decision helps most",
}
"""Words of the next action in each state, '' where it depends on figures."""
WORKING = {"waiting", "preparing", "round running", "to review, working"}


def test_every_script_imports_red_core_whole_and_first() -> None:
    """Two sessions of a cold server import in two threads. From inside a room first, they would deadlock and fail."""
    for path in (ROOT / "app.py", *(ROOT / "pages").glob("*.py")):
        imports = re.findall(r"^(?:from|import) ((?:red_core|widgets)\S*)", path.read_text("utf-8"), re.MULTILINE)
        assert imports[0] in {"red_core", "red_core.api"}, path  # the names of all rooms


# --- every page in every state


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_workspace_teaches_and_offers_the_way_in(open_app: OpenApp, page: str) -> None:
    app = open_app(page)
    assert len(app.title) == 1
    if page == "data":
        assert "make_demo" in keys_of(app)
        assert app.file_uploader(key="import_upload_0")
    else:
        assert "There is no project yet" in words_on(app)
        assert [link.value for link in app.page_link] == ["Go to Data"]


@pytest.mark.parametrize(
    ("state", "trial"),
    [*((state, True) for state in STATES), *((state, False) for state in ("prepared", "to review", "second round"))],
)
def test_every_page_of_every_state_is_drawn(in_state: InState, open_app: OpenApp, state: str, trial: bool) -> None:
    project = in_state(state, trial=trial)
    app = open_app("overview")
    for page in PAGES:
        if page != "overview":
            app.switch_page(f"pages/{page}.py").run()
        assert not app.exception, (page, app.exception)
        assert not app.error, (page, [error.value for error in app.error])
        assert [title.value for title in app.title] == [page.replace("_", " ").capitalize()]
        words = words_on(app)
        assert ("4 labels · 16 labelled examples · 40 unlabelled texts" in words) == (not finished(project)), page
        assert ("estimated accuracy" in words) == finished(project), page
        assert ("trial: most labels are hidden" in words) == (trial and not finished(project)), page
        assert ("true accuracy (trial)" in words) == (trial and finished(project)), page
        assert ("cancel_job" in keys_of(app)) == (state in WORKING), page


def finished(project: Project) -> bool:
    return any(r.metrics for r in list_rounds(project))


@pytest.mark.parametrize("state", STATES)
def test_data_shows_the_next_action(in_state: InState, open_app: OpenApp, state: str) -> None:
    in_state(state)
    assert NEXT[state] in words_on(open_app("data"))


def test_the_chooser_opens_the_project_of_the_address(in_state: InState, open_app: OpenApp, workspace: Path) -> None:
    in_state("prepared")
    shutil.copytree(workspace / NAME, workspace / "zebra")
    assert open_app("data").sidebar.selectbox(key="project").value == NAME
    app = open_app("data", project="zebra")
    assert app.sidebar.selectbox(key="project").value == "zebra"
    app.switch_page("pages/rounds.py").run()
    assert app.sidebar.selectbox(key="project").value == "zebra"


def test_an_address_of_a_project_that_is_gone_opens_another(in_state: InState, open_app: OpenApp) -> None:
    in_state("prepared")
    assert open_app("data", project="gone").sidebar.selectbox(key="project").value == NAME


def test_a_database_of_a_newer_version_is_one_line(in_state: InState) -> None:
    project = in_state("prepared")
    with connection(project) as db:
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('red_core', 'm999', 'now')"
        )
        db.conn.commit()
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30).run()
    assert not app.exception
    assert "written by a newer version" in app.error[0].value.replace("\\", "")


# --- Data


def test_the_demo_is_one_press(open_app: OpenApp, workspace: Path, no_worker: list[list[str]]) -> None:
    app = open_app("data")
    app.button(key="make_demo").click().run()
    assert not app.exception
    project = open_project(workspace, "demo")
    assert facts(project)["labels"] > 50
    assert [command[2:] for command in no_worker] == [["red_core.rounds.worker", str(workspace.resolve()), "demo", "1"]]
    assert app.sidebar.selectbox(key="project").value == "demo"
    assert "Work goes on in the background" in words_on(app)


def upload(app: AppTest, name: str, content: bytes) -> AppTest:
    app.file_uploader(key="import_upload_0").upload(name, content)
    app.run()
    assert not app.exception
    return app


SEED_CSV = ("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in seed_rows(each=5))).encode()


def test_a_file_is_previewed_before_anything_is_stored(open_app: OpenApp, workspace: Path) -> None:
    app = upload(open_app("data"), "mail.csv", SEED_CSV + b'"",refund\n')
    assert "21 rows: 20 used, 0 duplicates, 1 left out." in words_on(app)
    assert not workspace.exists()
    assert app.button(key="import_now")


def test_an_import_makes_a_project_and_begins_the_work(
    open_app: OpenApp, workspace: Path, no_worker: list[list[str]]
) -> None:
    app = upload(open_app("data"), "mail.csv", SEED_CSV)
    app.button(key="import_now").click().run()
    assert not app.exception
    assert not app.error
    project = open_project(workspace, "mail")
    assert (facts(project)["seeds"], facts(project)["labels"], facts(project)["pool"]) == (20, 4, 0)
    job = newest_job(project)
    assert job is not None
    assert (job.kind, job.state, job.who) == ("prepare", "waiting", WHO)
    assert len(no_worker) == 1
    assert app.sidebar.selectbox(key="project").value == "mail"


def test_the_filters_of_a_queue_are_shown_in_words_and_cleared_at_once(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    name, *_ = (label.name for label in list_labels(project))
    app = open_app("review", review_queue="random", review_labels=name, review_subset="Subset 1")
    assert f"Label: {name}  \u00b7  Subset: 1" in words_on(app)
    assert "Without filters: " in words_on(app)
    app.button(key="clear_filters").click().run()
    assert not app.exception
    assert "clear_filters" not in keys_of(app)
    assert "Without filters: " not in words_on(app)
    assert not {"review_labels", "review_subset"} & {*app.query_params}
    assert app.selectbox(key="review_queue").value == "random"


def test_an_imported_project_opens_without_the_filters_of_the_project_before(
    in_state: InState,
    open_app: OpenApp,
    no_worker: list[list[str]],  # noqa: ARG001
) -> None:
    in_state("to review")
    app = open_app("review", review_queue="random", review_subset="1")
    app.text_input(key="review_search").set_value("refund").run()
    app.radio(key="review_mode").set_value("Pairs").run()
    app.switch_page("pages/data.py").run()
    upload(app, "mail.csv", SEED_CSV)
    app.button(key="import_now").click().run()
    assert app.sidebar.selectbox(key="project").value == "mail"
    kept = {name: app.session_state[name] for name in NO_FILTERS if name in app.session_state}
    assert kept == {name: NO_FILTERS[name] for name in kept}
    assert app.session_state["review_mode"] == "Review"
    assert not {"review_pair", "review_queue"} & {*app.query_params}


def test_a_trial_keeps_a_few_seeds_and_hides_the_rest(
    open_app: OpenApp, workspace: Path, no_worker: list[list[str]]
) -> None:
    app = upload(open_app("data"), "mail.csv", SEED_CSV)
    app.checkbox(key="import_trial").check().run()
    app.number_input(key="import_per_label").set_value(3).run()
    app.button(key="import_now").click().run()
    assert not app.exception
    counts = facts(open_project(workspace, "mail"))
    assert (counts["seeds"], counts["pool"], counts["truths"]) == (12, 8, 8)
    assert no_worker


def test_the_unlabelled_texts_of_a_project_without_any_go_into_it(
    open_app: OpenApp, workspace: Path, no_worker: list[list[str]]
) -> None:
    app = upload(open_app("data"), "mail.csv", SEED_CSV)
    app.button(key="import_now").click().run()
    project = open_project(workspace, "mail")
    end_job(project, 1, "done")
    assert "this project has none. Import some on Data." in words_on(open_app("overview"))
    app = open_app("data")
    app.radio(key="import_role").set_value("pool").run()
    upload(app, "more.csv", b"text\nrefund is late once more\nwarranty of a lamp\n")
    assert app.radio(key="import_into_pool").value == "mail"
    app.button(key="import_now").click().run()
    assert not app.exception
    assert facts(project)["pool"] == 2
    assert len(no_worker) == 2


def test_more_texts_go_into_a_project_of_another_embedding_model(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = in_state("prepared")
    app = open_app("data")
    app.radio(key="import_role").set_value("pool").run()
    upload(app, "more.csv", b"text\nrefund is late once more\nwarranty of a lamp\n")
    assert app.radio(key="import_into_pool").value == "a new project"
    app.radio(key="import_into_pool").set_value(NAME).run()
    app.button(key="import_now").click().run()
    assert not app.exception
    assert facts(project)["pool"] == 42
    assert no_worker


def test_a_new_project_never_takes_the_name_of_another(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    in_state("prepared")
    app = upload(open_app("data"), "small.csv", SEED_CSV.replace(b"case", b"matter"))
    assert app.radio(key="import_into_labelled").value == "a new project"
    assert "There is already a project" in app.warning[-1].value
    assert "import_now" not in {button.key for button in app.button}
    app.text_input[-1].set_value("another").run()
    assert "import_now" in {button.key for button in app.button}
    assert not no_worker


def test_an_import_is_refused_while_a_job_runs(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("preparing")
    app = upload(open_app("data"), "more.csv", SEED_CSV.replace(b"case", b"matter"))
    app.radio(key="import_into_labelled").set_value(project.name).run()
    app.button(key="import_now").click().run()
    assert not app.exception
    assert "a job is running" in words_on(app)
    assert facts(project)["seeds"] == 16


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("header.csv", b"text,label\n"),
        ("broken.xlsx", b"PK\x03\x04nonsense"),
        ("broken.parquet", b"PAR1nonsense"),
        ("noise.csv", bytes(range(256)) * 20),
        ("![x](http://beacon.invalid/c.png).csv", b""),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(open_app: OpenApp, name: str, content: bytes) -> None:
    app = upload(open_app("data"), name, content)
    assert app.error or app.warning or " 0 used" in words_on(app)
    assert "import_cancel" not in keys_of(app)  # nothing is being read any more
    for where, text in markdown_of(app):
        assert_harmless(where, text)


def test_a_file_without_labels_leads_to_the_other_choice(open_app: OpenApp) -> None:
    app = upload(open_app("data"), "texts.csv", b"text\nrefund is late\nwarranty of a lamp\n")
    assert "Choose Texts without labels above" in words_on(app)


def test_a_path_that_is_not_there_is_one_line(open_app: OpenApp) -> None:
    app = open_app("data")
    app.text_input(key="import_path_0").set_value("/nowhere/![x](http://beacon.invalid)<b>.csv").run()
    assert not app.exception
    assert len(app.error) == 1
    assert_harmless("error", app.error[0].value)


def test_a_file_on_this_machine_is_read_by_its_path(open_app: OpenApp, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "seeds.csv", ["text", "label"], seed_rows())
    app = open_app("data")
    app.text_input(key="import_path_0").set_value(str(path)).run()
    assert "16 rows: 16 used, 0 duplicates, 0 left out." in words_on(app)


def test_columns_that_cannot_be_guessed_can_be_chosen(
    open_app: OpenApp, workspace: Path, no_worker: list[list[str]]
) -> None:
    rows = "".join(f"{text};{label}\n" for text, label in seed_rows())
    app = upload(open_app("data"), "odd.csv", f"alpha;beta\n{rows}".encode())
    (label_box,) = [box for box in app.selectbox if box.label == "Column with the label"]
    label_box.set_value("beta").run()
    (text_box,) = [box for box in app.selectbox if box.label == "Column with the text"]
    assert text_box.value == "alpha"
    app.button(key="import_now").click().run()
    assert facts(open_project(workspace, "odd"))["labels"] == 4
    assert no_worker


@pytest.mark.parametrize("name", ["", "../outside", "my project", "<b>", "a" * 65])
def test_a_name_that_is_not_allowed_is_one_line_and_makes_nothing(
    open_app: OpenApp, workspace: Path, no_worker: list[list[str]], name: str
) -> None:
    app = upload(open_app("data"), "mail.csv", SEED_CSV)
    (box,) = [box for box in app.text_input if box.label == "Name of the new project"]
    box.set_value(name).run()
    app.button(key="import_now").click().run()
    assert not app.exception
    assert "is not allowed" in words_on(app)
    assert not workspace.exists() or not list(workspace.iterdir())
    assert not no_worker


def test_rows_that_are_left_out_are_listed_with_the_reason(open_app: OpenApp, no_worker: list[list[str]]) -> None:
    twice = b'"refund please, case number 0",repair\n'
    app = upload(open_app("data"), "mail.csv", b"text,label\n" + twice + SEED_CSV.split(b"\n", 1)[1] + b'"",refund\n')
    app.button(key="import_now").click().run()
    assert not app.exception
    tables = [frame.value for frame in app.dataframe if "reason" in frame.value]
    assert any("under two labels" in str(table["reason"].tolist()) for table in tables), words_on(app)
    assert no_worker


@pytest.mark.parametrize("state", ["preparing failed", "preparing cancelled"])
def test_preparing_that_did_not_end_well_can_go_on(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]], state: str
) -> None:
    project = in_state(state)
    app = open_app("data")
    assert f"Preparing the texts {ENDED[state.rsplit(' ', 1)[1]]}" in words_on(app)
    app.button(key="resume_prepare").click().run()
    job = newest_job(project)
    assert job is not None
    assert (job.kind, job.state) == ("prepare", "waiting")
    assert len(no_worker) == 1


# --- Rounds


def test_a_round_is_run_with_the_settings_shown(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = in_state("prepared")
    app = open_app("rounds")
    assert "questions" in words_on(app)  # the cost stands before the button
    assert "costs nothing" in words_on(app)
    app.button(key="run_round").click().run()
    job = newest_job(project)
    assert job is not None
    assert (job.kind, job.state, job.who) == ("round", "waiting", WHO)
    assert Settings.model_validate_json(job.settings) == RECOMMENDED
    assert len(no_worker) == 1
    assert not app.exception
    assert "run_round" not in keys_of(app)
    assert "cancel_job" in keys_of(app)


def test_the_article_preset_and_a_changed_setting_reach_the_job(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = in_state("prepared")
    app = open_app("rounds")
    app.radio(key="preset").set_value("article").run()
    app.number_input(key="set_article_examples_shown").set_value(5).run()
    app.button(key="run_round").click().run()
    job = newest_job(project)
    assert job is not None
    assert Settings.model_validate_json(job.settings) == ARTICLE.model_copy(update={"examples_shown": 5})
    assert no_worker


def test_a_setting_out_of_its_range_is_one_line(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    in_state("prepared")
    app = open_app("rounds")
    app.number_input(key="set_recommended_examples_shown").set_value(0).run()
    assert not app.exception
    assert "examples_shown" in words_on(app)
    assert "run_round" not in keys_of(app)
    assert not no_worker


@pytest.mark.parametrize("state", ["round failed", "round cancelled", "round interrupted"])
def test_a_round_that_did_not_end_well_can_go_on_or_be_closed(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]], state: str
) -> None:
    project = in_state(state)
    app = open_app("rounds")
    words = words_on(app)
    assert f"The round {ENDED[state.split()[1]]} while asking the judge" in words
    assert ("the disk is full" in words) == (state != "round cancelled")
    assert {"resume_round", "close_open"} <= keys_of(app)
    assert "run_round" not in keys_of(app)
    app.button(key="resume_round").click().run()
    job = newest_job(project)
    assert job is not None
    assert (job.id, job.kind, job.state) == (2, "round", "waiting")
    with connection(project) as db:
        first, second = (row[0] for row in db.execute("SELECT settings FROM job ORDER BY id"))
    assert first == second
    assert len(no_worker) == 1


def test_a_round_whose_process_is_gone_is_found_out(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("round running")
    with connection(project) as db:
        db.execute("UPDATE job SET process_started = 0")  # another process had this number
        db.conn.commit()
    app = open_app("rounds")
    assert "The round was interrupted while asking the judge: its process was stopped from outside." in words_on(app)
    assert "resume_round" in keys_of(app)
    assert "cancel_job" not in keys_of(app)


def test_a_round_left_open_can_be_closed(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("round failed")
    app = open_app("rounds")
    app.button(key="close_open").click().run()
    assert not app.exception
    assert [r.state for r in list_rounds(project)] == ["closed"]


def test_a_round_that_was_closed_leads_to_the_form_of_the_next(in_state: InState, open_app: OpenApp) -> None:
    in_state("round failed")
    app = open_app("rounds")
    app.button(key="close_open").click().run()
    assert app.button(key="run_round").label == "Run round 2"


def test_a_job_that_never_began_leads_back_to_the_form(in_state: InState, open_app: OpenApp) -> None:
    in_state("round cancelled at once")
    assert open_app("rounds").button(key="run_round").label == "Run round 1"


@pytest.mark.parametrize("page", PAGES)
def test_a_running_job_can_be_cancelled_from_every_page(in_state: InState, open_app: OpenApp, page: str) -> None:
    project = in_state("round running")
    app = open_app(page)
    assert "Asking the judge · 3 of 10" in words_on(app)
    app.button(key="cancel_job").click().run()
    assert not app.exception
    job = newest_job(project)
    assert job is not None
    assert (job.state, job.cancel_asked) == ("running", True)


def test_a_round_to_review_can_be_closed(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    app = open_app("rounds")
    app.button(key="close_round").click().run()
    assert not app.exception
    assert [r.state for r in list_rounds(project)] == ["closed"]
    assert app.button(key="run_round").label == "Run round 2"


def test_one_round_shows_its_numbers_and_what_is_recommended(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("fed back")
    app = open_app("rounds")
    assert not plotly_strings(app)
    assert app.metric
    assert recommendation(project).reason in words_on(app)


def test_rounds_says_which_questions_the_limit_does_not_count(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    with connection(project) as db:
        db.execute("UPDATE proposal SET reason = 'confirm' WHERE id IN (SELECT id FROM proposal LIMIT 3)")
        db.conn.commit()
    confirmed = confirmations(project, 1)
    assert confirmed > 1
    words = words_on(open_app("rounds"))
    assert f"{confirmed} of them are confirmations of texts with a high confidence: the limit of questions" in words


def test_two_rounds_show_curves_and_what_the_last_one_changed(in_state: InState, open_app: OpenApp) -> None:
    changes = what_changed(in_state("second round"))
    app = open_app("rounds")
    assert plotly_strings(app)
    assert changes is not None
    assert changes.decided > 0
    assert changes.sentence(WHO) in [text.value for text in app.text]


# --- Review: what it promises


def desk(project: Project, queue: str = "to decide") -> list[Card]:
    """Return the cards of a queue, in the order in which they come."""
    return queued(project, queue)


def shows(app: AppTest, card: Card | None) -> bool:
    """Return whether a viewer sees this card; None is no card."""
    contents = [text.value for text in app.text]
    return card.content in contents if card is not None else "turn_on" not in keys_of(app)


def test_a_card_shows_text_labels_verdict_and_evidence(in_state: InState, open_as_viewer: OpenApp) -> None:
    project = in_state("to review")
    (card, *_), app = desk(project), open_as_viewer()
    words = words_on(app)
    assert card.content in [text.value for text in app.text]
    for part in (
        f"Suggested label: **{card.label.name}**",
        f"Runner-up: **{card.runner_up.name}**",
        f"confidence {card.belief:.0%}",
        card.outcome.upper() or "NOT ASKED YET",
        JUDGES["evidence"],
        "Asked because",
        *(example.content for example in (*card.examples, *card.rival_examples)),
    ):
        assert part in words, part


@pytest.mark.parametrize("queue", QUEUES)
def test_every_queue_opens_and_its_count_is_true(in_state: InState, open_as_viewer: OpenApp, queue: str) -> None:
    project = in_state("to review")
    waiting = desk(project, queue)
    app = open_as_viewer()
    app.selectbox(key="review_queue").set_value(queue).run()
    shown = app.selectbox(key="review_queue")
    assert shown.value == queue
    (counts,) = [caption.value for caption in app.caption if "random" in caption.value and "·" in caption.value]
    listed = f"{queue_name(queue)} {len(waiting):,}" in counts.split(" · ")
    assert listed == bool(waiting)
    assert shows(app, waiting[0] if waiting else None)


def test_a_queue_of_the_address_is_open_whatever_its_count(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    app = open_app("review", review_queue="judge unsure")
    assert app.selectbox(key="review_queue").value == "judge unsure"


def test_the_filters_narrow_the_queue(in_state: InState, open_as_viewer: OpenApp) -> None:
    project = in_state("to review")
    card = desk(project)[-1]
    app = open_as_viewer()
    assert not shows(app, card)
    app.text_input(key="review_search").set_value(card.content.upper()).run()
    assert shows(app, card)
    app.text_input(key="review_search").set_value("nobody wrote this").run()
    assert "Nothing in this queue matches" in words_on(app)
    app.text_input(key="review_search").set_value("").run()
    app.multiselect(key="review_labels").set_value([card.label.id]).run()
    assert shows(app, queued(project, labels=(card.label.id,))[0])
    assert f"Suggested label: **{card.label.name}**" in words_on(app)


@pytest.mark.parametrize("search", ["%", "_", "'", '"', "*", "(", "\\", "\u202e", "' OR 1=1 --"])
def test_a_search_is_only_ever_a_search(in_state: InState, open_as_viewer: OpenApp, search: str) -> None:
    in_state("to review")
    app = open_as_viewer()
    app.text_input(key="review_search").set_value(search).run()
    assert not app.exception
    assert shows(app, None)


# --- Feed back


def accept(project: Project) -> None:
    """Accept the first card, as the desk does."""
    card = desk(project)[0]
    decide(project, card.text, "accept", label=card.label.id, who=WHO, provenance=Provenance(proposal=card.proposal))


@pytest.mark.parametrize("accept", [False, True], ids=["decisions only", "evidence check too"])
def test_exactly_the_plan_is_fed_back_and_not_before_the_button(
    in_state: InState, open_app: OpenApp, accept: bool
) -> None:
    project = in_state("decided")
    plan = plan_feed_back(project, accept_evidence_check=accept)
    assert plan.items
    app = open_app("review")
    if accept:
        app.checkbox(key="accept_evidence_check").check().run()
    assert fed_back_rows(project) == []
    assert app.button(key="feed_back").label == f"Feed back {len(plan.items):,} texts"
    assert f"Feed back {len(plan.items):,} texts: they join the training data of the next round." in words_on(app)
    for reason, count in plan.withheld.items():
        assert f"Not fed back, {count:,}: {reason}" in words_on(app)
    app.button(key="feed_back").click().run()
    assert not app.exception
    assert fed_back_rows(project) == [(i.text, i.label, i.weight, i.source) for i in plan.items]
    assert [r.state for r in list_rounds(project)] == ["fed back"]
    with connection(project) as db:
        assert [tuple(row) for row in db.execute("SELECT round, accept_evidence_check, who FROM feed_back")] == [
            (1, int(accept), WHO)
        ]


def test_the_evidence_check_alone_feeds_nothing_back_unless_asked(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    app = open_app("review")
    assert app.checkbox(key="accept_evidence_check").value is False
    assert app.button(key="feed_back").label == "Feed back 0 texts"


def test_feeding_back_is_refused_while_a_job_runs(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review, working")
    app = open_app("review")
    accept(project)
    app.run()
    app.button(key="feed_back").click().run()
    assert not app.exception
    assert "a job is running" in words_on(app)
    assert [r.state for r in list_rounds(project)] == ["to review"]


def test_nothing_cannot_be_fed_back(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    assert open_app("review").button(key="feed_back").disabled


def test_what_was_decided_on_the_desk_is_in_the_plan_that_is_shown(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    app = open_app("review")
    accept(project)
    app.run()
    assert app.button(key="feed_back").label == "Feed back 1 text"


def test_a_decision_made_after_the_plan_was_shown_is_not_fed_back_unseen(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("decided")
    app = open_app("review")
    shown = app.button(key="feed_back").label
    seen = len(plan_feed_back(project).items)
    other = desk(project, "judge unsure")[0]
    decide(project, other.text, "accept", label=other.label.id, who="somebody else")
    app.button(key="feed_back").click().run()
    assert shown == f"Feed back {seen} text{'s' * (seen != 1)}"
    assert len(fed_back_rows(project)) in {0, seen}


# --- Label map


def test_the_map_waits_for_vectors_and_says_so(in_state: InState, open_app: OpenApp) -> None:
    in_state("preparing")
    assert "The map appears when that is done" in words_on(open_app("label_map"))


def test_the_map_can_be_prepared_from_its_own_page(
    in_state: InState, open_app: OpenApp, no_worker: list[list[str]]
) -> None:
    project = in_state("preparing failed")
    app = open_app("label_map")
    app.button(key="prepare_map").click().run()
    job = newest_job(project)
    assert job is not None
    assert (job.kind, job.state) == ("prepare", "waiting")
    assert len(no_worker) == 1


@pytest.mark.parametrize("state", ["prepared", "second round"])
def test_the_map_shows_every_label(in_state: InState, open_app: OpenApp, state: str) -> None:
    project = in_state(state)
    strings = plotly_strings(open_app("label_map"))
    assert set(label_ids(project)) <= set(strings)


def test_the_table_holds_the_same_labels(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("prepared")
    app = open_app("label_map")
    app.radio(key="map_shown").set_value("Table").run()
    assert not app.exception
    (table,) = (
        frame for frame in app.dataframe if set(label_ids(project)) <= set(map(str, frame.value.to_numpy().ravel()))
    )
    assert (table.proto.HasField("placeholder"), table.proto.placeholder) == (True, "")  # and not "None"


def test_a_label_of_the_address_is_open(in_state: InState, open_app: OpenApp) -> None:
    in_state("prepared")
    app = open_app("label_map", label="refund")
    assert app.selectbox(key="label").value == "refund"
    assert "refund please, case number 0" in words_on(app)


def test_a_subset_is_open(in_state: InState, open_app: OpenApp) -> None:
    in_state("prepared")
    app = open_app("label_map")
    app.selectbox(key="subset").set_value(0).run()
    assert not app.exception


# --- Results


def test_results_show_every_row_with_where_its_label_comes_from(in_state: InState, open_app: OpenApp) -> None:
    in_state("decided")
    app = open_app("results")
    (sources,) = [frame.value for frame in app.dataframe if "Source" in frame.value and "Rows" in frame.value]
    counts = dict(zip(sources["Source"], sources["Rows"], strict=True))
    assert sum(counts.values()) == 56
    assert counts["seed"] == 16
    assert counts["decision"] > 1
    assert counts["decision: none of these"] == 1


def test_results_before_a_round_say_what_comes(in_state: InState, open_app: OpenApp) -> None:
    in_state("prepared")
    app = open_app("results")
    assert "The first round labels 40 texts." in words_on(app)
    assert app.button(key="next_round").label == "Run round 1"


@pytest.mark.parametrize("tab", ["Texts", "Labels", "Download"])
@pytest.mark.parametrize("state", ["prepared", "second round"])
def test_every_tab_of_results_opens(in_state: InState, open_app: OpenApp, state: str, tab: str) -> None:
    in_state(state)
    app = open_app("results", results_tab=tab)
    assert not app.error
    if tab == "Download":
        assert len(app.get("download_button")) == 1


@pytest.mark.parametrize("search", ["refund", "%", "'", "' OR 1=1 --", "nobody wrote this"])
def test_the_texts_of_results_are_searched(in_state: InState, open_app: OpenApp, search: str) -> None:
    in_state("fed back")
    app = open_app("results")
    app.text_input(key="results_search").set_value(search).run()
    assert not app.exception
    tables = [frame.value for frame in app.dataframe if "Text" in frame.value]
    assert bool(tables) == (search == "refund")
    assert all("refund" in text for table in tables for text in table["Text"])


# --- Nothing from outside is rendered

ENDED = {"cancelled": "was cancelled", "failed": "failed", "interrupted": "was interrupted"}


@pytest.mark.parametrize("page", PAGES)
def test_hostile_names_and_texts_are_never_rendered(in_state: InState, open_app: OpenApp, page: str) -> None:
    in_state("hostile", trial=False)
    everything_harmless(open_app(page))


def test_every_hostile_card_is_harmless(in_state: InState, open_as_viewer: OpenApp) -> None:
    from widgets.shell.untrusted import plain  # noqa: PLC0415

    in_state("hostile", trial=False)
    app, seen, cards = open_as_viewer(), list[str](), 0
    while "turn_on" in keys_of(app):
        seen += everything_harmless(app)
        cards += 1
        app.button(key="turn_on").click().run()
    assert cards == len(HOSTILE_TEXTS) >= 60
    for hostile in HOSTILE:
        assert any(f"**{plain(hostile)}**" in text for text in seen), hostile


def test_every_hostile_label_opens_on_the_map(in_state: InState, open_app: OpenApp) -> None:
    in_state("hostile", trial=False)
    app = open_app("label_map")
    names = app.selectbox(key="label").options
    assert len(names) == len(HOSTILE)
    for name in names:
        app.selectbox(key="label").set_value(name).run()
        everything_harmless(app)


def test_every_tab_of_hostile_results_is_harmless(in_state: InState, open_app: OpenApp) -> None:
    in_state("hostile", trial=False)
    for tab in ("Texts", "Labels", "Download"):
        everything_harmless(open_app("results", results_tab=tab))


def test_hostile_feed_back_is_harmless(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("hostile", trial=False)
    for card in desk(project):
        decide(
            project, card.text, "accept", label=card.label.id, who=WHO, provenance=Provenance(proposal=card.proposal)
        )
    app = open_app("review")
    everything_harmless(app)
    app.button(key="feed_back").click().run()
    everything_harmless(app)
    assert len(fed_back_rows(project)) == len(HOSTILE_TEXTS)


def test_a_hostile_file_is_previewed_harmlessly(open_app: OpenApp, workspace: Path, no_worker: list[list[str]]) -> None:
    rows = [
        {"![x](http://beacon.invalid)": text, "<b>label</b>": name} for name in HOSTILE for text in (name, name + "2")
    ]
    content = "\n".join(json.dumps(row) for row in rows).encode()
    app = upload(open_app("data"), "![x](http://beacon.invalid) <b>.jsonl", content)
    everything_harmless(app)
    for box in app.selectbox:
        if box.label.startswith("Column") and box.value is None:
            box.set_value(box.options[0]).run()
    everything_harmless(app)
    (name,) = [box for box in app.text_input if box.label == "Name of the new project"]
    name.set_value("ok").run()
    app.button(key="import_now").click().run()
    everything_harmless(app)
    assert facts(open_project(workspace, "ok"))["labels"] == len(HOSTILE)
    assert no_worker


def test_a_hostile_error_of_a_job_is_harmless(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("round failed")
    with connection(project) as db:
        db.execute("UPDATE job SET error = ?", [" ".join(HOSTILE)])
        db.conn.commit()
    for page in PAGES:
        everything_harmless(open_app(page))


def test_the_audit_says_what_is_ahead_and_why_texts_come_back(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    app = open_app("review", review_mode="Blind audit")
    again = re.search(r"About (\d+)% of the answers repeat a text: texts whose answer was not", words_on(app))
    assert again
    assert round(100 * second_answers(project)) == int(again[1])
    assert answers_given(project) == 0
    for _ in range(3):
        card = deal(project, who=WHO, purpose="certificate", label=None, count=1)[0]
        answer(project, card.audit, "cannot tell", who=WHO)
    assert answers_given(project) == 3


@pytest.mark.parametrize(
    ("work", "part", "given", "words"),
    [
        ((0, 424), (0.4, 100), 24, "About 400 more answers certify 95.0% for all texts. "),
        ((9, 424), (0.4, 100), 40, "About 60 more answers certify 95.0% for the surest 40% of the texts or more. "),
        (None, (0.4, 100), 100, "The 100 answers that a certificate should take are given: see the results below. "),
        ((9, 424), None, 0, ""),
    ],
)
def test_the_answers_ahead_are_those_of_the_forecast_without_the_given_ones(
    work: tuple[int, int] | None, part: tuple[float, int] | None, given: int, words: str
) -> None:
    assert ahead_in_words(0.95, work, part, given) == words


def test_the_results_of_the_audit_are_drawn_only_while_they_are_open(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    app = open_app("review", review_mode="Blind audit")
    assert "Answer audits to certify" not in words_on(app)
    app.session_state["audit_fold"] = True
    app.run()
    assert "Answer audits to certify" in words_on(app)


def test_results_are_filtered_by_a_group_of_labels(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("decided")
    ids = label_ids(project)
    apply_edit(project, Group({ids["refund"]: ("Money", "Back"), ids["repair"]: ("Things",)}), WHO)
    app = open_app("results")
    app.selectbox(key="results_group").set_value("Money").run()
    assert not app.exception
    (table,) = [frame.value for frame in app.dataframe if "Runner-up" in frame.value]
    of_label = results_page(project, 1, label=ids["refund"])[1]
    assert set(table["Label"]) == {"refund"}
    assert len(table) == of_label == results_page(project, 1, group=("Money",))[1]


def test_the_audit_of_a_sample_whose_texts_were_all_decided_opens(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    for text in pool(project).tolist():
        decide(project, text, "relabel", label=1, who=WHO)
    begin_sample(project, WHO)
    assert second_answers(project) == 0.0
    app = open_app("review", review_mode="Blind audit")
    assert not app.exception
    assert not app.error
