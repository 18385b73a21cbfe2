"""The history of a text or a label, as a folded table that is read when it is opened."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from red_core.records import Project
from red_core.store.history import Event, label_history, text_history
from widgets.shell.untrusted import visible

COLUMNS = {  # the widths keep When and What visible in a narrow panel
    "When": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", width=75),
    "What": st.column_config.TextColumn(width=300),
    "Who": st.column_config.TextColumn(width=90),
}


def show_text_history(project: Project, text: int) -> None:
    """Show the folded history of a text."""
    _show(f"text_history_{text}", lambda: text_history(project, text))


def show_label_history(project: Project, label: int) -> None:
    """Show the folded history of a label."""
    _show(f"label_history_{label}", lambda: label_history(project, label))


def _show(key: str, read: Callable[[], list[Event]]) -> None:
    with st.expander("History", key=key, on_change="rerun", icon=":material/history:", type="compact") as folded:
        if folded.open:  # a folded table costs no read
            rows = [(pd.Timestamp(event.at), visible(event.what), visible(event.who)) for event in read()]
            st.dataframe(pd.DataFrame(rows, columns=list(COLUMNS)), hide_index=True, column_config=COLUMNS)
