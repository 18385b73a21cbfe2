from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, false_discovery_control, fisher_exact, permutation_test

from red_core.steps import drift as step
from red_core.steps.drift import (
    EXCEEDANCES,
    FALSE_DISCOVERIES,
    STATISTICS,
    Assigned,
    Walk,
    drift_of_labels,
    more_p_values,
    share_p_values,
)

DIMENSIONS = 6
SMALL = st.integers(0, 40)


def texts(rng, label_count=20, each=30, *, newer=1 / 3, none=0.1, uncertain=0.3):
    """Texts of two imports that do not differ."""
    count = label_count * each
    labels = np.repeat(np.arange(label_count), each)
    centres = rng.normal(size=(label_count, DIMENSIONS))
    return Assigned(
        labels,
        rng.random(count) < newer,
        rng.random(count) < none,
        rng.random(count) < uncertain,
        (centres[labels] + rng.normal(size=(count, DIMENSIONS))).astype(np.float32),
    )


def moved(assigned, label, by):
    """The new texts of one label moved aside."""
    vectors = assigned.vectors.copy()
    vectors[(assigned.labels == label) & assigned.newer] += by
    return replace(assigned, vectors=vectors)


def found(assigned, label_count=20, seed=0):
    return drift_of_labels(assigned, label_count, np.random.default_rng(seed))


# Exact tests of counts


@given(st.lists(st.tuples(SMALL, SMALL, SMALL, SMALL), min_size=1, max_size=4))
def test_more_marked_texts_are_told_by_fishers_exact_test(rows):
    marked = np.array([[a, b] for a, b, _, _ in rows])
    others = np.array([[c, d] for _, _, c, d in rows])
    wanted = [
        fisher_exact([[b, a], [d, c]], alternative="greater").pvalue if a + b + c + d else 1.0 for a, b, c, d in rows
    ]
    assert more_p_values(marked, marked + others) == pytest.approx(wanted, abs=1e-9)


@given(SMALL, SMALL, st.integers(50, 90), st.integers(50, 90))
def test_a_smaller_share_is_told_by_fishers_exact_test(before, now, earlier, newest):
    wanted = fisher_exact([[now, before], [newest - now, earlier - before]], alternative="less").pvalue
    assert share_p_values(np.array([[before, now]]), np.array([earlier, newest])) == pytest.approx([wanted], abs=1e-9)


# Permutations


def walk(rng, earlier, newer, *, by=0.0, wider=1.0):
    vectors = rng.normal(size=(earlier + newer, DIMENSIONS))
    vectors[earlier:] = wider * vectors[earlier:] + by
    return Walk(vectors, np.arange(earlier + newer) >= earlier)


def by_scipy(vectors, newer, statistic):
    def of(rows):
        chosen = np.isin(np.arange(len(vectors)), rows)
        return statistic(vectors[chosen], vectors[~chosen])

    rows = np.arange(len(vectors))
    return permutation_test(
        (rows[newer], rows[~newer]),
        lambda new, _old: of(new.astype(int)),
        permutation_type="independent",
        alternative="greater",
        n_resamples=np.inf,
        vectorized=False,
    ).pvalue


def spread_of(vectors):
    return vectors.var(axis=0).sum()


@pytest.mark.parametrize("seed", range(4))
def test_permuted_p_values_are_those_of_all_permutations(seed):
    rng = np.random.default_rng(seed)
    newer = np.arange(10) >= 6
    vectors = rng.normal(size=(10, 2)) * np.where(newer, 1.5, 1.0)[:, None] + 0.4 * newer[:, None]
    one = Walk(vectors, newer)
    one._stopped_at[:] = 0
    one.draw_until(200_000, rng)
    exact = [
        by_scipy(vectors, newer, lambda new, old: np.linalg.norm(new.mean(axis=0) - old.mean(axis=0))),
        by_scipy(vectors, newer, lambda new, old: spread_of(new) - spread_of(old)),
    ]
    spent = np.where(one._stopped_at > 0, one._stopped_at, one._drawn)
    error = 5 * np.sqrt(np.array(exact) * (1 - np.array(exact)) / spent) + 0.12 * np.array(exact) + 1e-3
    assert (np.abs(one.p_values - exact) < np.maximum(error, 4 * np.array(exact) / np.sqrt(EXCEEDANCES))).all()


