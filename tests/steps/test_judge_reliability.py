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
    bits_of_probabilities,
    bits_of_words,
    fit_probability_scale,
    judge_rates,
    levels_of,
    log_likelihood_ratio,
    reliability_warning,
    shares_of_both,
    shrunk_chances,
    wilson,
)

COUNTS = st.dictionaries(st.sampled_from(VERDICTS), st.integers(0, 200))


def test_verdicts_are_all_outcomes_but_failed():
    assert set(VERDICTS) == {"valid", "invalid", "unsure", "refused", "unparseable"}


def test_the_rates_of_a_judge_that_tells_right_from_wrong_are_near_its_shares():
    rates = judge_rates({"valid": 76, "invalid": 4}, {"valid": 4, "invalid": 76})
    assert rates.right["valid"] == pytest.approx(0.95, abs=0.03)
    assert rates.wrong["invalid"] == pytest.approx(0.95, abs=0.03)
    assert rates.pairs == 160
    assert rates.passes == (0.95, 0.05)


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
    rates = judge_rates({"valid": 440}, {"valid": 40, "invalid": 400})
    assert log_likelihood_ratio(rates, "valid") == pytest.approx(log(440 / 40), abs=0.1)
    assert log_likelihood_ratio(rates, "valid") == pytest.approx(log(rates.right["valid"] / rates.wrong["valid"]))


@given(COUNTS, COUNTS, st.sampled_from(VERDICTS))
def test_right_and_wrong_exchanged_turn_the_sign(right, wrong, kind):
    one, other = judge_rates(right, wrong), judge_rates(wrong, right)
    assert log_likelihood_ratio(one, kind) == pytest.approx(-log_likelihood_ratio(other, kind))


# What chance explains is worth nothing

PROFILES = [(share, vague) for share in (0.05, 0.15, 0.3, 0.5, 0.84, 0.95, 0.99) for vague in (0.0, 0.02, 0.1, 0.4)]


def counts_of(drawn: np.ndarray) -> dict[str, int]:
    return dict(zip(VERDICTS, drawn.tolist(), strict=True))


@pytest.mark.parametrize(("share", "vague"), PROFILES)
def test_of_2000_judges_without_information_one_in_twenty_at_most_weighs_more_than_1_3(share, vague):
    """The share of *valid* among clear answers, and that of vague ones, are the same for right and wrong pairs."""
    rng = np.random.default_rng(0)
    chances = [(1 - vague) * share, (1 - vague) * (1 - share), vague * 0.7, vague * 0.1, vague * 0.2]
    right, wrong = rng.multinomial(80, chances, size=2000), rng.multinomial(80, chances, size=2000)
    clear, passed = np.stack([right, wrong])[:, :, :2].sum(axis=2), np.stack([right, wrong])[:, :, 0]
    is_clear, is_valid = shrunk_chances(clear, np.full((2, 2000), 80)), shrunk_chances(passed, clear)
    outcomes = np.stack([is_clear * is_valid, is_clear * (1 - is_valid), 1 - is_clear])
    weights = np.abs(np.log(outcomes[:, 0] / outcomes[:, 1])).max(axis=0)
    assert (weights > log(1.3)).mean() <= 0.05
    for index in range(0, 2000, 400):  # the vectorised weights are those of the product
        rates = judge_rates(counts_of(right[index]), counts_of(wrong[index]))
        largest = max(abs(log_likelihood_ratio(rates, kind)) for kind in VERDICTS)
        assert largest == pytest.approx(weights[index], abs=1e-9)


def test_of_judges_whose_probabilities_are_without_information_few_get_a_scale_that_weighs():
    rng = np.random.default_rng(1)
    right = np.arange(160) % 2 == 0
    heavy = 0
    for _ in range(300):
        p = np.clip(rng.beta(*rng.uniform(0.3, 4, 2), size=160), 0.001, 0.999)
        scale = fit_probability_scale(p, right)
        heavy += scale is not None and np.abs(scale.ratios(p)).max() > log(1.3)
    assert heavy <= 15


def test_three_answers_that_are_unsure_are_worth_nothing():
    rates = judge_rates({"valid": 70, "invalid": 10}, {"valid": 10, "invalid": 67, "unsure": 3})
    assert log_likelihood_ratio(rates, "unsure") == 0.0
    assert log_likelihood_ratio(rates, "valid") > 1.5


def test_unsure_counts_where_the_test_shows_that_it_does():
    rates = judge_rates({"valid": 78, "unsure": 2}, {"valid": 10, "invalid": 30, "unsure": 40})
    assert log_likelihood_ratio(rates, "unsure") < -2
    assert log_likelihood_ratio(rates, "refused") == pytest.approx(log_likelihood_ratio(rates, "unsure"))


# Bits


