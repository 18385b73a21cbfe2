"""Measure seconds and processor seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

Figures = dict[str, float]


@contextmanager
def timed(figures: Figures, name: str) -> Iterator[None]:
    """Add the seconds and the processor seconds of the block to ``figures``."""
    begun, busy = time.perf_counter(), time.process_time()
    yield
    figures[name] = time.perf_counter() - begun
    figures[f"{name}, processor"] = time.process_time() - busy
