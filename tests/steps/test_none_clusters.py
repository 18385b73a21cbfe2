from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import normalize

from red_core.steps.none_clusters import dense_groups, nearest_means, none_clusters, telling_words

DIMENSIONS = 20


def blobs(sizes, seed=0, noise=0.12):
    """Return unit vectors around random directions, which blob each is of, and the directions."""
    rng = np.random.default_rng(seed)
    centres = normalize(rng.normal(size=(len(sizes), DIMENSIONS)))
    blob = np.repeat(np.arange(len(sizes)), sizes)
    return normalize(centres[blob] + noise * rng.normal(size=(len(blob), DIMENSIONS))), blob, centres


def clusters(vectors, none, means, *, smallest=10, most=40):
    return none_clusters(vectors, none, none >= 0.02, means, smallest=smallest, most=most)


def test_missing_labels_are_found_before_labels_there_are():
    vectors, blob, centres = blobs([30, 25, 40, 40])
    none = np.where(blob < 2, 0.6, 0.05)
    got = clusters(vectors, none, centres[2:])
    assert [sorted(set(blob[group.rows].tolist())) for group in got[:2]] == [[0], [1]]
    assert [len(group.rows) for group in got[:2]] == [30, 25]


def test_the_best_first_is_the_greatest_sum_of_belief_in_none():
    vectors, blob, _ = blobs([30, 20])
    none = np.where(blob == 0, 0.3, 0.9)
    far = np.zeros((1, DIMENSIONS))
    got = clusters(vectors, none, far)
    assert [int(blob[group.rows[0]]) for group in got] == [1, 0]
    assert [group.none_belief for group in got] == pytest.approx([0.9, 0.3])
    assert len(clusters(vectors, none, far, most=1)) == 1


def test_the_most_central_texts_come_first():
    vectors, _, _ = blobs([30, 25])
    for group in clusters(vectors, np.full(55, 0.5), np.zeros((1, DIMENSIONS))):
        near = vectors[group.rows] @ group.mean
        assert (np.diff(near) <= 1e-9).all()
        assert np.linalg.norm(group.mean) == pytest.approx(1.0)


def test_a_text_that_may_only_join_joins_and_begins_nothing():
    vectors, blob, _ = blobs([30, 30, 30])
    none = np.where(blob == 2, 0.01, 0.5)  # the third blob is no core
    none[:5] = 0.01
    got = clusters(vectors, none, np.zeros((1, DIMENSIONS)))
    assert len(got) == 2
    assert set(range(5)) <= set(got[0].rows.tolist()) | set(got[1].rows.tolist())


def test_too_few_texts_are_no_cluster():
    vectors, _, _ = blobs([19])
    assert clusters(vectors, np.full(19, 0.9), np.zeros((1, DIMENSIONS))) == []
    assert clusters(vectors[:1], np.full(1, 0.9), np.zeros((1, DIMENSIONS))) == []
    assert clusters(vectors, np.zeros(19), np.zeros((1, DIMENSIONS))) == []


@given(st.integers(0, 2**32 - 1))
def test_no_text_is_in_two_clusters_and_the_order_of_texts_does_not_count(seed):
    vectors, blob, centres = blobs([20, 25, 30, 30], seed)
    none = np.where(blob < 3, 0.5, 0.03)
    order = np.random.default_rng(seed).permutation(len(blob))
    one, two = clusters(vectors, none, centres[3:]), clusters(vectors[order], none[order], centres[3:])
    rows = np.concatenate([group.rows for group in one])
    assert len(set(rows.tolist())) == len(rows)
    assert {frozenset(group.rows.tolist()) for group in one} == {frozenset(order[g.rows].tolist()) for g in two}


def test_the_same_texts_give_the_same_clusters():
    vectors, _, centres = blobs([20, 25, 30])
    none = np.full(75, 0.4)
    one, two = (clusters(vectors, none, centres[2:]) for _ in range(2))
    assert [group.rows.tolist() for group in one] == [group.rows.tolist() for group in two]


def test_scattered_texts_are_in_no_dense_group():
    vectors, _, _ = blobs([30, 30])
    scattered = normalize(np.random.default_rng(3).normal(size=(20, DIMENSIONS)))
    number = dense_groups(np.vstack([vectors, scattered]), 10)
    assert set(number[:60].tolist()) - {-1} == {0, 1}
    assert (number[60:] == -1).mean() > 0.8


def test_a_text_nearer_to_a_label_leaves_and_a_group_left_too_small_is_given_up():
    unit = np.eye(3)[[0, 0, 0, 1, 2]]
    label = np.eye(3)[[1]]
    assert nearest_means(unit, np.array([0, 0, 0, 0, 1]), label, 2).tolist() == [0, 0, 0, -1, -1]
    assert nearest_means(unit, np.array([0, 0, -1, -1, 1]), label, 1).tolist() == [0, 0, 0, -1, 1]
    assert nearest_means(unit, np.full(5, -1), label, 1).tolist() == [-1] * 5


def test_without_labels_every_text_goes_to_a_group():
    unit = np.eye(3)[[0, 0, 1, 1]]
    assert nearest_means(unit, np.array([0, 0, 1, -1]), np.zeros((0, 3)), 1).tolist() == [0, 0, 1, 1]


# Words


def test_telling_words_are_those_of_the_group_and_of_no_other():
    texts = [f"please send my parcel number {n}" for n in range(10)] + [f"please flip a coin {n}" for n in range(10)]
    parcel, coin = telling_words([np.arange(10), np.arange(10, 20)], texts, 3)
    assert "coin" in " ".join(coin)
    assert "parcel" in " ".join(parcel)
    assert "please" not in {coin[0], parcel[0]}


def test_no_word_is_told_twice():
    texts = ["lost luggage desk", "lost luggage hall", "other things", "more things"]
    (words,) = telling_words([np.arange(2)], texts, 6)
    single = " ".join(words).split()
    assert len(single) == len(set(single))
    assert words


def test_texts_without_words_have_no_telling_words():
    assert telling_words([np.arange(2)], ["1 2 3", "!!"], 3) == [()]
    assert telling_words([], ["some words"], 3) == []
