"""Article step 2, the noise class: rows of labels outside the subset that together weigh twice the average class."""

from __future__ import annotations

import numpy as np

from red_core.records import Floats, Ints


def draw_noise(
    labels: Ints,
    weights: Floats,
    inside: Ints,
    *,
    factor: float,
    rows: int | None,
    rng: np.random.Generator,
) -> tuple[Ints, Floats]:
    """Return the noise rows of one subset classifier, spread evenly over the labels outside the subset.

    Parameters
    ----------
    labels : ndarray of shape (n,), int64
        The label of every training row.
    weights : ndarray of shape (n,), float32
        The weight of every training row: 1 for seeds, the belief for fed-back rows.
    inside : ndarray of int64
        The labels of the subset.
    factor : float
        Total weight of the noise, as a multiple of the average class weight of the subset; 2 in the article.
    rows : int or None
        Number of noise rows. None: as in the article, one row per unit of weight, drawn at random, with repetition if
        there are too few.
    rng : numpy.random.Generator

    Returns
    -------
    indices : ndarray of shape (m,), int64
        Rows of the training set; empty if the subset has all labels.
    noise_weights : ndarray of shape (m,), float32
        They sum to ``factor`` x the average class weight.
    """
    is_inside = np.isin(labels, inside)
    foreign = np.flatnonzero(~is_inside)
    total = factor * float(weights[is_inside].sum()) / len(inside)
    if not len(foreign):
        return foreign, np.zeros(0, dtype=np.float32)
    if rows is None:
        wanted = max(1, round(total))
        indices = rng.choice(foreign, size=wanted, replace=wanted > len(foreign))
    else:
        indices = spread_evenly(foreign, labels[foreign], rows, rng)
    return indices, np.full(len(indices), total / len(indices), dtype=np.float32)


def spread_evenly(indices: Ints, labels: Ints, rows: int, rng: np.random.Generator) -> Ints:
    """Return up to ``rows`` of ``indices``: first one of every label, then a second of every label, and so on.

    Parameters
    ----------
    indices, labels : ndarray of shape (n,), int64
    """
    shuffled = rng.permutation(len(indices))
    by_label = shuffled[np.argsort(labels[shuffled], kind="stable")]
    sorted_labels = labels[by_label]
    first = np.r_[True, sorted_labels[1:] != sorted_labels[:-1]]
    starts = np.flatnonzero(first)
    rank = np.arange(len(by_label)) - np.repeat(starts, np.diff(np.r_[starts, len(by_label)]))
    tie_break = rng.permutation(len(by_label))  # so that the last, incomplete turn prefers no label
    return indices[by_label[np.lexsort((tie_break, rank))[:rows]]]
