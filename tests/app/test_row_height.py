"""Tables of texts: long texts are wrapped, and one long text does not stretch the rows of short ones."""

from __future__ import annotations

from widgets.shell.row_height import AROUND, LINE, MOST_LINES, row_height


def test_a_row_holds_most_texts_whole():
    lines = {length: (row_height(["x" * length] * 20, 80) - AROUND) / LINE for length in (0, 80, 240, 5_000)}
    assert lines == {0: 1, 80: 1, 240: 3, 5_000: MOST_LINES}
    assert row_height(["short"] * 99 + ["x" * 500], 80) == row_height([], 80) == AROUND + LINE


def test_a_row_of_two_lines_is_high_enough_to_be_wrapped():
    assert row_height(["x" * 81] * 20, 80) > 64  # Streamlit wraps above 4 rem
