"""The draws of the audit and the test behind a certificate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare

from red_core.steps.certificate import (
    CONFIDENCE,
    EVEN_SHARE,
    NOTHING_KNOWN,
    Draws,
    Frame,
    Known,
    audits_until_proven,
    draw,
    error_of,
    estimate,
    frames,
    log_capital,
    lower_bound,
    measure,
    proves,
    rates,
)

ERROR = 0.05
CONFIDENCES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60).map(np.array)


def population(texts: int, share: float, seed: int, *, told: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the texts are right, exactly ``share`` of them, and confidences that know it more or less."""
    rng = np.random.default_rng(seed)
    right = np.zeros(texts, dtype=np.bool_)
    right[rng.permutation(texts)[: round(share * texts)]] = True
    confidence = 1.0 / (1.0 + np.exp(-(rng.normal(1.5, 1.0, texts) + np.where(right, told, -told))))
    return right, confidence


def audited(right: np.ndarray, confidence: np.ndarray, count: int, seed: int) -> Draws:
    places, chance = draw(rates(confidence), count, np.random.default_rng(seed))
    return Draws(right[places], confidence[places], chance, NOTHING_KNOWN)


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
    places, chance = draw(rates(confidence), count, np.random.default_rng(seed))
    assert len(set(places.tolist())) == len(places) == len(chance) == min(count, len(confidence))
    assert np.all((chance > 0.0) & (chance <= 1.0))
    if count >= len(confidence):
        assert chance[-1] == pytest.approx(1.0)


def test_texts_are_drawn_as_often_as_their_rates_say():
    share, rng = rates(np.array([0.5, 0.6, 0.9, 0.99, 0.999])), np.random.default_rng(3)
    first = [int(draw(share, 1, rng)[0][0]) for _ in range(4000)]
    assert chisquare(np.bincount(first, minlength=5), 4000 * share).pvalue > 1e-3


def test_the_chance_of_a_draw_is_its_rate_among_those_that_are_left():
    share = rates(np.linspace(0.1, 0.9, 9))
    places, chance = draw(share, 9, np.random.default_rng(0))
    left = set(range(9))
    for place, found in zip(places.tolist(), chance.tolist(), strict=True):
        assert found == pytest.approx(share[place] / share[sorted(left)].sum())
        left.remove(place)


# Frames


@given(CONFIDENCES)
def test_frames_are_all_texts_and_then_parts_with_more_and_more_texts(confidence):
    every, *parts = frames(confidence)
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
    every = frames(confidence)[0]
    found = [estimate(audited(right, confidence, 40, seed), every, 300) for seed in range(150)]
    assert np.mean(found) == pytest.approx(0.8, abs=4 * np.std(found) / np.sqrt(150))


def test_confidences_that_know_more_make_the_estimate_more_exact():
    spreads = []
    for told in (0.0, 2.0):
        right, confidence = population(300, 0.8, 1, told=told)
        every = frames(confidence)[0]
        spreads.append(np.std([estimate(audited(right, confidence, 40, s), every, 300) for s in range(80)]))
    assert spreads[1] < 0.8 * spreads[0]


def test_an_audit_of_all_texts_knows_the_share():
    right, confidence = population(40, 0.75, 2, told=1.0)
    found = measure(audited(right, confidence, 40, 0), frames(confidence)[0], 40)
    assert (found.right, found.of) == (30, 40)
    assert (found.low, found.share, found.high) == pytest.approx((0.75, 0.75, 0.75), abs=1e-6)


def test_without_audits_nothing_is_known():
    found = measure(audited(np.ones(5, np.bool_), np.full(5, 0.9), 0, 0), Frame(0.0, 5, 4.5), 5)
    assert (found.share, found.low, found.high) == (None, 0.0, 1.0)
    assert lower_bound(audited(np.ones(5, np.bool_), np.full(5, 0.9), 0, 0), Frame(0.0, 5, 4.5), 5, ERROR) == 0.0


# The proof


def test_a_false_statement_is_proven_in_at_most_five_of_a_hundred_projects():
    """Exactly the target is right, and the audit looks after every one of 300 answers."""
    wrong = 0
    for seed in range(400):
        right, confidence = population(1000, 0.9, seed, told=(seed % 3 - 1.0))
        every = frames(confidence)[0]
        wrong += bool(log_capital(audited(right, confidence, 300, seed), every, 1000, 0.9).max() >= -np.log(ERROR))
    assert binomtest(wrong, 400, ERROR, alternative="greater").pvalue > 0.01


