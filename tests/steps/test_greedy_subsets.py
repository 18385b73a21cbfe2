from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from red_core.steps.greedy_subsets import greedy_subsets, join_most_alike, similarity_within, subset_sizes

some_labels = st.builds(
    lambda seed, count, dimensions: np.random.default_rng(seed).normal(size=(count, dimensions)),
    st.integers(0, 2**32),
    st.integers(2, 24),
    st.integers(2, 6),
)


def cosine(a, b):
    return float(sum(a * b) / (sum(a * a) ** 0.5 * sum(b * b) ** 0.5))


def subsets_by_naive_loops(vectors, size, *, alike=False, start=0):
    """The rule in words: take the first unused label; until full, take the unused label least like the mean."""
    count = len(vectors)
    units = [v / sum(v * v) ** 0.5 for v in vectors]
    subset_count = 1
    while subset_count * size < count and (subset_count + 1) * 2 <= count:
        subset_count += 1
    wanted = [0] * subset_count
    for label in range(count):
        wanted[label % subset_count] += 1
    unused = [(start + step) % count for step in range(count)]
    found = [-1] * count
    for number in range(subset_count):
        members = [unused.pop(0)]
        while len(members) < wanted[number]:
            mean = sum(units[m] for m in members) / len(members)
            best = None
            for label in sorted(unused):
                likeness = cosine(units[label], mean)
                if best is None or (likeness > best[0] if alike else likeness < best[0]):
                    best = (likeness, label)
            members.append(best[1])
            unused.remove(best[1])
        for member in members:
            found[member] = number
    return found


@given(some_labels, st.integers(2, 12), st.booleans(), st.integers(0, 30))
@settings(deadline=None, max_examples=60)
def test_the_subsets_are_those_of_a_naive_double_loop(vectors, size, alike, start):
    found = greedy_subsets(vectors, size, alike=alike, start=start)

    assert found.tolist() == subsets_by_naive_loops(vectors, size, alike=alike, start=start)


@given(some_labels, st.integers(2, 40), st.booleans(), st.integers(0, 30))
@settings(deadline=None)
def test_every_label_lands_in_one_subset_and_numbers_have_no_gaps(vectors, size, alike, start):
    found = greedy_subsets(vectors, size, alike=alike, start=start)

    assert found.shape == (len(vectors),)
    assert sorted(set(found.tolist())) == list(range(found.max() + 1))


@given(some_labels, st.integers(2, 40), st.booleans())
@settings(deadline=None)
def test_the_subsets_have_the_balanced_sizes(vectors, size, alike):
    found = greedy_subsets(vectors, size, alike=alike)

    assert np.bincount(found).tolist() == subset_sizes(len(vectors), size)


@given(st.integers(2, 1200), st.integers(2, 120))
def test_sizes_add_up_to_all_labels(label_count, size):
    assert sum(subset_sizes(label_count, size)) == label_count


@given(st.integers(2, 1200), st.integers(2, 120))
def test_sizes_differ_by_at_most_one(label_count, size):
    sizes = subset_sizes(label_count, size)

    assert max(sizes) - min(sizes) <= 1


@given(st.integers(2, 1200), st.integers(2, 120))
def test_no_subset_has_one_label_alone(label_count, size):
    assert min(subset_sizes(label_count, size)) >= 2


@given(st.integers(2, 1200), st.integers(3, 120))
def test_no_subset_is_larger_than_asked(label_count, size):
    assert max(subset_sizes(label_count, size)) <= size


@given(st.integers(2, 1200), st.integers(3, 120))
def test_there_are_no_more_subsets_than_needed(label_count, size):
    assert (len(subset_sizes(label_count, size)) - 1) * size < label_count


@pytest.mark.parametrize(
    ("label_count", "size", "sizes"),
    [
        (2, 2, [2]),
        (2, 50, [2]),
        (3, 2, [3]),
        (4, 2, [2, 2]),
        (4, 3, [2, 2]),
        (5, 2, [3, 2]),
        (5, 4, [3, 2]),
        (5, 5, [5]),
        (5, 6, [5]),
        (11, 10, [6, 5]),
        (150, 10, [10] * 15),
    ],
)
def test_sizes_at_the_edges(label_count, size, sizes):
    assert subset_sizes(label_count, size) == sizes


@pytest.mark.parametrize(("label_count", "size"), [(0, 5), (1, 5), (5, 1), (5, 0)])
def test_too_few_labels_or_too_small_a_size_is_refused(label_count, size):
    with pytest.raises(ValueError, match="at least 2"):
        subset_sizes(label_count, size)


