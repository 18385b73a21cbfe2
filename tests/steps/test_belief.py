from __future__ import annotations

from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from red_core.steps.belief import (
    Calibration,
    add_evidence,
    beliefs,
    candidates,
    fit_calibration,
    likeliest_share_of_none,
    with_share_of_none,
)

calibrations = st.builds(Calibration, beta=st.floats(0.05, 5), none_score=st.floats(-10, 10))


@st.composite
def odds_of_texts(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.integers(1, 6)), draw(st.integers(2, 15))
    return (rng.normal(size=shape) * draw(st.floats(0.01, 15))).astype(np.float32)


def full_belief(log_odds, calibration):
    """Softmax over all L labels and, last, none of these."""
    logits = calibration.beta * np.c_[log_odds.astype(float), np.full(len(log_odds), calibration.none_score)]
    return softmax(logits, axis=1)


@given(odds_of_texts(), calibrations, st.integers(1, 20))
@settings(deadline=None)
def test_candidates_have_the_belief_of_a_full_softmax_over_labels_and_none(log_odds, calibration, keep):
    kept = candidates(log_odds, calibration, keep)

    found, full = beliefs(kept), full_belief(log_odds, calibration)

    assert found[:, :-2] == pytest.approx(np.take_along_axis(full[:, :-1], kept.labels, axis=1), abs=1e-4)
    assert found[:, -2] == pytest.approx(full[:, -1], abs=1e-4)


@given(odds_of_texts(), calibrations, st.integers(1, 20))
@settings(deadline=None)
def test_the_remainder_has_the_belief_of_all_other_labels_together(log_odds, calibration, keep):
    kept = candidates(log_odds, calibration, keep)

    others = full_belief(log_odds, calibration)[:, :-1].copy()
    np.put_along_axis(others, kept.labels, 0.0, axis=1)

    assert beliefs(kept)[:, -1] == pytest.approx(others.sum(axis=1), abs=1e-4)


@given(odds_of_texts(), calibrations, st.integers(1, 20))
@settings(deadline=None)
def test_beliefs_sum_to_one(log_odds, calibration, keep):
    assert beliefs(candidates(log_odds, calibration, keep)).sum(axis=1) == pytest.approx(1.0, abs=1e-12)


@given(odds_of_texts(), calibrations, st.integers(1, 20))
@settings(deadline=None)
def test_candidates_are_the_labels_of_the_highest_odds_best_first(log_odds, calibration, keep):
    kept = candidates(log_odds, calibration, keep)

    for row, labels in enumerate(kept.labels):
        ordered = sorted(range(log_odds.shape[1]), key=lambda label, row=row: -log_odds[row, label])
        assert log_odds[row, labels].tolist() == log_odds[row, ordered[:keep]].tolist()
        assert len(set(labels.tolist())) == len(labels)


def test_equal_odds_come_by_label_number():
    log_odds = np.array([[1.0, 3.0, 1.0, 3.0, 1.0]], dtype=np.float32)

    assert candidates(log_odds, Calibration(1.0, 0.0), 5).labels.tolist() == [[1, 3, 0, 2, 4]]


def test_with_all_labels_kept_nothing_remains():
    kept = candidates(np.array([[1.0, 2.0]], dtype=np.float32), Calibration(1.0, 0.0), 2)

    assert beliefs(kept)[0, -1] == 0.0


def test_a_label_left_out_has_no_belief():
    log_odds = np.array([[1.0, -np.inf, 0.5, -np.inf]], dtype=np.float32)

    found = beliefs(candidates(log_odds, Calibration(1.0, 0.0), 2))[0]

    assert found[-1] == 0.0
    assert found[0] == pytest.approx(exp(1) / (exp(1) + exp(0.5) + 1))


def test_very_high_odds_do_not_overflow():
    log_odds = np.array([[800.0, 790.0, -900.0, 0.0]], dtype=np.float32)

    found = beliefs(candidates(log_odds, Calibration(5.0, -300.0), 2))

    assert np.isfinite(found).all()
    assert found.sum() == pytest.approx(1.0)


