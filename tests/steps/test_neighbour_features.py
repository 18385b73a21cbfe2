import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from red_core.steps.neighbour_features import NEAREST, SHARPNESS, neighbour_means


def rows(seed, count, dimensions=6):
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


def by_naive_loops(features, everything):
    unit = everything / np.linalg.norm(everything, axis=1, keepdims=True)
    means = []
    for row in features:
        cosine = unit @ (row / np.linalg.norm(row))
        others = np.flatnonzero(cosine < 1 - 1e-5)
        order = others[np.argsort(-cosine[others])][:NEAREST]
        weight = np.maximum(cosine[order], 0) ** SHARPNESS
        means.append((weight[:, None] * everything[order]).sum(axis=0) / max(weight.sum(), 1e-12))
    return np.array(means)


@pytest.mark.parametrize("inside", [True, False])
@given(st.integers(0, 2**32), st.integers(2, 40))
def test_means_are_those_of_naive_loops(inside, seed, count):
    everything = rows(seed, count)
    features = everything if inside else rows(seed + 1, 7)
    assert neighbour_means(features, everything) == pytest.approx(by_naive_loops(features, everything), abs=1e-3)


def test_a_text_has_the_same_neighbours_whether_it_is_there_or_not():
    everything = rows(5, 60)
    assert neighbour_means(everything[:1], everything) == pytest.approx(
        neighbour_means(everything[:1], everything[1:]), abs=1e-5
    )


def test_a_row_is_no_neighbour_of_itself():
    everything = np.array([[1, 0], [0, 1], [0.1, 1]], dtype=np.float32)
    assert neighbour_means(everything, everything)[1] == pytest.approx([0.1, 1.0], abs=1e-2)


def test_blocks_change_nothing(monkeypatch):
    everything = rows(1, 50)
    at_once = neighbour_means(everything, everything)
    monkeypatch.setattr("red_core.steps.neighbour_features.BLOCK_ROWS", 7)
    done = []
    assert neighbour_means(everything, everything, done=done.append) == pytest.approx(at_once, abs=1e-5)
    assert done == [7, 14, 21, 28, 35, 42, 49, 50]


def test_a_row_with_nothing_alike_has_no_mean():
    everything = np.array([[1, 0], [1, 0.1], [-1, 0]], dtype=np.float32)
    assert not neighbour_means(everything[2:], everything[:2]).any()
