"""The texts between two labels, or of one label, in a grid, of which many are decided at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeGuard

import pandas as pd
import streamlit as st

from red_core.access.who import who_acts
from red_core.errors import RedError
from red_core.records import Label, NewDecisionKind, Project
from red_core.review import Provenance, decide, undo
from red_core.store.pairs import Between, between, of_label
from widgets.shell.reads import confused, labels, round_number
from widgets.shell.reasons import reason_of
from widgets.shell.row_height import row_height
from widgets.shell.selections import chosen_rows
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import to_the_door
from widgets.shell.untrusted import plain, visible
from widgets.shell.words import counted

HEIGHT, HEADING = 735, 38
"""Of the grid in pixels: twenty rows of one line."""
LETTERS = 80
"""About as many letters fit into a line of the column of texts."""
Labels = tuple[int, ...]
"""The labels of a grid: a pair, or one label."""


def choose_grid(project: Project) -> Labels | None:
    """Show the choice among the pairs of labels that are confused, most texts first; None if there is none.

    A pair that is not in the list, or one label, is in the choice if another page opened its grid.
    """
    names = labels(project)
    texts: dict[Labels, float] = {
        pair.labels: pair.texts for pair in confused(project) if set(pair.labels) <= names.keys()
    }
    opened = st.session_state.get("review_pair")
    if _is_grid(opened, names):
        texts.setdefault(opened, 0.0)
    elif opened is not None:
        st.session_state.pop("review_pair")
    if not texts:
        return None
    chosen: Labels = st.selectbox(
        "Pair of labels",
        list(texts),
        format_func=lambda each: _in_words([names[label].name for label in each], texts[each]),
        key="review_pair",
        label_visibility="collapsed",
        persist_state="session",
    )
    return chosen


def _is_grid(opened: object, names: dict[int, Label]) -> TypeGuard[Labels]:
    return isinstance(opened, tuple) and len({*opened}) == len(opened) in {1, 2} and set(opened) <= names.keys()


def _in_words(names: Sequence[str], texts: float) -> str:
    words = " | ".join(names) if len(names) > 1 else f"{names[0]}: its texts"
    return f"{words}: about {counted(max(1, round(texts)), 'mistake')}" if texts else words


@st.fragment
def show_grid(project: Project, chosen: Labels) -> None:
    """Show the grid of a pair or of one label, with the buttons that decide the chosen rows."""
    to_the_door()
    with errors_in_one_line():  # the shell does not run around a fragment
        _show_grid(project, chosen)


def _show_grid(project: Project, chosen: Labels) -> None:
    names = labels(project)
    if not set(chosen) <= names.keys():
        st.info("A colleague merged or retired a label of this table meanwhile. Choose another one above.")
        return
    first, second = names[chosen[0]], names[chosen[1]] if len(chosen) > 1 else None
    if error := st.session_state.pop("pair_error", None):
        st.error(plain(error), icon=":material/error:")
    number = round_number(project)
    texts = of_label(project, number, first.id) if second is None else between(project, number, first.id, second.id)
    key = f"pair_grid_{st.session_state.get('pair_grids', 0)}"  # decided rows leave: a new grid has no selection
    rows = [texts[row] for row in chosen_rows(st.session_state.get(key), len(texts))]
    other = second or _other_label(names, first)
    show_buttons(project, first, other, rows)
    if not texts:
        st.info("No undecided text is left here. Choose another pair.", icon=":material/check:")
        return
    mistakes = " Mistakes are texts that have one of the two labels and belong to the other." if second else ""
    last_ones = "probably another one" if second is None else "surely the right one"
    st.caption(
        f"{counted(len(texts), 'text')}. The first ones are surely "
        f"{'this label' if second is None else 'the left label'}, the last ones {last_ones}. "
        f"Choose rows, or a range with Shift. Then press the button of a label, or its key.{mistakes}"
    )
    _show_rows(key, texts, first, second, names)


def _other_label(names: dict[int, Label], first: Label) -> Label | None:
    """Show the choice of another label for texts of one label; None before it is made."""
    others = [label for label in names if label != first.id]
    if st.session_state.get("pair_other") not in {None, *others}:
        st.session_state["pair_other"] = None
    chosen = st.selectbox(
        "Another label", others, index=None, format_func=lambda label: names[label].name, key="pair_other",
        placeholder="Another label, for B", label_visibility="collapsed", width=400,
    )  # fmt: skip
    return None if chosen is None else names[chosen]


def _show_rows(key: str, texts: Sequence[Between], first: Label, second: Label | None, names: dict[int, Label]) -> None:
    belief = partial(st.column_config.ProgressColumn, format="percent", max_value=1.0, width=120)
    shown = [visible(row.content) for row in texts]
    tall = row_height(shown, LETTERS)
    table = {"Text": shown, "first": [round(row.first, 2) for row in texts]}
    if second is None:
        rivals = [names[row.runner_up].name if row.runner_up in names else "none of these" for row in texts]
        table["runner-up"] = [visible(rival) for rival in rivals]
    st.dataframe(
        pd.DataFrame(table | {"second": [round(row.second, 2) for row in texts]}),
        key=key, on_select="rerun", selection_mode="multi-row", hide_index=True,
        height=min(HEIGHT, HEADING + tall * len(shown)), row_height=tall,
        column_config={
            "Text": st.column_config.TextColumn(width="large"),
            "first": belief(visible(first.name)),
            "second": belief("its confidence" if second is None else visible(second.name)),
        },
    )  # fmt: skip


def show_buttons(project: Project, first: Label, other: Label | None, chosen: Sequence[Between]) -> None:
    """Show a button for each answer about the chosen rows, and the undo of the last answer."""
    count = f" ({len(chosen):,})" if chosen else ""
    queue = first.name if other is None else f"{first.name} | {other.name}"
    answers: list[tuple[str, str, int | None]] = [(first.name, "A", first.id)]
    if other is not None:
        answers.append((other.name, "B", other.id))
    answers.append(("none of these", "N", None))
    with st.container(horizontal=True, vertical_alignment="center"):
        for words, key, label in answers:
            st.button(
                plain(f"{words}{count}"), key=f"pair_{key}", shortcut=key.lower(), disabled=not chosen,
                type="primary" if chosen else "secondary", on_click=partial(_decide, project, chosen, label, queue),
            )  # fmt: skip
        if answered := st.session_state.get("pair_undo"):
            st.button(
                f"Undo {counted(len(answered[-1]), 'decision')}", key="pair_undo_button", shortcut="u",
                icon=":material/undo:", on_click=_undo, args=(project,),
            )  # fmt: skip


def _decide(project: Project, chosen: Sequence[Between], label: int | None, queue: str) -> None:
    """Decide the rows on the screen; a row that somebody decided meanwhile is refused, and the others are kept."""
    made, refused = [], []
    for row in chosen:
        kind: NewDecisionKind = "none" if label is None else "accept" if label == row.label else "relabel"
        try:
            suggested = labels(project).get(row.label)  # None if somebody merged or retired it meanwhile
            provenance = Provenance(queue=queue, seen=(row.newest, suggested.meaning_id if suggested else 0))
            made.append(decide(project, row.text, kind, label=label, who=who_acts(), provenance=provenance))
        except RedError as error:
            refused.append(reason_of(error))
    if made:
        st.session_state.setdefault("pair_undo", []).append(made)
    _report(refused, "decided")


def _undo(project: Project) -> None:
    """Take back the last answer that is not taken back; what somebody else undid meanwhile is refused."""
    refused, decisions = [], st.session_state["pair_undo"].pop()
    for decision in reversed(decisions):
        try:
            undo(project, decision=decision, who=who_acts())
        except RedError as error:
            refused.append(reason_of(error))
    if undone := len(decisions) - len(refused):
        st.toast(f"{counted(undone, 'decision is', 'decisions are')} undone.", icon=":material/undo:")
    _report(refused, "undone")


def _report(refused: Sequence[str], what: str) -> None:
    """Say which rows were refused, and draw a new grid without a selection."""
    st.session_state["pair_grids"] = st.session_state.get("pair_grids", 0) + 1
    if refused:
        words = counted(len(refused), "text was", "texts were")
        st.session_state["pair_error"] = f"{words} not {what}: {refused[0]}"
