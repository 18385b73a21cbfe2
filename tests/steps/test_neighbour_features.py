import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from red_core.steps.neighbour_features import NEAREST, SHARPNESS, Neighbourhood
from tests.helpers.vectors import around_centres


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
    assert Neighbourhood(everything).means(features) == pytest.approx(by_naive_loops(features, everything), abs=1e-3)


def test_a_text_has_the_same_neighbours_whether_it_is_there_or_not():
    everything = rows(5, 60)
    assert Neighbourhood(everything).means(everything[:1]) == pytest.approx(
        Neighbourhood(everything[1:]).means(everything[:1]), abs=1e-5
    )


def test_a_row_is_no_neighbour_of_itself():
    everything = np.array([[1, 0], [0, 1], [0.1, 1]], dtype=np.float32)
    assert Neighbourhood(everything).means(everything)[1] == pytest.approx([0.1, 1.0], abs=1e-2)


def test_blocks_change_nothing(monkeypatch):
    everything = rows(1, 50)
    at_once = Neighbourhood(everything).means(everything)
    monkeypatch.setattr("red_core.steps.neighbour_features.BLOCK_ROWS", 7)
    assert Neighbourhood(everything).means(everything) == pytest.approx(at_once, abs=1e-5)


def test_a_row_with_nothing_alike_has_no_mean():
    everything = np.array([[1, 0], [1, 0.1], [-1, 0]], dtype=np.float32)
    assert not Neighbourhood(everything[:2]).means(everything[2:]).any()


def test_the_means_among_many_texts_are_nearly_the_exact_ones():
    everything = around_centres(3_000)
    exact = Neighbourhood(everything).means(everything[:200])
    among_many = Neighbourhood(everything, exact_up_to=len(everything) - 1).means(everything[:200])
    assert np.median(np.abs(among_many - exact).max(axis=1)) < 1e-5
    assert np.abs(among_many - exact).max() < 0.1
