"""One pair of labels at a time: a grid of the texts between them, of which many are decided at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd
import streamlit as st

from red_core.access.who import who_acts
from red_core.errors import RedError
from red_core.records import Label, NewDecisionKind, Project
from red_core.review import Provenance, decide, undo
from red_core.store.pairs import Between, between
from red_core.store.views import Confusion
from widgets.shell.reads import confused, labels, round_number
from widgets.shell.reasons import reason_of
from widgets.shell.selections import chosen_rows
from widgets.shell.untrusted import plain, visible
from widgets.shell.words import counted

ROWS, LINE = 20, 35
"""Rows on a screen, and the height of one in pixels."""


def choose_pair(project: Project) -> Confusion | None:
    """Show the choice among the pairs of labels that are confused, most texts first; None if there is none."""
    names = labels(project)
    pairs = [pair for pair in confused(project) if set(pair.labels) <= names.keys()]
    if not pairs:
        return None
    by_labels = {pair.labels: pair for pair in pairs}
    if st.session_state.get("review_pair") not in by_labels:
        st.session_state.pop("review_pair", None)
    chosen = st.selectbox(
        "Pair of labels",
        list(by_labels),
        format_func=lambda two: f"{names[two[0]].name} | {names[two[1]].name}: about {by_labels[two].texts:,.0f} texts",
        key="review_pair",
        label_visibility="collapsed",
        persist_state="session",
    )
    return by_labels[chosen]


@st.fragment
def show_pair(project: Project, pair: Confusion) -> None:
    """Show the grid of a pair, with the buttons that decide the chosen rows."""
    first, second = (labels(project)[label] for label in pair.labels)
    if error := st.session_state.pop("pair_error", None):
        st.error(plain(error), icon=":material/error:")
    texts = between(project, round_number(project), first.id, second.id)
    key = f"pair_grid_{st.session_state.get('pair_grids', 0)}"  # decided rows leave: a new grid has no selection
    grid = st.session_state.get(key)
    chosen = [texts[row] for row in chosen_rows(grid, len(texts))]
    show_buttons(project, (first, second), chosen)
    if not texts:
        st.info("No undecided text lies between these two labels. Choose another pair.", icon=":material/check:")
        return
    st.caption(
        f"{counted(len(texts), 'text')}. The first ones are surely the left label, the last ones surely the right one. "
        "Choose rows, or a range with Shift. Then press the button of a label, or its key."
    )
    st.dataframe(
        pd.DataFrame(
            {
                "Text": [visible(row.content) for row in texts],
                "first": [round(row.first, 2) for row in texts],
                "second": [round(row.second, 2) for row in texts],
            }
        ),
        key=key, on_select="rerun", selection_mode="multi-row", hide_index=True, height=(ROWS + 1) * LINE,
        column_config={
            "Text": st.column_config.TextColumn(width="large"),
            "first": st.column_config.ProgressColumn(visible(first.name), format="percent", max_value=1.0, width=120),
            "second": st.column_config.ProgressColumn(visible(second.name), format="percent", max_value=1.0, width=120),
        },
    )  # fmt: skip


def show_buttons(project: Project, two: tuple[Label, Label], chosen: Sequence[Between]) -> None:
    """Show a button for each answer about the chosen rows, and the undo of the last answer."""
    count = f" ({len(chosen):,})" if chosen else ""
    queue = f"{two[0].name} | {two[1].name}"
    answers: list[tuple[str, str, int | None]] = [
        (two[0].name, "A", two[0].id), (two[1].name, "B", two[1].id), ("none of these", "N", None),
    ]  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        for words, key, label in answers:
            st.button(
                plain(f"{words}{count}"), key=f"pair_{key}", shortcut=key.lower(), disabled=not chosen,
                type="primary" if chosen else "secondary", on_click=partial(_decide, project, chosen, label, queue),
            )  # fmt: skip
        last = st.session_state.get("pair_undo", [])
        if last:
            st.button(
                f"Undo {counted(len(last), 'decision')}", key="pair_undo_button", shortcut="u", icon=":material/undo:",
                on_click=_undo, args=(project,),
            )  # fmt: skip


def _decide(project: Project, chosen: Sequence[Between], label: int | None, queue: str) -> None:
    """Decide the rows on the screen; a row that somebody decided meanwhile is refused, and the others are kept."""
    made, refused = [], []
    for row in chosen:
        kind: NewDecisionKind = "none" if label is None else "accept" if label == row.label else "relabel"
        meaning = labels(project)[row.label].meaning_id
        try:
            provenance = Provenance(queue=queue, seen=(row.newest, meaning))
            made.append(decide(project, row.text, kind, label=label, who=who_acts(), provenance=provenance))
        except RedError as error:
            refused.append(reason_of(error))
    st.session_state["pair_undo"] = made
    st.session_state["pair_grids"] = st.session_state.get("pair_grids", 0) + 1
    if refused:
        st.session_state["pair_error"] = f"{counted(len(refused), 'text was', 'texts were')} not decided: {refused[0]}"


def _undo(project: Project) -> None:
    try:
        for decision in reversed(st.session_state.pop("pair_undo", [])):
            undo(project, decision=decision, who=who_acts())
    except RedError as error:
        st.session_state["pair_error"] = reason_of(error)
    st.session_state["pair_grids"] = st.session_state.get("pair_grids", 0) + 1
