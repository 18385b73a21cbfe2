"""The draws of the audit and the test behind a certificate."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import binomtest, chisquare

from red_core.steps.certificate import (
    CONFIDENCE,
    EVEN_SHARE,
    FOCUS_SHARE,
    NO_FOCUS,
    NOTHING_KNOWN,
    Chances,
    Draws,
    Frame,
    Known,
    draw,
    error_of,
    estimate,
    largest_proven,
    log_capital,
    lower_bound,
    measure,
    proves,
    rates,
    whole,
)
from red_core.steps.certificate_forecast import audits_expected, audits_until_proven, first_part, frames, least_work

ERROR = 0.05
CONFIDENCES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60).map(np.array)


def population(texts: int, share: float, seed: int, *, told: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the texts are right, exactly ``share`` of them, and confidences that know it more or less."""
    rng = np.random.default_rng(seed)
    right = np.zeros(texts, dtype=np.bool_)
    right[rng.permutation(texts)[: round(share * texts)]] = True
    confidence = 1.0 / (1.0 + np.exp(-(rng.normal(1.5, 1.0, texts) + np.where(right, told, -told))))
    return right, confidence


def audited(right: np.ndarray, confidence: np.ndarray, count: int, seed: int, focus: float = NO_FOCUS) -> Draws:
    places, chances = draw(confidence, count, np.random.default_rng(seed), focus)
    return Draws(right[places], confidence[places], chances, NOTHING_KNOWN)


# Draws


@given(CONFIDENCES)
def test_the_rates_sum_to_one_and_each_text_has_its_floor(confidence):
    found = rates(confidence)
    assert found.sum() == pytest.approx(1.0)
    assert found.min() >= EVEN_SHARE / len(confidence) - 1e-12


def test_uncertain_texts_are_drawn_more_often():
    found = rates(np.array([0.5, 0.9, 0.99, 0.01]))
    assert found[0] > found[1] > found[2] == pytest.approx(found[3])


@given(CONFIDENCES, st.integers(1, 80), st.integers(0, 9))
def test_nothing_is_drawn_twice_and_the_last_text_is_certain(confidence, count, seed):
    places, chances = draw(confidence, count, np.random.default_rng(seed))
    assert len(set(places.tolist())) == len(places) == len(chances.drawn) == min(count, len(confidence))
    assert np.all((chances.drawn > 0.0) & (chances.drawn <= 1.0))
    if count >= len(confidence):
        assert chances.drawn[-1] == pytest.approx(1.0)


def test_texts_are_drawn_as_often_as_their_rates_say():
    confidence, rng = np.array([0.5, 0.6, 0.9, 0.99, 0.999]), np.random.default_rng(3)
    for focus in (NO_FOCUS, 0.9):
        first = [int(draw(confidence, 1, rng, focus)[0][0]) for _ in range(4000)]
        assert chisquare(np.bincount(first, minlength=5), 4000 * rates(confidence, focus)).pvalue > 1e-3


def test_the_chance_of_a_draw_is_its_rate_among_those_that_are_left():
    confidence = np.linspace(0.1, 0.9, 9)
    share = rates(confidence, 0.5)
    places, chances = draw(confidence, 9, np.random.default_rng(0), 0.5)
    left = set(range(9))
    for place, found in zip(places.tolist(), chances.drawn.tolist(), strict=True):
        assert found == pytest.approx(share[place] / share[sorted(left)].sum())
        left.remove(place)


@given(CONFIDENCES, st.integers(1, 80), st.integers(0, 9), st.floats(0.0, 1.0) | st.just(NO_FOCUS))
def test_no_text_has_a_smaller_chance_than_the_stated_one(confidence, count, seed, focus):
    places, chances = draw(confidence, count, np.random.default_rng(seed), focus)
    share, left = rates(confidence, focus), np.ones(len(confidence), dtype=np.bool_)
    assert share.sum() == pytest.approx(1.0)
    for number, place in enumerate(places.tolist()):
        of_each = share / share[left].sum()
        assert chances.least[number] <= of_each[left].min() * (1 + 1e-9)
        inside = left & (confidence >= focus)
        if inside.any():
            assert chances.least_in_focus[number] <= of_each[inside].min() * (1 + 1e-9)
        left[place] = False


