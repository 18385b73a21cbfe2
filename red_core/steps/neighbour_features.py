"""Nearest-neighbour features: the weighted mean of the features of a text's nearest texts. No label is used.

A few seeds show only some of the words of a label; the texts around a text show more. Cross-validation on the seeds
chooses the weight of these features. Among few texts the search is exact; among many it looks into the nearest cells
(:mod:`red_core.steps.cell_search`).
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from red_core.records import Floats, Ints
from red_core.steps.cell_search import CellSearch
from red_core.steps.unit_rows import unit_rows

NEAREST = 10
"""Neighbours of each text."""
SHARPNESS = 4
"""A neighbour's weight is this power of its cosine similarity, so that near ones count far more."""
COPY = 3e-3
"""Unit vectors with a smaller Euclidean distance are copies that differ by rounding."""
EXACT_UP_TO = 20_000
"""Among so many texts the search is exact."""
BLOCK_ROWS = 4_096
"""Rows searched at once."""
FEW = 16
"""So few rows are searched with one matrix product: what the library prepares would take longer than the search."""


class Neighbourhood:
    """Texts among which other texts have their neighbours, prepared for many searches.

    Copies of a text, itself included, have weight 0. So a text has the same neighbours whether it is in ``everything``
    or not.

    Parameters
    ----------
    everything : ndarray of shape (m, d), float32
    copy : float
        Unit vectors with a smaller Euclidean distance are copies.
    exact_up_to : int
        Among more texts, the search is approximate.
    """

    def __init__(self, everything: Floats, copy: float = COPY, exact_up_to: int = EXACT_UP_TO) -> None:
        self._everything, self._copy = np.ascontiguousarray(everything, dtype=np.float32), copy
        count = min(NEAREST + 1, len(everything))
        many = len(everything) > exact_up_to
        self._search = CellSearch(self._everything, count) if many else _ExactSearch(self._everything, count)

    def means(self, features: Floats) -> Floats:
        """Return the mean of each row's NEAREST rows of ``everything`` by cosine, weighted by their similarity.

        Parameters
        ----------
        features : ndarray of shape (n, d), float32

        Returns
        -------
        ndarray of shape (n, d), float32
        """
        return weighted_means(*self.lists(features), self._everything)

    def lists(self, features: Floats) -> tuple[Ints, Floats]:
        """Return the neighbours of each row, nearest first: rows of ``everything`` and float32 weights.

        Both have the shape (n, NEAREST). Where there are fewer neighbours, the last weights are 0.
        """
        rows = np.zeros((len(features), NEAREST), dtype=np.int64)
        weights = np.zeros((len(features), NEAREST), dtype=np.float32)
        for start in range(0, len(features), BLOCK_ROWS):
            part = slice(start, min(start + BLOCK_ROWS, len(features)))
            distance, near = self._search.nearest(unit_rows(features[part]))
            weight = _weights(distance, self._copy).astype(np.float32)
            order = np.argsort(weight == 0.0, axis=1, kind="stable")[:, :NEAREST]  # never more than NEAREST count
            rows[part, : order.shape[1]] = np.take_along_axis(near, order, axis=1)
            weights[part, : order.shape[1]] = np.take_along_axis(weight, order, axis=1)
        return rows, weights

    def nearest(self, features: Floats) -> Ints:
        """Return the rows of the nearest texts, nearest first, shape (n, NEAREST + 1) or all; copies included."""
        return self._search.nearest(unit_rows(features))[1]


def weighted_means(rows: Ints, weights: Floats, everything: Floats) -> Floats:
    """Return the weighted mean of each text's neighbours, shape (n, d), float32.

    Parameters
    ----------
    rows, weights : ndarray of shape (n, k)
        As :meth:`Neighbourhood.lists` returns them.
    everything : ndarray of shape (m, d), float32
    """
    means = np.empty((len(rows), everything.shape[1]), dtype=np.float32)
    for start in range(0, len(rows), BLOCK_ROWS):
        part = slice(start, min(start + BLOCK_ROWS, len(rows)))
        ends = np.arange(0, rows[part].size + 1, rows.shape[1])
        near = csr_matrix((weights[part].ravel(), rows[part].ravel(), ends), (len(rows[part]), len(everything)))
        means[part] = near @ everything
    return means


def packed(texts: Ints, weights: Floats) -> Floats:
    """Return lists of neighbours as vectors to store, shape (n, 2 NEAREST), float32: the bits of the ids, the weights.

    Parameters
    ----------
    texts, weights : ndarray of shape (n, NEAREST)
    """
    return np.hstack([texts.astype("<i4").view("<f4"), weights.astype("<f4")])


def unpacked(vectors: Floats) -> tuple[Ints, Floats]:
    """Return the ids of texts, int64, and the weights of stored lists, both of shape (n, NEAREST)."""
    bits = np.ascontiguousarray(vectors[:, :NEAREST], dtype="<f4").view("<i4")
    return bits.astype(np.int64), np.asarray(vectors[:, NEAREST:], dtype=np.float32)


class _ExactSearch:
    """Compares a text with every text."""

    def __init__(self, everything: Floats, count: int) -> None:
        from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415  scikit-learn takes a second to import

        self._count, self._unit = count, unit_rows(everything)
        self._search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(self._unit)

    def nearest(self, unit: Floats) -> tuple[Floats, Ints]:
        """Return Euclidean distances and rows of the nearest texts, nearest first, both of shape (n, count)."""
        if len(unit) > FEW:
            distance, near = self._search.kneighbors(unit)
            return np.asarray(distance), np.asarray(near)
        similarity = unit @ self._unit.T
        near = np.argpartition(-similarity, self._count - 1, axis=1)[:, : self._count]
        distance = np.sqrt(np.maximum(2.0 - 2.0 * np.take_along_axis(similarity, near, axis=1), 0.0))
        order = np.argsort(distance, axis=1, kind="stable")
        return np.take_along_axis(distance, order, axis=1), np.take_along_axis(near, order, axis=1)


def _weights(distance: Floats, copy: float) -> Floats:
    """Return the weights of each row's neighbours, nearest first, from Euclidean distances of unit vectors."""
    weight = np.maximum(1.0 - distance**2 / 2.0, 0.0) ** SHARPNESS  # |a - b|^2 = 2 - 2 cos(a, b)
    weight[distance < copy] = 0.0
    weight[~(distance < copy).any(axis=1), NEAREST:] = 0.0
    return np.asarray(weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12))
