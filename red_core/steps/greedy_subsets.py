"""Article step 1, second half: split the labels greedily into subsets of mutually dissimilar labels."""

from __future__ import annotations

import numpy as np

from red_core.records import Floats, Ints
from red_core.steps.unit_rows import unit_rows


def subset_sizes(label_count: int, size: int) -> list[int]:
    """Return balanced subset sizes: ceil(L / size) subsets, sizes differing by at most one, never one label.

    Raises
    ------
    ValueError
        If there are fewer than 2 labels or ``size`` is below 2.
    """
    if label_count < 2 or size < 2:
        raise ValueError(f"needs at least 2 labels and subsets of at least 2; got {label_count} and {size}")
    count = min(-(-label_count // size), label_count // 2)
    small, larger = divmod(label_count, count)
    return [small + (number < larger) for number in range(count)]


def greedy_subsets(vectors: Floats, size: int, *, alike: bool = False, start: int = 0) -> Ints:
    """Return a partition of the labels into subsets of labels that are as dissimilar as possible.

    A subset starts with the first unused label; then the unused label least similar (cosine) to the
    subset's mean joins, until the subset is full (article step 1). Deterministic.

    Parameters
    ----------
    vectors : ndarray of shape (L, d), float32
        Label vectors, centred (see :func:`red_core.steps.label_map.reduce_labels`).
    size : int
        Most labels of a subset, the article's n; subsets get about equal sizes.
    alike : bool
        Add the *most* similar label instead, for the hidden partitions that separate similar labels.
    start : int
        The first label; the order goes on from there and wraps around. Other starts give other partitions.

    Returns
    -------
    ndarray of shape (L,), int64
        The subset number of each label, from 0 without gaps.
    """
    unit = unit_rows(vectors)
    subset_of = np.full(len(unit), -1, dtype=np.int64)
    order = np.roll(np.arange(len(unit)), -start)
    worst = -np.inf if alike else np.inf
    for number, wanted in enumerate(subset_sizes(len(unit), size)):
        newest = int(order[np.argmax(subset_of[order] < 0)])
        total = np.zeros(unit.shape[1], dtype=np.float64)
        for _ in range(wanted):
            subset_of[newest] = number
            total += unit[newest]
            similarity = np.where(
                subset_of < 0, unit @ total, worst
            )  # the sum has the direction of the mean, so the order is the same
            newest = int(np.argmax(similarity) if alike else np.argmin(similarity))
    return subset_of


def join_most_alike(vectors: Floats, subset_of: Ints) -> Ints:
    """Return the partition after each label without a subset (-1) joined the most similar subset, whatever its size.

    Similarity is the cosine of the label with the mean of the subset's labels.

    Parameters
    ----------
    vectors : ndarray of shape (L, d), float32
        Label vectors, centred.
    subset_of : ndarray of shape (L,), int64
        At least one label has a subset.
    """
    unit = unit_rows(vectors)
    numbers = np.unique(subset_of[subset_of >= 0])
    means = np.stack([unit[subset_of == number].mean(axis=0) for number in numbers])
    nearest = numbers[np.argmax(unit @ means.T, axis=1)]
    return np.where(subset_of < 0, nearest, subset_of)


def similarity_within(vectors: Floats, subset_of: Ints) -> tuple[Floats, Floats]:
    """Return, per subset, the mean and the highest cosine similarity between two of its labels.

    Returns
    -------
    tuple of two ndarrays of shape (S,), float32, in [-1, 1]
    """
    unit = unit_rows(vectors)
    means, highest = [], []
    for number in range(int(subset_of.max()) + 1):
        members = unit[subset_of == number]
        pairs = (members @ members.T)[np.triu_indices(len(members), k=1)]
        means.append(pairs.mean())
        highest.append(pairs.max())
    return np.asarray(means, dtype=np.float32), np.asarray(highest, dtype=np.float32)
