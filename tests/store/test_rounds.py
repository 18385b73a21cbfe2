from __future__ import annotations

import sqlite3

import pytest

from red_core.errors import StateError
from red_core.records import FeedBackItem, Project, Round
from red_core.review.decisions import decide
from red_core.store.database import transaction
from red_core.store.decisions import add_feed_back, last_decision
from red_core.store.jobs import add_job
from red_core.store.rounds import (
    best_beliefs,
    close_round,
    current_training_rows,
    finish_round,
    list_rounds,
    open_round,
    predicted_labels,
    training_rows,
)
from red_core.store.texts import pool, seeds
from tests.helpers.small_projects import FAST, count, label_ids, reviewed_round, text_ids


def begin(project: Project) -> Round:
    return open_round(project, FAST.model_dump_json(), "evidence", "tester")


def a_pool_text(project: Project) -> int:
    return int(pool(project)[0])


def feed(project: Project, round_id: int, text: int, label: int) -> None:
    add_feed_back(
        project, round_id, [FeedBackItem(text, label, 0.9, "verdict")],
        made_on=last_decision(project), accept_evidence_check=True, who="tester",
    )  # fmt: skip


def test_before_the_first_round_there_is_none(project):
    assert list_rounds(project) == []


def test_a_round_knows_its_settings_its_judge_and_the_label_set(project):
    opened = begin(project)
    assert (opened.id, opened.state, opened.judge, opened.label_set_version) == (1, "open", "evidence", 1)
    assert opened.settings == FAST.model_dump_json()
    assert list_rounds(project) == [opened]


def test_opening_a_round_that_is_open_returns_it_with_the_settings_it_began_with(project):
    first = begin(project)
    assert open_round(project, "{}", "another judge", "somebody else") == first


def test_the_database_itself_holds_no_second_open_round(project):
    begin(project)
    with pytest.raises(sqlite3.IntegrityError), transaction(project) as db:
        db.execute(
            "INSERT INTO round (state, label_set_version, settings, judge, last_decision, who, at) "
            "VALUES ('to review', 1, '{}', '', 0, '', '')"
        )


def test_while_a_round_is_to_review_no_other_is_opened(project):
    reviewed_round(project, {})
    with pytest.raises(StateError, match=r"round 1 is to review\. Feed it back .* or close it"):
        begin(project)


def test_after_a_round_was_closed_the_next_is_opened(project):
    reviewed_round(project, {})
    assert close_round(project) == 1
    assert begin(project).id == 2


def test_after_a_round_was_fed_back_the_next_is_opened(project):
    feed(project, reviewed_round(project, {}), a_pool_text(project), 1)
    assert [r.state for r in list_rounds(project)] == ["fed back"]
    assert begin(project).id == 2


def test_a_round_left_open_can_be_closed(project):
    begin(project)
    close_round(project)
    assert list_rounds(project)[-1].state == "closed"


def test_without_an_open_round_there_is_nothing_to_close(project):
    with pytest.raises(StateError, match=r"no round is open\. Start one"):
        close_round(project)


def test_a_round_is_not_closed_while_a_job_runs(project):
    begin(project)
    add_job(project, "round", "{}", "tester")
    with pytest.raises(StateError, match=r"a job is running in project small\. Wait for it, or cancel it first"):
        close_round(project)
    assert list_rounds(project)[-1].state == "open"


# The training set


def test_the_first_training_set_is_the_seeds_with_weight_one(project):
    texts, classes = seeds(project)
    wanted = [(text, label, 1.0) for text, label in zip(texts.tolist(), classes.tolist(), strict=True)]
    assert training_rows(project, begin(project).id) == wanted


def test_the_training_set_of_a_round_is_frozen_when_it_opens(project):
    feed(project, reviewed_round(project, {}), a_pool_text(project), 1)
    opened = begin(project)
    frozen = training_rows(project, opened.id)
    decide(project, a_pool_text(project), "relabel", label=2)
    assert (a_pool_text(project), 1, 0.9) in frozen
    assert training_rows(project, opened.id) == frozen
    assert a_pool_text(project) not in {text for text, _, _ in current_training_rows(project)}


def test_what_a_round_would_train_on_is_what_it_trains_on(project):
    feed(project, reviewed_round(project, {}), a_pool_text(project), 3)
    wanted = current_training_rows(project)
    assert training_rows(project, begin(project).id) == wanted


def test_a_round_remembers_the_last_decision_before_it(project):
    decision = decide(project, a_pool_text(project), "none")
    begin(project)
    decide(project, a_pool_text(project), "none")
    assert count(project, "SELECT last_decision FROM round") == decision


# The end of a round


def test_a_finished_round_is_to_review_with_its_figures_and_beliefs(project):
    text = a_pool_text(project)
    reviewed_round(project, {text: (2, 0.75)})
    (last,) = list_rounds(project)
    assert (last.state, last.metrics["expected_agreement"]) == ("to review", 0.9)
    assert [ids.tolist() for ids in predicted_labels(project, last.id)] == [[text], [2]]
    assert best_beliefs(project, last.id) == [(text, "[[2, 0.75], [4, 0.25]]")]


def test_finishing_a_round_twice_is_refused_and_changes_nothing(project):
    text = a_pool_text(project)
    number = reviewed_round(project, {text: (2, 0.75)})
    with pytest.raises(sqlite3.IntegrityError, match="round 1 is not open"):
        finish_round(project, number, [(text, 1, 0.5, 2, 0.5, 0.0, 0.5, "[]")], {})
    assert best_beliefs(project, number) == [(text, "[[2, 0.75], [4, 0.25]]")]
    assert list_rounds(project)[-1].metrics


def test_beliefs_that_cannot_all_be_stored_leave_the_round_open(project):
    opened = begin(project)
    text = a_pool_text(project)
    good, bad = (text, 1, 0.5, 2, 0.5, 0.0, 0.5, "[]"), (10_000, 1, 0.5, 2, 0.5, 0.0, 0.5, "[]")
    with pytest.raises(sqlite3.IntegrityError):
        finish_round(project, opened.id, [good, bad], {})
    assert list_rounds(project)[-1].state == "open"
    assert best_beliefs(project, opened.id) == []


def test_each_round_keeps_its_own_beliefs(project):
    text = a_pool_text(project)
    feed(project, reviewed_round(project, {text: (1, 0.5)}), text, 1)
    second = reviewed_round(project, {text: (2, 0.75)})
    assert [predicted_labels(project, r.id)[1].tolist() for r in list_rounds(project)] == [[1], [2]]
    assert second == 2


def test_label_and_text_ids_are_those_of_the_names(project):
    assert set(label_ids(project)) == {"refund", "delivery", "warranty", "repair"}
    assert len(text_ids(project)) == 56
