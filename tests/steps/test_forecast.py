from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from red_core.steps.belief import Candidates, beliefs
from red_core.steps.forecast import (
    PRIOR_EXPONENT,
    Curve,
    after_decisions,
    after_verdicts,
    learning_exponent,
    thinned,
    with_learning,
)
from red_core.steps.informative import AnswerChances, best_pairs

GOOD, BAD = np.array([0.1, 0.9]), np.array([0.9, 0.1])  # invalid, valid; of right and of wrong pairs
COIN = np.array([0.5, 0.5])


def pool(count: int, *shares: float) -> Candidates:
    """Return texts that all have these beliefs in labels 0, 1, ...; the rest is other labels."""
    logits = np.log(np.tile(np.array(shares, dtype=np.float32), (count, 1)))
    rest = np.full(count, np.log(max(1.0 - sum(shares), 1e-12)), dtype=np.float32)
    return Candidates(np.tile(np.arange(len(shares)), (count, 1)), logits, rest, -30.0)


def asked(kept: Candidates, right=GOOD, wrong=BAD, *, seed=0, mask=None, rows=None):
    return after_verdicts(
        kept,
        np.arange(len(kept.labels)) if rows is None else rows,
        np.zeros(kept.labels.shape, dtype=bool) if mask is None else mask,
        AnswerChances(right, wrong, np.array([True, False])), least_gain=0.005, sure=0.9, random_state=seed,
    )  # fmt: skip


# --- a person


@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30),
    st.floats(0.5, 1.0),
    st.integers(0, 30),
)
def test_the_best_choice_of_decisions_is_what_the_curve_promises(belief, right, count):
    values = np.array(belief)
    curve = after_decisions(values, np.arange(len(values)), right)
    best = sorted((max(right - b, 0.0) for b in belief), reverse=True)  # every set of texts, the best one by one
    worth = [gain for gain in best if gain > 0]
    count = min(count, len(worth))
    assert curve.answers.tolist() == list(range(len(worth) + 1))
    assert curve.accuracy[count] == pytest.approx((sum(belief) + sum(best[:count])) / len(belief))


def test_decided_texts_are_not_decided_again():
    curve = after_decisions(np.array([0.2, 0.3, 0.9]), np.array([1]), 1.0)
    assert curve.answers.tolist() == [0, 1]
    assert curve.accuracy[-1] == pytest.approx((0.2 + 1.0 + 0.9) / 3)


# --- a judge


def test_one_question_about_each_text_gains_what_the_arithmetic_says():
    curve, _ = asked(pool(4_000, 0.6, 0.4))
    expected = max(0.6 * 0.9, 0.4 * 0.1) + max(0.6 * 0.1, 0.4 * 0.9)  # .9
    assert np.interp(4_000, curve.answers, curve.accuracy) == pytest.approx(expected, abs=0.01)


def test_a_judge_without_information_is_not_asked():
    curve, after = asked(pool(50, 0.5, 0.3), COIN, COIN)
    assert curve.answers.tolist() == [0]
    assert np.array_equal(beliefs(after), beliefs(pool(50, 0.5, 0.3)))


@given(st.integers(0, 2**16), st.integers(1, 60), st.integers(1, 4))
def test_the_simulation_asks_what_a_look_at_all_texts_after_each_step_would_ask(seed, count, labels):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.0, 2.0, (count, labels)).astype(np.float32)
    kept = Candidates(np.tile(np.arange(labels), (count, 1)), logits, np.full(count, -3.0, np.float32), -2.0)
    mask, rows = rng.random(logits.shape) < 0.2, np.flatnonzero(rng.random(count) < 0.8)
    chances = AnswerChances(GOOD, BAD, np.array([True, False]))
    curve, after = asked(kept, mask=mask, rows=rows, seed=seed)
    open_pairs = (after.logits != logits) | mask  # each asked pair moved, and only those
    assert curve.answers[-1] == int((after.logits != logits).sum())
    left = best_pairs(after, rows, open_pairs, chances)
    assert (left.gains < 0.005).all()  # nothing that is worth it was left
    assert curve.accuracy[-1] == pytest.approx(beliefs(after)[:, :-1].max(axis=1).mean())


def test_the_forecast_is_the_accuracy_that_its_own_world_would_show():
    """Beliefs that are right about the drawn truth stay right on average: what is forecast is what comes true."""
    rng = np.random.default_rng(1)
    kept = pool(3_000, *(rng.dirichlet(np.ones(4) * 0.7) * 0.98))
    curves = [asked(kept, seed=seed)[0] for seed in range(5)]
    ends = [curve.accuracy[-1] for curve in curves]
    assert np.std(ends) < 0.01
    assert all(np.all(np.diff(curve.answers) > 0) for curve in curves)
    assert all(curve.accuracy[-1] > curve.accuracy[0] + 0.1 for curve in curves)
    assert max(ends) <= 1.0


def test_nothing_given_is_changed_and_closed_pairs_stay_closed():
    kept = pool(40, 0.5, 0.4)
    before = kept.logits.copy()
    mask = np.ones(kept.labels.shape, dtype=bool)
    curve, after = asked(kept, mask=mask)
    assert curve.answers.tolist() == [0]
    assert mask.all()
    asked(kept)
    assert np.array_equal(kept.logits, before)
    _, after = asked(kept, rows=np.arange(10))
    assert np.array_equal(after.logits[10:], before[10:])
    assert not np.array_equal(after.logits[:10], before[:10])


# --- the curve


def test_the_answers_needed_lie_between_two_points():
    curve = Curve(np.array([0, 10, 30]), np.array([0.5, 0.7, 0.9]), np.array([0, 5, 20]))
    assert [curve.needed(goal) for goal in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)] == pytest.approx([0, 0, 5, 10, 20, 30])
    assert curve.needed(0.91) is None


def test_a_thinned_curve_keeps_its_ends_and_its_points():
    numbers = np.arange(1_000)
    thin = thinned(Curve(numbers, numbers / 1_000, numbers), 40)
    assert (thin.answers[0], thin.answers[-1], len(thin.answers)) == (0, 999, 40)
    assert np.allclose(thin.accuracy, thin.answers / 1_000)
    assert len(thinned(Curve(numbers[:3], numbers[:3], numbers[:3]), 40).answers) == 3


# --- learning


def test_the_exponent_of_a_power_law_is_found():
    rows = np.array([100, 200, 400, 800, 6_400, 100_000])
    assert learning_exponent(rows, 0.4 * (rows / 100) ** -0.3) == pytest.approx(0.3, abs=0.005)


def test_one_round_says_nothing_about_learning_and_a_rising_error_is_no_learning():
    assert learning_exponent(np.array([100]), np.array([0.3])) == PRIOR_EXPONENT
    assert learning_exponent(np.array([100, 10_000]), np.array([0.3, 0.9])) == 0.0


def test_learning_lowers_the_error_that_is_left():
    curve = Curve(np.array([0, 10]), np.array([0.5, 0.7]), np.array([0, 100]))
    assert with_learning(curve, 100, 0.0).accuracy.tolist() == [0.5, 0.7]
    assert with_learning(curve, 100, 1.0).accuracy == pytest.approx([0.5, 0.85])