def test_most_draws_favour_the_focus():
    confidence = np.r_[np.full(300, 0.99), np.full(700, 0.6)]
    assert rates(confidence, 0.9)[:300].sum() > FOCUS_SHARE
    assert rates(confidence, 0.995).tolist() == rates(confidence).tolist()  # an empty part is not favoured


# Frames


@settings(max_examples=30)
@given(CONFIDENCES)
def test_frames_are_all_texts_and_then_parts_with_more_and_more_texts(confidence):
    every, *parts = frames(confidence, 0.95, ERROR)
    assert (every.threshold, every.texts) == (0.0, len(confidence))
    assert [part.texts for part in parts] == sorted({part.texts for part in parts})
    for part in parts:
        inside = confidence[confidence >= part.threshold]
        assert (part.texts, part.expected) == (len(inside), pytest.approx(inside.sum()))
        assert part.texts < len(confidence)


def test_the_errors_of_all_rounds_together_are_at_most_five_percent():
    assert sum(error_of(k) for k in range(60)) == pytest.approx(1.0 - CONFIDENCE)
    assert sum(error_of(k, 0.025) for k in range(60)) == pytest.approx(0.025)
    assert error_of(0) > error_of(1) > error_of(2) > 0.0


# The estimate


@pytest.mark.parametrize("told", [0.0, 2.0, -2.0])
def test_the_estimate_is_unbiased_whatever_the_confidences_say(told):
    right, confidence = population(300, 0.8, 1, told=told)
    every = whole(confidence)
    found = [estimate(audited(right, confidence, 40, seed), every) for seed in range(150)]
    assert np.mean(found) == pytest.approx(0.8, abs=4 * np.std(found) / np.sqrt(150))


def test_confidences_that_know_more_make_the_estimate_more_exact():
    spreads = []
    for told in (0.0, 2.0):
        right, confidence = population(300, 0.8, 1, told=told)
        every = whole(confidence)
        spreads.append(np.std([estimate(audited(right, confidence, 40, s), every) for s in range(80)]))
    assert spreads[1] < 0.8 * spreads[0]


def test_an_audit_of_all_texts_knows_the_share():
    right, confidence = population(40, 0.75, 2, told=1.0)
    found = measure(audited(right, confidence, 40, 0), whole(confidence))
    assert (found.right, found.of) == (30, 40)
    assert (found.low, found.share, found.high) == pytest.approx((0.75, 0.75, 0.75), abs=1e-6)


def test_without_audits_nothing_is_known():
    found = measure(audited(np.ones(5, np.bool_), np.full(5, 0.9), 0, 0), Frame(0.0, 5, 4.5))
    assert (found.share, found.low, found.high) == (None, 0.0, 1.0)
    assert lower_bound(audited(np.ones(5, np.bool_), np.full(5, 0.9), 0, 0), Frame(0.0, 5, 4.5), ERROR) == 0.0


# The proof


def test_a_false_statement_is_proven_in_at_most_five_of_a_hundred_projects():
    """Exactly the target is right, and the audit looks after every one of 300 answers."""
    wrong = 0
    for seed in range(400):
        right, confidence = population(1000, 0.9, seed, told=(seed % 3 - 1.0))
        every = whole(confidence)
        wrong += bool(log_capital(audited(right, confidence, 300, seed), every, 0.9).max() >= -np.log(ERROR))
    assert binomtest(wrong, 400, ERROR, alternative="greater").pvalue > 0.01


def test_a_true_statement_is_proven_in_the_end():
    right, confidence = population(2000, 0.97, 0, told=2.0)
    draws, every = audited(right, confidence, 800, 1), whole(confidence)
    assert proves(draws, every, 0.95, ERROR)
    assert lower_bound(draws, every, ERROR) >= 0.95


def test_the_bound_is_where_proving_ends():
    right, confidence = population(500, 0.93, 4, told=1.0)
    draws, every = audited(right, confidence, 120, 2), whole(confidence)
    bound = lower_bound(draws, every, ERROR)
    assert 0.5 < bound < 0.93
    assert proves(draws, every, bound - 1e-6, ERROR)
    assert not proves(draws, every, bound + 1e-6, ERROR)


def test_a_smaller_error_proves_less():
    right, confidence = population(500, 0.93, 4, told=1.0)
    draws, every = audited(right, confidence, 120, 2), whole(confidence)
    assert lower_bound(draws, every, 0.001) < lower_bound(draws, every, 0.05)


