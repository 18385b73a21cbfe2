"""Many labels at once: a pasted list of names, labels that nobody uses, and labels that may be the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from red_core.errors import RedError
from red_core.labels.edit_kinds import Edit, Merge
from red_core.labels.file import Apply, from_pasted
from red_core.labels.group_sources import listed_in_quotes
from red_core.labels.groups import Group, checked_path
from red_core.labels.many import Duplicate, MergePairs, RetireList, duplicates, unused
from red_core.records import Project
from red_core.store import views
from widgets.labels.map_choice import Row
from widgets.shell.reads import confused, labels, round_number, similarities
from widgets.shell.reasons import reason_of
from widgets.shell.row_height import LETTER, row_height
from widgets.shell.selections import chosen_rows
from widgets.shell.untrusted import plain, visible
from widgets.shell.words import counted

WITH_LABELS = ("Put into a group", "Merge", "Retire")
LISTS = ("Paste names", "Unused labels", "Possible duplicates")
PAIR_WIDTHS = {"label": 270, "becomes": 270, "why": 170}
PAIRS_SHOWN, LONGEST_SHOWN = 3, 300
"""The last pairs that are ticked show a text of each label, cut to so many characters."""
REASONS = {
    "names": "similar names",
    "meanings": "similar meanings",
    "examples": "similar examples",
    "confused": "confused with each other",
}


def many_form(project: Project, rows: Sequence[Row]) -> Edit | None:
    """Show the form of an edit of many labels; return the edit, None while something is missing."""
    forms: dict[str, Callable[[], Edit | None]] = {
        LISTS[0]: lambda: _pasted(project),
        LISTS[1]: lambda: _unused(project, rows),
        LISTS[2]: lambda: _duplicates(project, rows),
    }
    which = st.radio("Which labels", LISTS, key="many", horizontal=True, label_visibility="collapsed")
    try:
        return forms[str(which)]()
    except RedError as error:
        st.error(plain(reason_of(error)), icon=":material/error:")
        return None


def _pasted(project: Project) -> Edit | None:
    text = st.text_area(
        "Names, one per line", key="many_names", height=120, placeholder="Paste a column of a table",
        help="A line may be a path, such as Billing > Cards > card declined. Old names of the labels work, too. "
        "For new labels, paste their examples in the columns after the name.",
    )  # fmt: skip
    chosen, added = from_pasted(project, text)
    if not chosen and not added.rows:
        return None
    return _done_with(project, chosen, added)


def _done_with(project: Project, chosen: Sequence[int], added: Apply) -> Edit | None:
    """Return what is done with all of these labels, or with the new ones."""
    of_id = {label.id: label.name for label in labels(project).values()}
    fresh = [row.name for row in added.rows]
    known = f"{counted(len(chosen), 'line is a label', 'lines are labels')} already"
    new = f"{counted(len(fresh), 'name is new', 'names are new')}: {listed_in_quotes(fresh)}" if fresh else ""
    st.caption(plain(". ".join(part for part in (known if chosen else "", new) if part) + "."))
    left, right = st.columns(2, vertical_alignment="bottom")
    ways = [*(WITH_LABELS if chosen else []), *(["Add the new labels"] if fresh else [])]
    what = left.radio("What to do", ways, key="many_what", horizontal=True)
    if what == "Add the new labels":
        bare = sum(not row.seeds for row in added.rows)
        if bare:
            st.caption(
                f"{counted(bare, 'new label has', 'new labels have')} no examples. The name is the first example. Give "
                "each a second one before you trust it: on Review, or in the column after the name here."
            )
        return added
    if what == "Retire":
        return RetireList(tuple(chosen))
    if what == "Merge":
        into = right.selectbox("Merge into", list(of_id), index=None, format_func=of_id.__getitem__, key="many_into")
        others = tuple(label for label in chosen if label != into)
        return Merge(others, into) if into is not None and others else None
    path = right.text_input("Group", key="many_group", placeholder="Billing > Cards")
    return Group(dict.fromkeys(chosen, checked_path(path))) if path.strip() else None


def _unused(project: Project, rows: Sequence[Row]) -> Edit | None:
    if not round_number(project):
        st.caption("Run the first round. Then this lists the labels that no text has.")
        return None
    of_id = {row["id"]: row for row in rows}
    found = [of_id[label] for label in unused(rows)]
    texts = sum(row["labelled"] for row in rows)
    if not found:
        st.caption("Every label has texts, from a person or from the last round. There is nothing to retire.")
        return None
    st.caption(
        f"{counted(len(found), 'label has', 'labels have')} no texts, neither from a person nor from the last round. "
        f"The round gave labels to {counted(texts, 'text')}: a rare label may have none by chance. Tick the labels to "
        "retire; the tick in the heading chooses all."
    )
    key = f"unused_{len(found)}"
    frame = pd.DataFrame(
        {
            "label": [visible(row["name"]) for row in found],
            "group": [visible(row["group"]) for row in found],
            "examples": [row["seeds"] for row in found],
        }
    )
    st.dataframe(
        frame if any(frame["group"]) else frame.drop(columns="group"), hide_index=True, key=key, height=240,
        on_select="rerun", selection_mode="multi-row",
    )  # fmt: skip
    chosen = tuple(found[place]["id"] for place in chosen_rows(st.session_state[key], len(found)))
    return RetireList(chosen) if chosen else None


def _duplicates(project: Project, rows: Sequence[Row]) -> Edit | None:
    by_id = {row["id"]: row for row in rows}
    found = duplicates(list(labels(project).values()), similarities(project), confused(project))
    pairs = [(each, _smaller_first(each, by_id)) for each in found if set(each.labels) <= by_id.keys()]
    if not pairs:
        st.caption("No two labels look like duplicates.")
        return None
    st.caption(
        "Tick the pairs that mean the same: then a text of each is shown here. The label with fewer examples is merged "
        "into the other one, which stays with its name."
    )
    frame = pd.DataFrame(
        {
            "same": [False] * len(pairs),
            "label": [visible(by_id[one]["name"]) for _, (one, _) in pairs],
            "becomes": [visible(by_id[other]["name"]) for _, (_, other) in pairs],
            "why": [f"{REASONS[each.reason]}: {each.value:.2f}" for each, _ in pairs],
        }
    )
    column, whole = st.column_config, [*frame["label"], *frame["becomes"]]
    key = f"duplicates_{hash(tuple(each.labels for each, _ in pairs))}"  # with other pairs, no tick stays
    ticked = st.data_editor(
        frame, hide_index=True, disabled=["label", "becomes", "why"], key=key, height=300,
        row_height=row_height(whole, PAIR_WIDTHS["label"] // LETTER),
        column_config={
            "same": column.CheckboxColumn(width=60),
            "label": column.TextColumn("is merged", width=PAIR_WIDTHS["label"]),
            "becomes": column.TextColumn("into: this one stays", width=PAIR_WIDTHS["becomes"]),
            "why": column.TextColumn(width=PAIR_WIDTHS["why"]),
        },
    )  # fmt: skip
    into = {one: other for (_, (one, other)), same in zip(pairs, ticked["same"], strict=True) if same}
    for one, other in list(into.items())[-PAIRS_SHOWN:]:
        _show_pair(project, by_id[one], by_id[other])
    return MergePairs(into) if into else None


def _show_pair(project: Project, goes: Row, stays: Row) -> None:
    """Show which label of a pair stays and why, and a text of each."""
    fewer, more = (row["seeds"] + row["fed_back"] for row in (goes, stays))
    why = f"it has {counted(more, 'example')}, the other {fewer:,}"
    if more == fewer:
        why = f"both have {counted(more, 'example')} and it is older"
    with st.container(border=True):
        for row, place in ((goes, "Is merged"), (stays, f"Stays, as {why}")):
            st.caption(f"{place}: **{plain(row['name'])}**")
            texts = views.label_texts(project, row["id"], round_number(project), 1)
            st.text(visible((texts["seeds"] or texts["pool"] or ["It has no text yet."])[0])[:LONGEST_SHOWN])


def _smaller_first(pair: Duplicate, rows: dict[int, Row]) -> tuple[int, int]:
    one, other = sorted(pair.labels, key=lambda label: (rows[label]["seeds"] + rows[label]["fed_back"], -label))
    return one, other
