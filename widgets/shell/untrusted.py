"""Show texts, labels and replies from outside as plain characters, never as markup."""

from __future__ import annotations

import html
import re

import streamlit as st

from red_core.text import UNSEEN

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
FOLDED_AT = 1_200
"""Number of characters of a text that are shown at first; the whole text is in an expander."""


JOINER = "\u2060"
"""The invisible word joiner. Between two signs, it keeps Streamlit from making a link, an arrow or an emoji of them."""


def plain(text: str) -> str:
    """Return ``text`` so that Streamlit's Markdown shows every character as itself, on one line.

    Every punctuation sign is escaped for Markdown, with a joiner on both sides. Without the joiners, Streamlit would
    make links of addresses, an arrow of ``->`` and an emoji of ``:smile:``.
    """
    return _PUNCTUATION.sub(rf"{JOINER}\\\1{JOINER}", " ".join(visible(text).split()))


def visible(text: str) -> str:
    """Return ``text`` with control, zero-width and direction-changing characters shown as a box."""
    return UNSEEN.sub("\u25a1", text)


def for_hover(text: str, longest: int = 90) -> str:
    """Return ``text`` escaped for a Plotly hover, which reads some HTML; cut to ``longest`` characters."""
    line = visible(" ".join(text.split()))
    return html.escape(line if len(line) <= longest else line[: longest - 1] + "…")


def show_text(text: str) -> None:
    """Show a text in full and wrapped; a long text goes into an expander."""
    content = visible(text)
    st.text(content[:FOLDED_AT] + ("…" if len(content) > FOLDED_AT else ""))
    if len(content) > FOLDED_AT:
        with st.expander(f"The whole text, {len(content):,} characters"):
            st.text(content)
