"""What stands on a card beside its text: columns of the source files that the analyst chose, and the flag."""

from __future__ import annotations

import json
from collections.abc import Sequence

import streamlit as st

from red_core.records import Project
from red_core.store.flags import flags
from red_core.store.source_columns import column_values
from red_core.store.texts import remember, remembered
from red_core.text import listed
from widgets.shell.reads import column_names
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain, visible

COLUMNS = "card columns"
"""The key under which a project keeps the choice."""
LONGEST_VALUE = 80
MOST_VALUES = 3
"""Different values of one column that are shown, where a text came in several rows."""


def chosen_columns(project: Project) -> tuple[str, ...]:
    """Return the columns that the cards of this project show."""
    return tuple(json.loads(remembered(project, COLUMNS, "[]")))


def choose_columns(project: Project) -> None:
    """Show the choice of the columns; it is kept with the project, for everybody."""
    names = column_names(project)
    if not names or not may_write():
        return
    key = f"card_columns_{project.id}"
    st.multiselect(
        "Show on the card", names, [name for name in chosen_columns(project) if name in names], key=key,
        placeholder="No column of your files", format_func=visible, on_change=_keep, args=(project, key),
        help="Columns of your files beside the text, such as a ticket number or a date. Kept with the project.",
    )  # fmt: skip


def _keep(project: Project, key: str) -> None:
    with errors_in_one_line():
        remember(project, COLUMNS, json.dumps(st.session_state[key]), anew=True)


def facts_beside(project: Project, texts: Sequence[int], columns: Sequence[str]) -> dict[int, list[list[str]]]:
    """Return text -> [column, value] pairs as they are shown on its card."""
    shown: dict[int, list[list[str]]] = {}
    for text, pairs in column_values(project, texts, columns).items():
        values: dict[str, list[str]] = {}
        for name, value in pairs:
            values.setdefault(name, []).append(value)
        shown[text] = [[visible(name), _in_short(several)] for name, several in values.items()]
    return shown


def _in_short(values: Sequence[str]) -> str:
    cut = [value if len(value) <= LONGEST_VALUE else f"{value[:LONGEST_VALUE]}…" for value in values]
    return visible(listed(cut, MOST_VALUES))


def show_facts(project: Project, text: int) -> None:
    """Show the columns and the flag of a text to a viewer."""
    for name, value in facts_beside(project, [text], chosen_columns(project)).get(text, []):
        st.caption(plain(f"{name}: {value}"))
    if flag := flags(project, [text]).get(text):
        comment = f": {flag.comment}" if flag.comment else ""
        st.caption(plain(f"Flagged by {flag.who}, {flag.at[:16].replace('T', ' ')} UTC{comment}"))
