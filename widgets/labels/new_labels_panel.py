"""Missing labels: groups of texts that fit no label, and a button that makes a label of a group."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from red_core.judges.names import named_by_judge
from red_core.labels.new_labels import propose_clusters
from red_core.records import Cluster, Project
from red_core.store.rounds import last_finished_round
from red_core.store.texts import contents
from red_core.store.views import version
from widgets.labels.label_edit_panel import NEW_LABEL
from widgets.shell.selections import chosen_rows
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain, show_text
from widgets.shell.words import counted

SHOWN = 12
"""Number of texts of a group that are shown, the most central first."""
EXAMPLES = 10
"""Number of those texts that the form for the new label has as examples."""

NONE_HELP = "Average confidence that the texts of the group belong to none of the labels"


def show_new_labels(project: Project, *, connected: bool) -> None:
    """Show the groups, which are computed on a press of the button because it takes seconds.

    Parameters
    ----------
    connected : bool
        Whether a judge can be asked for better names.
    """
    last = last_finished_round(project)
    with st.expander("Texts that fit no label", icon=":material/category_search:", key="new_labels_fold"):
        if last is None:
            st.caption("After the first round, you can find groups of texts here that seem to fit none of the labels.")
            return
        key, groups = _project_state(project), current_groups(project)
        if st.button("Find groups of texts", key="find_clusters", type="primary" if groups is None else "secondary"):
            with errors_in_one_line(), st.spinner("Grouping texts that fit no label"):
                st.session_state["clusters"] = (key, propose_clusters(project))
                st.rerun()  # the map above marks them
        if groups is None:
            st.caption("Press the button to group texts that seem to fit no label. Nothing is saved.")
        elif not groups:
            st.caption("No group of ten or more similar texts was found: no label seems to be missing.")
        else:
            _show_groups(project, groups, key, connected=connected)


def current_groups(project: Project) -> list[Cluster] | None:
    """Return the computed groups; None if there are none, or anything has changed since."""
    key, groups = st.session_state.get("clusters", (None, None))
    return groups if key == _project_state(project) else None


def _project_state(project: Project) -> tuple[object, ...]:
    """Return what the groups are valid for: this project, until something in it changes."""
    return project.folder.as_posix(), version(project)


def _show_groups(project: Project, groups: list[Cluster], key: object, *, connected: bool) -> None:
    frame = pd.DataFrame(
        {
            "suggested name": [group.name for group in groups],
            "texts": [group.size for group in groups],
            "none of these": [round(group.none_belief, 2) for group in groups],
            "typical words": [", ".join(group.words) for group in groups],
            "nearest label": [group.nearest.name for group in groups],
        }
    )
    st.caption(f"{counted(len(groups), 'group')} of texts, the best first. Choose a group to see its texts.")
    chosen = st.dataframe(
        frame, hide_index=True, key="clusters_table", on_select="rerun", selection_mode="single-row",
        column_config={"none of these": st.column_config.NumberColumn(format="percent", help=NONE_HELP)},
    )  # fmt: skip
    if (
        connected
        and may_write()
        and st.button("Let the judge suggest names", key="name_clusters", icon=":material/edit_note:")
    ):
        with errors_in_one_line(), st.spinner("Asking the judge"):
            st.session_state["clusters"] = (key, named_by_judge(project, groups))
            st.rerun()
    rows = chosen_rows(chosen, len(groups))
    if not rows:
        return
    group = groups[rows[0]]
    st.button(
        f"Make a label of this group: {plain(group.name)}",
        key="cluster_to_label",
        type="primary",
        disabled=not may_write(),
        on_click=_to_label,
        args=(group,),
        help="Opens the form for a new label, with these texts as examples. Nothing is saved yet.",
    )
    with st.container(height=320, border=False):
        for content in contents(project, np.array(group.texts[:SHOWN], dtype=np.int64)):
            with st.container(border=True):
                show_text(content)


def _to_label(group: Cluster) -> None:
    st.session_state[NEW_LABEL] = {"name": group.name, "texts": list(group.texts[:EXAMPLES])}
    st.session_state["edit_kind"] = "Add a label"
    st.session_state["add_meaning"] = group.meaning