def test_a_higher_temperature_makes_a_belief_surer():
    log_odds = np.array([[2.0, 1.0, 0.0]], dtype=np.float32)
    mild, sharp = (beliefs(candidates(log_odds, Calibration(beta, 0.0), 3))[0, 0] for beta in (0.5, 4.0))

    assert sharp > mild


def test_the_odds_are_left_as_they_were():
    log_odds = np.array([[2.0, 1.0, 0.0]], dtype=np.float32)
    before = log_odds.copy()

    candidates(log_odds, Calibration(1.0, 0.0), 1)

    assert (log_odds == before).all()


@given(odds_of_texts(), calibrations, st.floats(-6, 6), st.integers(0, 100))
@settings(deadline=None)
def test_evidence_multiplies_the_odds_of_its_label_against_every_other_outcome(log_odds, calibration, ratio, pick):
    kept = candidates(log_odds, calibration, 4)
    row, place = pick % len(log_odds), pick % kept.labels.shape[1]
    prior = beliefs(kept)

    add_evidence(kept, row, int(kept.labels[row, place]), ratio)

    by_bayes = prior.copy()
    by_bayes[row, place] *= exp(ratio)
    by_bayes[row] /= by_bayes[row].sum()
    assert beliefs(kept) == pytest.approx(by_bayes, abs=1e-4)


def test_evidence_about_a_label_that_is_no_candidate_changes_nothing():
    kept = candidates(np.array([[3.0, 2.0, 1.0]], dtype=np.float32), Calibration(1.0, 0.0), 2)
    before = beliefs(kept)

    assert not add_evidence(kept, 0, 2, 5.0)
    assert (beliefs(kept) == before).all()


def test_a_label_ruled_out_has_no_belief_left():
    kept = candidates(np.array([[9.0, 2.0, 1.0]], dtype=np.float32), Calibration(1.0, 0.0), 2)

    assert add_evidence(kept, 0, 0, -np.inf)
    assert beliefs(kept)[0, 0] == 0.0
    assert beliefs(kept).sum() == pytest.approx(1.0)


def test_some_rows_keep_their_beliefs():
    log_odds = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    kept = candidates(log_odds, Calibration(1.3, 0.2), 2)
    rows = np.array([3, 1])

    assert (beliefs(kept.only(rows)) == beliefs(kept)[rows]).all()


