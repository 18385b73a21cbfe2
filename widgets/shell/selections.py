"""What a browser says is selected in a table or a chart: only what can be there counts, whatever was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from red_core.records import Floats

LONGEST_OUTLINE = 10_000
"""Most corners of a lasso."""
FARTHEST = 1e12
"""A corner of a lasso is nearer than this; NaN is not."""


def chosen_rows(state: Any, count: int, name: str = "rows") -> list[int]:  # noqa: ANN401  as a browser sent it
    """Return the selected positions below ``count``, in the order sent; anything else is left out.

    Parameters
    ----------
    state
        The state of a table or a chart, with ``selection``.
    name : str
        The list inside the selection.
    """
    sent = _inside(_inside(state, "selection"), name)
    if not isinstance(sent, Sequence) or isinstance(sent, str):
        return []
    return [row for row in sent if isinstance(row, int) and not isinstance(row, bool) and 0 <= row < count]


def outlines(state: Any) -> list[Floats]:  # noqa: ANN401  as a browser sent it
    """Return the outlines of a lasso, each of shape (m, 2); one that is no list of finite corners is left out."""
    sent = _inside(_inside(state, "selection"), "lasso")
    if not isinstance(sent, Sequence) or isinstance(sent, str):
        return []
    sides = [(_inside(outline, "x"), _inside(outline, "y")) for outline in sent]
    return [np.column_stack([x, y]) for x, y in sides if _are_numbers(x) and _are_numbers(y) and len(x) == len(y)]


def _inside(value: Any, name: str) -> Any:  # noqa: ANN401  as a browser sent it
    return value.get(name) if isinstance(value, Mapping) else None


def _are_numbers(side: Any) -> bool:  # noqa: ANN401  as a browser sent it
    if not isinstance(side, list) or not 0 < len(side) <= LONGEST_OUTLINE:
        return False
    return all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < FARTHEST for n in side)
