from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from red_core.steps.audit_statistics import (
    CONFIDENCE,
    LOOKS,
    MOST_PSEUDO_COUNTS,
    Share,
    judge_against_audits,
    looks_over,
    lower_bound,
    next_look,
    share_of,
)
from red_core.steps.judge_reliability import VERDICTS, wilson

COUNTED = st.integers(1, 900).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
TARGETS = (0.5, 0.8, 0.9, 0.95, 0.98)
NO_TEST = {"right": {}, "wrong": {}}
SAID = st.lists(st.tuples(st.sampled_from(VERDICTS), st.booleans()), max_size=60)


def compared(pairs, self_test=NO_TEST):
    return judge_against_audits([said for said, _ in pairs], np.array([r for _, r in pairs], dtype=bool), self_test)


def certified_at(right, target):
    """Return the first look at which the certificate is given, 0 where it is not: int, or an array of shape (...,)."""
    audits, _, lower = looks_over(right)
    never = LOOKS[-1] + 1
    first = np.min(np.where(lower >= target, audits, never), axis=-1, initial=never)
    return np.where(first == never, 0, first)


# The lower bound


@given(COUNTED)
def test_the_lower_bound_is_that_of_the_exact_binomial_test(counted):
    hits, audits = counted
    wanted = binomtest(hits, audits, alternative="greater").proportion_ci(0.9875, "exact").low
    assert float(lower_bound(hits, audits)) == pytest.approx(wanted, abs=1e-9)


def test_the_lower_bound_of_arrays_is_that_of_each_element():
    hits = np.array([[0, 50, 100], [1, 99, 100]])
    audits = np.array([100, 100, 100])
    assert lower_bound(hits, audits).tolist() == [[float(lower_bound(h, 100)) for h in row] for row in hits.tolist()]


@pytest.mark.parametrize("audits", LOOKS)
def test_more_hits_prove_more_and_never_more_than_was_seen(audits):
    hits = np.arange(audits + 1)
    found = lower_bound(hits, audits)
    assert (np.diff(found) > 0).all()
    assert found[0] == 0
    assert (found[1:] < hits[1:] / audits).all()


def test_the_same_share_of_more_audits_proves_more():
    found = lower_bound(np.array([95, 190, 380, 760]), np.array(LOOKS))
    assert (np.diff(found) > 0).all()


# Looks


def test_the_next_look_is_the_smallest_number_not_reached():
    assert [next_look(n) for n in (0, 99, 100, 199, 200, 400, 799)] == [100, 100, 200, 200, 400, 800, 800]
    assert next_look(800) is None


@pytest.mark.parametrize(("length", "reached"), [(0, 0), (99, 0), (100, 1), (399, 2), (800, 4), (1000, 4)])
def test_a_sample_is_looked_at_where_it_reaches_a_look(length, reached):
    audits, hits, lower = looks_over(np.ones(length, dtype=bool))
    assert audits.tolist() == hits.tolist() == list(LOOKS[:reached])
    assert lower.tolist() == [float(lower_bound(n, n)) for n in LOOKS[:reached]]


def test_a_look_counts_only_the_audits_before_it():
    right = np.r_[np.ones(100, dtype=bool), np.zeros(100, dtype=bool)]
    assert looks_over(right)[1].tolist() == [100, 100]


@given(st.integers(0, 2**32 - 1), st.sampled_from((0, 150, 450, 850)), st.sampled_from(TARGETS))
def test_many_samples_at_once_are_as_each_alone(seed, length, target):
    right = np.random.default_rng(seed).random((5, length)) < 0.97
    assert certified_at(right, target).tolist() == [int(certified_at(one, target)) for one in right]


@given(st.integers(0, 2**32 - 1), st.floats(0.8, 1.0), st.sampled_from(TARGETS))
def test_the_certificate_is_given_at_the_first_look_whose_bound_reaches_the_target(seed, accuracy, target):
    right = np.random.default_rng(seed).random(900) < accuracy
    reached = [n for n in LOOKS if float(lower_bound(int(right[:n].sum()), n)) >= target]
    assert int(certified_at(right, target)) == next(iter(reached), 0)


@given(st.integers(0, 2**32 - 1), st.floats(0.7, 1.0))
def test_a_lower_target_is_certified_no_later(seed, accuracy):
    right = np.random.default_rng(seed).random(800) < accuracy
    found = [int(certified_at(right, target)) or 10**6 for target in TARGETS]
    assert all(low <= high for low, high in pairwise(found))


@given(st.integers(0, 2**32 - 1))
def test_one_more_right_label_never_loses_the_certificate(seed):
    rng = np.random.default_rng(seed)
    right = rng.random(800) < 0.93
    better = right | (rng.random(800) < 0.02)
    at, better_at = int(certified_at(right, 0.9)), int(certified_at(better, 0.9))
    assert not at or 0 < better_at <= at


# How often it is given in error


@pytest.mark.parametrize("target", TARGETS)
def test_at_an_accuracy_of_exactly_the_target_few_of_2000_projects_are_certified(target):
    right = np.random.default_rng(20_240_229).random((2000, LOOKS[-1])) < target
    assert (certified_at(right, target) > 0).mean() <= 1 - CONFIDENCE


def test_nor_where_the_sample_is_drawn_from_a_pool_that_is_hardly_larger():
    pool = np.arange(1000) < 900
    rng = np.random.default_rng(5)
    right = np.stack([rng.permutation(pool)[: LOOKS[-1]] for _ in range(2000)])
    assert (certified_at(right, 0.9) > 0).mean() <= 1 - CONFIDENCE


