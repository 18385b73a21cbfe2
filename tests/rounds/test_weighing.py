"""What one judge says twice about a label is not what two judges say."""

from __future__ import annotations

import numpy as np
import pytest

from red_core.rounds.scoring import ScoredPool
from red_core.rounds.weighing import Weighing
from red_core.steps.belief import Candidates

SHARES = (0.25, 0.5)
ANSWERS = {
    "one": lambda weighing: weighing.add("judge", 7, 1, 2.0),
    "two": lambda weighing: weighing.add_comparison("judge", 7, (1, 0.8), (2, -1.2)),
}


def pool() -> ScoredPool:
    kept = Candidates(np.tile(np.arange(3), (2, 1)), np.zeros((2, 3)), np.zeros(2), 0.0)
    return ScoredPool(np.array([7, 9]), np.array([1, 2, 3]), kept, kept, None, 0.0)


def logits(*adds, shares: tuple[float, float] = SHARES) -> list[float]:
    """Return the logits of text 7 after these answers."""
    scored = pool()
    weighing = Weighing(scored, shares)
    for add in adds:
        add(weighing)
    assert not scored.kept.logits[1].any()
    return [round(float(logit), 6) for logit in scored.kept.logits[0]]


def test_one_answer_counts_in_full():
    assert logits(ANSWERS["one"]) == [2.0, 0.0, 0.0]
    assert logits(ANSWERS["two"]) == [0.8, -1.2, 0.0]


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_both_forms_about_a_label_count_by_their_shares_in_either_order(order):
    assert logits(*(ANSWERS[form] for form in order)) == [0.9, -0.6, 0.0]


def test_an_answer_about_the_rival_is_one_about_the_same_two_labels():
    about_rival = lambda weighing: weighing.add("judge", 7, 2, -1.0)  # noqa: E731
    assert logits(ANSWERS["two"], about_rival) == [0.4, -0.85, 0.0]


def test_two_judges_and_two_pairs_of_labels_are_independent():
    another = lambda weighing: weighing.add("another judge", 7, 1, 2.0)  # noqa: E731
    elsewhere = lambda weighing: weighing.add("judge", 7, 3, 2.0)  # noqa: E731
    about_another_text = lambda weighing: weighing.add("judge", 8, 1, 2.0)  # noqa: E731  it is not in the pool
    assert logits(ANSWERS["two"], another) == [2.8, -1.2, 0.0]
    assert logits(ANSWERS["two"], elsewhere) == [0.8, -1.2, 2.0]
    assert logits(ANSWERS["two"], about_another_text) == [0.8, -1.2, 0.0]


def test_shares_of_one_add_up():
    assert logits(ANSWERS["one"], ANSWERS["two"], shares=(1.0, 1.0)) == [2.8, -1.2, 0.0]
