"""Texts, labels and replies from outside: shown, never rendered."""

from __future__ import annotations

import html
import re

import streamlit as st

from red_core.text import UNSEEN

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
FOLDED_AT = 1_200
"""Characters of a text shown at once; the rest folds."""


JOINER = "\u2060"
"""Shows nothing and joins: it keeps Streamlit from making links, arrows and emoji of signs that stand together."""


def plain(text: str) -> str:
    """Return ``text`` so that Streamlit's Markdown shows every character as itself, on one line.

    Every sign is escaped for Markdown; a joiner on both sides hides it from what Streamlit makes of plain words
    after that: addresses become links, ``->`` an arrow, ``:smile:`` a face.
    """
    return _PUNCTUATION.sub(rf"{JOINER}\\\1{JOINER}", " ".join(visible(text).split()))


def visible(text: str) -> str:
    """Return ``text`` with control, zero-width and direction-changing characters shown as a box."""
    return UNSEEN.sub("\u25a1", text)


def for_hover(text: str, longest: int = 90) -> str:
    """Return ``text`` for a Plotly hover, which reads pseudo-HTML."""
    shown = visible(" ".join(text.split()))
    return html.escape(shown if len(shown) <= longest else shown[: longest - 1] + "…")


def show_text(text: str) -> None:
    """Show a text in full, wrapped, in the words' own script; a long one folds."""
    shown = visible(text)
    st.text(shown[:FOLDED_AT] + ("…" if len(shown) > FOLDED_AT else ""))
    if len(shown) > FOLDED_AT:
        with st.expander(f"The whole text, {len(shown):,} characters"):
            st.text(shown)
