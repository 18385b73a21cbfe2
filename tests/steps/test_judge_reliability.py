from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import norm

from red_core.steps.judge_reliability import (
    FURTHEST,
    VERDICTS,
    ProbabilityScale,
    fit_probability_scale,
    judge_rates,
    log_likelihood_ratio,
    reliability_warning,
    wilson,
)

COUNTS = st.dictionaries(st.sampled_from(VERDICTS), st.integers(0, 200))


def test_verdicts_are_all_outcomes_but_failed():
    assert set(VERDICTS) == {"valid", "invalid", "unsure", "refused", "unparseable"}


def test_rates_are_the_shares_with_one_added_to_every_count():
    rates = judge_rates({"valid": 8, "invalid": 2}, {"invalid": 9, "unsure": 1})
    assert rates.right == pytest.approx(
        {"valid": 9 / 15, "invalid": 3 / 15, "unsure": 1 / 15, "refused": 1 / 15, "unparseable": 1 / 15}
    )
    assert rates.wrong["invalid"] == pytest.approx(10 / 15)
    assert rates.pairs == 20


@given(COUNTS, COUNTS)
def test_rates_sum_to_one_and_none_is_nought(right, wrong):
    rates = judge_rates(right, wrong)
    for shares in (rates.right, rates.wrong):
        assert sum(shares.values()) == pytest.approx(1)
        assert min(shares.values()) > 0


def test_an_untested_judges_word_is_worth_nothing():
    rates = judge_rates({}, {})
    assert {log_likelihood_ratio(rates, kind) for kind in VERDICTS} == {0.0}


def test_a_word_is_worth_the_log_of_how_much_oftener_right_pairs_get_it():
    rates = judge_rates({"valid": 44}, {"valid": 4, "invalid": 40})
    assert log_likelihood_ratio(rates, "valid") == pytest.approx(log(45 / 49) - log(5 / 49))
    assert log_likelihood_ratio(rates, "invalid") == pytest.approx(log(1 / 49) - log(41 / 49))


@given(COUNTS, COUNTS, st.sampled_from(VERDICTS))
def test_right_and_wrong_exchanged_turn_the_sign(right, wrong, kind):
    one, other = judge_rates(right, wrong), judge_rates(wrong, right)
    assert log_likelihood_ratio(one, kind) == pytest.approx(-log_likelihood_ratio(other, kind))


# Wilson's interval


@pytest.mark.parametrize(("count", "of"), [(0, 10), (10, 10), (9, 10), (55, 60), (3, 60), (1, 1)])
def test_the_interval_is_wilsons_by_hand(count, of):
    z = norm.ppf(0.975)
    share = count / of
    middle = (share + z**2 / (2 * of)) / (1 + z**2 / of)
    half = z / (1 + z**2 / of) * sqrt(share * (1 - share) / of + z**2 / (4 * of**2))
    assert wilson(count, of) == pytest.approx((max(0.0, middle - half), min(1.0, middle + half)), abs=1e-9)


def test_of_nothing_everything_is_possible():
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_the_interval_holds_the_share_and_stays_between_nought_and_one(pair):
    low, high = wilson(*pair)
    assert 0 <= low <= pair[0] / pair[1] <= high <= 1


# What kind of judge it is


@pytest.mark.parametrize(
    ("right", "wrong", "begins"),
    [
        ({"valid": 58, "invalid": 2}, {"valid": 3, "invalid": 57}, ""),
        ({"valid": 60}, {"valid": 60}, "It accepts most wrong labels"),
        ({"valid": 60}, {"valid": 31, "invalid": 29}, "It accepts most wrong labels"),
        ({"invalid": 60}, {"invalid": 60}, "It rejects most right labels"),
        ({"valid": 29, "invalid": 31}, {"invalid": 60}, "It rejects most right labels"),
        ({"unsure": 50, "valid": 10}, {"unsure": 55, "invalid": 5}, "It gives no clear answer"),
        ({"unparseable": 60}, {"unparseable": 60}, "It gives no clear answer"),
        ({"valid": 30, "invalid": 30}, {"valid": 30, "invalid": 30}, "It is not certain yet"),
        ({"valid": 3}, {"invalid": 3}, "It is not certain yet"),
        ({}, {}, "It is not certain yet"),
    ],
)
def test_a_judge_is_called_what_it_is(right, wrong, begins):
    found = reliability_warning(right, wrong)
    assert found.startswith(begins)
    assert bool(found) == bool(begins)


@given(COUNTS, COUNTS)
def test_of_a_judge_that_cannot_tell_right_from_wrong_nothing_good_is_said(right, wrong):
    if right.get("valid", 0) * sum(wrong.values()) <= wrong.get("valid", 0) * sum(right.values()):
        assert reliability_warning(right, wrong)


# Probabilities


def sample(slope: float, intercept: float, size: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Draw probabilities from a judge whose log likelihood ratio is known."""
    rng = np.random.default_rng(0)
    p = rng.uniform(0.02, 0.98, size)
    return p, rng.random(size) < expit(slope * logit(p) + intercept)


def test_the_scale_is_found_again():
    p, right = sample(0.6, 0.0)
    scale = fit_probability_scale(p, right)
    assert scale is not None
    assert scale.slope == pytest.approx(0.6, abs=0.08)
    assert scale(0.5) == pytest.approx(-log(right.sum() / (~right).sum()), abs=0.1)


def test_the_prior_odds_of_the_pairs_are_not_counted_as_evidence():
    p, right = sample(1.0, 0.0, 20_000)
    keep = right | (np.random.default_rng(1).random(len(right)) < 0.2)
    even, skewed = fit_probability_scale(p, right), fit_probability_scale(p[keep], right[keep])
    assert even is not None
    assert skewed is not None
    assert skewed(0.8) == pytest.approx(even(0.8), abs=0.15)


@pytest.mark.parametrize("right", [np.ones(6, bool), np.zeros(6, bool), np.array([1, 1, 1, 0, 0, 0], bool)])
def test_without_contrast_or_with_a_judge_that_is_upside_down_there_is_no_scale(right):
    assert fit_probability_scale(np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9]), right) is None


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 3), st.floats(-2, 2))
@settings(max_examples=100)
def test_a_scale_rises_and_is_never_surer_than_at_one_in_a_hundred(low, high, slope, intercept):
    scale = ProbabilityScale(slope, intercept)
    least, most = scale(FURTHEST), scale(1 - FURTHEST)
    assert least <= scale(min(low, high)) <= scale(max(low, high)) <= most
    assert most == pytest.approx(slope * log(99) + intercept)
