"""The pool on the label map: coordinates of its texts, counts per cell, and the texts inside a polygon."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from red_core.access import current_user
from red_core.labels.placement import drawn_between
from red_core.records import Floats, Ints, Project
from red_core.steps.label_map import inside_polygon
from red_core.steps.pool_scoring import blocks
from red_core.store.arrays import load_arrays, save_arrays
from red_core.store.labels import current_layout
from red_core.store.texts import pool
from red_core.store.vectors import load_vectors
from red_core.training.samples import seed_label_vectors

CELLS = 160
"""The density picture of the pool has this many cells in each direction."""


def draw_pool_map(project: Project, embedding: str) -> Mapping[str, Any]:
    """Return the pool on the map: computed once for these label coordinates and this pool, then read from a file.

    UMAP places labels only, so each text is drawn between its three most similar labels. For a viewer the result is
    computed, but not stored.

    Returns
    -------
    texts : ndarray of shape (n,), int64
        Row ids, ascending.
    spots : ndarray of shape (n, 2), float32
        Coordinates on the map.
    counts : ndarray of shape (CELLS, CELLS), int32
        Texts per cell, x first, between ``low`` and ``high``, both of shape (2,).

    Raises
    ------
    StateError
        If a label has no seed left.
    KeyError
        If a text has no vector yet.
    """
    labels, _, label_points = current_layout(project)
    texts = pool(project)
    identity = embedding.encode() + labels.tobytes() + label_points.tobytes() + texts.tobytes()
    key = hashlib.sha256(identity).hexdigest()[:16]
    path = project.folder / "map" / f"pool-{key}.npz"
    if path.is_file():
        return load_arrays(path)
    drawn = {"texts": texts, **_drawn(project, embedding, texts, label_points)}
    if current_user().may_write:
        save_arrays(path, **drawn)
    return drawn


def _drawn(project: Project, embedding: str, texts: Ints, label_points: Floats) -> dict[str, Any]:
    vectors = seed_label_vectors(project, embedding)
    coordinates = np.empty((len(texts), 2), dtype=np.float32)
    for block in blocks(len(texts)):
        coordinates[block] = drawn_between(load_vectors(project, embedding, texts[block]) @ vectors.T, label_points)
    margin = 0.06 * np.maximum(np.ptp(label_points, axis=0), 1e-6)
    low, high = label_points.min(axis=0) - margin, label_points.max(axis=0) + margin
    counts, _, _ = np.histogram2d(
        coordinates[:, 0], coordinates[:, 1], bins=CELLS, range=np.stack([low, high], axis=1).tolist()
    )
    return {"spots": coordinates, "counts": counts.astype(np.int32), "low": low, "high": high}


def texts_inside(drawn: Mapping[str, Any], corners: Floats) -> Ints:
    """Return the row ids of the pool texts inside a polygon on the map, ascending.

    Parameters
    ----------
    drawn : mapping
        From :func:`draw_pool_map`.
    corners : ndarray of shape (m, 2)
        Map coordinates of the polygon's corners, in order.
    """
    return np.asarray(drawn["texts"][inside_polygon(drawn["spots"], corners)], dtype=np.int64)
