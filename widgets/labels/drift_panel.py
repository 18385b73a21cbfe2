"""Whether newly imported texts look as the earlier ones did, label by label, and what to do first."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from red_core.labels import measure_drift
from red_core.labels.drift import LabelDrift
from red_core.records import Project
from red_core.store.rounds import last_finished_round
from red_core.store.views import sources, version
from widgets.labels.map_choice import choose
from widgets.shell.shell import PAGES, errors_in_one_line
from widgets.shell.words import counted


def show_drift(project: Project) -> None:
    """Show the comparison on demand; it takes seconds."""
    with st.expander("Drift: do new texts look as the earlier ones did?", icon=":material/trending_up:"):
        imports = sum(row["role"] == "pool" for row in sources(project))
        if imports < 2 or last_finished_round(project) is None:
            st.caption(
                "Import more pool texts later and run a round: here every label's new texts are compared with its "
                "earlier ones, as the same classifiers see them, and what to retrain or audit first is said."
            )
            return
        key = (project.folder.as_posix(), version(project))
        found: list[LabelDrift] | None = None
        if st.session_state.get("drift", (None,))[0] == key:
            found = st.session_state["drift"][1]
        if st.button("Compare the newest import with the earlier ones", key="drift_compare"):
            with errors_in_one_line(), st.spinner("Comparing label by label"):
                found = measure_drift(project)
                st.session_state["drift"] = (key, found)
        if found is not None:
            _show_found(found)


def _show_found(found: list[LabelDrift]) -> None:
    moved, few = [one for one in found if one.drifted], [one for one in found if one.q is None]
    st.text(
        f"{counted(len(moved), 'label')} of {len(found):,} changed more than chance explains; "
        f"{len(few):,} have too few texts to tell."
    )
    st.caption(
        "Permutation tests; of the labels named, at most 5% are expected to be so by chance (Benjamini-Hochberg)."
    )
    frame = pd.DataFrame(
        {
            "label": [one.label.name for one in moved],
            "do first": [one.advice for one in moved],
            "why": ["; ".join(one.reasons) for one in moved],
            "texts before": [one.texts[0] for one in moved],
            "texts now": [one.texts[1] for one in moved],
            "q": [one.q for one in moved],
        }
    )
    if not moved:
        return
    st.dataframe(
        frame,
        hide_index=True,
        key="drift_table",
        on_select="rerun",
        selection_mode="single-row",
        column_config={"q": st.column_config.NumberColumn(format="%.4f")},
    )
    chosen = st.session_state["drift_table"]["selection"]["rows"]
    if not chosen or chosen[0] >= len(moved):
        st.caption("Choose a label to look at its new texts. The map marks these labels with a dot.")
        return
    _show_what_to_do(moved[chosen[0]])


def _show_what_to_do(one: LabelDrift) -> None:
    """Lead to what mends a label: decisions on its texts, which retrain its classifiers alone, or an audit of it."""
    st.caption(
        "What you decide and feed back retrains only the classifiers that hold this label; an audit tells whether it "
        "is needed."
    )
    queue = "low belief" if one.advice == "retrain" else "random"
    with st.container(horizontal=True):
        if st.button(f"Decide its texts in {queue}", key="drift_decide", icon=":material/rule:"):
            _go("review", review_mode="Review", review_label=one.label.id, review_queue=queue)
        if st.button("Audit it", key="drift_audit", icon=":material/verified:"):
            _go("review", review_mode="Blind audit", audit_label=one.label.id)
        if st.button("Show it on the map", key="drift_map", icon=":material/bubble_chart:"):
            choose(one.label.name)
            st.switch_page(PAGES["label_map"])


def _go(page: str, **state: object) -> None:
    st.session_state.update(state)
    st.switch_page(PAGES[page])
