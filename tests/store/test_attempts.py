from __future__ import annotations

import sqlite3
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from red_core.records import Answer, Attempt, Project
from red_core.store.attempts import (
    MeanTokens,
    Prices,
    RequestPurpose,
    add_attempts,
    settle_attempts,
    spent,
    tokens_per_question,
)
from red_core.store.database import connection
from red_core.store.texts import pool
from red_core.store.verdicts import add_proposals, add_verdicts
from tests.helpers.small_projects import count, question, reviewed_round, small_project

ROUND_CAP, PROJECT_CAP = 300, 500


@pytest.fixture
def round_id(project: Project) -> int:
    return reviewed_round(project, {})


def add_attempt(project: Project, purpose: RequestPurpose, judge: str, reserved: int, **more) -> int | None:
    """Store one attempt; None where it would pass a cap."""
    return next(iter(add_attempts(project, purpose, judge, [reserved], **more)), None)


def rows(project: Project) -> list[tuple]:
    with connection(project) as db:
        return db.execute("SELECT id, reserved, tokens_in, tokens_out, verdict FROM attempt ORDER BY id").fetchall()


def answered(outcome: str, *attempts: Attempt) -> Answer:
    return Answer(outcome, None, 1.0, "raw", "m", "1", "key", attempts=attempts)


def proposals(project: Project, round_id: int, many: int = 2) -> list[int]:
    return add_proposals(project, round_id, [question(int(text), 1, 2) for text in pool(project)[:many]])


def test_an_attempt_is_there_with_its_reserve_before_anything_is_known(project, round_id):
    attempt = add_attempt(project, "judge", "chat/m", 70, round_id=round_id, prices=Prices(1.0, None))
    with connection(project) as db:
        (row,) = db.query("SELECT * FROM attempt")
    assert row["id"] == attempt
    assert (row["round"], row["purpose"], row["judge"], row["reserved"]) == (round_id, "judge", "chat/m", 70)
    assert (row["price_in"], row["price_out"], row["tokens_in"], row["verdict"]) == (1.0, None, None, None)
    assert spent(project).tokens == spent(project, round_id=round_id).tokens == 70


@pytest.mark.parametrize("purpose", get_args(RequestPurpose))
def test_every_purpose_can_be_stored(purpose, project):
    assert add_attempt(project, purpose, "chat/m", 1)


def test_an_unknown_purpose_is_refused(project):
    with pytest.raises(sqlite3.IntegrityError):
        add_attempt(project, "fun", "chat/m", 1)


def test_what_the_server_counted_takes_the_place_of_the_reserve(project):
    first, second = (add_attempt(project, "connect", "chat/m", 70) for _ in range(2))
    settle_attempts(project, [Attempt(first, 11, 2), Attempt(second)])
    assert rows(project) == [(first, 70, 11, 2, None), (second, 70, None, None, None)]
    assert (spent(project).attempts, spent(project).tokens) == (2, 13 + 70)


def test_more_than_was_reserved_counts_in_full(project):
    settle_attempts(project, [Attempt(add_attempt(project, "judge", "chat/m", 10), 900, 100)])
    assert spent(project).tokens == 1000


# With verdicts


def test_a_verdict_and_what_it_cost_are_stored_together(project, round_id):
    (proposal,) = proposals(project, round_id, 1)
    tries = [add_attempt(project, "judge", "chat/m", 70, round_id=round_id) for _ in range(2)]
    add_verdicts(project, "chat/m", [(proposal, answered("valid", Attempt(tries[0], 0, 0), Attempt(tries[1], 11, 2)))])
    verdict = count(project, "SELECT id FROM verdict")
    assert [row[2:] for row in rows(project)] == [(0, 0, verdict), (11, 2, verdict)]


def test_what_a_failed_answer_cost_is_kept_without_a_verdict(project, round_id):
    (proposal,) = proposals(project, round_id, 1)
    attempt = add_attempt(project, "judge", "chat/m", 70)
    add_verdicts(project, "chat/m", [(proposal, answered("failed", Attempt(attempt, 11, 2)))])
    assert rows(project) == [(attempt, 70, 11, 2, None)]
    assert count(project, "SELECT count(*) FROM verdict") == 0


def test_where_a_verdict_cannot_be_stored_nothing_of_its_group_is_settled(project, round_id):
    first, second = proposals(project, round_id)
    add_verdicts(project, "chat/m", [(second, answered("valid"))])
    attempt = add_attempt(project, "judge", "chat/m", 70)
    with pytest.raises(sqlite3.IntegrityError):
        add_verdicts(
            project, "chat/m", [(first, answered("valid", Attempt(attempt, 11, 2))), (second, answered("invalid"))]
        )
    assert rows(project) == [(attempt, 70, None, None, None)]
    assert count(project, "SELECT count(*) FROM verdict") == 1


# Caps