def test_an_answer_that_is_always_right_is_worth_nearly_a_bit():
    assert bits_of_words({"valid": 500}, {"invalid": 500}) > 0.97


@pytest.mark.parametrize("share", [0.1, 0.5, 0.84])
def test_an_answer_without_information_is_worth_no_bits(share):
    same = {"valid": round(80 * share), "invalid": 80 - round(80 * share)}
    assert bits_of_words(same, same) == 0.0
    assert bits_of_words({}, {}) == 0.0
    assert bits_of_words({"valid": 9, "invalid": 0}, {"valid": 9, "invalid": 0}) == 0.0


@pytest.mark.parametrize("share", [0.7, 0.85, 0.95])
def test_the_bits_of_words_are_those_of_a_symmetric_channel(share):
    hits = round(2000 * share)
    own, other = {"valid": hits, "invalid": 2000 - hits}, {"valid": 2000 - hits, "invalid": hits}
    entropy = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
    assert bits_of_words(own, other) == pytest.approx(1 - entropy, abs=0.005)


def test_probabilities_are_worth_more_bits_than_their_words():
    rng = np.random.default_rng(2)
    right = np.arange(4000) % 2 == 0
    p = expit(np.where(right, 1, -1) + rng.logistic(size=4000))
    words = [{"valid": int((p[of] >= 0.5).sum()), "invalid": int((p[of] < 0.5).sum())} for of in (right, ~right)]
    assert bits_of_probabilities(p, right) > bits_of_words(*words) + 0.01


def test_probabilities_without_information_are_worth_no_bits():
    rng = np.random.default_rng(3)
    right = np.arange(160) % 2 == 0
    assert np.mean([bits_of_probabilities(rng.uniform(size=160), right) for _ in range(40)]) < 0.01
    assert bits_of_probabilities(np.full(4, 0.5), np.ones(4, bool)) == 0.0


def test_levels_agree_with_the_scale_and_sum_to_one():
    p = np.linspace(0.02, 0.98, 80)
    levels = np.array(levels_of(ProbabilityScale(1.0, 0.0), p))
    assert levels.sum(axis=0) == pytest.approx([1.0, 1.0])
    ratio = np.log(levels[:, 0] / levels[:, 1])
    assert ratio.tolist() == sorted(ratio)
    assert ratio[-1] == pytest.approx(np.log(p[-10:] / (1 - p[-10:])).mean(), abs=0.3)


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
    assert most == pytest.approx(min(slope * log(99) + intercept, log(99)))
    assert least == pytest.approx(max(-slope * log(99) + intercept, -log(99)))


@pytest.mark.parametrize("width", [0.02, 0.2, 1.0])
def test_a_judge_that_moves_its_probabilities_little_is_worth_as_much_as_one_that_moves_them_far(width):
    p, right = sample(1.5, 0.0, 160)
    narrow = expit(0.4 + width * logit(p))
    wide = fit_probability_scale(p, right)
    scale = fit_probability_scale(narrow, right)
    assert scale is not None
    assert wide is not None
    assert scale.ratios(narrow) == pytest.approx(wide.ratios(p), abs=0.05)
    assert bits_of_probabilities(narrow, right) == pytest.approx(bits_of_probabilities(p, right), abs=0.01)


# Two answers about one label


def two_answers(rng, texts=160, *, same: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ratios of two calibrated answers whose noise is the same to this share, and what is right."""
    right, distance = np.arange(texts) % 2 == 0, 1.5
    own = rng.normal(size=(3, texts))
    noise = sqrt(same) * own[2] + sqrt(1 - same) * own[:2]
    first, second = distance * (np.where(right, distance, -distance) / 2 + noise)
    return first, second, right


def test_two_answers_with_the_same_errors_count_as_one_and_independent_ones_as_two():
    rng = np.random.default_rng(0)
    sums = {
        same: np.mean([sum(shares_of_both(*two_answers(rng, same=same))) for _ in range(50)]) for same in (0, 0.5, 1)
    }
    assert sums[1] == pytest.approx(1.0, abs=0.1)
    assert sums[0.5] == pytest.approx(1 / 0.75, abs=0.15)
    assert sums[0] > 1.7


def test_a_weaker_answer_with_the_same_errors_adds_nothing_to_the_better_one():
    first, _, right = two_answers(np.random.default_rng(1), 4000, same=1)
    blurred = first + np.random.default_rng(2).normal(size=len(first)) * 3
    weaker = blurred * 2.25 / (2.25 + 9)
    assert shares_of_both(weaker, first, right) == pytest.approx((0.0, 1.0), abs=0.1)


def test_an_answer_that_says_nothing_leaves_the_other_whole():
    first, _, right = two_answers(np.random.default_rng(1), same=1)
    assert shares_of_both(np.zeros(len(first)), first, right) == (1.0, 1.0)
    assert shares_of_both(np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool)) == (1.0, 1.0)
