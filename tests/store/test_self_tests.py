from __future__ import annotations

import sqlite3

import pytest

from red_core.records import PROMPT_VERSION, Answer, Attempt
from red_core.store import self_tests  # by its module: pytest would collect `tested`
from red_core.store.attempts import add_attempts, spent
from tests.helpers.small_projects import count

JUDGE = "chat/m"


def answer(outcome="valid", p=None, version=PROMPT_VERSION, **more) -> Answer:
    return Answer(outcome, p, 1.0, "the reply", "m-1", version, "key", **more)


def stored(project, judge=JUDGE, version=PROMPT_VERSION) -> list[tuple]:
    return [(t.text, t.label, t.kind, t.outcome, t.p_valid) for t in self_tests.tested(project, judge, version)]


def test_answers_come_back_as_they_were_given(project):
    rows = [(1, 1, "right", answer()), (1, 2, "wrong", answer("invalid", 0.25)), (1, 2, "canary", answer("refused"))]
    self_tests.add_tested(project, JUDGE, rows)
    assert stored(project) == [
        (1, 1, "right", "valid", None), (1, 2, "wrong", "invalid", 0.25), (1, 2, "canary", "refused", None),
    ]  # fmt: skip
    assert count(project, "SELECT count(*) FROM self_test WHERE raw = 'the reply' AND model = 'm-1'") == 3


def test_the_newest_answer_of_a_pair_counts_and_the_earlier_one_stays(project):
    self_tests.add_tested(project, JUDGE, [(1, 1, "right", answer("invalid")), (2, 1, "right", answer())])
    self_tests.add_tested(project, JUDGE, [(1, 1, "right", answer("unsure"))])
    assert stored(project) == [(2, 1, "right", "valid", None), (1, 1, "right", "unsure", None)]
    assert count(project, "SELECT count(*) FROM self_test") == 3


def test_another_judge_or_prompt_is_tested_for_itself(project):
    self_tests.add_tested(project, JUDGE, [(1, 1, "right", answer())])
    self_tests.add_tested(project, "chat/n", [(1, 1, "right", answer("invalid"))])
    self_tests.add_tested(project, JUDGE, [(1, 1, "right", answer("unsure", version="older"))])
    assert stored(project) == [(1, 1, "right", "valid", None)]
    assert stored(project, "chat/n") == [(1, 1, "right", "invalid", None)]
    assert stored(project, version="older") == [(1, 1, "right", "unsure", None)]
    assert stored(project, version="next") == []


def test_an_answer_that_failed_is_no_test_but_its_cost_stays(project):
    (attempt,) = add_attempts(project, "self-test", JUDGE, [70])
    self_tests.add_tested(project, JUDGE, [(1, 1, "right", answer("failed", attempts=(Attempt(attempt, 3, 4),)))])
    assert stored(project) == []
    assert spent(project).tokens == 7


def test_a_group_is_stored_and_settled_together_or_not_at_all(project):
    (attempt,) = add_attempts(project, "self-test", JUDGE, [70])
    with pytest.raises(sqlite3.IntegrityError):
        self_tests.add_tested(
            project,
            JUDGE,
            [(1, 1, "right", answer(attempts=(Attempt(attempt, 3, 4),))), (1, 999, "wrong", answer())],
        )
    assert stored(project) == []
    assert spent(project).tokens == 70