def test_many_permutations_come_close_to_all_of_them(monkeypatch):
    monkeypatch.setattr(step, "EXCEEDANCES", 4_000)
    rng = np.random.default_rng(5)
    newer = np.arange(10) >= 6
    vectors = rng.normal(size=(10, 2)) + 0.7 * newer[:, None]
    one = Walk(vectors, newer)
    one.draw_until(200_000, rng)
    exact = [
        by_scipy(vectors, newer, lambda new, old: np.linalg.norm(new.mean(axis=0) - old.mean(axis=0))),
        by_scipy(vectors, newer, lambda new, old: spread_of(new) - spread_of(old)),
    ]
    assert one.p_values == pytest.approx(exact, rel=0.06)


def test_before_enough_permutations_are_extreme_the_seen_one_counts_among_them():
    rng = np.random.default_rng(4)
    newer = np.arange(20) >= 10
    same, aside = Walk(np.ones((20, 3)), newer), Walk(np.c_[newer * 50.0, rng.normal(size=(20, 2))], newer)
    assert same.p_values.tolist() == [1.0, 1.0]
    same.draw_until(5, rng)
    assert same.p_values.tolist() == [1.0, 1.0]  # (5 + 1) / (5 + 1): all are as extreme
    aside.draw_until(99, rng)
    assert aside.p_values[0] == pytest.approx(1 / 100)  # (0 + 1) / (99 + 1): none is


def test_under_the_null_p_values_are_uniform():
    rng = np.random.default_rng(1)
    pairs = []
    for _ in range(600):
        one = walk(rng, 12, 7)
        one.draw_until(2_000, rng)
        pairs.append(one.p_values)
    for column in np.transpose(pairs):
        for tosses in (20, 40, 100, 200):  # p is 10 / tosses, or any count of permutations: exact where it stops there
            expected = EXCEEDANCES / tosses
            assert binomtest(int((column <= expected).sum()), len(column), expected).pvalue > 0.005


def test_distance_and_spread_are_those_of_the_texts():
    rng = np.random.default_rng(2)
    vectors, newer = rng.normal(size=(30, 4)), np.arange(30) >= 18
    one = Walk(vectors, newer)
    spreads = [np.sqrt(spread_of(vectors[side])) for side in (~newer, newer)]
    assert one.spread == pytest.approx(spreads)
    within = np.sqrt((18 * spreads[0] ** 2 + 12 * spreads[1] ** 2) / 30)
    assert one.distance == pytest.approx(np.linalg.norm(vectors[newer].mean(0) - vectors[~newer].mean(0)) / within)


def test_a_wider_spread_and_a_distance_are_told_apart():
    rng = np.random.default_rng(3)
    aside, wider = walk(rng, 40, 30, by=1.0), walk(rng, 40, 30, wider=2.0)
    for one in (aside, wider):
        one.draw_until(5_000, rng)
    assert aside.p_values[0] < 0.001
    assert aside.p_values[1] > 0.05
    assert wider.p_values[1] < 0.001
    assert wider.p_values[0] > 0.05


def test_equal_texts_have_not_moved():
    one = Walk(np.ones((20, 3)), np.arange(20) >= 10)
    one.draw_until(500, np.random.default_rng(0))
    assert one.p_values.tolist() == [1.0, 1.0]
    assert one.distance == 0.0


# All labels


def test_q_values_are_benjamini_and_hochbergs():
    got = found(moved(texts(np.random.default_rng(0)), 3, 1.0))
    told = ~np.isnan(got.p)
    assert got.q[told] == pytest.approx(false_discovery_control(got.p[told]))
    assert got.p[told] == pytest.approx(np.minimum(1, len(STATISTICS) * got.p_values[told].min(axis=1)))


def test_without_a_change_hardly_a_label_is_raised():
    rng = np.random.default_rng(4)
    raised = [(found(texts(rng), seed=n).q < FALSE_DISCOVERIES) for n in range(60)]
    assert np.mean(raised) < 0.01
    assert np.mean([one.any() for one in raised]) < 0.15


