"""Many labels at once: a pasted list of names, labels that nobody uses, and labels that may be the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from red_core.errors import RedError
from red_core.labels.edit_kinds import Edit, Merge
from red_core.labels.group_sources import listed
from red_core.labels.groups import Group, checked_path
from red_core.labels.many import Duplicate, MergePairs, RetireList, duplicates, unused
from red_core.records import Project
from red_core.store.labels import active_by_name, name_key
from widgets.labels.map_choice import Row
from widgets.shell.reads import confused, labels, similarities
from widgets.shell.untrusted import plain, visible
from widgets.shell.words import counted

LISTS = ("Paste names", "Unused labels", "Possible duplicates")
REASONS = {"names": "similar names", "examples": "similar examples", "confused": "confused with each other"}


def many_form(project: Project, rows: Sequence[Row]) -> Edit | None:
    """Show the form of an edit of many labels; return the edit, None while something is missing."""
    forms: dict[str, Callable[[], Edit | None]] = {
        LISTS[0]: lambda: _pasted(project),
        LISTS[1]: lambda: _unused(rows),
        LISTS[2]: lambda: _duplicates(project, rows),
    }
    which = st.radio("Which labels", LISTS, key="many", horizontal=True, label_visibility="collapsed")
    try:
        return forms[str(which)]()
    except RedError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None


def _pasted(project: Project) -> Edit | None:
    text = st.text_area(
        "Names, one per line", key="many_names", height=120, placeholder="Paste a column of a table",
        help="Old names of the labels work, too. The program reads only the part before a tab.",
    )  # fmt: skip
    known = active_by_name(project)
    names = [line.split("\t")[0].strip() for line in text.splitlines() if line.strip()]
    chosen = list(dict.fromkeys(known[name_key(name)] for name in names if name_key(name) in known))
    if missing := [name for name in names if name_key(name) not in known]:
        st.caption(plain(f"Not in the label set: {listed(missing)}. Add them with examples: *From a file*."))
    return _done_with(project, chosen) if chosen else None


def _done_with(project: Project, chosen: Sequence[int]) -> Edit | None:
    """Return what is done with all of these labels."""
    of_id = {label.id: label.name for label in labels(project).values()}
    st.caption(f"{counted(len(chosen), 'label')} chosen.")
    left, right = st.columns(2, vertical_alignment="bottom")
    what = left.radio("What to do", ["Put into a group", "Merge", "Retire"], key="many_what", horizontal=True)
    if what == "Retire":
        return RetireList(tuple(chosen))
    if what == "Merge":
        into = right.selectbox("Merge into", list(of_id), index=None, format_func=of_id.__getitem__, key="many_into")
        others = tuple(label for label in chosen if label != into)
        return Merge(others, into) if into is not None and others else None
    path = right.text_input("Group", key="many_group", placeholder="Billing > Cards")
    return Group(dict.fromkeys(chosen, checked_path(path))) if path.strip() else None


def _unused(rows: Sequence[Row]) -> Edit | None:
    names = {row["id"]: row["name"] for row in rows}
    found = unused(rows)
    st.caption(
        f"{counted(len(found), 'label has', 'labels have')} no texts, neither from a person nor from the last round. "
        "Choose the labels to retire."
    )
    chosen = st.multiselect("Retire", found, found, format_func=names.__getitem__, key=f"unused_{len(found)}")
    return RetireList(tuple(chosen)) if chosen else None


def _duplicates(project: Project, rows: Sequence[Row]) -> Edit | None:
    by_id = {row["id"]: row for row in rows}
    found = duplicates(list(labels(project).values()), similarities(project), confused(project))
    pairs = [(each, _smaller_first(each, by_id)) for each in found if set(each.labels) <= by_id.keys()]
    if not pairs:
        st.caption("No two labels look like duplicates.")
        return None
    st.caption("Tick the pairs that mean the same. The label with fewer examples is merged into the other one.")
    frame = pd.DataFrame(
        {
            "same": [False] * len(pairs),
            "label": [visible(by_id[one]["name"]) for _, (one, _) in pairs],
            "becomes": [visible(by_id[other]["name"]) for _, (_, other) in pairs],
            "why": [f"{REASONS[each.reason]}: {each.value:.2f}" for each, _ in pairs],
        }
    )
    ticked = st.data_editor(
        frame, hide_index=True, disabled=["label", "becomes", "why"], key=f"duplicates_{len(pairs)}", height=240
    )
    into = {one: other for (_, (one, other)), same in zip(pairs, ticked["same"], strict=True) if same}
    return MergePairs(into) if into else None


def _smaller_first(pair: Duplicate, rows: dict[int, Row]) -> tuple[int, int]:
    one, other = sorted(pair.labels, key=lambda label: (rows[label]["seeds"] + rows[label]["fed_back"], -label))
    return one, other
