from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from red_core.steps.audit_statistics import (
    MOST_PSEUDO_COUNTS,
    Share,
    judge_against_audits,
    share_of,
    weighted_share,
)
from red_core.steps.judge_reliability import VERDICTS, wilson

COUNTED = st.integers(1, 900).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
NO_TEST = {"right": {}, "wrong": {}}
SAID = st.lists(st.tuples(st.sampled_from(VERDICTS), st.booleans()), max_size=60)


def compared(pairs, self_test=NO_TEST):
    return judge_against_audits([said for said, _ in pairs], np.array([r for _, r in pairs], dtype=bool), self_test)


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


@given(COUNTED)
def test_even_weights_change_nothing(counted):
    right = np.arange(counted[1]) < counted[0]
    found, plain = weighted_share(right, np.full(counted[1], 3.0)), share_of(*counted)
    assert (found.right, found.of) == counted
    assert (found.share, found.low, found.high) == pytest.approx((plain.share, plain.low, plain.high), abs=1e-9)


def test_a_text_counts_as_many_times_as_it_stands_for():
    found = weighted_share(np.array([True, False, True]), np.array([6.0, 1.0, 1.0]))
    assert (found.right, found.of, found.share) == (2, 3, pytest.approx(7 / 8))
    assert found.high - found.low > share_of(2, 3).high - share_of(2, 3).low - 0.2
    assert weighted_share(np.zeros(0, np.bool_), np.zeros(0)) == share_of(0, 0)


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
