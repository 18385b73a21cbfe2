"""The colour and the sign of a subset, the same on the map, in tables and in forms, and the ink of the theme."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_THEME = st.components.v2.component("red_theme", js=Path(__file__).with_name("theme.js").read_text("utf-8"))
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


def follow_theme() -> None:
    """Run the page again when a person changes the theme, so that its figures get the new ink."""
    with st.sidebar:
        _THEME(key="theme", height=0, on_changed_change=lambda: None)
