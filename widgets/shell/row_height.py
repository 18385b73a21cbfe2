"""The height of the rows of a table of texts, so that a long text is wrapped and not cut after one line."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

LINE, AROUND = 20, 15
"""Pixels of a line of text, and of the space above and below."""
LETTER = 7
"""Pixels of a letter, about."""
WRAPPED_FROM = 65
"""Streamlit wraps the text of a cell only in rows of more than 4 rem (64 pixels); in lower ones it cuts the text."""
MOST_LINES = 4
WHOLE = 0.9
"""Share of the texts that are whole, where MOST_LINES is enough for them."""


def row_height(texts: Sequence[str], letters: int) -> int:
    """Return the pixels of a row: 1 to MOST_LINES lines of about ``letters`` letters. All rows have the same height."""
    lengths = sorted(map(len, texts))
    longest = lengths[ceil(WHOLE * len(lengths)) - 1] if lengths else 0
    lines = min(MOST_LINES, max(1, ceil(longest / letters)))
    return max(AROUND + LINE * lines, WRAPPED_FROM if lines > 1 else 0)
