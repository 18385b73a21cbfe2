"""What is chosen on the label map, wherever it was chosen: a label, a subset, or what is in the lasso.

A figure that changes is a new chart to Streamlit, and loses its zoom. So what is chosen *on* the map is marked by the
browser alone; only what is chosen elsewhere (search, tables, buttons) is drawn into the figure, and flown to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from red_core.records import Floats
from widgets.labels.map_overlay import Focus

NEAREST = 5
Row = dict[str, Any]


def choose(
    label: str | None = None,
    subset: int | None = None,
    inside: tuple[int, ...] = (),
    *,
    area: Sequence[Floats] | None = None,
    on_map: bool = False,
) -> None:
    """Make this what the page shows; a callback, so that it comes before the widgets are drawn.

    Parameters
    ----------
    inside : tuple of int
        The labels in the lasso, and ``area`` its outlines, each of shape (m, 2); None keeps those of these labels.
    on_map : bool
        It was chosen on the map, and is marked there already unless the figure had something else in it.
    """
    if not on_map:  # a new chart, in which nothing is marked
        st.session_state["map_charts"] = st.session_state.get("map_charts", 0) + 1
        st.session_state["map_drawn"] = label is not None or subset is not None or bool(inside)
        st.session_state["map_around"] = label
    if area is None:
        area = st.session_state.get("map_area", ()) if inside == st.session_state.get("inside") else ()
    chosen = {"label": label, "map_chosen": label, "subset": subset, "inside": inside, "map_area": tuple(area)}
    st.session_state.update(chosen)


def keep_valid(project: str, rows: Sequence[Row]) -> None:
    """Let go of what is chosen where it belongs to another project, or is gone; a label in the address is flown to."""
    state = st.session_state
    before, state["map_of"] = state.get("map_of", project), project
    label, subset = state.get("label", st.query_params.get("label")), state.get("subset")
    known = label in {None, *(row["name"] for row in rows)} and subset in {None, *(row["subset"] for row in rows)}
    if before != project or not known:
        choose()
    elif label != state.get("map_chosen"):  # it came with the address
        choose(label, subset)


def nearest(place: int, alike: Floats) -> list[tuple[int, float]]:
    """Return the places of all other labels and their similarity to the one at ``place``, the highest first."""
    order = np.argsort(-alike[place], kind="stable")
    return [(int(other), float(alike[place, other])) for other in order if other != place]


def focus_of(rows: Sequence[Row], ids: Sequence[int], alike: Floats | None) -> Focus:
    """Return what is chosen: what the panel beside the map shows."""
    name, subset = st.session_state["label"], st.session_state["subset"]
    chosen = next((row for row in rows if row["name"] == name), None)
    inside = tuple(st.session_state.get("inside") or ())
    around = next((row["id"] for row in rows if row["name"] == st.session_state.get("map_around")), None)
    if chosen is None:
        return Focus(subset=subset, inside=inside, around=around)
    near = () if alike is None else tuple(ids[at] for at, _ in nearest(ids.index(chosen["id"]), alike)[:NEAREST])
    return Focus(chosen["id"], chosen["subset"], inside, near, around)


def drawn_focus(focus: Focus) -> Focus:
    """Return what of it is in the figure: nothing where the browser marks it."""
    return focus if st.session_state.get("map_drawn", False) else Focus(around=focus.around)


def chart_key() -> str:
    """Return the key of the map's chart."""
    return f"map_chart_{st.session_state.get('map_charts', 0)}"


def take_from_map(rows: Sequence[Row]) -> None:
    """Take what was clicked or lassoed on the map; letting go of it there shows all subsets again."""
    selection = st.session_state[chart_key()].selection
    taken = [rows[at] for at in selection.point_indices if 0 <= at < len(rows)]
    area = [np.column_stack([one["x"], one["y"]]) for one in selection.lasso]
    if len(taken) == 1 and not area:
        choose(taken[0]["name"], area=(), on_map=True)
    else:
        choose(inside=tuple(row["id"] for row in taken), area=area, on_map=True)
