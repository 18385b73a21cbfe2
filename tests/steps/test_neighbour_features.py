import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from red_core.steps.neighbour_features import (
    COPY,
    NEAREST,
    SHARPNESS,
    Neighbourhood,
    _weights,
    packed,
    unpacked,
    weighted_means,
)
from red_core.steps.unit_rows import unit_rows
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


def test_lists_give_the_means_to_the_bit():
    everything = around_centres(3_000)
    around = Neighbourhood(everything, exact_up_to=1_000)
    near, weights = around.lists(everything)
    assert near.shape == weights.shape == (3_000, NEAREST)
    assert weights.sum(axis=1) == pytest.approx(1.0)
    ids, kept = unpacked(packed(near + 10**9, weights))  # as stored: the ids of texts may be large
    assert np.array_equal(ids, near + 10**9)
    assert np.array_equal(kept, weights)
    some = np.unique(near[:70])
    of_some = weighted_means(np.searchsorted(some, near[:70]), weights[:70], everything[some])
    assert np.array_equal(of_some, around.means(everything)[:70])


def test_lists_give_the_means_of_all_that_the_search_finds_to_the_bit():
    everything = np.vstack([around_centres(500)] * 2)  # each text has a copy, which does not count
    distance, near = Neighbourhood(everything)._search.nearest(unit_rows(everything))
    weight = _weights(distance, COPY).astype(np.float32)
    rows = csr_matrix((weight.ravel(), near.ravel(), np.arange(0, near.size + 1, near.shape[1])), (1_000, 1_000))
    assert np.array_equal(Neighbourhood(everything).means(everything), rows @ everything)


def test_lists_of_few_texts_are_filled_with_weights_of_zero():
    everything = rows(2, 3)
    near, weights = Neighbourhood(everything).lists(everything)
    assert near.shape == (3, NEAREST)
    assert not weights[:, 2:].any()
    assert set(near.ravel().tolist()) <= {0, 1, 2}
