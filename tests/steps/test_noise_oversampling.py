from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from red_core.steps.noise_oversampling import draw_noise


@dataclass
class Case:
    labels: np.ndarray
    weights: np.ndarray
    inside: np.ndarray
    factor: float
    rows: int | None
    seed: int

    def draw(self):
        rng = np.random.default_rng(self.seed)
        return draw_noise(self.labels, self.weights, self.inside, factor=self.factor, rows=self.rows, rng=rng)

    def foreign(self):
        return [row for row, label in enumerate(self.labels.tolist()) if label not in set(self.inside.tolist())]


SOME = st.integers(1, 60)
NONE_OR_SOME = st.none() | SOME


@st.composite
def cases(draw, rows=NONE_OR_SOME):
    sizes = draw(st.lists(st.integers(1, 9), min_size=2, max_size=9))
    inside_count = draw(st.integers(1, len(sizes) - 1))
    seed = draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    weights = rng.uniform(0.05, 1.0, len(labels)).astype(np.float32)
    inside = np.sort(rng.permutation(len(sizes))[:inside_count])
    return Case(labels, weights, inside, draw(st.floats(0.1, 20)), draw(rows), seed)


def test_the_article_draws_twice_the_average_class_of_weight_one_each():
    labels = np.repeat(np.arange(10), 6)
    weights = np.ones(60, dtype=np.float32)

    rows, noise_weights = draw_noise(
        labels, weights, np.array([1, 4]), factor=2, rows=None, rng=np.random.default_rng(0)
    )

    assert len(rows) == 12
    assert noise_weights.tolist() == [1.0] * 12


@given(cases())
@settings(deadline=None)
def test_noise_weighs_factor_times_the_average_class_weight(case):
    _, noise_weights = case.draw()

    class_weights = [case.weights[case.labels == label].sum() for label in case.inside]
    assert noise_weights.sum() == pytest.approx(case.factor * sum(class_weights) / len(class_weights), rel=1e-4)


@given(cases())
@settings(deadline=None)
def test_every_noise_row_weighs_the_same(case):
    _, noise_weights = case.draw()

    assert len(set(noise_weights.tolist())) == 1


@given(cases())
@settings(deadline=None)
def test_noise_never_comes_from_inside_the_subset(case):
    rows, _ = case.draw()

    assert set(rows.tolist()) <= set(case.foreign())


@given(cases())
@settings(deadline=None)
def test_the_same_seed_draws_the_same_noise(case):
    rows, noise_weights = case.draw()
    again, weights_again = case.draw()

    assert rows.tolist() == again.tolist()
    assert noise_weights.tolist() == weights_again.tolist()


@given(cases(rows=SOME))
@settings(deadline=None)
def test_the_wanted_rows_are_drawn_while_they_suffice(case):
    rows, _ = case.draw()

    assert len(rows) == min(case.rows, len(case.foreign()))


@given(cases(rows=SOME))
@settings(deadline=None)
def test_a_wanted_number_of_rows_holds_no_row_twice(case):
    rows, _ = case.draw()

    assert len(set(rows.tolist())) == len(rows)


@given(cases(rows=SOME))
@settings(deadline=None)
def test_noise_is_spread_evenly_over_the_foreign_labels_while_their_rows_suffice(case):
    rows, _ = case.draw()

    there = Counter(case.labels[case.foreign()].tolist())
    drawn = Counter(case.labels[rows].tolist())
    with_rows_left = [drawn[label] for label in there if drawn[label] < there[label]]
    if with_rows_left:
        assert max(drawn.values()) - min(with_rows_left) <= 1


@given(cases(rows=st.none()))
@settings(deadline=None)
def test_the_article_repeats_rows_only_where_there_are_too_few(case):
    rows, _ = case.draw()

    repeated = len(set(rows.tolist())) < len(rows)
    assert not repeated or len(rows) > len(case.foreign())


@given(cases(rows=st.none()))
@settings(deadline=None)
def test_the_article_draws_as_many_rows_as_they_weigh(case):
    rows, noise_weights = case.draw()

    assert abs(len(rows) - noise_weights.sum(dtype=np.float64)) <= 0.5 + 1e-3 or len(rows) == 1


@pytest.mark.parametrize("rows", [None, 7])
def test_a_subset_of_all_labels_has_no_noise(rows):
    labels = np.array([0, 1, 2, 0, 1, 2])

    drawn, noise_weights = draw_noise(
        labels, np.ones(6, dtype=np.float32), np.arange(3), factor=2, rows=rows, rng=np.random.default_rng(0)
    )

    assert drawn.tolist() == []
    assert noise_weights.tolist() == []


def test_an_incomplete_turn_favours_no_label():
    labels = np.repeat(np.arange(6), [5, 5, 1, 2, 8, 30])
    drawn = Counter()
    for seed in range(400):
        rows, _ = draw_noise(
            labels, np.ones(51, dtype=np.float32), np.array([0, 1]), factor=2, rows=1, rng=np.random.default_rng(seed)
        )
        drawn.update(labels[rows].tolist())

    assert sorted(drawn) == [2, 3, 4, 5]
    assert min(drawn.values()) > 65
    assert max(drawn.values()) < 135


def test_every_row_of_a_foreign_label_has_its_chance():
    labels = np.repeat(np.arange(3), 5)
    drawn = Counter()
    for seed in range(300):
        rows, _ = draw_noise(
            labels, np.ones(15, dtype=np.float32), np.array([0]), factor=2, rows=2, rng=np.random.default_rng(seed)
        )
        drawn.update(rows.tolist())

    assert sorted(drawn) == list(range(5, 15))
    assert min(drawn.values()) > 30


def test_another_seed_draws_other_noise():
    labels = np.repeat(np.arange(10), 20)
    weights = np.ones(200, dtype=np.float32)
    rows, other = (
        draw_noise(labels, weights, np.array([0, 1]), factor=2, rows=40, rng=np.random.default_rng(seed))[0]
        for seed in (1, 2)
    )

    assert set(rows.tolist()) != set(other.tolist())
