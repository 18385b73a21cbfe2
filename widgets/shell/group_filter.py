"""The filter by a group of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st


def choose_group(groups: Sequence[str], key: str, **more: Any) -> str | None:  # noqa: ANN401  options of the widget
    """Show the choice of a group; a group that is gone is not chosen any more."""
    if st.session_state.get(key) not in {None, *groups}:
        st.session_state[key] = None
    return st.selectbox("Group", groups, index=None, key=key, placeholder="All groups", **more)