@pytest.mark.parametrize("target", TARGETS)
def test_the_exact_chance_of_a_certificate_in_error_is_within_its_promise(target):
    # Walk the distribution of hits from look to look, and take out what is certified.
    going, given_, before = np.array([1.0]), 0.0, 0
    for look in LOOKS:
        step = binom.pmf(np.arange(look - before + 1), look - before, target)
        going, before = np.convolve(going, step), look
        certified = lower_bound(np.arange(look + 1), look) >= target
        given_ += going[certified].sum()
        going = np.where(certified, 0.0, going)
    assert 0.005 < given_ <= 1 - CONFIDENCE


def test_a_machine_clearly_better_than_the_target_is_certified():
    right = np.random.default_rng(3).random((500, LOOKS[-1])) < 0.95
    assert (certified_at(right, 0.9) > 0).mean() > 0.99


# Shares


@given(COUNTED)
def test_the_interval_of_a_share_is_wilsons(counted):
    found = share_of(*counted)
    assert (found.right, found.of, found.share) == (*counted, counted[0] / counted[1])
    assert (found.low, found.high) == pytest.approx(wilson(*counted), abs=1e-12)


def test_of_nothing_nothing_is_known():
    assert share_of(0, 0) == Share(0, 0, None, 0.0, 1.0)


@given(COUNTED, st.integers(0, 20), st.integers(0, 20))
def test_pseudo_counts_count_as_whole_ones_would(counted, hits, misses):
    found, whole = share_of(*counted, (hits, hits + misses)), share_of(counted[0] + hits, counted[1] + hits + misses)
    assert (found.right, found.of) == counted
    assert (found.share, found.low, found.high) == pytest.approx((whole.share, whole.low, whole.high))


@given(COUNTED, st.floats(0, 20), st.floats(0, 1))
def test_a_share_is_within_its_interval(counted, of, rate):
    found = share_of(*counted, (of * rate, of))
    assert 0 <= found.low <= found.share + 1e-12
    assert found.share - 1e-12 <= found.high <= 1


# The judge


def test_the_judge_is_counted_on_right_and_on_wrong_pairs_apart():
    pairs = [("valid", True)] * 8 + [("unsure", True)] + [("invalid", True)]
    pairs += [("invalid", False)] * 3 + [("valid", False)] + [("refused", False)]
    found = compared(pairs)
    assert (found.tpr.right, found.tpr.of, found.tnr.right, found.tnr.of) == (8, 10, 3, 5)
    assert (found.tpr.low, found.tpr.high) == pytest.approx(wilson(8, 10))
    assert (found.tnr.share, found.pairs, found.coverage) == (0.6, 15, 13 / 15)


def test_kappa_is_of_the_clear_verdicts_only():
    table = {
        ("valid", True): 20,
        ("valid", False): 5,
        ("invalid", True): 10,
        ("invalid", False): 15,
        ("unsure", True): 9,
    }
    found = compared([pair for pair, times in table.items() for _ in range(times)])
    assert found.kappa == pytest.approx(0.4)  # the textbook's example


@pytest.mark.parametrize(
    ("pairs", "kappa"),
    [
        ([], None),
        ([("unsure", True), ("refused", False)], None),
        ([("valid", True)] * 5, None),
        ([("valid", True)] * 5 + [("valid", False)], 0.0),
        ([("valid", True), ("invalid", False)], 1.0),
        ([("valid", False), ("invalid", True)], -1.0),
        ([("valid", False)] * 3, 0.0),
    ],
)
def test_kappa_is_none_where_it_is_not_defined(pairs, kappa):
    assert compared(pairs).kappa == kappa


def test_a_judge_of_no_audited_text_has_no_coverage():
    found = compared([])
    assert (found.coverage, found.pairs, found.tpr.share, found.tnr.share) == (None, 0, None, None)


def test_a_small_self_test_counts_as_it_is():
    found = compared([("valid", True)] * 10, {"right": {"valid": 4, "unsure": 1}, "wrong": {"invalid": 6}})
    assert (found.tpr.share, found.tpr.right, found.tpr.of) == (14 / 15, 10, 10)
    assert (found.tnr.share, found.tnr.right, found.tnr.of) == (1.0, 0, 0)


def test_a_large_self_test_counts_as_twenty_pairs_of_each_kind():
    found = compared([("valid", True)] * 20, {"right": {"valid": 50, "invalid": 50}, "wrong": {"invalid": 300}})
    assert found.tpr.share == pytest.approx(30 / 40)
    assert (found.tpr.low, found.tpr.high) == pytest.approx(wilson(30, 40))
    assert (found.tnr.low, found.tnr.high) == pytest.approx(wilson(MOST_PSEUDO_COUNTS, MOST_PSEUDO_COUNTS))


@given(SAID, st.integers(1, 5000))
def test_the_self_test_never_outweighs_its_pseudo_counts(pairs, size):
    found = compared(pairs, {"right": {"valid": size}, "wrong": {"invalid": size}})
    for share in (found.tpr, found.tnr):
        most = (share.right + MOST_PSEUDO_COUNTS) / (share.of + MOST_PSEUDO_COUNTS)
        assert share.share <= most + 1e-12


@given(SAID)
def test_every_pair_is_counted_once(pairs):
    found = compared(pairs)
    assert found.tpr.of + found.tnr.of == found.pairs == len(pairs)
    assert found.kappa is None or -1 <= found.kappa <= 1
