"""A text as it came, where the import took out markup, quoted replies or a signature."""

from __future__ import annotations

from typing import Any

import streamlit as st

from red_core.records import Project
from red_core.store.texts import original_texts
from widgets.shell.untrusted import plain


def show_original(project: Project, rows: list[dict[str, Any]]) -> None:
    """Offer the texts of a page as they came, one at a time; nothing is shown if none of them was cleaned."""
    came = original_texts(project, [(str(row["file"]), int(row["row"])) for row in rows])
    if not came:
        return
    with st.expander("Original texts, with HTML, replies and signatures", key="originals_fold"):
        places = list(came)
        chosen = st.selectbox("Row", places, format_func=lambda place: f"{place[0]}, row {place[1]}", key="original_of")
        st.code(came[chosen], language=None, wrap_lines=True)
        st.caption(plain("Downloads have it in the column original text."))
