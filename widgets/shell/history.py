"""What happened to a text or a label, as a table that is read when somebody opens it."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from red_core.records import Project
from red_core.store.history import Event, label_history, text_history
from widgets.shell.untrusted import visible

COLUMNS = {  # when and what are seen in a narrow panel as well
    "When": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", width=75),
    "What": st.column_config.TextColumn(width=300),
    "Who": st.column_config.TextColumn(width=90),
}


def show_text_history(project: Project, text: int) -> None:
    """Show, folded, what happened to a text."""
    _show(f"text_history_{text}", lambda: text_history(project, text))


def show_label_history(project: Project, label: int) -> None:
    """Show, folded, what happened to a label."""
    _show(f"label_history_{label}", lambda: label_history(project, label))


def _show(key: str, read: Callable[[], list[Event]]) -> None:
    with st.expander("History", key=key, on_change="rerun", icon=":material/history:", type="compact") as folded:
        if folded.open:  # nothing is read before
            rows = [(pd.Timestamp(event.at), visible(event.what), visible(event.who)) for event in read()]
            st.dataframe(pd.DataFrame(rows, columns=list(COLUMNS)), hide_index=True, column_config=COLUMNS)
