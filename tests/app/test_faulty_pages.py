"""The screens on a full or read-only disk, with a locked, damaged or newer database: one line, no traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from streamlit.testing.v1 import AppTest

from red_core.records import Project
from red_core.results.exports import export
from red_core.review.batches import begin_batch
from red_core.review.decisions import decide
from red_core.store.desk import Filters, queue
from tests.helpers.app_projects import NAME, PAGES, label_ids, queued
from tests.helpers.faults import FAULTS, WRITING_FAULTS
from tests.helpers.project_facts import facts
from tests.helpers.rendered import JOINER
from widgets.review.desk import KEY, _receive
from widgets.review.desk.review import ReviewSitting
from widgets.review.queues import Queue

InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def connections_kept() -> None:
    """Open a connection for every operation: the faults happen where one is opened."""


@pytest.fixture
def closing_at_the_end() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def check_error(app: AppTest, words: str) -> None:
    """Check that the page shows one error, in one line, with these words, and no traceback."""
    assert not app.exception, app.exception
    (error,) = app.error
    message = error.value.replace(JOINER, "").replace("\\", "")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_page_of_a_project_that_cannot_be_read_says_why(
    fault: Callable[..., str],
    page: str,
    in_state: InState,
    open_app: OpenApp,
    closing_at_the_end: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = in_state("to review")
    app = open_app(page)
    words = fault(project, closing_at_the_end, monkeypatch)
    before = project.database.read_bytes()
    check_error(app.run(), words)
    assert project.database.read_bytes() == before


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("fault", WRITING_FAULTS)
def test_a_page_is_read_where_nothing_can_be_written(
    fault: Callable[..., str],
    page: str,
    in_state: InState,
    open_app: OpenApp,
    closing_at_the_end: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = in_state("to review")
    fault(project, closing_at_the_end, monkeypatch)
    assert not open_app(page).error


# Buttons that write


def press(key: str) -> Callable[[AppTest, Project], AppTest]:
    return lambda app, _: app.button(key=key).click().run()


def import_more(app: AppTest, _: Project) -> AppTest:
    app.radio(key="import_role").set_value("pool").run()
    app.file_uploader(key="import_upload_0").upload("more.csv", b"text\nrefund is late once more\nwarranty of a lamp\n")
    app.run()
    app.radio(key="import_into_pool").set_value(NAME).run()
    return app.button(key="import_now").click().run()


def restore_decisions(app: AppTest, project: Project) -> AppTest:
    path = project.workspace.parent / "in.jsonl"
    export(project, path)
    (uploader,) = [each for each in app.file_uploader if str(each.key).startswith("restore_upload")]
    uploader.upload("in.jsonl", path.read_bytes().replace(b"tester", b"another"))
    app.run()
    return app.button(key="restore_now").click().run()


def rename(app: AppTest, project: Project) -> AppTest:
    ids = label_ids(project)
    name = min(ids)
    app.selectbox(key="label").set_value(name).run()
    app.radio(key="edit_kind").set_value("Rename").run()
    app.text_input(key=f"rename_{ids[name]}").set_value("money back").run()
    return app.button(key="edit_preview").click().run()


def save_a_meaning(app: AppTest, project: Project) -> AppTest:
    name = min(label_ids(project))
    app.selectbox(key="label").set_value(name).run()
    app.text_area(key=f"meaning_{project.name}_{label_ids(project)[name]}").set_value("what it is")
    return app.button(key="save_meaning").click().run()


def change_the_target(app: AppTest, _: Project) -> AppTest:
    app.number_input(key="goal").set_value(80.0)
    return app.button(key="set_goal").click().run()


PRESSED: dict[str, tuple[str, str, Callable[[AppTest, Project], AppTest], dict[str, str]]] = {
    "import": ("to review", "data", import_more, {}),
    "restore decisions": ("decided", "data", restore_decisions, {}),
    "go on preparing": ("preparing failed", "data", press("resume_prepare"), {}),
    "prepare the map": ("preparing failed", "label_map", press("prepare_map"), {}),
    "preview an edit": ("to review", "label_map", rename, {}),
    "save a meaning": ("to review", "label_map", save_a_meaning, {}),
    "run a round": ("prepared", "rounds", press("run_round"), {}),
    "go on with a round": ("round failed", "rounds", press("resume_round"), {}),
    "close an open round": ("round failed", "rounds", press("close_open"), {}),
    "close a round": ("to review", "rounds", press("close_round"), {}),
    "take back": ("fed back", "rounds", press("roll_back"), {}),
    "cancel": ("round running", "rounds", press("cancel_job"), {}),
    "feed back": ("decided", "review", press("feed_back"), {}),
    "begin a batch": ("to review", "review", press("batch_accept"), {}),
    "drop a batch": ("to review", "review", press("batch_drop"), {}),
    "set a target": ("to review", "review", change_the_target, {"review_mode": "Blind audit"}),
}


@pytest.mark.parametrize("act", PRESSED)
@pytest.mark.parametrize("fault", WRITING_FAULTS)
def test_a_failed_write_is_an_error_on_the_page_and_changes_nothing(
    fault: Callable[..., str],
    act: str,
    in_state: InState,
    open_app: OpenApp,
    no_worker: list[list[str]],
    closing_at_the_end: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state, page, do, query = PRESSED[act]
    project = in_state(state)
    if act.endswith("batch"):
        for module in ("red_core.review.batches", "widgets.review.batch_panel"):
            monkeypatch.setattr(f"{module}.SAMPLE", 1)  # the lists of a small project are short
    if act == "drop a batch":
        begin_batch(project, "accept", queue(project, 1, "to decide", Filters()), "all", who="tester")
    app = open_app(page, **query)
    before, words = facts(project), fault(project, closing_at_the_end, monkeypatch)
    check_error(do(app, project), words)
    assert facts(project) == before
    assert no_worker == []


@pytest.mark.parametrize("kind", ["accept", "reject", "skip", "undo"])
@pytest.mark.parametrize("fault", WRITING_FAULTS)
def test_a_key_press_that_cannot_be_written_is_said_and_not_acknowledged(
    fault: Callable[..., str],
    kind: str,
    in_state: InState,
    closing_at_the_end: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The desk is a component, so its message is handed to the server's side; the page then shows the error."""
    project = in_state("to review")
    card, *_ = queued(project)
    decide(project, card.text, "accept", label=card.label.id, who="tester")  # for undo
    label = card.label.id if kind in {"accept", "reject"} else None
    message = message_of({"kind": kind} if kind == "undo" else {"kind": kind, "text": card.text, "label": label})
    sitting = ReviewSitting(project, Queue("key", "to decide", [], ""), {}, lambda _: [])
    state = {KEY: {"message": message}, "sitting": sitting}
    monkeypatch.setattr("streamlit.session_state", state)
    before, says = facts(project), fault(project, closing_at_the_end, monkeypatch)
    _receive()
    assert says in state["review_error"]
    assert "\n" not in state["review_error"]
    assert state["desk_reply"].acked == []  # so that the tab sends it again
    assert facts(project) == before


def test_an_error_of_the_desk_is_shown_on_the_page(in_state: InState, open_app: OpenApp) -> None:
    in_state("to review")
    app = open_app("review")
    app.session_state["review_error"] = "the disk is full. Free some space."
    check_error(app.run(), "the disk is full. Free some space.")


def message_of(press: dict[str, object]) -> dict[str, object]:
    """Return a message of the desk with one key press."""
    presses = [{"id": "0" * 32, **press}]
    return {
        "project": "",
        "tick": 1,
        "store": "s",
        "queue": "key",
        "labels": "",
        "held": [],
        "acts": presses,
        "want": None,
    }
