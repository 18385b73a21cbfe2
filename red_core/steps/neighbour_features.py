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
BLOCK_ROWS = 4_096


def neighbour_means(
    features: Floats, everything: Floats, *, itself: bool, done: Callable[[int], None] | None = None
) -> Floats:
    """Return the weighted mean of the features of each row's NEAREST rows of ``everything``, by cosine.

    Parameters
    ----------
    features : ndarray of shape (n, d), float32
    everything : ndarray of shape (m, d), float32
        The texts to look among, m > 1.
    itself : bool
        Each row of ``features`` is also in ``everything``, and is no neighbour of itself: its nearest is left out.
    done : callable, optional
        Called with the number of rows done so far.

    Returns
    -------
    ndarray of shape (n, d), float32
    """
    kept = min(NEAREST + itself, len(everything))
    search = NearestNeighbors(n_neighbors=kept, algorithm="brute").fit(normalize(everything))
    means = np.empty_like(features, dtype=np.float32)
    for start in range(0, len(features), BLOCK_ROWS):
        part = slice(start, min(start + BLOCK_ROWS, len(features)))
        # Of unit vectors: |a - b|^2 = 2 - 2 cos(a, b).
        distance, near = search.kneighbors(normalize(features[part]))
        distance, near = distance[:, int(itself) :], near[:, int(itself) :]
        weight = np.maximum(1.0 - distance**2 / 2.0, 0.0) ** SHARPNESS
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
        means[part] = np.einsum("nk,nkd->nd", weight.astype(np.float32), everything[near])
        if done is not None:
            done(part.stop)
    return means
