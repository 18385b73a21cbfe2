"""The goal of a project: the share of labels that should be right, which the blind audit certifies."""

from __future__ import annotations

import streamlit as st

from red_core.errors import RedError
from red_core.records import Project
from red_core.review.audits import set_target
from widgets.shell.reasons import reason_of
from widgets.shell.untrusted import plain


def show_goal_form(project: Project, goal: float, name: str = "Goal") -> None:
    """Show a button with the form that changes the goal, a share in (0, 1)."""
    with st.popover(name, icon=":material/flag:", key="goal_fold"):
        low, high = min(50.0, 100 * goal), max(99.9, 100 * goal)
        wanted = st.number_input(
            "Share of labels that should be right, %", low, high, 100 * goal, 0.5, key="goal",
            help="The blind audit certifies this share. The same answers count for every goal.",
        )  # fmt: skip
        if st.button("Set the goal", key="set_goal", type="primary"):
            try:
                set_target(project, wanted / 100)
            except RedError as error:
                st.error(plain(reason_of(error)))
                return
            st.rerun()
