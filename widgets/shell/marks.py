"""The colour and the sign of a subset, the same on the map, in tables and in forms."""

from __future__ import annotations

import streamlit as st

SIGNS = {0: "●", 1: "■", 2: "◆", 5: "▲", 17: "★", 6: "▼", 3: "✚", 4: "✖", 13: "⬟", 7: "◀", 8: "▶"}
"""Plotly's number of a symbol, and a character that looks like it. With 10 colours, 110 subsets look different."""
SPARE_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7")


def mark(subset: int) -> tuple[str, int, str]:
    """Return the colour of a subset, the number of its Plotly symbol, and its sign."""
    colours = st.get_option("theme.chartCategoricalColors") or SPARE_COLOURS
    symbol = list(SIGNS)[subset % len(SIGNS)]
    return str(colours[subset % len(colours)]), symbol, SIGNS[symbol]


def ink() -> str:
    """Return the colour of texts in the current theme, for lines of a figure: Plotly's own are dark in both themes."""
    return str(st.get_option(f"theme.{st.context.theme.type or 'light'}.textColor") or "#808080")
