"""The pool's texts in the lasso, on demand."""

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
    """Show the texts that lie inside these outlines on the map, each of shape (m, 2), once it is asked for them."""
    if not area or not st.toggle("The pool's texts in here", key="pool_texts"):
        return
    drawn = pool_drawn(project)
    if drawn is None:
        st.caption("They come when all texts are prepared.")
        return
    texts = np.unique(np.concatenate([texts_inside(drawn, corners) for corners in area]))
    found = views.machine_labels(project, texts.tolist(), round_number(project), SHOWN)
    st.caption(
        f"{counted(len(texts), 'text')}"
        + (f", the {SHOWN} least sure of them first" if len(texts) > SHOWN else "")
        + ". A text lies between the three labels it is most like."
    )
    if not found:
        return
    frame = pd.DataFrame(
        {
            "label": [visible(row["label"] or "none of these") for row in found],
            "belief": [row["belief"] for row in found],
            "text": [visible(row["text"]) for row in found],
        }
    )
    st.dataframe(
        frame if round_number(project) else frame[["text"]],
        hide_index=True,
        key="pool_texts_table",
        column_config={"label": st.column_config.TextColumn(width=110)}
        | {"belief": st.column_config.NumberColumn(format="%.2f", width=60)},
    )
