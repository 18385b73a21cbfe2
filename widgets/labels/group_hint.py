"""An offer to make groups of the labels, while there are none: from their names, or from a column of the files."""

from __future__ import annotations

import streamlit as st

from red_core.labels.group_sources import names_hold_groups
from red_core.records import Project
from red_core.text import listed
from widgets.labels.group_panel import columns
from widgets.shell.next_step import is_working
from widgets.shell.reads import labels
from widgets.shell.shell import go
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain
from widgets.shell.words import counted

COLUMNS_LISTED = 3
FEWEST_PER_VALUE = 2
"""A column is offered with at least so many labels per value: one with more values is rather a code of each label."""


def show_group_hint(project: Project) -> None:
    """Say where groups could come from, with a button that opens the form; nothing where there is no need."""
    known = list(labels(project).values())
    if not may_write() or not known or any(label.path for label in known):
        return
    offered = [(name, values) for name, values in columns(project) if values * FEWEST_PER_VALUE <= len(known)]
    if names_hold_groups(known):
        said, way = "The names of your labels seem to hold groups.", "From names"
    elif offered:
        names = listed([f"{plain(name)} ({counted(values, 'value')})" for name, values in offered], COLUMNS_LISTED)
        have = "This column of your files has" if len(offered) == 1 else "These columns of your files have"
        said, way = f"{have} one value per label: {names}.", "From columns"
    else:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{said} You can make groups from this: *Edit the labels > Groups > {way}*.", width="content")
        works = is_working(project)
        if st.button(
            "Look at the groups", key="groups_offered", type="tertiary", icon=":material/account_tree:",
            disabled=works, help="Wait until the work in the background is done." if works else None,
        ):  # fmt: skip
            chosen = [offered[0][0]] if way == "From columns" and len(offered) == 1 else []
            go("label_map", edit_used=True, edit_kind="Groups", group_way=way, group_columns=chosen)
