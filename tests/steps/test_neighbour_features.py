import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from red_core.steps.neighbour_features import NEAREST, SHARPNESS, neighbour_means


def rows(seed, count, dimensions=6):
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


def by_naive_loops(features, everything, *, itself):
    unit = everything / np.linalg.norm(everything, axis=1, keepdims=True)
    means = []
    for row in features:
        cosine = unit @ (row / np.linalg.norm(row))
        order = np.argsort(-cosine)[int(itself) : NEAREST + int(itself)]
        weight = np.maximum(cosine[order], 0) ** SHARPNESS
        means.append((weight[:, None] * everything[order]).sum(axis=0) / max(weight.sum(), 1e-12))
    return np.array(means)


@pytest.mark.parametrize("itself", [True, False])
@given(st.integers(0, 2**32), st.integers(2, 40))
def test_means_are_those_of_naive_loops(itself, seed, count):
    everything = rows(seed, count)
    features = everything if itself else rows(seed + 1, 7)
    expected = by_naive_loops(features, everything, itself=itself)
    assert neighbour_means(features, everything, itself=itself) == pytest.approx(expected, abs=1e-3)


def test_a_row_is_no_neighbour_of_itself():
    everything = np.array([[1, 0], [0, 1], [0.1, 1]], dtype=np.float32)
    assert neighbour_means(everything, everything, itself=True)[1] == pytest.approx([0.1, 1.0], abs=1e-2)


def test_blocks_change_nothing(monkeypatch):
    everything = rows(1, 50)
    at_once = neighbour_means(everything, everything, itself=True)
    monkeypatch.setattr("red_core.steps.neighbour_features.BLOCK_ROWS", 7)
    done = []
    assert neighbour_means(everything, everything, itself=True, done=done.append) == pytest.approx(at_once, abs=1e-5)
    assert done == [7, 14, 21, 28, 35, 42, 49, 50]


def test_a_row_with_nothing_alike_has_no_mean():
    everything = np.array([[1, 0], [1, 0.1], [-1, 0]], dtype=np.float32)
    assert not neighbour_means(everything[2:], everything[:2], itself=False).any()
