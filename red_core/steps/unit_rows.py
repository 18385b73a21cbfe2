"""Rows of length 1, without scikit-learn, which takes a second to import."""

from __future__ import annotations

import numpy as np

from red_core.records import Floats


def unit_rows(vectors: Floats) -> Floats:
    """Return the rows divided by their Euclidean length, shape and float type as given.

    A row that is zero but for rounding (shorter than ten times the type's precision) is returned as it is.
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    lengths[lengths < 10 * np.finfo(lengths.dtype).eps] = 1.0
    return np.asarray(vectors / lengths[:, None])
