from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from red_core.steps.neighbours import label_similarities, nearest_examples


def units(rng, count, dimensions=5):
    vectors = rng.normal(size=(count, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


seeds = st.integers(0, 2**32)


@given(seeds, st.integers(1, 6), st.integers(1, 20), st.integers(1, 25))
@settings(deadline=None)
def test_the_nearest_examples_are_those_of_a_full_sort(seed, query_count, example_count, wanted):
    rng = np.random.default_rng(seed)
    queries, examples = units(rng, query_count), units(rng, example_count)

    rows, similarities = nearest_examples(queries, examples, wanted)

    for query, found, at in zip(queries, rows.tolist(), similarities.tolist(), strict=True):
        by_hand = sorted(-sum(float(q) * float(e) for q, e in zip(query, x, strict=True)) for x in examples)[:wanted]
        assert at == pytest.approx([-s for s in by_hand], abs=1e-5)
        assert [float(query.astype(float) @ examples[row].astype(float)) for row in found] == pytest.approx(
            at, abs=1e-5
        )


@given(seeds, st.integers(1, 20), st.integers(1, 25))
@settings(deadline=None)
def test_no_example_is_shown_twice(seed, example_count, wanted):
    rng = np.random.default_rng(seed)

    rows, _ = nearest_examples(units(rng, 3), units(rng, example_count), wanted)

    assert rows.shape == (3, min(wanted, example_count))
    assert all(len(set(found)) == len(found) for found in rows.tolist())


def test_the_nearest_example_comes_first():
    examples = np.array([[0, 1], [1, 0], [0.6, 0.8]], dtype=np.float32)

    rows, similarities = nearest_examples(np.array([[1, 0]], dtype=np.float32), examples, 3)

    assert rows.tolist() == [[1, 2, 0]]
    assert similarities[0] == pytest.approx([1.0, 0.6, 0.0])


def test_equal_examples_keep_their_order():
    examples = np.array([[0, 1], [1, 0], [1, 0], [1, 0]], dtype=np.float32)

    rows, _ = nearest_examples(np.array([[1, 0]], dtype=np.float32), examples, 2)

    assert rows.tolist() == [[1, 2]]


def test_similarities_never_leave_their_range():
    slightly_too_long = np.array([[1.0001, 0.0], [-1.0001, 0.0]], dtype=np.float32)

    _, similarities = nearest_examples(slightly_too_long, slightly_too_long, 2)

    assert similarities.tolist() == [[1.0, -1.0], [1.0, -1.0]]


def test_without_examples_nothing_is_near():
    rows, similarities = nearest_examples(units(np.random.default_rng(0), 2), np.zeros((0, 5), dtype=np.float32), 3)

    assert rows.shape == (2, 0)
    assert similarities.shape == (2, 0)


@given(seeds, st.integers(1, 5), st.integers(0, 20), st.integers(1, 6), st.integers(1, 5), st.floats(0, 1))
@settings(deadline=None)
def test_a_labels_similarity_is_the_mean_over_its_nearest_examples(
    seed, query_count, example_count, label_count, nearest, left_out
):
    rng = np.random.default_rng(seed)
    similarity = rng.uniform(-1, 1, (query_count, example_count)).astype(np.float32)
    similarity[rng.random(similarity.shape) < left_out] = -np.inf
    labels = rng.integers(label_count, size=example_count)

    found = label_similarities(similarity, labels, label_count, nearest)

    assert found.shape == (query_count, label_count)
    for query in range(query_count):
        for label in range(label_count):
            own = [float(similarity[query, i]) for i in range(example_count) if labels[i] == label]
            best = sorted((s for s in own if s > -2), reverse=True)[:nearest]
            assert found[query, label] == pytest.approx(sum(best) / len(best) if best else -1.0, abs=1e-5)


def test_three_examples_count_unless_told():
    similarity = np.array([[0.9, 0.6, 0.3, 0.1]], dtype=np.float32)

    assert label_similarities(similarity, np.zeros(4, dtype=np.int64), 1)[0, 0] == pytest.approx(0.6)


def test_the_similarities_given_are_left_as_they_were():
    similarity = np.array([[0.9, 0.6, -np.inf, 0.1]], dtype=np.float32)
    before = similarity.copy()

    label_similarities(similarity, np.array([0, 0, 1, 1]), 2)

    assert (similarity == before).all()
