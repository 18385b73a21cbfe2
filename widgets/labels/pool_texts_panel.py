"""The unlabelled texts in the lasso, shown on demand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from red_core.labels.pool_map import texts_inside
from red_core.records import Floats, Project
from red_core.store import views
from widgets.shell.reads import pool_drawn, round_number
from widgets.shell.untrusted import visible
from widgets.shell.words import counted

SHOWN = 100


def show_pool_texts(project: Project, area: Sequence[Floats]) -> None:
    """Show, when switched on, the texts inside these outlines on the map, each of shape (m, 2)."""
    if not area or not st.toggle("Show the unlabelled texts in the lasso", key="pool_texts"):
        return
    drawn = pool_drawn(project)
    if drawn is None:
        st.caption("They appear when all texts are prepared.")
        return
    texts = np.unique(np.concatenate([texts_inside(drawn, corners) for corners in area]))
    rows = views.machine_labels(project, texts.tolist(), round_number(project), SHOWN)
    st.caption(
        f"{counted(len(texts), 'text')}"
        + (f"; the {SHOWN} with the lowest confidence are shown" if len(texts) > SHOWN else "")
        + ". Each text is placed between the three labels that are most similar to it."
    )
    if not rows:
        return
    frame = pd.DataFrame(
        {
            "label": [visible(row["label"] or "none of these") for row in rows],
            "confidence": [row["belief"] for row in rows],
            "text": [visible(row["text"]) for row in rows],
        }
    ).round(3)
    st.dataframe(
        frame if round_number(project) else frame[["text"]],
        hide_index=True,
        key="pool_texts_table",
        column_config={"label": st.column_config.TextColumn(width=110)}
        | {"confidence": st.column_config.NumberColumn(format="percent", width=75)},
    )
