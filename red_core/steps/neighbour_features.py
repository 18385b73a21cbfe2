"""What stands near a text: the mean of its nearest texts' features beside its own. No label is read.

A handful of seeds says little about the words of a label; the pool around a text says more. Which share of it helps
is chosen on held-out seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from red_core.records import Floats, Ints

NEAREST = 10
SHARPNESS = 4
"""A neighbour counts with this power of its cosine similarity: near ones far more than distant ones."""
COPY = 3e-3
"""Unit vectors closer than this are the same text but for rounding."""
BLOCK_ROWS = 4_096
EXACT_UP_TO = 20_000 * 20_000
"""Pairs that are all compared, wherever they come from."""
CELL_ROWS, CELLS_SEARCHED, SAMPLED_ROWS = 250, 16, 40
"""Of more: texts per cell, cells around each that are searched, and texts per cell from which cells are formed."""


def neighbour_means(
    features: Floats, everything: Floats, *, in_cells: bool = False, done: Callable[[int], None] | None = None
) -> Floats:
    """Return the weighted mean of the features of each row's NEAREST rows of ``everything``, by cosine.

    A row's copies count for nothing, itself among them: so a text has the same neighbours whether it is in
    ``everything`` or not.

    Parameters
    ----------
    features : ndarray of shape (n, d), float32
    everything : ndarray of shape (m, d), float32
        The texts to look among.
    in_cells : bool
        Look only in the cells around each row where the pairs are more than EXACT_UP_TO: the work then grows with the
        texts and not with their square, and about one neighbour in thirty is another one. What is found then depends
        on all rows together, so it is not for rows that come in any cut.
    done : callable, optional
        Called with the number of rows done so far.

    Returns
    -------
    ndarray of shape (n, d), float32
    """
    means = np.empty_like(features, dtype=np.float32)
    finished = 0
    few = not in_cells or len(features) * len(everything) <= EXACT_UP_TO
    nearest = _nearest_of_all if few else _nearest_in_cells
    for rows, near, distance in nearest(normalize(features), normalize(everything)):
        weight = _weights(distance)
        means[rows] = np.einsum("nk,nkd->nd", weight.astype(np.float32), everything[near])
        finished += len(rows)
        if done is not None:
            done(finished)
    return means


def _nearest_of_all(units: Floats, everything: Floats) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Yield rows, their nearest rows of ``everything``, nearest first, and the Euclidean distances; in blocks."""
    search = _search(everything)
    for start in range(0, len(units), BLOCK_ROWS):
        rows = np.arange(start, min(start + BLOCK_ROWS, len(units)))
        distance, near = search.kneighbors(units[rows])
        yield rows, near, distance


def _nearest_in_cells(units: Floats, everything: Floats) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Yield the same, looked for only in the cells of k-means around a row's own; cell by cell."""
    cells = MiniBatchKMeans(len(everything) // CELL_ROWS, n_init=1, max_iter=10, batch_size=BLOCK_ROWS, random_state=0)
    cells.fit(everything[:: max(1, len(everything) // (SAMPLED_ROWS * cells.n_clusters))])
    around = _search(cells.cluster_centers_, CELLS_SEARCHED).kneighbors(cells.cluster_centers_, return_distance=False)
    own, members = _by_cell(cells.predict(units)), _by_cell(cells.predict(everything))
    for cell, rows in own.items():
        among = np.concatenate([members[other] for other in around[cell].tolist() if other in members])
        distance, near = _search(everything[among]).kneighbors(units[rows])
        yield rows, among[near], distance


def _search(everything: Floats, kept: int = NEAREST + 1) -> NearestNeighbors:
    return NearestNeighbors(n_neighbors=min(kept, len(everything)), algorithm="brute").fit(everything)


def _by_cell(cells: Ints) -> dict[int, Ints]:
    """Return the rows of each cell that has any."""
    order = np.argsort(cells, kind="stable")
    found, starts = np.unique(cells[order], return_index=True)
    return dict(zip(found.tolist(), np.split(order, starts[1:]), strict=True))


def _weights(distance: Floats) -> Floats:
    """Return the weights of each row's neighbours, nearest first, from Euclidean distances of unit vectors."""
    weight = np.maximum(1.0 - distance**2 / 2.0, 0.0) ** SHARPNESS  # |a - b|^2 = 2 - 2 cos(a, b)
    weight[distance < COPY] = 0.0
    weight[~(distance < COPY).any(axis=1), NEAREST:] = 0.0
    return np.asarray(weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12))
