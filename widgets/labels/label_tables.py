"""Tables of labels in which a row can be chosen: a short one beside the map, and a full one instead of the map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from red_core.store.views import Confusion
from widgets.labels.map_choice import Row, choose
from widgets.labels.map_figure import HEIGHT
from widgets.labels.map_overlay import MOST_LINES
from widgets.shell.marks import mark
from widgets.shell.selections import chosen_rows

MOST_COLOURED = 300
"""Largest table in which the signs have colours. In larger ones, the colours would double the data sent."""
NAME_WIDTH = (140, 230)
"""Least and most pixels of the names in a short table."""
ROWS_IN_HEIGHT = 14
"""Rows of a full table that the height of the map holds; a shorter table has no empty rows."""
PAGE = 1_000
"""Most labels of a page of the full table."""
SIMILARITIES = ("similarity", "average", "most")
CONFUSED = ("confused inside", "confused outside")
SHARES = ("confidence", "accuracy", "label accuracy", "judge right")
HEADINGS = {
    "name": "label",
    "seeds": "examples",
    "fed_back": "fed back",
    "belief": "confidence",
    "audited": "accuracy",
    "judge": "judge right",
    "judged": "verdicts",
    "confused_with": "confused with",
}
OF_SHORT = ("name", "subset", "seeds", "labelled", "belief", "meaning")
OF_ALL = (
    "name", "seeds", "labelled", "belief", "audited", "audits", "confused", "state", "group", "subset", "fed_back",
    "confused_with", "judge", "judged", "drift", "meaning",
)  # fmt: skip
"""The figures come before the long words, so that a small screen has them."""
FULL_WIDTHS = {"label": 260, "group": 200, "confused with": 200}
HELP = {
    "group": "The groups that the label is in, the largest group first",
    "examples": "Labelled examples from your files",
    "fed back": "Texts that were fed back and train this label",
    "labelled": "Texts that the last round gave this label",
    "confidence": "Average confidence of the texts that the last round gave this label",
    "accuracy": "Measured accuracy (audit): the share of audited texts with this machine label that are right",
    "label accuracy": "Measured accuracy (audit) of the labels: the share of the audited texts with a machine label of "
    "this group whose label is right. From 20 audits on",
    "label right (audits)": "Of the audited texts with a machine label of this group: those whose label is right",
    "audits": "Audited texts with this machine label",
    "judge right": "Judge accuracy on this label, from the self-test and blind audits",
    "verdicts": "Verdicts on this label that a known label or an audit could check",
    "confused": "About how often this label is mistaken for another: estimated texts plus verdicts that a person "
    "corrected",
    "confused with": "The label it is confused with most",
    "confused inside": "About how many texts have a label of this group and need another label of the same group",
    "confused outside": "About how many texts have a label of this group and need a label of another group, or the "
    "other way round",
    "drifting labels": "Labels of this group whose new texts clearly differ from the earlier ones",
    "drift": "*yes*: the new texts of this label clearly differ from the earlier ones (see *Drift* on Data)",
    "state": "new: added after the last round. check: its new texts differ, or audits find it wrong too often",
}


def show_labels(rows: Sequence[Row], key: str, *, keep_inside: bool = False) -> None:
    """Show a short table of labels."""
    one_subset = len({row["subset"] for row in rows}) == 1
    table = _columns(rows, [name for name in OF_SHORT if not (name == "subset" and one_subset)])
    show_pickable(table, key, partial(take_row, [row["name"] for row in rows], key, keep_inside))


def show_label_table(rows: Sequence[Row]) -> None:
    """Show the full table of labels, a page at a time if there are many; a click on a heading sorts the page."""
    page = rows if len(rows) <= PAGE else _page(rows)
    show_pickable(
        _columns(page, OF_ALL),
        "labels_table",
        partial(take_row, [row["name"] for row in page], "labels_table", False),
        tall=True,
        columns={
            name: st.column_config.TextColumn(width=width, help=HELP.get(name)) for name, width in FULL_WIDTHS.items()
        },
    )


def _page(rows: Sequence[Row]) -> Sequence[Row]:
    """Show the choice of the order and of the page; return the rows of the page."""
    left, right = st.columns(2)
    names = [name for name in OF_ALL if any(row[name] for row in rows)]
    order = left.selectbox("Sort by", names, format_func=lambda name: HEADINGS.get(name, name), key="labels_order")
    pages = ceil(len(rows) / PAGE)
    number = right.number_input(f"Page, 1 to {pages}", 1, pages, key="labels_page")
    ordered = sorted(rows, key=lambda row: (row["name"].casefold(), row["id"]))
    if order != "name":
        ordered.sort(key=lambda row: _place(row[order]))
    return ordered[(number - 1) * PAGE : number * PAGE]


def _place(value: object) -> tuple[int, float, str]:
    """Return where a value stands: numbers from the largest, then words, then nothing."""
    if isinstance(value, int | float):
        return (0, -value, "")
    return (1, 0.0, str(value).casefold()) if value else (2, 0.0, "")


def _columns(rows: Sequence[Row], wanted: Sequence[str]) -> pd.DataFrame:
    """Return these columns without the empty ones."""
    always = ("name", "subset", "seeds", "meaning")
    return pd.DataFrame(
        {HEADINGS.get(name, name): [row[name] for row in rows] for name in wanted
         if name in always or any(row[name] for row in rows)}
    ).round(3)  # fmt: skip


def take_row(names: Sequence[str], key: str, keep_inside: bool) -> None:
    """Choose the label in the clicked row; a second click on the row clears the choice."""
    chosen = chosen_rows(st.session_state[key], len(names))
    inside = tuple(st.session_state.get("inside") or ()) if keep_inside else ()
    choose(label=names[chosen[0]] if chosen else None, inside=inside)


def show_pickable(
    frame: pd.DataFrame,
    key: str,
    on_choice: Callable[[], None],
    *,
    tall: bool = False,
    columns: Mapping[str, Any] | None = None,
) -> None:
    """Show a table with a column of subset numbers and the signs of the map; choosing a row calls ``on_choice``.

    ``columns`` configures columns in another way than the other tables have them.
    """
    table, colours = frame, [""] * len(frame)
    if "subset" in frame:
        marks = [mark(int(subset)) for subset in frame["subset"]]
        colours = [f"color: {colour}" for colour, _, _ in marks]
        table = frame.assign(subset=frame["subset"] + 1)
        table.insert(list(frame).index("subset"), "", [sign for _, _, sign in marks])
    st.dataframe(
        table.style.apply(lambda _: colours, subset=[""]) if "" in table and len(table) <= MOST_COLOURED else table,
        hide_index=True,
        key=key,
        on_select=on_choice,
        selection_mode="single-row",
        placeholder="",  # no "None" where nothing was measured
        height="auto" if not tall else HEIGHT if len(table) > ROWS_IN_HEIGHT else "content",
        column_config={"": st.column_config.TextColumn(width=30)}
        | ({} if tall or "label" not in frame else {"label": st.column_config.TextColumn(width=_width(frame["label"]))})
        | {name: st.column_config.Column(help=explanation) for name, explanation in HELP.items()}
        | {name: st.column_config.NumberColumn(format="%.2f") for name in SIMILARITIES}
        | {name: st.column_config.NumberColumn(format="percent", help=HELP[name]) for name in SHARES}
        | {name: st.column_config.NumberColumn(format="%.1f", help=HELP[name]) for name in CONFUSED}
        | {"confused": st.column_config.NumberColumn(format="%.1f", help=HELP["confused"])}
        | {"texts": st.column_config.NumberColumn(format="%.1f", width=50)}
        | dict(columns or {}),
    )


def _width(names: pd.Series[str]) -> int:
    """Return the width of the column of names in a short table, in pixels: most of the names are readable in it."""
    return int(np.clip(names.str.len().quantile(0.8) * 7 + 20, *NAME_WIDTH)) if len(names) else NAME_WIDTH[0]


def show_confused_pairs(pairs: Sequence[Confusion], rows: Sequence[Row]) -> None:
    """Show the pairs of labels that are confused most; choosing a pair selects both labels, as a lasso does."""
    names = {row["id"]: row["name"] for row in rows}
    listed = [pair for pair in pairs if set(pair.labels) <= names.keys()][:MOST_LINES]
    if not listed:
        return
    st.caption(
        "Labels confused most. Texts: an estimate of how many texts have one of the two labels and need the other. "
        "Corrected: verdicts that a person corrected."
    )
    frame = pd.DataFrame(
        {
            "one": [names[pair.labels[0]] for pair in listed],
            "other": [names[pair.labels[1]] for pair in listed],
            "texts": [round(pair.expected, 1) for pair in listed],
            "corrected": [pair.overturned for pair in listed],
        }
    )
    st.dataframe(
        frame, hide_index=True, key="confused_table", selection_mode="single-row", height=215,
        on_select=partial(_take_pair, listed),
        column_config={"texts": st.column_config.Column(width=60), "corrected": st.column_config.Column(width=85)},
    )  # fmt: skip


def _take_pair(pairs: Sequence[Confusion]) -> None:
    chosen = chosen_rows(st.session_state["confused_table"], len(pairs))
    if chosen:
        choose(inside=pairs[chosen[0]].labels, area=())