def simulated(beta, none_score, *, texts=30_000, labels=12, seed=0):
    """Texts whose true outcome follows the belief exactly; returns known odds, their labels, and foreign odds."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(0.0, 2.0, (texts, labels))
    chances = full_belief(log_odds, Calibration(beta, none_score))
    outcome = (chances.cumsum(axis=1) < rng.random((texts, 1))).sum(axis=1).clip(max=labels)
    inside = outcome < labels
    return log_odds[inside].astype(np.float32), outcome[inside], log_odds[~inside].astype(np.float32)


@pytest.mark.parametrize(("beta", "none_score"), [(0.6, 2.0), (1.0, 0.0), (2.0, 3.5)])
def test_calibration_recovers_the_temperature_and_none_score_behind_the_data(beta, none_score):
    known, labels, foreign = simulated(beta, none_score)

    found = fit_calibration(known, labels, foreign, none_share=len(foreign) / (len(foreign) + len(known)))

    assert found.beta == pytest.approx(beta, rel=0.05)
    assert found.none_score == pytest.approx(none_score, abs=0.15)


def test_calibrated_belief_is_right_as_often_as_it_says():
    known, labels, foreign = simulated(1.7, 2.0)
    # Scores that are twice too sure.
    found = fit_calibration(2 * known, labels, 2 * foreign, none_share=len(foreign) / 30_000)

    outcomes = full_belief(2 * np.concatenate([known, foreign]), found)
    right = outcomes.argmax(axis=1) == np.r_[labels, np.full(len(foreign), 12)]
    assert outcomes.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.01)


def test_doubled_odds_halve_the_temperature():
    known, labels, foreign = simulated(1.0, 1.0, texts=3000)
    once = fit_calibration(known, labels, foreign, none_share=0.1)
    twice = fit_calibration(2 * known, labels, 2 * foreign, none_share=0.1)

    assert twice.beta == pytest.approx(once.beta / 2, rel=0.02)


def separable(seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(8, size=300)
    known = rng.normal(-3, 0.7, (300, 8))
    known[np.arange(300), labels] = rng.normal(4, 0.7, 300)
    foreign = rng.normal(-3, 0.7, (200, 8))
    return known.astype(np.float32), labels, foreign.astype(np.float32)


def test_the_none_score_separates_foreign_texts_from_known_ones():
    known, labels, foreign = separable()

    found = fit_calibration(known, labels, foreign, none_share=0.2)

    none_of_known, none_of_foreign = full_belief(known, found)[:, -1], full_belief(foreign, found)[:, -1]
    assert none_of_known.max() < 0.5 < none_of_foreign.min()


def test_a_larger_share_of_foreign_texts_raises_the_none_score():
    known, labels, foreign = simulated(1.0, 1.0, texts=3000)

    few, many = (fit_calibration(known, labels, foreign, none_share=share).none_score for share in (0.02, 0.4))

    assert many > few + 1


def test_without_foreign_texts_calibration_is_finite_and_none_is_unlikely():
    known, labels, _ = separable()

    found = fit_calibration(known, labels, np.zeros((0, 8), dtype=np.float32), none_share=0.05)

    assert np.isfinite([found.beta, found.none_score]).all()
    assert full_belief(known, found)[:, -1].max() < 0.05


def test_labels_left_out_of_the_classifiers_do_not_disturb_calibration():
    known, labels, foreign = separable()
    more = np.full((len(known), 3), -np.inf, dtype=np.float32)

    padded = fit_calibration(
        np.hstack([known, more]), labels, np.hstack([foreign, more[: len(foreign)]]), none_share=0.05
    )
    plain = fit_calibration(known, labels, foreign, none_share=0.05)

    assert (padded.beta, padded.none_score) == pytest.approx((plain.beta, plain.none_score), rel=1e-3)


def test_calibration_is_the_same_each_time():
    known, labels, foreign = separable()

    assert fit_calibration(known, labels, foreign, none_share=0.1) == fit_calibration(
        known, labels, foreign, none_share=0.1
    )


@pytest.mark.parametrize("share", [0.005, 0.05, 0.2, 0.4])
def test_the_share_of_none_is_found_whatever_it_was_fitted_for(share):
    beta, none_score = 3.0, 3.0
    inside, _, foreign = simulated(beta, none_score, texts=40_000)
    fitted_for = len(foreign) / 40_000
    count = int(min(len(inside) / (1 - share), len(foreign) / share))
    pool = np.concatenate([foreign[: round(share * count)], inside[: round((1 - share) * count)]])
    there = candidates(pool, Calibration(beta, none_score), pool.shape[1])
    found = likeliest_share_of_none(there, fitted_for)
    assert found == pytest.approx(share, rel=0.2, abs=0.003)
    assert beliefs(with_share_of_none(there, fitted_for, found))[:, -2].mean() == pytest.approx(found, rel=1e-2)


def test_the_share_of_none_moves_nothing_else():
    log_odds, _, _ = simulated(1.0, 2.0, texts=500)
    there = candidates(log_odds, Calibration(1.0, 2.0), 5)
    moved = with_share_of_none(there, 0.05, 0.3)
    assert (moved.labels == there.labels).all()
    assert (moved.logits == there.logits).all()
    assert (moved.remainder == there.remainder).all()


def test_a_pool_in_which_nothing_is_foreign_keeps_a_little_doubt():
    there = candidates(np.full((50, 3), 30.0, dtype=np.float32), Calibration(1.0, -30.0), 3)
    assert 0 < likeliest_share_of_none(there, 0.05) < 0.01
