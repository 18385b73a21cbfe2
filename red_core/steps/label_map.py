"""Article step 1, first half: the vectors of labels, their UMAP reduction, and their similarities."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

import numpy as np

from red_core.records import Booleans, Floats, Ints
from red_core.steps.unit_rows import unit_rows

FEWEST_FOR_UMAP = 5
"""With fewer labels UMAP has no neighbourhoods to preserve, so principal components are used."""


def label_vectors(vectors: Floats, labels: Ints, label_count: int) -> Floats:
    """Return each label's vector: the mean of its seed vectors, of length 1.

    Parameters
    ----------
    vectors : ndarray of shape (n_seeds, d), float32
        Unit vectors of the seeds.
    labels : ndarray of shape (n_seeds,), int64, in [0, label_count)
    label_count : int
        Every label must have at least one seed.

    Returns
    -------
    ndarray of shape (label_count, d), float32

    Raises
    ------
    ValueError
        If a label has no seed.
    """
    seeds_of = np.bincount(labels, minlength=label_count)
    if (seeds_of == 0).any():
        raise ValueError(f"every label needs a seed; label {int(np.argmin(seeds_of))} has none")
    sums = np.zeros((label_count, vectors.shape[1]), dtype=np.float64)
    np.add.at(sums, labels, vectors)
    return np.asarray(unit_rows(sums), dtype=np.float32)


def reduce_labels(vectors: Floats, dimensions: int, *, random_state: int) -> Floats:
    """Return label vectors reduced with UMAP and centred, because the origin of UMAP is arbitrary.

    Parameters
    ----------
    vectors : ndarray of shape (L, d), float32
        Label vectors.
    dimensions : int
        Number of dimensions; at most L - 2 are used.
    random_state : int
        The same state gives the same result.

    Returns
    -------
    ndarray of shape (L, min(dimensions, L - 2)), float32, column means 0
        With fewer than 5 labels: ``dimensions`` principal components, missing ones 0.
    """
    count = len(vectors)
    if count < FEWEST_FOR_UMAP:
        return _principal_components(vectors, dimensions)
    from umap import UMAP  # noqa: PLC0415  takes seconds to import, and only this step needs it

    _keep_what_is_compiled()
    reducer = UMAP(
        n_components=min(dimensions, count - 2),
        n_neighbors=min(15, count - 1),
        metric="cosine",
        random_state=random_state,
        n_jobs=1,  # UMAP with a fixed random_state uses one thread
        # The spectral start needs clearly more labels than dimensions.
        init="spectral" if count > 2 * dimensions + 2 else "random",
    )
    reduced = np.asarray(reducer.fit_transform(vectors), dtype=np.float32)
    return np.asarray(reduced - reduced.mean(axis=0))


@cache
def _keep_what_is_compiled() -> None:
    """Let numba keep UMAP's compiled functions on disk, which saves every later process ten seconds."""
    from numba.core.dispatcher import Dispatcher  # noqa: PLC0415  as above
    from umap import distances, layouts, umap_, utils  # noqa: PLC0415

    for module in (distances, layouts, umap_, utils):
        for function in vars(module).values():
            if isinstance(function, Dispatcher):
                with suppress(RuntimeError):  # no folder can be written: each process compiles it
                    function.enable_caching()


def _principal_components(vectors: Floats, dimensions: int) -> Floats:
    """Return the principal components, padded with zeros to ``dimensions`` columns."""
    centred = vectors - vectors.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    reduced = (left * singular)[:, :dimensions]
    padded = np.zeros((len(vectors), dimensions), dtype=np.float32)
    padded[:, : reduced.shape[1]] = reduced
    return padded


def cosine_similarities(vectors: Floats) -> Floats:
    """Return the cosine similarity of every pair of rows, shape (L, L), in [-1, 1]."""
    from sklearn.metrics.pairwise import cosine_similarity  # noqa: PLC0415  scikit-learn takes a second to import

    return np.asarray(np.clip(cosine_similarity(vectors), -1.0, 1.0))


def inside_polygon(coordinates: Floats, corners: Floats) -> Booleans:
    """Return which points lie inside a polygon, by the even-odd rule.

    Parameters
    ----------
    coordinates : ndarray of shape (n, 2)
    corners : ndarray of shape (m, 2)
        In order; the last is joined to the first. A polygon with fewer than three corners is empty.

    Returns
    -------
    ndarray of shape (n,), bool
        A point on an edge may count as inside or outside.
    """
    inside = np.zeros(len(coordinates), dtype=np.bool_)
    x, y = coordinates[:, 0], coordinates[:, 1]
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        crossed = (y0 > y) != (y1 > y)
        if crossed.any():  # then the edge is not horizontal, so y1 - y0 is not 0
            inside ^= crossed & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside
