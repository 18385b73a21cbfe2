"""A project was deleted, and another one has its name: nothing of the first is shown, and nothing lands in it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from streamlit.testing.v1 import AppTest

from red_core.errors import ProjectReplaced
from red_core.labels import edits as label_edits
from red_core.labels.edit_kinds import Rename
from red_core.records import Project
from red_core.review.decisions import decide, feed_back, plan_feed_back
from red_core.store.database import open_project, renew_id
from red_core.store.rounds import list_rounds
from red_core.store.texts import pool
from tests.helpers.app_projects import decision_rows, label_ids, queued
from tests.helpers.rendered import words_on
from widgets.review.desk import KEY, _receive, _store_of
from widgets.review.desk.review import ReviewSitting
from widgets.review.queues import Queue
from widgets.shell import reads

InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]


def replaced(project: Project) -> Project:
    """Put another project in the place of this one: the same versions, another name of the first label."""
    copy = project.folder.with_name("copy")
    shutil.copytree(project.folder, copy)
    shutil.rmtree(project.folder)
    copy.rename(project.folder)
    with closing(sqlite3.connect(project.database)) as db, db:
        db.execute("UPDATE label SET name = 'of the other project' WHERE id = 1")
    renew_id(Project(project.workspace, project.name))
    return open_project(project.workspace, project.name)


@pytest.fixture
def project(in_state: InState) -> Project:
    stored = in_state("to review")
    return open_project(stored.workspace, stored.name)


def test_the_cached_reads_are_those_of_the_new_project(project: Project) -> None:
    first = min(label_ids(project).values())
    before = reads.labels(project)[first].name
    other = replaced(project)
    assert reads.labels(other)[first].name == "of the other project" != before
    assert _store_of(other) != _store_of(project)  # what a tab has not sent stays with the project that it was for


ACTS: dict[str, Callable[[Project], object]] = {
    "decide": lambda p: decide(p, int(pool(p)[0]), "accept", label=1, who="ann"),
    "edit a label": lambda p: label_edits.apply_edit(p, Rename(1, "another"), "ann"),
    "feed back": lambda p: feed_back(p, plan_feed_back(p), who="ann"),
    "read": reads.labels,
}


@pytest.mark.parametrize("act", ACTS)
def test_an_act_on_the_replaced_project_is_refused_in_one_line(act: str, project: Project) -> None:
    other = replaced(project)
    before = decision_rows(other)
    with pytest.raises(ProjectReplaced, match="another project has taken the place of") as caught:
        ACTS[act](project)
    assert "\n" not in str(caught.value)
    assert decision_rows(other) == before


def desk_state(project: Project, of: str) -> dict[str, object]:
    card, *_ = queued(project)
    press = {"id": "0" * 32, "kind": "accept", "text": card.text, "label": card.label.id}
    message = {"project": of, "tick": 1, "store": "s", "queue": "k", "labels": "", "held": [], "acts": [press]}
    sitting = ReviewSitting(project, Queue("k", "to decide", [], ""), {}, lambda _: [])
    return {KEY: {"message": message}, "sitting": sitting}


def test_a_desk_of_the_replaced_project_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    old, other = desk_state(project, project.id), replaced(project)
    late = desk_state(other, project.id)  # the page was drawn again before the message came
    for state in (old, late):
        monkeypatch.setattr("streamlit.session_state", state)
        _receive()
        assert "another project has taken the place of" in str(state["review_error"])
        assert decision_rows(other) == []
    state = desk_state(other, other.id)
    monkeypatch.setattr("streamlit.session_state", state)
    _receive()
    assert "review_error" not in state
    assert len(decision_rows(other)) == 1


def test_a_page_of_the_replaced_project_says_so_once_and_stores_nothing(project: Project, open_app: OpenApp) -> None:
    app = open_app("rounds")
    other = replaced(project)
    next(each for each in app.button if each.label.startswith("Close") and not each.disabled).click().run()
    assert not app.exception
    (error,) = [each.value.replace("\u2060", "") for each in app.error]
    assert "another project has taken the place of" in error
    assert [each.state for each in list_rounds(other)] == ["to review"]
    app.run()
    assert not app.exception
    assert not app.error
    assert "Round 1, to review" in words_on(app)
