"""Labels that are missing: groups of texts that fit none, and one step from a group to a label."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from red_core.judges.names import named_by_judge
from red_core.labels.new_labels import propose_clusters
from red_core.records import Cluster, Project
from red_core.store.rounds import last_finished_round
from red_core.store.texts import contents
from red_core.store.views import version
from widgets.labels.label_edit_panel import NEW_LABEL
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain, show_text
from widgets.shell.words import counted

SHOWN = 12
"""Texts of a group that are shown, the most central first."""
EXAMPLES = 10
"""Of those, how many begin as examples of the new label."""


def show_new_labels(project: Project, *, connected: bool) -> None:
    """Show the groups on demand; finding them takes seconds.

    Parameters
    ----------
    connected : bool
        Whether a judge can be asked for better names.
    """
    last = last_finished_round(project)
    with st.expander("Texts that fit no label", icon=":material/category_search:"):
        if last is None:
            st.caption("After the first round: groups of texts that the classifiers find in none of the labels.")
            return
        key, found = _about(project), found_groups(project)
        if st.button("Find groups", key="find_clusters", type="primary" if found is None else "secondary"):
            with errors_in_one_line(), st.spinner("Grouping texts that fit no label"):
                st.session_state["clusters"] = (key, propose_clusters(project))
                st.rerun()  # the map above shows where they lie
        if found is None:
            st.caption(
                "Of what a round found to belong to no label, and what is only half believed. Nothing is stored."
            )
        elif not found:
            st.caption("No ten such texts are alike: no label seems to be missing.")
        else:
            _show_found(project, found, key, connected=connected)


def found_groups(project: Project) -> list[Cluster] | None:
    """Return the groups that were found since anything changed; None where nobody looked."""
    key, found = st.session_state.get("clusters", (None, None))
    return found if key == _about(project) else None


def _about(project: Project) -> tuple[object, ...]:
    return project.folder.as_posix(), version(project)


def _show_found(project: Project, found: list[Cluster], key: object, *, connected: bool) -> None:
    frame = pd.DataFrame(
        {
            "suggested name": [one.name for one in found],
            "texts": [one.size for one in found],
            "none of these": [round(one.none_belief, 2) for one in found],
            "telling words": [", ".join(one.words) for one in found],
            "nearest label": [one.nearest.name for one in found],
        }
    )
    st.caption(f"{counted(len(found), 'group')}, the best first. Choose one to look at its texts.")
    chosen = st.dataframe(frame, hide_index=True, key="clusters_table", on_select="rerun", selection_mode="single-row")
    if (
        connected
        and may_write()
        and st.button("Let the judge suggest names", key="name_clusters", icon=":material/edit_note:")
    ):
        with errors_in_one_line(), st.spinner("Asking the model"):
            st.session_state["clusters"] = (key, named_by_judge(project, found))
            st.rerun()
    rows = chosen.selection.rows
    if not rows or rows[0] >= len(found):
        return
    one = found[rows[0]]
    st.button(
        f"Make a label of it: {plain(one.name)}",
        key="cluster_to_label",
        type="primary",
        disabled=not may_write(),
        on_click=_to_label,
        args=(one,),
        help="Opens the form of a new label with these texts as examples.",
    )
    with st.container(height=320, border=False):
        for content in contents(project, list(one.texts[:SHOWN])):
            with st.container(border=True):
                show_text(content)


def _to_label(one: Cluster) -> None:
    st.session_state[NEW_LABEL] = {"name": one.name, "texts": list(one.texts[:EXAMPLES])}
    st.session_state["edit_kind"] = "Add a label"
    st.session_state["add_meaning"] = one.meaning