@pytest.mark.parametrize("label_count", [2, 3, 4, 5])
def test_a_size_above_the_label_count_gives_one_subset(label_count):
    vectors = np.random.default_rng(label_count).normal(size=(label_count, 3))

    assert greedy_subsets(vectors, 10).tolist() == [0] * label_count


@given(some_labels, st.integers(2, 12), st.integers(0, 50))
@settings(deadline=None)
def test_the_first_subset_holds_the_label_to_start_from(vectors, size, start):
    found = greedy_subsets(vectors, size, start=start)

    assert found[start % len(vectors)] == 0


@given(some_labels, st.integers(2, 12), st.integers(0, 2**32))
@settings(deadline=None)
def test_the_length_of_a_label_vector_does_not_matter(vectors, size, seed):
    lengths = np.random.default_rng(seed).uniform(0.1, 10, size=(len(vectors), 1))

    assert greedy_subsets(vectors * lengths, size).tolist() == greedy_subsets(vectors, size).tolist()


def test_twin_labels_go_to_different_subsets():
    twins = np.repeat(np.eye(6, dtype=np.float32), 2, axis=0)

    found = greedy_subsets(twins, 6)

    assert (found[0::2] != found[1::2]).all()


def test_twin_labels_share_a_subset_where_labels_are_to_be_alike():
    twins = np.repeat(np.eye(6, dtype=np.float32), 2, axis=0)

    found = greedy_subsets(twins, 2, alike=True)

    assert (found[0::2] == found[1::2]).all()


def test_labels_without_any_difference_are_still_all_assigned():
    found = greedy_subsets(np.zeros((7, 3), dtype=np.float32), 3)

    assert np.bincount(found).tolist() == [3, 2, 2]


def test_the_label_vectors_are_left_as_they_were():
    vectors = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    before = vectors.copy()

    greedy_subsets(vectors, 3)

    assert (vectors == before).all()


@given(some_labels, st.integers(2, 12))
@settings(deadline=None, max_examples=40)
def test_similarity_within_is_the_mean_and_the_maximum_over_all_pairs(vectors, size):
    subset_of = greedy_subsets(vectors, size)

    means, highest = similarity_within(vectors, subset_of)

    for number in range(subset_of.max() + 1):
        members = [vectors[i] for i in range(len(vectors)) if subset_of[i] == number]
        pairs = [cosine(a, b) for a, b in combinations(members, 2)]
        assert means[number] == pytest.approx(sum(pairs) / len(pairs), abs=1e-5)
        assert highest[number] == pytest.approx(max(pairs), abs=1e-5)


def test_labels_in_a_dissimilar_subset_are_less_alike_than_in_an_alike_one():
    rng = np.random.default_rng(3)
    groups = np.repeat(rng.normal(size=(5, 4)), 5, axis=0) + 0.1 * rng.normal(size=(25, 4))

    dissimilar, _ = similarity_within(groups, greedy_subsets(groups, 5))
    alike, _ = similarity_within(groups, greedy_subsets(groups, 5, alike=True))

    assert dissimilar.max() < alike.min()


# Labels that join later


def joined_by_naive_loops(vectors, subset_of):
    """The rule in words: a label without a subset takes the one whose labels' mean direction is nearest to its own."""
    units = [v / sum(v * v) ** 0.5 for v in vectors]
    numbers = sorted({number for number in subset_of if number >= 0})
    means = {n: sum(u for u, own in zip(units, subset_of, strict=True) if own == n) for n in numbers}
    sizes = {n: sum(own == n for own in subset_of) for n in numbers}
    return [
        own if own >= 0 else max(numbers, key=lambda n: float(sum(units[label] * means[n])) / sizes[n])
        for label, own in enumerate(subset_of)
    ]


@given(some_labels, st.data())
@settings(deadline=None)
def test_a_label_without_a_subset_joins_the_most_alike_and_no_other_moves(vectors, data):
    numbers = st.sampled_from([-1, 0, 1, 3])
    subset_of = data.draw(st.lists(numbers, min_size=len(vectors), max_size=len(vectors)).filter(lambda n: max(n) >= 0))

    found = join_most_alike(vectors, np.array(subset_of))

    assert found.tolist() == joined_by_naive_loops(vectors, subset_of)


def test_a_label_of_the_first_subset_stays_there_though_another_subset_is_more_like_it():
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0], [0.0, 1.0], [1.0, 0.1]])
    assert join_most_alike(vectors, np.array([0, 0, 1, -1, -1])).tolist() == [0, 0, 1, 1, 0]