def test_a_part_is_proven_by_its_own_audits():
    confidence = np.r_[np.full(600, 0.98), np.full(400, 0.5)]
    right = np.r_[np.ones(600, np.bool_), np.random.default_rng(0).random(400) < 0.5]
    draws, (every, *parts) = audited(right, confidence, 250, 5), frames(confidence, 0.95, ERROR)
    assert [part.texts for part in parts] == [600]
    assert not proves(draws, every, 0.95, ERROR)
    assert largest_proven(draws, every, parts, 0.95, ERROR) == parts[0]


def test_the_first_part_is_the_largest_that_can_be_proven_soon():
    texts = np.arange(3000)
    hard = np.where(texts < 1200, 0.999 - 0.01 * (texts / 1200), 0.5 - 0.1 * (texts / 3000))
    (_, first, *_) = frames(hard, 0.95, ERROR)
    assert first.expected / first.texts > 0.95
    assert 900 <= first.texts <= 1201
    easy = 0.999 - 0.06 * (texts / 3000)
    (_, first, *_) = frames(easy, 0.95, ERROR)
    assert first.texts > 1500  # a smaller one would hardly take fewer audits
    (_, first, *_) = frames(0.7 - 0.3 * (texts / 3000), 0.95, ERROR)
    assert round(first.texts, -1) == 1500  # nothing is promised: the confidences may be too low


