"""Drift: compare the newest import with the earlier texts, label by label, and say what to do first."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from red_core.labels.drift import LabelDrift
from red_core.labels.kept_drift import keep_drift
from red_core.records import Project
from red_core.store.rounds import last_finished_round
from red_core.store.texts import shown_file
from red_core.store.views import sources
from widgets.labels.map_choice import choose
from widgets.shell.reads import drift
from widgets.shell.selections import chosen_rows
from widgets.shell.shell import errors_in_one_line, go
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain
from widgets.shell.words import counted

COMPARE = "Compare the newest import with the earlier ones"
Q_VALUE = (
    "A small value means that chance hardly explains the difference. Below .05, the label drifted. (Adjusted p-value, "
    "permutation test, Benjamini-Hochberg.)"
)


def show_drift(project: Project) -> None:
    """Show the comparison that the last round kept; without it, the button that makes it."""
    with st.expander(
        "Drift: do new texts differ from the earlier ones?", icon=":material/trending_up:", key="drift_fold"
    ):
        imports = sum(row["role"] == "pool" for row in sources(project))
        if imports < 2 or last_finished_round(project) is None:
            st.caption(
                "Import more unlabelled texts later and run a round. Then you can compare new and earlier texts of "
                "each label here."
            )
            return
        kept = drift(project)
        if kept is None and may_write() and st.button(COMPARE, key="drift_compare"):
            with errors_in_one_line(), st.spinner("Comparing label by label"):
                keep_drift(project)
                kept = drift(project)
        if kept is not None:
            st.caption(plain(f"The texts of {shown_file(kept.file)}, compared with those that came before them."))
            _show_comparison(kept.labels)


def _show_comparison(comparison: list[LabelDrift]) -> None:
    drifted, few = [each for each in comparison if each.drifted], [each for each in comparison if each.q is None]
    st.text(
        f"In {len(drifted):,} of {counted(len(comparison), 'label')}, the new texts clearly differ from the earlier "
        f"ones. {counted(len(few), 'label has', 'labels have')} too few texts to compare."
    )
    if not drifted:
        return
    st.caption("At most about 5% of the labels in this list are here by chance.")
    frame = pd.DataFrame(
        {
            "label": [each.label.name for each in drifted],
            "do first": [each.advice for each in drifted],
            "why": ["; ".join(each.reasons) for each in drifted],
            "texts before": [each.texts[0] for each in drifted],
            "texts now": [each.texts[1] for each in drifted],
            "q": [each.q for each in drifted],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        key="drift_table",
        on_select="rerun",
        selection_mode="single-row",
        column_config={"q": st.column_config.NumberColumn(format="%.4f", help=Q_VALUE)},
    )
    chosen = chosen_rows(st.session_state["drift_table"], len(drifted))
    if not chosen:
        st.caption("Choose a label to look at its new texts. The map marks these labels with a dot.")
        return
    _show_what_to_do(drifted[chosen[0]])


def _show_what_to_do(chosen: LabelDrift) -> None:
    """Link to what helps: decisions on the label's texts, which retrain its classifiers alone, or an audit of it."""
    st.caption(
        "An audit shows whether the accuracy of this label fell. If it fell, decide its texts and feed them back. The "
        "next round then trains only the classifiers of this label again."
    )
    queue, words = ("low belief", "of low confidence") if chosen.advice == "retrain" else ("random", "in random order")
    with st.container(horizontal=True):
        if st.button(f"Decide its texts {words}", key="drift_decide", icon=":material/rule:"):
            go("review", review_mode="Review", review_labels=[chosen.label.id], review_queue=queue)
        if st.button("Audit it", key="drift_audit", icon=":material/verified:"):
            go("review", review_mode="Blind audit", audit_label=chosen.label.id)
        if st.button("Show it on the map", key="drift_map", icon=":material/bubble_chart:"):
            choose(chosen.label.name)
            go("label_map")
