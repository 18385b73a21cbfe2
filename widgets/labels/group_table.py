"""The table of the groups of labels: the figures of each group, from the outermost to the innermost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd
import streamlit as st

from red_core.labels.groups import checked_path
from red_core.store.labels import path_in_words
from red_core.store.views import Confusion
from widgets.labels.label_tables import show_pickable
from widgets.labels.map_choice import Row, choose_group
from widgets.shell.facts_line import FEW_AUDITS
from widgets.shell.selections import chosen_rows

RIGHT = "label right (audits)"
HEADINGS = {
    "seeds": "examples", "belief": "confidence", "audited": "label accuracy", "inside": "confused inside",
    "outside": "confused outside", "drifting": "drifting labels",
}  # fmt: skip
ORDER = (
    "name", "labels", "confidence", "label accuracy", RIGHT, "confused inside", "confused outside",
    "examples", "labelled", "drifting labels", "group",
)  # fmt: skip
"""The figures come before what is long or changes seldom, so that a small screen has them."""
INSIDE, NAME_WIDTH = "\u203a ", 250


def group_rows(rows: Sequence[Row], pairs: Sequence[Confusion]) -> list[Row]:
    """Return a row per group, each group before those inside it, with the figures of all labels in it.

    ``inside`` and ``outside`` are the numbers of texts that are estimated to have a label of the group in place of
    another label of the same group, or of another group. ``belief`` and ``audited`` are from 0 to 1, or None;
    ``audited`` is the accuracy of the labels, not of the group.

    Parameters
    ----------
    rows : sequence of Row
        From :func:`widgets.labels.label_rows.label_rows`.
    """
    members: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        for depth in range(1, len(row["path"]) + 1):
            members[row["path"][:depth]].append(row)
    paths = {row["id"]: row["path"] for row in rows}
    mixed = {path: [0.0, 0.0] for path in members}
    for pair in pairs:
        for path, both in _groups_of(pair, paths).items():
            mixed[path][0 if both else 1] += pair.texts
    ordered = sorted(members, key=lambda path: [part.casefold() for part in path])
    return [_row(path, members[path], *mixed[path]) for path in ordered]


def _groups_of(pair: Confusion, paths: Mapping[int, tuple[str, ...]]) -> dict[tuple[str, ...], bool]:
    """Return the groups of one or both labels of a pair, and whether both are in them."""
    sets = [{path[:depth] for depth in range(1, len(path) + 1)} for path in (paths.get(n, ()) for n in pair.labels)]
    return {path: path in sets[0] and path in sets[1] for path in sets[0] | sets[1]}


def _row(path: tuple[str, ...], members: Sequence[Row], inside: float, outside: float) -> Row:
    return {
        "group": path_in_words(path),
        "labels": len(members),
        "seeds": sum(row["seeds"] for row in members),
        "labelled": sum(row["labelled"] for row in members),
        "belief": _mean(members, "belief", "labelled"),
        "audited": _mean(members, "audited", "audits"),
        "audits": sum(row["audits"] for row in members),
        "audits_right": sum(row["audits_right"] for row in members),
        "inside": round(inside, 1),
        "outside": round(outside, 1),
        "drifting": sum(row["drift"] == "yes" for row in members),
    }


def _mean(members: Sequence[Row], name: str, weight: str) -> float | None:
    """Return the mean over the texts of all members; None without texts."""
    known = [row for row in members if row[name] is not None and row[weight]]
    texts = sum(row[weight] for row in known)
    return sum(row[name] * row[weight] for row in known) / texts if known else None


def show_group_table(rows: Sequence[Row], pairs: Sequence[Confusion]) -> None:
    """Show the table; choosing a row shows the labels of the group."""
    groups = group_rows(rows, pairs)
    frame = pd.DataFrame(groups).rename(columns=HEADINGS)
    frame["name"] = [_indented(group["group"]) for group in groups]
    frame["label accuracy"] = frame["label accuracy"].mask(frame["audits"] < FEW_AUDITS)
    frame[RIGHT] = [f"{each['audits_right']:,} of {each['audits']:,}" if each["audits"] else "" for each in groups]
    filled = {
        "label accuracy": frame["label accuracy"].notna().any(),
        RIGHT: frame["audits"].any(),
        "drifting labels": frame["drifting labels"].any(),
    }
    shown = frame[list(ORDER)].drop(columns=[name for name, any_ in filled.items() if not any_])
    text = st.column_config.TextColumn
    columns = {"name": text("group", width=NAME_WIDTH), "group": text("whole path")}
    show_pickable(
        shown, "groups_table", partial(_take, [group["group"] for group in groups]), tall=True, columns=columns
    )


def _indented(path: str) -> str:
    """Return the innermost group with a sign for each group around it: the names of these would hide it."""
    *around, name = checked_path(path)
    return f"{INSIDE * len(around)}{name}"


def _take(groups: Sequence[str]) -> None:
    chosen = chosen_rows(st.session_state["groups_table"], len(groups))
    choose_group(groups[chosen[0]] if chosen else None)
