"""Nearest-neighbour features: the weighted mean of the features of a text's nearest texts. No label is used.

A few seeds show only some of the words of a label; the texts around a text show more. Cross-validation on the seeds
chooses the weight of these features.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from red_core.records import Floats, Ints

NEAREST = 10
"""Neighbours of each text."""
SHARPNESS = 4
"""A neighbour's weight is this power of its cosine similarity, so that near ones count far more."""
COPY = 3e-3
"""Unit vectors with a smaller Euclidean distance are copies that differ by rounding."""
BLOCK_ROWS = 4_096
"""Rows searched at once."""
FEW = 16
"""So few rows are searched with one matrix product: what the library prepares would take longer than the search."""


def neighbour_means(features: Floats, everything: Floats, *, done: Callable[[int], None] | None = None) -> Floats:
    """Return the weighted mean of the features of each row's NEAREST rows of ``everything``, by cosine.

    Parameters
    ----------
    features : ndarray of shape (n, d), float32
    everything : ndarray of shape (m, d), float32
        The texts to search.
    done : callable, optional
        Called with the number of finished rows.

    Returns
    -------
    ndarray of shape (n, d), float32
    """
    return Neighbourhood(everything).means(features, done=done)


class Neighbourhood:
    """Texts among which other texts have their neighbours, prepared for many searches.

    Copies of a text, itself included, have weight 0. So a text has the same neighbours whether it is in ``everything``
    or not.

    Parameters
    ----------
    everything : ndarray of shape (m, d), float32
    copy : float
        Unit vectors with a smaller Euclidean distance are copies.
    """

    def __init__(self, everything: Floats, copy: float = COPY) -> None:
        self._everything, self._copy = everything, copy
        self._nearest, self._unit = min(NEAREST + 1, len(everything)), normalize(everything)
        self._search = NearestNeighbors(n_neighbors=self._nearest, algorithm="brute").fit(self._unit)

    def means(self, features: Floats, *, done: Callable[[int], None] | None = None) -> Floats:
        """Return the weighted mean of each row's neighbours, shape (n, d), float32; see :func:`neighbour_means`."""
        means = np.empty_like(features, dtype=np.float32)
        for start in range(0, len(features), BLOCK_ROWS):
            part = slice(start, min(start + BLOCK_ROWS, len(features)))
            distance, near = self._nearest_to(normalize(features[part]))
            weight = _weights(distance, self._copy).astype(np.float32)
            means[part] = np.einsum("nk,nkd->nd", weight, self._everything[near])
            if done is not None:
                done(part.stop)
        return means

    def _nearest_to(self, unit: Floats) -> tuple[Floats, Ints]:
        """Return Euclidean distances and rows of the nearest texts, nearest first, both of shape (n, NEAREST + 1)."""
        if len(unit) > FEW:
            distance, near = self._search.kneighbors(unit)
            return np.asarray(distance), np.asarray(near)
        similarity = unit @ self._unit.T
        near = np.argpartition(-similarity, self._nearest - 1, axis=1)[:, : self._nearest]
        distance = np.sqrt(np.maximum(2.0 - 2.0 * np.take_along_axis(similarity, near, axis=1), 0.0))
        order = np.argsort(distance, axis=1, kind="stable")
        return np.take_along_axis(distance, order, axis=1), np.take_along_axis(near, order, axis=1)


def _weights(distance: Floats, copy: float) -> Floats:
    """Return the weights of each row's neighbours, nearest first, from Euclidean distances of unit vectors."""
    weight = np.maximum(1.0 - distance**2 / 2.0, 0.0) ** SHARPNESS  # |a - b|^2 = 2 - 2 cos(a, b)
    weight[distance < copy] = 0.0
    weight[~(distance < copy).any(axis=1), NEAREST:] = 0.0
    return np.asarray(weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12))
