"""Approximate search of nearest texts: look only into the cells around a text, then compare the best exactly.

A rotation keeps the main directions (PCA), k-means forms cells of about a hundred texts (an inverted file), and the
candidates from the nearest cells are compared again in all dimensions. benchmarks/README.md has recall and cost.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from red_core.records import Floats, Ints

DIRECTIONS = 192
"""Main directions kept for the search."""
CELLS_PER_ROOT = 4
"""Cells beside the square root of the number of texts."""
CELLS_SEARCHED = 12
CANDIDATES = 64
"""Texts of these cells that are compared in all dimensions."""
ROWS_PER_CELL = 40
"""Texts from which k-means learns a cell."""
ROUNDS = 6
"""Iterations of k-means."""
BLOCK_ROWS = 16_384


class CellSearch:
    """An index of many texts. The same texts give the same index, to the bit, on the same machine.

    Parameters
    ----------
    everything : ndarray of shape (m, d), float32, in C order
        It is not copied, so it may be mapped from a file.
    count : int
        Neighbours that a search returns, at most CANDIDATES.
    """

    def __init__(self, everything: Floats, count: int) -> None:
        import faiss  # noqa: PLC0415  an extra; a model that was taken away searches few texts, and exactly

        self._faiss: Any = faiss
        self._everything, self._count = everything, count
        self._length = np.empty(len(everything), dtype=np.float32)
        for part in _blocks(len(everything)):
            self._length[part] = np.maximum(np.linalg.norm(everything[part], axis=1), 1e-12)
        with threadpool_limits(1):  # the number of threads must not change a bit
            self._directions = self._main_directions()
            self._index = self._filled()

    def nearest(self, unit: Floats) -> tuple[Floats, Ints]:
        """Return Euclidean distances and rows of the nearest texts, nearest first, both of shape (n, count).

        Parameters
        ----------
        unit : ndarray of shape (n, d), float32
            Unit vectors.
        """
        unit = np.ascontiguousarray(unit, dtype=np.float32)
        _, rows = self._index.search(unit @ self._directions, CANDIDATES)
        known = np.maximum(rows, 0)  # -1 where the cells hold too few
        similarity = np.empty(rows.shape, dtype=np.float32)
        pointer = self._faiss.swig_ptr
        self._faiss.fvec_inner_products_by_idx(
            pointer(similarity), pointer(unit), pointer(self._everything), pointer(known),
            unit.shape[1], *rows.shape,
        )  # fmt: skip
        similarity = np.where(rows < 0, -1.0, similarity / self._length[known])
        order = np.argsort(-similarity, axis=1, kind="stable")[:, : self._count]
        best = np.take_along_axis(similarity, order, axis=1)
        return np.sqrt(np.maximum(2.0 - 2.0 * best, 0.0)), np.take_along_axis(known, order, axis=1)

    def _unit(self, rows: slice) -> Floats:
        return np.asarray(self._everything[rows] / self._length[rows, None], dtype=np.float32)

    def _main_directions(self) -> Floats:
        """Return the directions of most variance around zero, shape (d, at most DIRECTIONS)."""
        sample = self._unit(_every(len(self._everything), BLOCK_ROWS))
        _, directions = np.linalg.eigh(sample.T @ sample)
        return np.ascontiguousarray(directions[:, ::-1][:, :DIRECTIONS], dtype=np.float32)

    def _filled(self) -> Any:  # noqa: ANN401  faiss ships no types
        """Return the cells with all texts in them."""
        faiss, width, count = self._faiss, self._directions.shape[1], len(self._everything)
        cells = min(count, round(CELLS_PER_ROOT * math.sqrt(count)))
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, cells, faiss.METRIC_INNER_PRODUCT)
        index.nprobe, index.cp.niter, index.cp.min_points_per_centroid = CELLS_SEARCHED, ROUNDS, 1
        index.train(self._unit(_every(count, ROWS_PER_CELL * cells)) @ self._directions)
        for part in _blocks(count):
            index.add(self._unit(part) @ self._directions)
        return index


def _every(count: int, wanted: int) -> slice:
    """Return a slice of about ``wanted`` of so many rows, evenly spread."""
    return slice(None, None, max(1, count // wanted))


def _blocks(count: int) -> list[slice]:
    return [slice(start, start + BLOCK_ROWS) for start in range(0, count, BLOCK_ROWS)]
