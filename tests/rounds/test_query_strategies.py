from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from red_core.judges.apis import APIS
from red_core.judges.server_settings import ApiName
from red_core.records import JudgeRates
from red_core.rounds.query_strategies import (
    STRATEGIES,
    Query,
    analyst_chances,
    by_entropy,
    by_value,
    confirmations,
    judge_chances,
)
from red_core.rounds.scoring import ScoredPool
from red_core.settings import RECOMMENDED, Settings
from red_core.steps.belief import Candidates
from red_core.steps.pool_scoring import SubsetPredictions

TEXTS = np.array([10, 20, 30, 40])
BELIEF = np.array([0.97, 0.5, 0.99, 0.6])
RIGHT, WRONG = {"valid": 0.95, "invalid": 0.05}, {"valid": 0.05, "invalid": 0.95}


def query(*, decided=(), asked=(), entropy=(0.1, 0.9, 0.0, 0.4), **changes: object) -> Query:
    """Return a pool of four texts with two labels each; the belief in the first one is BELIEF."""
    shares = np.c_[BELIEF, 1.0 - BELIEF]
    kept = Candidates(
        np.tile([0, 1], (4, 1)), np.log(shares).astype(np.float32), np.full(4, -np.inf, np.float32), np.float32(-np.inf)
    )
    predictions = SubsetPredictions(np.array(entropy)[:, None], np.zeros((4, 1), dtype=np.int64))
    scored = ScoredPool(TEXTS, np.array([1, 2]), kept, kept, predictions, 0.0)
    settings = RECOMMENDED.model_copy(update=changes)
    return Query(
        scored, settings, judge_chances(JudgeRates(RIGHT, WRONG, 100)), np.array(decided, dtype=np.int64), set(asked)
    )


def test_every_setting_names_a_strategy_and_every_strategy_can_be_set():
    assert set(STRATEGIES) == set(get_args(Settings.model_fields["selection"].annotation))


def test_every_name_of_an_api_has_one():
    assert set(APIS) == set(get_args(ApiName))


def test_value_asks_first_about_the_text_that_gains_most():
    assert by_value(query(), 4).rows.tolist()[:2] == [1, 3]


@pytest.mark.parametrize("strategy", [by_value, by_entropy, confirmations])
def test_no_strategy_asks_about_a_decided_text_or_an_asked_pair(strategy):
    chosen = strategy(query(decided=[20, 30], asked={(3, 0), (3, 1), (0, 0)}), 4)
    assert not {10 * (row + 1) for row in chosen.rows.tolist()} & {20, 30, 40}
    assert (0, 0) not in set(zip(chosen.rows.tolist(), chosen.labels.tolist(), strict=True))


@pytest.mark.parametrize("strategy", [by_value, by_entropy, confirmations])
def test_no_strategy_asks_more_than_it_may(strategy):
    assert len(strategy(query(), 1).rows) == 1
    assert len(strategy(query(), 0).rows) == 0


def test_entropy_takes_the_texts_of_highest_entropy():
    assert by_entropy(query(questions_per_subset=2), 4).rows.tolist() == [1, 3]


def test_entropy_without_scored_entropy_is_an_error():
    asked = query()
    without = ScoredPool(TEXTS, np.array([1, 2]), asked.scored.alone, asked.scored.kept, None, 0.0)
    with pytest.raises(ValueError, match="needs the pool scored with entropy"):
        by_entropy(Query(without, asked.settings, asked.chances, asked.decided, set()), 4)


def test_confirmations_take_sure_texts_the_least_sure_first():
    assert confirmations(query(feed_back_belief=0.95), 4).rows.tolist() == [0, 2]
    assert confirmations(query(feed_back_belief=0.98), 4).rows.tolist() == [2]


def test_a_judges_levels_count_where_it_gives_probabilities_and_its_outcomes_where_it_does_not():
    words = judge_chances(JudgeRates(RIGHT, WRONG, 100))
    assert sorted(words.right.tolist()) == [0.05, 0.95]
    assert words.right[words.rejects].tolist() == [0.05]
    levels = judge_chances(JudgeRates(RIGHT, WRONG, 100, levels=((0.1, 0.6), (0.3, 0.3), (0.6, 0.1))))
    assert (levels.right.tolist(), levels.wrong.tolist()) == ([0.1, 0.3, 0.6], [0.6, 0.3, 0.1])
    assert levels.rejects.tolist() == [True, False, False]


def test_the_analysts_answer_is_right_as_often_as_the_setting_says():
    found = analyst_chances(RECOMMENDED.model_copy(update={"analyst_right": 0.9}))
    assert found.right.tolist() == pytest.approx([0.9, 0.1])
    assert found.wrong.tolist() == pytest.approx([0.1, 0.9])
    assert found.rejects.tolist() == [False, True]