def test_a_true_statement_is_proven_in_the_end():
    right, confidence = population(2000, 0.97, 0, told=2.0)
    draws, every = audited(right, confidence, 800, 1), frames(confidence)[0]
    assert proves(draws, every, 2000, 0.95, ERROR)
    assert lower_bound(draws, every, 2000, ERROR) >= 0.95


def test_the_bound_is_where_proving_ends():
    right, confidence = population(500, 0.93, 4, told=1.0)
    draws, every = audited(right, confidence, 120, 2), frames(confidence)[0]
    bound = lower_bound(draws, every, 500, ERROR)
    assert 0.5 < bound < 0.93
    assert proves(draws, every, 500, bound - 1e-6, ERROR)
    assert not proves(draws, every, 500, bound + 1e-6, ERROR)


def test_a_smaller_error_proves_less():
    right, confidence = population(500, 0.93, 4, told=1.0)
    draws, every = audited(right, confidence, 120, 2), frames(confidence)[0]
    assert lower_bound(draws, every, 500, 0.001) < lower_bound(draws, every, 500, 0.05)


def test_a_part_is_proven_by_its_own_audits():
    confidence = np.r_[np.full(600, 0.98), np.full(400, 0.5)]
    right = np.r_[np.ones(600, np.bool_), np.random.default_rng(0).random(400) < 0.5]
    draws, (every, *parts) = audited(right, confidence, 250, 5), frames(confidence)
    (sure,) = [part for part in parts if part.texts == 600]
    assert proves(draws, sure, 1000, 0.95, ERROR)
    assert not proves(draws, every, 1000, 0.95, ERROR)


# Texts that were decided in between


def test_decided_texts_leave_no_bias_whether_the_frame_holds_them_or_not():
    """Half-way, an analyst decides the 60 least confident texts; their machine labels are mostly wrong."""
    right, confidence = population(300, 0.8, 7, told=2.0)
    decided = np.argsort(confidence)[:60]
    undecided = np.setdiff1d(np.arange(300), decided)
    found: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(120):
        rng, share = np.random.default_rng(seed), rates(confidence)
        early, chance = draw(share, 25, rng)
        left = np.setdiff1d(undecided, early)
        late, later = draw(share[left], 25, rng)
        places = np.r_[early, left[late]]
        gone = np.setdiff1d(decided, early)
        for kept in (True, False):
            inside = np.union1d(undecided, np.r_[early, decided] if kept else early)
            known = Known(right[gone], confidence[gone], np.full(len(gone), 25), np.full(len(gone), kept))
            draws = Draws(right[places], confidence[places], np.r_[chance, later], known)
            every = Frame(0.0, len(inside), float(confidence[inside].sum()))
            found[kept].append(estimate(draws, every, 300) - right[inside].mean())
    for errors in found.values():
        assert np.mean(errors) == pytest.approx(0.0, abs=4 * np.std(errors) / np.sqrt(120))


# How many more


def test_the_audits_that_are_missing_are_told_by_the_pace_so_far():
    right, confidence = population(3000, 0.98, 0, told=2.0)
    draws, every = audited(right, confidence, 800, 1), frames(confidence)[0]
    crossed = int(np.argmax(log_capital(draws, every, 3000, 0.95) >= -np.log(ERROR)))
    half = replace(draws, right=draws.right[: crossed // 2], confidence=draws.confidence[: crossed // 2],
                   chance=draws.chance[: crossed // 2])  # fmt: skip
    missing = audits_until_proven(half, every, 3000, 0.95, ERROR)
    assert missing is not None
    assert crossed / 6 < missing < crossed * 1.5
    assert audits_until_proven(draws, every, 3000, 0.95, ERROR) == 0


def test_few_audits_or_too_low_an_accuracy_promise_nothing():
    right, confidence = population(1000, 0.7, 0, told=1.0)
    draws, every = audited(right, confidence, 200, 1), frames(confidence)[0]
    assert audits_until_proven(draws, every, 1000, 0.95, ERROR) is None
    right, confidence = population(1000, 1.0, 0)
    assert audits_until_proven(audited(right, confidence, 10, 1), frames(confidence)[0], 1000, 0.95, ERROR) is None
