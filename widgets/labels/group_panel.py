"""Groups of labels: put labels into a group, move or rename a group, take groups from names, columns or text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import streamlit as st

from red_core.errors import RedError
from red_core.labels.edit_kinds import Edit
from red_core.labels.file import with_new_labels
from red_core.labels.group_sources import (
    FromNames,
    from_columns,
    from_text,
    group_columns,
    listed_in_quotes,
    sign_in_names,
)
from red_core.labels.groups import Group, MoveGroup, checked_path, groups_of
from red_core.records import Project
from red_core.store.labels import path_in_words
from widgets.labels.map_choice import Row
from widgets.shell.caching import EDITS, IMPORTS, cached_read
from widgets.shell.reads import labels
from widgets.shell.reasons import reason_of
from widgets.shell.untrusted import plain
from widgets.shell.words import counted

WAYS = ("Put labels into a group", "Move or rename a group", "From names", "From columns", "From text")
LONGEST_TREE = 1_000_000
"""Characters of a pasted tree: more than 10,000 labels need."""


def group_form(project: Project, chosen: Row | None, inside: Sequence[Row]) -> Edit | None:
    """Show the form of an edit of the groups; return the edit, None while something is missing."""
    forms: dict[str, Callable[[], Edit | None]] = {
        WAYS[0]: lambda: _put(project, chosen, inside),
        WAYS[1]: lambda: _move(project),
        WAYS[2]: lambda: _from_names(project),
        WAYS[3]: lambda: _from_columns(project),
        WAYS[4]: lambda: _from_text(project),
    }
    way = st.radio("How", WAYS, key="group_way", horizontal=True, label_visibility="collapsed")
    try:
        return forms[str(way)]()
    except RedError as error:
        st.error(plain(reason_of(error)), icon=":material/error:")
        return None


def _put(project: Project, chosen: Row | None, inside: Sequence[Row]) -> Edit | None:
    names = {label.id: label.name for label in labels(project).values()}
    first = [row["id"] for row in inside] or ([chosen["id"]] if chosen is not None else [])
    members = st.multiselect("Labels", list(names), first, format_func=names.__getitem__, key=f"group_{first}")
    path = st.selectbox(
        "Group", [path_in_words(group) for group in groups_of(labels(project).values())], index=None, key="group_path",
        accept_new_options=True, placeholder="Choose, or type: Billing > Cards",
        help="Write > between a group and the group inside it. Write > alone to take the labels out of all groups.",
    )  # fmt: skip
    return Group(dict.fromkeys(members, checked_path(path))) if members and path else None


def _move(project: Project) -> Edit | None:
    counts = groups_of(labels(project).values())
    if not counts:
        st.caption("There are no groups yet.")
        return None
    _start_with_the_group_of_the_map(counts)
    group = st.selectbox(
        "Group", list(counts), index=None, key="group_moved", placeholder="Choose a group",
        format_func=lambda path: f"{path_in_words(path)} ({counts[path]:,})",
    )  # fmt: skip
    if group is None:
        return None
    to = st.text_input(
        "New place and name", path_in_words(group), key=f"group_to_{path_in_words(group)}",
        help="To rename the group, change its name. To move it with all its labels, write another group and > before "
        "its name. To dissolve it, write only the group that it is in, or nothing. If there is already such a group, "
        "the two become one.",
    )  # fmt: skip
    path = checked_path(to)
    return MoveGroup(group, path) if path != group else None


def _start_with_the_group_of_the_map(groups: Collection[tuple[str, ...]]) -> None:
    """Choose the group that was chosen on the map since; a group that is gone is not chosen any more."""
    state, on_map = st.session_state, st.session_state.get("map_group")
    if on_map != state.get("group_moved_of"):
        state["group_moved_of"] = on_map
        if on_map:
            state["group_moved"] = checked_path(on_map)
    if state.get("group_moved") not in groups:
        state["group_moved"] = None


def _from_names(project: Project) -> Edit | None:
    sign = sign_in_names(list(labels(project).values()))
    if sign is None:
        st.caption("The names of the labels contain no groups. A name with groups looks like A > B > C.")
        return None
    count = sum(sign in label.name for label in labels(project).values())
    have = counted(count, "label has", "labels have")
    st.caption(f"{have} groups in the name, with the sign {sign.strip()}. The last part stays the name of the label.")
    return FromNames(sign)


@cached_read((IMPORTS, EDITS))
def columns(project: Project) -> list[tuple[str, int]]:
    """Return the columns of the files that may hold groups, and how many values each has."""
    return [(column.name, column.values) for column in group_columns(project)]


def _from_columns(project: Project) -> Edit | None:
    offered = dict(columns(project))
    if not offered:
        st.caption(
            "No column of your files can give groups. Such a column has one value per label, and some labels share "
            "a value."
        )
        return None
    chosen = st.multiselect(
        "Columns, the one with the largest groups first", list(offered), key="group_columns",
        format_func=lambda name: f"{name} ({counted(offered[name], 'value')})",
    )  # fmt: skip
    if not chosen:
        return None
    edit, several = from_columns(project, chosen)
    if several:
        st.caption(plain(f"Labels with several values stay as they are: {listed_in_quotes(several)}."))
    return edit


def _from_text(project: Project) -> Edit | None:
    text = st.text_area(
        "Labels in their groups, one per line", key="group_text", height=160, max_chars=LONGEST_TREE,
        placeholder="Billing\n    Cards\n        card declined\n        card stolen\n    invoice",
    )  # fmt: skip
    if not text.strip():
        return None
    edit, unknown = from_text(labels(project).values(), text)
    if not unknown:
        return edit
    missing = counted(len(unknown), "line is no label", "lines are no labels")
    st.caption(plain(f"{missing}: {listed_in_quotes(list(unknown))}."))
    add = st.checkbox("Add them as new labels. The name is the first example.", key="group_text_adds")
    return with_new_labels(edit, unknown) if add else edit