@pytest.mark.parametrize("caps", [(99, None), (None, 99), (99, 500), (500, 99)])
def test_what_would_pass_a_cap_is_refused_and_not_stored(caps, project, round_id):
    assert add_attempt(project, "judge", "chat/m", 100, round_id=round_id, caps=caps) is None
    assert rows(project) == []


def test_of_several_at_once_the_first_that_fit_are_stored(project, round_id):
    found = add_attempts(project, "judge", "chat/m", [40, 30, 50, 1], round_id=round_id, caps=(500, 100))
    assert [row[:2] for row in rows(project)] == list(zip(found, [40, 30], strict=True))


def test_what_just_fits_is_let_through(project, round_id):
    assert add_attempt(project, "judge", "chat/m", 100, round_id=round_id, caps=(100, 100))


def test_a_cap_of_nought_lets_nothing_through(project, round_id):
    assert add_attempt(project, "judge", "chat/m", 1, round_id=round_id, caps=(0, None)) is None


def test_the_rounds_cap_counts_only_the_round(project, round_id):
    add_attempt(project, "connect", "chat/m", 1000)
    assert add_attempt(project, "judge", "chat/m", 100, round_id=round_id, caps=(100, None))
    assert add_attempt(project, "judge", "chat/m", 100, round_id=round_id, caps=(1000, 1150)) is None


STEPS = st.lists(st.tuples(st.booleans(), st.integers(1, 120), st.none() | st.integers(0, 100)), max_size=15)


@given(STEPS)
def test_caps_hold_whatever_is_reserved_and_settled(steps):
    with tempfile.TemporaryDirectory() as folder:
        project = small_project(Path(folder) / "w")
        round_id = reviewed_round(project, {})
        of_round = of_project = 0
        for in_round, reserved, share in steps:
            fits = of_project + reserved <= PROJECT_CAP and (not in_round or of_round + reserved <= ROUND_CAP)
            attempt = add_attempt(
                project, "judge", "m", reserved,
                round_id=round_id if in_round else None,
                caps=(ROUND_CAP if in_round else None, PROJECT_CAP),
            )  # fmt: skip
            assert fits == (attempt is not None)
            if attempt is None:
                continue
            took = reserved
            if share is not None:
                took = reserved * share // 100
                settle_attempts(project, [Attempt(attempt, took, 0)])
            of_project += took
            of_round += took * in_round
            assert (spent(project).tokens, spent(project, round_id=round_id).tokens) == (of_project, of_round)
            assert of_round <= ROUND_CAP
            assert of_project <= PROJECT_CAP


def test_a_cap_holds_for_writers_at_the_same_time(project, round_id):
    refused = []

    def writer() -> None:
        caps = (None, 200)
        found = [add_attempt(project, "judge", "m", 10, round_id=round_id, caps=caps) for _ in range(10)]
        refused.append(found.count(None))

    threads = [threading.Thread(target=writer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (spent(project).tokens, sum(refused)) == (200, 20)


# What it costs


def test_money_is_at_the_prices_of_the_time_and_of_the_reserve_where_nothing_was_counted(project):
    first = add_attempt(project, "judge", "m", 70, prices=Prices(2.0, 8.0))
    settle_attempts(project, [Attempt(first, 1000, 10)])
    second = add_attempt(project, "judge", "m", 100, prices=Prices(4.0, 16.0))
    assert spent(project).money == pytest.approx((1000 * 2 + 10 * 8 + 100 * 16) / 1e6)
    settle_attempts(project, [Attempt(second, 0, 0)])
    assert spent(project).money == pytest.approx((1000 * 2 + 10 * 8) / 1e6)


@pytest.mark.parametrize("prices", [(None, None), (1.0, None), (None, 1.0)])
def test_where_a_price_is_unknown_so_is_the_cost(prices, project):
    add_attempt(project, "judge", "m", 70, prices=Prices(1.0, 1.0))
    add_attempt(project, "judge", "m", 70, prices=Prices(*prices))
    assert spent(project).money is None
    assert spent(project).tokens == 140


def test_before_the_first_attempt_nothing_was_spent(project):
    assert (spent(project).attempts, spent(project).tokens, spent(project).money) == (0, 0, 0.0)
    assert tokens_per_question(project, "chat/m") is None


def test_the_tokens_of_a_question_are_the_mean_of_this_judges_counted_questions(project):
    for purpose, judge, counted in [
        ("judge", "chat/m", Attempt(0, 100, 10, 60)),
        ("self-test", "chat/m", Attempt(0, 80, 10)),
        ("judge", "chat/m", Attempt(0, 0, 0)),
        ("judge", "chat/m", Attempt(0)),
        ("judge", "chat/other", Attempt(0, 900, 0)),
        ("connect", "chat/m", Attempt(0, 900, 0)),
    ]:
        settle_attempts(project, [replace(counted, id=add_attempt(project, purpose, judge, 500))])
    found = tokens_per_question(project, "chat/m")
    assert found == MeanTokens(read=90.0, written=10.0, cached=30.0)
    assert found.total == 100.0
