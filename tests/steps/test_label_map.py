from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from umap import umap_

from red_core.steps.greedy_subsets import greedy_subsets
from red_core.steps.label_map import cosine_similarities, inside_polygon, label_vectors, reduce_labels


def units(seed, count, dimensions):
    vectors = np.random.default_rng(seed).normal(size=(count, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


seeds = st.integers(0, 2**32)


@st.composite
def seed_texts(draw):
    label_count = draw(st.integers(2, 8))
    rng = np.random.default_rng(draw(seeds))
    labels = rng.permutation(np.r_[np.arange(label_count), rng.integers(label_count, size=draw(st.integers(0, 30)))])
    return units(draw(seeds), len(labels), 6), labels, label_count


@given(seed_texts())
@settings(deadline=None)
def test_a_labels_vector_is_the_mean_of_its_seeds_made_one_long(case):
    vectors, labels, label_count = case

    found = label_vectors(vectors, labels, label_count)

    for label in range(label_count):
        own = [vectors[i].astype(float) for i in range(len(labels)) if labels[i] == label]
        mean = sum(own) / len(own)
        assert found[label] == pytest.approx(mean / sum(mean**2) ** 0.5, abs=1e-5)


@given(seed_texts(), seeds)
@settings(deadline=None)
def test_the_order_of_the_seeds_does_not_matter(case, seed):
    vectors, labels, label_count = case
    order = np.random.default_rng(seed).permutation(len(labels))

    shuffled = label_vectors(vectors[order], labels[order], label_count)

    assert shuffled == pytest.approx(label_vectors(vectors, labels, label_count), abs=1e-6)


@pytest.mark.parametrize(("labels", "label_count"), [([0, 0, 2], 3), ([0, 1, 1], 3)])
def test_a_label_without_a_seed_is_named(labels, label_count):
    missing = next(label for label in range(label_count) if label not in labels)

    with pytest.raises(ValueError, match=f"label {missing} has none"):
        label_vectors(units(0, 3, 4), np.array(labels), label_count)


def test_seeds_that_cancel_out_give_a_finite_vector():
    found = label_vectors(np.array([[1, 0], [-1, 0]], dtype=np.float32), np.array([0, 0]), 1)

    assert np.isfinite(found).all()


@pytest.mark.parametrize("label_count", [2, 3, 4])
@pytest.mark.parametrize("dimensions", [2, 16])
def test_few_labels_are_placed_by_principal_components_padded_to_the_wanted_width(label_count, dimensions):
    vectors = units(label_count, label_count, 8)

    found = reduce_labels(vectors, dimensions, random_state=0)

    assert found.shape == (label_count, dimensions)
    # All components are kept where they fit, so every distance survives.
    if label_count - 1 <= dimensions:
        between = np.linalg.norm(found[:, None] - found[None], axis=2)
        assert between == pytest.approx(np.linalg.norm(vectors[:, None] - vectors[None], axis=2), abs=1e-5)


def test_the_first_principal_component_spreads_the_labels_most():
    found = reduce_labels(units(1, 4, 8), 3, random_state=0)

    spread = (found**2).sum(axis=0)
    assert spread.tolist() == sorted(spread.tolist(), reverse=True)


@pytest.mark.parametrize("label_count", [2, 3, 4])
def test_the_places_of_few_labels_are_centred(label_count):
    found = reduce_labels(units(label_count, label_count, 8), 2, random_state=0)

    assert found.mean(axis=0) == pytest.approx(0.0, abs=1e-6)


def test_few_labels_that_do_not_differ_are_placed_together():
    found = reduce_labels(np.tile(units(0, 1, 8), (3, 1)), 2, random_state=0)

    assert found == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("label_count", [2, 3, 4])
def test_few_labels_can_be_split_into_subsets_from_their_places(label_count):
    reduced = reduce_labels(units(label_count, label_count, 8), 16, random_state=0)

    assert np.bincount(greedy_subsets(reduced, 2)).min() >= 2


@pytest.mark.parametrize(
    ("label_count", "dimensions", "components"), [(5, 2, 2), (5, 3, 3), (5, 4, 3), (5, 16, 3), (40, 16, 16)]
)
def test_umap_is_asked_for_at_most_two_dimensions_less_than_there_are_labels(
    label_count, dimensions, components, monkeypatch
):
    asked = {}

    class Recorded:
        def __init__(self, **options):
            asked.update(options)

        def fit_transform(self, vectors):
            return vectors[:, : asked["n_components"]]

    monkeypatch.setattr("umap.UMAP", Recorded)
    reduced = reduce_labels(units(label_count, label_count, 20), dimensions, random_state=7)
    assert reduced.shape == (label_count, components)
    assert (asked["n_components"], asked["n_neighbors"]) == (components, min(15, label_count - 1))
    assert (asked["metric"], asked["random_state"]) == ("cosine", 7)


# UMAP compiles for about ten seconds in a new environment: the cases share one test.
@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning")
def test_umap_places_labels_centred_and_the_same_each_time_however_few():
    twins = np.repeat(units(5, 6, 12), 2, axis=0)
    for vectors, dimensions in [(units(5, 5, 12), 2), (units(5, 5, 12), 16), (units(7, 7, 12), 2), (twins, 4)]:
        count = len(vectors)

        found = reduce_labels(vectors, dimensions, random_state=3)

        assert found.shape == (count, min(dimensions, count - 2))
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        assert found.mean(axis=0) == pytest.approx(0.0, abs=1e-4)
        assert (found == reduce_labels(vectors, dimensions, random_state=3)).all()
        assert np.abs(found).max() > 0.01

    groups = np.repeat(units(1, 4, 12), 6, axis=0) + 0.1 * units(2, 24, 12)
    places = reduce_labels(groups, 2, random_state=0)
    between = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(between, np.inf)
    assert (between.argmin(axis=1) // 6 == np.arange(24) // 6).all()

    compiled = umap_.compute_membership_strengths.stats
    assert compiled.cache_hits or compiled.cache_misses, "it is compiled anew in every process"


@given(seeds, st.integers(1, 8), st.integers(1, 5))
@settings(deadline=None)
def test_similarities_are_the_cosines_of_all_pairs(seed, count, dimensions):
    vectors = np.random.default_rng(seed).normal(size=(count, dimensions)) * 7

    found = cosine_similarities(vectors)

    for i, a in enumerate(vectors):
        for j, b in enumerate(vectors):
            assert found[i, j] == pytest.approx(sum(a * b) / (sum(a * a) * sum(b * b)) ** 0.5, abs=1e-6)


@given(seeds, st.integers(1, 8))
@settings(deadline=None)
def test_similarities_stay_in_their_range(seed, count):
    found = cosine_similarities(np.random.default_rng(seed).normal(size=(count, 2)).astype(np.float32))

    assert (np.abs(found) <= 1.0).all()


def test_a_vector_of_no_length_is_like_no_other():
    found = cosine_similarities(np.array([[0.0, 0.0], [1.0, 0.0]]))

    assert found.tolist() == [[0.0, 0.0], [0.0, 1.0]]


# Inside an outline


def by_winding(spot, corners):
    """An oracle: the turns of the corners around a spot add up to a full circle, or to none."""
    around = corners - spot
    angle = np.unwrap(np.arctan2(around[:, 1], around[:, 0])[[*range(len(around)), 0]])
    return round((angle[-1] - angle[0]) / (2 * np.pi)) % 2 == 1


@given(seeds, st.integers(3, 12))
@settings(deadline=None)
def test_a_spot_is_inside_where_the_outline_turns_around_it(seed, count):
    rng = np.random.default_rng(seed)
    corners, coordinates = rng.normal(size=(count, 2)), rng.normal(size=(30, 2))

    found = inside_polygon(coordinates, corners)

    assert found.tolist() == [by_winding(spot, corners) for spot in coordinates]


@given(seeds)
@settings(deadline=None)
def test_where_an_outline_begins_and_which_way_it_goes_is_all_the_same(seed):
    rng = np.random.default_rng(seed)
    corners, coordinates = rng.normal(size=(7, 2)), rng.normal(size=(50, 2))

    found = inside_polygon(coordinates, corners)

    assert (inside_polygon(coordinates, np.roll(corners, 3, axis=0)) == found).all()
    assert (inside_polygon(coordinates, corners[::-1]) == found).all()


@pytest.mark.parametrize("corners", [np.zeros((0, 2)), np.zeros((1, 2)), np.array([[-1.0, 0.0], [1.0, 0.0]])])
def test_fewer_than_three_corners_hold_nothing(corners):
    assert not inside_polygon(np.array([[0.0, 0.0], [0.5, 0.1], [0.0, -3.0]]), corners).any()
