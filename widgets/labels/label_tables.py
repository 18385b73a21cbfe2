"""Tables of labels in which a row can be chosen: in short beside the map, and with all there is to know over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import streamlit as st

from red_core.store.views import Confusion
from widgets.labels.map_choice import Row, choose
from widgets.labels.map_figure import HEIGHT
from widgets.labels.map_overlay import MOST_LINES
from widgets.shell.marks import mark

MOST_COLOURED = 300
"""Rows of a table up to which the signs have their colours; beyond, the colours would double what is sent."""
TWO_DIGITS = ("mean belief", "similarity", "mean", "highest", "audited right", "judge right")
HEADINGS = {
    "name": "label",
    "fed_back": "fed back",
    "belief": "mean belief",
    "audited": "audited right",
    "judge": "judge right",
    "confused_with": "most with",
    "drift": "drift q",
}
OF_SHORT = ("name", "subset", "seeds", "labelled", "belief", "meaning")
OF_ALL = (
    "name", "subset", "state", "seeds", "fed_back", "labelled", "belief", "audited", "audits", "judge", "judged",
    "confused", "confused_with", "drift", "meaning",
)  # fmt: skip
HELP = {
    "audited right": "Of the blindly audited texts that the machine gives this label, the share that has it",
    "judge right": "Of the judge's verdicts on this label whose truth is known (self-test, blind audits), those right",
    "confused": "Texts expected to be mistaken between this label and others, and verdicts on it that were overturned",
    "drift q": "Of the newest comparison on Data: under .05 its newest texts differ more than chance explains",
    "state": "new: it came after the last round; look: it drifted, or audits find it wrong too often",
}


def show_labels(rows: Sequence[Row], key: str, *, keep_inside: bool = False) -> None:
    """Show labels in short."""
    one_subset = len({row["subset"] for row in rows}) == 1
    shown = _columns(rows, [name for name in OF_SHORT if not (name == "subset" and one_subset)])
    show_pickable(shown, key, partial(take_row, rows, key, keep_inside))


def show_label_table(rows: Sequence[Row]) -> None:
    """Show all that is known of all labels; a click on a heading sorts."""
    show_pickable(_columns(rows, OF_ALL), "labels_table", partial(take_row, rows, "labels_table", False), tall=True)


def _columns(rows: Sequence[Row], wanted: Sequence[str]) -> pd.DataFrame:
    """Return these columns, but for those in which nothing stands yet."""
    full = ("name", "subset", "seeds", "meaning")
    return pd.DataFrame(
        {HEADINGS.get(name, name): [row[name] for row in rows] for name in wanted
         if name in full or any(row[name] for row in rows)}
    )  # fmt: skip


def take_row(rows: Sequence[Row], key: str, keep_inside: bool) -> None:
    """Choose the label in the row that was clicked; the same row once more lets it go."""
    chosen = st.session_state[key].selection.rows
    kept = tuple(st.session_state.get("inside") or ()) if keep_inside else ()
    choose(label=rows[chosen[0]]["name"] if chosen else None, inside=kept)


def show_pickable(frame: pd.DataFrame, key: str, taken: Callable[[], None], *, tall: bool = False) -> None:
    """Show a table with a column of subset numbers, with the signs of the map; choosing a row calls ``taken``."""
    shown, colours = frame, [""] * len(frame)
    if "subset" in frame:
        marks = [mark(int(subset)) for subset in frame["subset"]]
        colours = [f"color: {colour}" for colour, _, _ in marks]
        shown = frame.assign(subset=frame["subset"] + 1)
        shown.insert(list(frame).index("subset"), "", [sign for _, _, sign in marks])
    st.dataframe(
        shown.style.apply(lambda _: colours, subset=[""]) if "" in shown and len(shown) <= MOST_COLOURED else shown,
        hide_index=True,
        key=key,
        on_select=taken,
        selection_mode="single-row",
        height=HEIGHT if tall else "auto",
        column_config={"": st.column_config.TextColumn(width=30)}
        | ({} if tall else {"label": st.column_config.TextColumn(width=140)})
        | {name: st.column_config.Column(help=told) for name, told in HELP.items()}
        | {name: st.column_config.NumberColumn(format="%.2f", help=HELP.get(name)) for name in TWO_DIGITS}
        | {"confused": st.column_config.NumberColumn(format="%.1f", help=HELP["confused"])}
        | {"drift q": st.column_config.NumberColumn(format="%.4f", help=HELP["drift q"])},
    )


def show_confused_pairs(pairs: Sequence[Confusion], rows: Sequence[Row]) -> None:
    """Show which labels are most taken for each other; choosing a pair takes both, as a lasso would."""
    names = {row["id"]: row["name"] for row in rows}
    shown = [one for one in pairs if set(one.labels) <= names.keys()][:MOST_LINES]
    if not shown:
        return
    st.caption("Most taken for each other; texts expected to be mistaken, and verdicts overturned.")
    frame = pd.DataFrame(
        {
            "one": [names[one.labels[0]] for one in shown],
            "other": [names[one.labels[1]] for one in shown],
            "texts": [round(one.expected, 1) for one in shown],
            "overturned": [one.overturned for one in shown],
        }
    )
    st.dataframe(
        frame, hide_index=True, key="confused_table", selection_mode="single-row", height=215,
        on_select=partial(_take_pair, shown),
        column_config={name: st.column_config.TextColumn(width=105) for name in ("one", "other")},
    )  # fmt: skip


def _take_pair(pairs: Sequence[Confusion]) -> None:
    chosen = st.session_state["confused_table"].selection.rows
    if chosen:
        choose(inside=pairs[chosen[0]].labels, area=())
