from __future__ import annotations

import json
import sqlite3
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from red_core.records import Answer, Example, Project, Question
from red_core.store.database import connection
from red_core.store.rounds import close_round
from red_core.store.texts import pool
from red_core.store.verdicts import add_proposals, add_verdicts, outcome_counts, proposals_of, verdicts
from tests.helpers.small_projects import count, question, reviewed_round, small_project

OUTCOMES = ("valid", "invalid", "unsure", "refused", "unparseable")


def answer(outcome: str = "valid", ratio: float = 1.5, raw: str = "yes") -> Answer:
    return Answer(outcome, 0.8, ratio, raw, "a model", "7")


def next_round(project: Project) -> int:
    if count(project, "SELECT count(*) FROM round WHERE state IN ('open', 'to review')"):
        close_round(project)
    return reviewed_round(project, {})


@pytest.fixture
def round_id(project: Project) -> int:
    return next_round(project)


def ask(project: Project, round_id: int, *pairs: tuple[int, int]) -> list[int]:
    first = int(pool(project)[0])
    return add_proposals(project, round_id, [question(first + text, label, 4) for text, label in pairs])


# Proposals


def test_proposals_get_ids_in_the_order_of_the_questions(project, round_id):
    ids = ask(project, round_id, (3, 1), (0, 2), (2, 1))
    assert [p.text - int(pool(project)[0]) for p in proposals_of(project, round_id)] == [3, 0, 2]
    assert ids == sorted(ids)


def test_a_pair_proposed_twice_in_a_round_is_one_proposal(project, round_id):
    first = ask(project, round_id, (0, 1), (1, 2))
    assert ask(project, round_id, (1, 2), (0, 1), (2, 1))[:2] == first[::-1]
    assert len(proposals_of(project, round_id)) == 3


def test_a_pair_proposed_again_keeps_the_belief_it_was_selected_at(project, round_id):
    text = int(pool(project)[0])
    add_proposals(project, round_id, [question(text, 1, 2, belief=0.6)])
    add_proposals(project, round_id, [question(text, 1, 2, belief=0.9)])
    with connection(project) as db:
        assert db.execute("SELECT belief FROM proposal").fetchall() == [(0.6,)]


def test_a_pair_may_be_proposed_again_in_the_next_round(project, round_id):
    later = next_round(project)
    assert ask(project, round_id, (0, 1)) != ask(project, later, (0, 1))


def test_a_proposal_keeps_the_evidence_and_what_selected_it(project, round_id):
    text = int(pool(project)[0])
    asked: Question = replace(
        question(text, 1, 2),
        examples=(Example(1, "shown", 0.123456, "seed"), Example(2, "too", 0.1, "analyst")),
        rival_examples=(Example(3, "rival", -0.5, "seed"),),
        reason="entropy",
        gain=0.25,
    )
    add_proposals(project, round_id, [asked])
    with connection(project) as db:
        evidence = json.loads(db.execute("SELECT evidence FROM proposal").fetchone()[0])
    assert evidence == {"label": [[1, 0.1235, "seed"], [2, 0.1, "analyst"]], "runner_up": [[3, -0.5, "seed"]]}
    assert [(p.reason, p.gain) for p in proposals_of(project, round_id)] == [("entropy", 0.25)]


def test_proposals_are_stored_together_or_not_at_all(project, round_id):
    with pytest.raises(sqlite3.IntegrityError):
        ask(project, round_id, (0, 1), (0, 99))
    assert proposals_of(project, round_id) == []


# Verdicts


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_verdict_comes_back_as_it_was_given(outcome, project, round_id):
    (proposal,) = ask(project, round_id, (0, 3))
    add_verdicts(project, "chat", [(proposal, answer(outcome, -2.25, "no\n👎🏽"))])
    (verdict,) = verdicts(project)
    assert (verdict.round_id, verdict.text, verdict.label) == (round_id, int(pool(project)[0]), 3)
    assert (verdict.judge, verdict.outcome, verdict.p_valid, verdict.log_likelihood_ratio) == (
        "chat", outcome, 0.8, -2.25,
    )  # fmt: skip
    with connection(project) as db:
        stored = db.execute("SELECT raw, model, prompt_version FROM verdict").fetchone()
    assert stored == ("no\n👎🏽", "a model", "7")


def test_an_answer_that_failed_is_no_verdict_and_its_proposal_stays_open(project, round_id):
    good, bad = ask(project, round_id, (0, 1), (1, 1))
    add_verdicts(project, "chat", [(good, answer()), (bad, answer("failed"))])
    assert [p.answered for p in proposals_of(project, round_id)] == [True, False]
    assert outcome_counts(project, round_id) == {"valid": 1}


def test_a_proposal_has_one_verdict_at_most(project, round_id):
    (proposal,) = ask(project, round_id, (0, 1))
    add_verdicts(project, "chat", [(proposal, answer("valid"))])
    with pytest.raises(sqlite3.IntegrityError):
        add_verdicts(project, "chat", [(proposal, answer("invalid"))])
    assert [v.outcome for v in verdicts(project)] == ["valid"]


def test_verdicts_of_a_group_are_stored_together_or_not_at_all(project, round_id):
    first, second = ask(project, round_id, (0, 1), (1, 1))
    add_verdicts(project, "chat", [(second, answer("valid"))])
    with pytest.raises(sqlite3.IntegrityError):
        add_verdicts(project, "chat", [(first, answer("valid")), (second, answer("invalid"))])
    assert len(verdicts(project)) == 1


def test_outcomes_are_counted_in_their_own_round(project, round_id):
    ids = ask(project, round_id, (0, 1), (1, 1), (2, 1))
    add_verdicts(project, "chat", list(zip(ids, map(answer, ("valid", "invalid", "valid")), strict=True)))
    later = next_round(project)
    assert outcome_counts(project, round_id) == {"valid": 2, "invalid": 1}
    assert outcome_counts(project, later) == {}


ASKED = st.lists(  # rounds of distinct pairs, each with the answer it got
    st.dictionaries(
        st.tuples(st.integers(0, 2), st.integers(1, 3)), st.sampled_from([*OUTCOMES, "failed"]), max_size=5
    ),
    min_size=1,
    max_size=4,
)


@given(ASKED)
def test_the_newest_verdict_of_each_pair_counts(asked):
    with tempfile.TemporaryDirectory() as folder:
        project = small_project(Path(folder) / "w")
        first, wanted = int(pool(project)[0]), {}
        for number, pairs in enumerate(asked, 1):
            ids = ask(project, next_round(project), *pairs)
            add_verdicts(project, "chat", list(zip(ids, map(answer, pairs.values()), strict=True)))
            wanted |= {pair: (outcome, number) for pair, outcome in pairs.items() if outcome != "failed"}
        found = verdicts(project)
        assert {(v.text - first, v.label): (v.outcome, v.round_id) for v in found} == wanted
        assert [v.id for v in found] == sorted(v.id for v in found)
