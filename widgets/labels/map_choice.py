"""The choice on the page Label map: a label, a subset, or the labels in the lasso.

A changed figure is a new chart to Streamlit and loses its zoom. So a choice made *on* the map is marked by the browser
alone. Only a choice made elsewhere (search, tables, buttons) is drawn into the figure, which then zooms to it.

Streamlit keeps the callback of every widget that a session ever had, and each choice makes a new chart and new tables.
So the callbacks hold no rows. They read those of the last run (:func:`keep_points`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from red_core.labels.groups import checked_path, is_in
from red_core.records import Floats
from red_core.store.labels import path_in_words
from widgets.labels.map_overlay import Focus
from widgets.shell.selections import chosen_rows, outlines

NEAREST = 5
Row = dict[str, Any]


def choose(
    label: str | None = None,
    subset: int | None = None,
    inside: tuple[int, ...] = (),
    *,
    group: str | None = None,
    area: Sequence[Floats] | None = None,
    on_map: bool = False,
) -> None:
    """Set what the page shows. Call it from a callback, which runs before the widgets are drawn.

    Parameters
    ----------
    inside : tuple of int
        The ids of the labels in the lasso, or in the group.
    group : str, optional
        The group that is shown, its path in words.
    area : sequence of ndarray, optional
        The outlines of the lasso, each of shape (m, 2). None keeps the current ones if the labels are the same.
    on_map : bool
        Whether it was chosen on the map, where the browser has marked it already.
    """
    if not on_map:  # a new chart, without the marks of the browser
        st.session_state["map_charts"] = st.session_state.get("map_charts", 0) + 1
        st.session_state["map_drawn"] = label is not None or subset is not None or bool(inside)
        st.session_state["map_around"] = label
    if area is None:
        area = st.session_state.get("map_area", ()) if inside == st.session_state.get("inside") else ()
    chosen = {"label": label, "map_chosen": label, "subset": subset, "inside": inside, "map_area": tuple(area)}
    if group is not None or not on_map:
        chosen["map_group"] = group
    st.session_state.update(chosen)


def keep_valid(project: str, rows: Sequence[Row]) -> None:
    """Clear a choice of another project or of a deleted label; zoom to a label that the address names."""
    state = st.session_state
    before, state["map_of"] = state.get("map_of", project), project
    label, subset = state.get("label", st.query_params.get("label")), state.get("subset")
    known = label in {None, *(row["name"] for row in rows)} and subset in {None, *(row["subset"] for row in rows)}
    if before != project or not known:
        choose()
    elif label != state.get("map_chosen"):  # it came with the address
        choose(label, subset)


def nearest(position: int, alike: Floats) -> list[tuple[int, float]]:
    """Return the positions of all other labels and their similarity to the one at ``position``, the highest first."""
    order = np.argsort(-alike[position], kind="stable")
    return [(int(other), float(alike[position, other])) for other in order if other != position]


def focus_of(rows: Sequence[Row], ids: Sequence[int], alike: Floats | None) -> Focus:
    """Return the choice that the panel beside the map shows."""
    name, subset = st.session_state["label"], st.session_state["subset"]
    chosen = next((row for row in rows if row["name"] == name), None)
    inside = tuple(st.session_state.get("inside") or ())
    around = next((row["id"] for row in rows if row["name"] == st.session_state.get("map_around")), None)
    if chosen is None:
        return Focus(subset=subset, inside=inside, around=around)
    near = [] if alike is None else nearest(ids.index(chosen["id"]), alike)[:NEAREST]
    return Focus(chosen["id"], chosen["subset"], inside, tuple(ids[position] for position, _ in near), around)


def drawn_focus(focus: Focus) -> Focus:
    """Return the part of the choice that is drawn into the figure: none of it where the browser marks it."""
    return focus if st.session_state.get("map_drawn", False) else Focus(around=focus.around)


def chart_key() -> str:
    """Return the widget key of the map."""
    return f"map_chart_{st.session_state.get('map_charts', 0)}"


def keep_points(rows: Sequence[Row], shown: Sequence[Row] = ()) -> None:
    """Keep what the callbacks of the page need, in place of that of the run before.

    Parameters
    ----------
    rows : sequence of Row
        All labels.
    shown : sequence of Row
        The points of the map in their order: labels, and groups in place of the labels in them.
    """
    st.session_state["map_points"] = (rows, shown)


def choose_group(group: str | None) -> None:
    """Show the labels of a group beside the map; None shows all subsets again."""
    path = checked_path(group or "")
    rows, _ = st.session_state["map_points"]
    choose(inside=tuple(row["id"] for row in rows if path and is_in(row["path"], path)), group=group or None)


def take_from_map() -> None:
    """Take over a click or a lasso on the map; clearing the selection shows all subsets again."""
    state, (_, shown) = st.session_state[chart_key()], st.session_state["map_points"]
    selected = [shown[position] for position in chosen_rows(state, len(shown), "point_indices")]
    area = outlines(state)
    if len(selected) == 1 and not area and "opens" in selected[0]:
        choose_group(path_in_words(selected[0]["opens"]))
    elif len(selected) == 1 and not area:
        choose(selected[0]["name"], area=(), on_map=True)
    else:
        labels = [label for row in selected for label in row.get("members", [row])]
        choose(inside=tuple(label["id"] for label in labels), area=area, on_map=True)
