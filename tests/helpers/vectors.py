"""Vectors that resemble those of an encoder: around centres, with less variance in every further direction."""

from __future__ import annotations

import numpy as np

from red_core.records import Floats


def around_centres(count: int, dimensions: int = 48, centres: int = 60) -> Floats:
    """Return vectors of shape (count, dimensions), float32; the same at every call."""
    rng = np.random.default_rng(0)
    spectrum = 1.0 / np.sqrt(1.0 + np.arange(dimensions))
    middle = rng.standard_normal((centres, dimensions)) * spectrum
    noise = 0.5 * rng.standard_normal((count, dimensions)) * spectrum
    return np.asarray(middle[rng.integers(centres, size=count)] + noise, dtype=np.float32)