@pytest.mark.parametrize("statistic", STATISTICS)
def test_what_changed_is_named(statistic):
    base = texts(np.random.default_rng(6), each=60, none=0.05, uncertain=0.1)
    rng, mine = np.random.default_rng(7), base.labels == 4
    new = mine & base.newer
    changed = {
        "share": replace(base, newer=base.newer & ~(mine & (rng.random(len(mine)) < 0.97))),
        "uncertain": replace(base, uncertain=base.uncertain | (new & (rng.random(len(mine)) < 0.8))),
        "none": replace(base, none=base.none | (new & (rng.random(len(mine)) < 0.7))),
        "distance": moved(base, 4, 1.0),
        "spread": replace(base, vectors=np.where(new[:, None], 3 * base.vectors, base.vectors)),
    }[statistic]
    got = found(changed)
    assert got.q[4] < FALSE_DISCOVERIES
    assert np.nanargmin(got.p) == 4
    if statistic != "spread":  # blown up from the origin, its mean moves as well
        assert STATISTICS[got.p_values[4].argmin()] == statistic
    assert got.p_values[4, STATISTICS.index(statistic)] < 0.001


def test_more_texts_of_the_same_kind_are_no_drift():
    base = texts(np.random.default_rng(15), each=60, none=0)
    got = found(replace(base, newer=base.newer | ((base.labels == 4) & (np.arange(1200) % 3 > 0))))
    assert got.counts[4, 1] > 1.5 * got.counts[5, 1]
    assert got.q[4] > FALSE_DISCOVERIES


def test_labels_with_too_few_texts_are_not_tested():
    few = texts(np.random.default_rng(8), label_count=3, each=9)
    got = found(few, label_count=4)
    assert np.isnan(got.p).all()
    assert np.isnan(got.q).all()
    assert got.counts[3].tolist() == [0, 0]
    assert np.isnan(got.distance[3])


def test_a_label_missing_from_one_import_is_tested_by_its_share_alone():
    base = texts(np.random.default_rng(9), each=60, none=0)
    got = found(replace(base, newer=base.newer & (base.labels != 2)))
    assert np.isnan(got.distance[2])
    assert got.p_values[2, 1:].tolist() == [1.0] * 4
    assert got.q[2] < FALSE_DISCOVERIES


@given(st.integers(0, 2**32 - 1))
def test_neither_the_order_of_texts_nor_the_numbers_of_labels_count(seed):
    rng = np.random.default_rng(seed)
    base = moved(texts(rng, label_count=6), 1, 0.8)
    order, numbers = rng.permutation(len(base.labels)), rng.permutation(6)
    other = Assigned(
        numbers[base.labels][order], base.newer[order], base.none[order], base.uncertain[order], base.vectors[order]
    )
    one, two = found(base, 6), found(other, 6)
    assert two.counts[numbers].tolist() == one.counts.tolist()
    assert two.p_values[numbers][:, :3] == pytest.approx(one.p_values[:, :3])
    assert two.distance[numbers] == pytest.approx(one.distance, rel=1e-4, nan_ok=True)
    assert two.spread[numbers] == pytest.approx(one.spread, rel=1e-4, nan_ok=True)


def test_a_turn_of_all_vectors_changes_nothing():
    base = moved(texts(np.random.default_rng(10), label_count=6), 1, 0.8)
    turn, _ = np.linalg.qr(np.random.default_rng(11).normal(size=(DIMENSIONS, DIMENSIONS)))
    one, two = found(base, 6), found(replace(base, vectors=base.vectors @ turn + 3.0), 6)
    assert two.p_values == pytest.approx(one.p_values)
    assert two.distance == pytest.approx(one.distance, rel=1e-4, nan_ok=True)


def test_the_same_state_gives_the_same_figures():
    base = moved(texts(np.random.default_rng(12)), 1, 0.8)
    assert found(base).p.tolist() == found(base).p.tolist()


def test_one_moved_label_of_a_thousand_is_found_among_them():
    rng = np.random.default_rng(13)
    got = found(moved(texts(rng, label_count=1000, each=40), 500, 2.0), 1000)
    assert np.flatnonzero(got.q < FALSE_DISCOVERIES).tolist() == [500]


@pytest.mark.long
def test_a_thousand_labels_and_a_hundred_thousand_texts_take_seconds():
    rng = np.random.default_rng(14)
    base = texts(rng, label_count=1000, each=100)
    vectors = rng.normal(size=(100_000, 384)).astype(np.float32)
    vectors[base.newer & (base.labels < 50)] += 0.3
    began = time.process_time()
    got = found(replace(base, vectors=vectors), 1000)
    assert time.process_time() - began < 20, "expected about two seconds"
    assert (got.q[:50] < FALSE_DISCOVERIES).mean() > 0.9