@pytest.mark.parametrize("focused", [False, True])
def test_a_part_that_is_exactly_at_the_target_is_proven_in_at_most_five_of_a_hundred_projects(focused):
    wrong = 0
    confidence = np.repeat(np.linspace(0.999, 0.96, 20), 100)  # too sure of all parts alike
    right = np.tile(np.r_[np.ones(95, np.bool_), np.zeros(5, np.bool_)], 20)
    every, *parts = frames(confidence, 0.95, ERROR)
    assert len(parts) > 3
    focus = parts[0].threshold if focused else NO_FOCUS
    for seed in range(200):
        wrong += largest_proven(audited(right, confidence, 400, seed, focus), every, parts, 0.95, ERROR) is not None
    assert binomtest(wrong, 200, ERROR, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("focus", [NO_FOCUS, 0.9])
def test_the_estimate_of_a_part_is_unbiased_and_its_interval_holds_the_truth_wherever_the_draws_go(focus):
    right, confidence = population(600, 0.85, 3, told=1.0)
    part = Frame(0.9, int((confidence >= 0.9).sum()), float(confidence[confidence >= 0.9].sum()))
    truth = right[confidence >= 0.9].mean()
    found = [measure(audited(right, confidence, 60, seed, focus), part) for seed in range(100)]
    shares = [estimate(audited(right, confidence, 60, seed, focus), part) for seed in range(100)]
    assert np.mean(shares) == pytest.approx(truth, abs=4 * np.std(shares) / 10)
    held = sum(each.low <= truth <= each.high for each in found)
    assert binomtest(held, 100, CONFIDENCE, alternative="less").pvalue > 0.01


def test_draws_that_favour_a_part_prove_it_sooner():
    right, confidence = population(3000, 0.93, 0, told=2.0)
    part = frames(confidence, 0.95, ERROR)[1]
    taken = {focus: [] for focus in (NO_FOCUS, part.threshold)}
    for focus, counts in taken.items():
        for seed in range(20):
            capital = log_capital(audited(right, confidence, 800, seed, focus), part, 0.95)
            counts.append(np.argmax(np.r_[capital, np.inf] >= -np.log(ERROR)))
    assert np.median(taken[part.threshold]) < 0.75 * np.median(taken[NO_FOCUS])


def test_a_part_is_favoured_only_where_all_texts_take_many_audits():
    sure, unsure = np.full(2000, 0.99), np.r_[np.full(1500, 0.99), np.full(1500, 0.7)]
    assert first_part(sure, frames(sure, 0.95, ERROR)[1:], 0.95, ERROR) is None
    parts = frames(unsure, 0.95, ERROR)[1:]
    found = first_part(unsure, parts, 0.95, ERROR)
    assert found is not None
    assert (found.frame, found.focus) == (parts[0], 0.99)
    large = np.r_[np.full(2700, 0.99), np.full(300, 0.3)]
    found = first_part(large, frames(large, 0.95, ERROR)[1:], 0.95, ERROR)
    assert found is not None
    assert found.focus == NO_FOCUS  # nearly all draws fall into it anyway
    hopeless = np.linspace(0.3, 0.7, 2000)
    assert first_part(hopeless, frames(hopeless, 0.95, ERROR)[1:], 0.95, ERROR) is None


# What it will take


@pytest.mark.parametrize(("share", "told"), [(0.97, 2.0), (0.98, 1.0), (0.99, 1.5)])
def test_the_audits_to_expect_are_about_those_that_it_takes(share, told):
    apart = told * np.sqrt(2.0)
    rng = np.random.default_rng(1)
    scores = rng.normal(size=3000) + apart * (rng.random(3000) < share)
    confidence = expit(logit(share) + apart * (scores - apart / 2.0))
    expected = audits_expected(confidence, 0.0, 0.95, ERROR)
    assert expected is not None
    taken = []
    for seed in range(40):
        right = np.random.default_rng(seed).random(3000) < confidence
        capital = log_capital(audited(right, confidence, 800, seed), whole(confidence), 0.95)
        taken.append(np.argmax(capital >= -np.log(ERROR)) if capital.max() >= -np.log(ERROR) else 800)
    assert np.median(taken) / 1.4 < expected < np.median(taken) * 1.4


def test_deciding_the_least_sure_texts_makes_a_certificate_cheaper_where_they_are_the_errors():
    few_bad = np.r_[np.full(2000, 0.992), np.full(100, 0.4)]
    at_once = audits_expected(few_bad, 0.0, 0.95, ERROR)
    found = least_work(few_bad, 0.95, ERROR)
    assert found is not None
    assert found[0] > 0
    assert at_once is None or sum(found) < at_once
    nothing_bad = np.full(2000, 0.995)
    assert least_work(nothing_bad, 0.95, ERROR) == (0, audits_expected(nothing_bad, 0.0, 0.95, ERROR))
    assert least_work(np.full(2000, 0.9), 0.95, ERROR) is None
    assert audits_expected(np.zeros(0), 0.0, 0.95, ERROR) is None


# Texts that were decided in between


def test_decided_texts_leave_no_bias_whether_the_frame_holds_them_or_not():
    """Half-way, an analyst decides the 60 least confident texts; their machine labels are mostly wrong."""
    right, confidence = population(300, 0.8, 7, told=2.0)
    decided = np.argsort(confidence)[:60]
    undecided = np.setdiff1d(np.arange(300), decided)
    found: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(120):
        rng = np.random.default_rng(seed)
        early, first = draw(confidence, 25, rng)
        left = np.setdiff1d(undecided, early)
        late, second = draw(confidence[left], 25, rng, 0.9)
        places = np.r_[early, left[late]]
        gone = np.setdiff1d(decided, early)
        for kept in (True, False):
            inside = np.union1d(undecided, np.r_[early, decided] if kept else early)
            known = Known(right[gone], confidence[gone], np.full(len(gone), 25), np.full(len(gone), kept))
            chances = Chances(*(np.r_[one, other] for one, other in zip(astuple(first), astuple(second), strict=True)))
            draws = Draws(right[places], confidence[places], chances, known)
            every = Frame(0.0, len(inside), float(confidence[inside].sum()))
            found[kept].append(estimate(draws, every) - right[inside].mean())
    for errors in found.values():
        assert np.mean(errors) == pytest.approx(0.0, abs=4 * np.std(errors) / np.sqrt(120))


# How many more


def test_the_audits_that_are_missing_are_told_by_the_pace_so_far():
    right, confidence = population(3000, 0.98, 0, told=2.0)
    draws, every = audited(right, confidence, 800, 1), whole(confidence)
    crossed = int(np.argmax(log_capital(draws, every, 0.95) >= -np.log(ERROR)))
    half = audited(right, confidence, crossed // 2, 1)
    missing = audits_until_proven(half, every, 0.95, ERROR)
    assert missing is not None
    assert crossed / 6 < missing < crossed * 1.5
    assert audits_until_proven(draws, every, 0.95, ERROR) == 0


def test_few_audits_or_too_low_an_accuracy_promise_nothing():
    right, confidence = population(1000, 0.7, 0, told=1.0)
    draws, every = audited(right, confidence, 200, 1), whole(confidence)
    assert audits_until_proven(draws, every, 0.95, ERROR) is None
    right, confidence = population(1000, 1.0, 0)
    assert audits_until_proven(audited(right, confidence, 10, 1), whole(confidence), 0.95, ERROR) is None
