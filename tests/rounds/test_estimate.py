"""What a round is expected to ask: by the judge that is connected now, not by the one of the last round."""

from __future__ import annotations

import pytest

from red_core.judges.project import judge_check, judge_of
from red_core.judges.server_settings import judge_server
from red_core.records import Project
from red_core.rounds import recommendation
from red_core.rounds.estimate import Expected, expected_questions
from red_core.rounds.run import run_round
from red_core.settings import ARTICLE, Settings
from red_core.store.rounds import close_round
from red_core.store.texts import facts
from tests.helpers.fault_server import FaultServer, always, word
from tests.helpers.small_projects import FAST

JUDGED = FAST.model_copy(update={"judge": "llm", "self_test_seeds": 10, "canaries": 2, "least_gain": 0.005})


def expected(project: Project, settings: Settings = JUDGED, judge: str | None = None) -> Expected:
    known = judge_of(project, judge_server()) if judge is None else judge
    return expected_questions(project, settings, facts(project), known)


def test_before_the_first_round_it_asks_at_most_the_limit_or_every_text(project):
    assert expected(project, JUDGED, "").questions == 40
    assert expected(project, JUDGED.model_copy(update={"most_questions": 7}), "").sentence.startswith(
        "At most 7 questions. The round stops earlier if the next answer would help too little (less than 0.5 points)"
    )
    article = expected(project, ARTICLE.model_copy(update={"subset_size": 2, "questions_per_subset": 3}), "")
    assert (article.questions, article.sentence) == (6, "About 6 questions: 3 for each of 2 classifiers.")


def test_a_judge_that_was_tested_and_cannot_tell_labels_apart_is_not_asked_in_the_first_round(project):
    with FaultServer(always(word("invalid"))):
        judge_check(project, JUDGED)
        found = expected(project)
    told = "This model cannot tell these labels apart (it says invalid to 100% of right ones). It is not asked."
    assert found == Expected(0, told)


def test_what_a_judge_may_still_be_asked_says_nothing_about_another_one(project):
    with FaultServer(always(word("valid"))):
        done = run_round(project, JUDGED)
        close_round(project)
        assert (done.metrics["judge"], done.metrics["worth_judging"]) == (judge_of(project, judge_server()), 0)
        assert expected(project) == Expected(0, recommendation(project).reason)
    worth = done.metrics["worth_asking"]
    another = Expected(worth, f"About {worth} questions, as estimated in the last round.")
    assert worth > 3
    with FaultServer():  # a better judge, at another address
        assert expected(project) == another  # before its trial
        judge_check(project, JUDGED)
        assert expected(project) == another
    assert expected(project, JUDGED, "").questions == worth


@pytest.mark.parametrize(("left", "sentence"), [(1, "About 1 question, as"), (0, "No further question would improve")])
def test_the_judge_of_the_last_round_is_asked_what_was_left(project, left, sentence):
    with FaultServer():
        run_round(project, JUDGED.model_copy(update={"most_questions": 3 if left else 5000}))
        close_round(project)
        found = expected(project, JUDGED.model_copy(update={"most_questions": left or 9}))
    assert found.questions == left
    assert found.sentence.startswith(sentence)
