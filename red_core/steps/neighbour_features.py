"""What stands near a text: the mean of its nearest texts' features beside its own. No label is read.

A handful of seeds says little about the words of a label; the pool around a text says more. Which share of it helps
is chosen on held-out seeds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from red_core.records import Floats

NEAREST = 10
SHARPNESS = 4
"""A neighbour counts with this power of its cosine similarity: near ones far more than distant ones."""
COPY = 3e-3
"""Unit vectors closer than this are the same text but for rounding."""
BLOCK_ROWS = 4_096


def neighbour_means(features: Floats, everything: Floats, *, done: Callable[[int], None] | None = None) -> Floats:
    """Return the weighted mean of the features of each row's NEAREST rows of ``everything``, by cosine.

    A row's copies count for nothing, itself among them: so a text has the same neighbours whether it is in
    ``everything`` or not.

    Parameters
    ----------
    features : ndarray of shape (n, d), float32
    everything : ndarray of shape (m, d), float32
        The texts to look among.
    done : callable, optional
        Called with the number of rows done so far.

    Returns
    -------
    ndarray of shape (n, d), float32
    """
    kept = min(NEAREST + 1, len(everything))
    search = NearestNeighbors(n_neighbors=kept, algorithm="brute").fit(normalize(everything))
    means = np.empty_like(features, dtype=np.float32)
    for start in range(0, len(features), BLOCK_ROWS):
        part = slice(start, min(start + BLOCK_ROWS, len(features)))
        distance, near = search.kneighbors(normalize(features[part]))
        weight = _weights(distance)
        means[part] = np.einsum("nk,nkd->nd", weight.astype(np.float32), everything[near])
        if done is not None:
            done(part.stop)
    return means


def _weights(distance: Floats) -> Floats:
    """Return the weights of each row's neighbours, nearest first, from Euclidean distances of unit vectors."""
    weight = np.maximum(1.0 - distance**2 / 2.0, 0.0) ** SHARPNESS  # |a - b|^2 = 2 - 2 cos(a, b)
    weight[distance < COPY] = 0.0
    weight[~(distance < COPY).any(axis=1), NEAREST:] = 0.0
    return np.asarray(weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12))
