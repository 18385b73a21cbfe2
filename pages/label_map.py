"""Label map: the labels as points coloured by subset, the details of a label or subset, and edits of the label set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

import red_core.api  # noqa: F401  whole and first: two sessions of a cold server import at the same time
from red_core.access.who import who_acts
from red_core.labels.groups import checked_path
from red_core.records import Cluster, Project
from red_core.rounds import mark_interrupted, start_job
from red_core.settings import RECOMMENDED
from red_core.store import views
from red_core.store.labels import path_in_words
from widgets.labels.group_hint import show_group_hint
from widgets.labels.group_table import show_group_table
from widgets.labels.label_edit_panel import show_label_edits
from widgets.labels.label_panel import (
    show_group,
    show_label,
    show_overview,
    show_way_to_pair,
    show_way_to_queue,
    show_write_meanings,
)
from widgets.labels.label_rows import label_rows
from widgets.labels.label_tables import show_label_table
from widgets.labels.map_choice import (
    NEAREST,
    Row,
    chart_key,
    choose,
    choose_group,
    drawn_focus,
    focus_of,
    keep_points,
    keep_valid,
    take_from_map,
)
from widgets.labels.map_figure import ALT, CONFIG, label_map_figure, pool_picture
from widgets.labels.map_groups import MOST_POINTS, coloured_by_group, overview
from widgets.labels.map_overlay import MOST_LINES, Focus, Overlay
from widgets.labels.new_labels_panel import current_groups, show_new_labels
from widgets.labels.pool_texts_panel import show_pool_texts
from widgets.labels.reforming_panel import show_reforming
from widgets.rounds.judge_panel import connected_server
from widgets.shell.marks import ink, mark
from widgets.shell.reads import confused, pool_drawn, similarities
from widgets.shell.shell import current_project, errors_in_one_line, inside_the_shell
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain
from widgets.shell.words import counted

inside_the_shell()


def show_empty_map(project: Project) -> None:
    job = mark_interrupted(project)
    st.markdown(
        "This map shows every **label** as a point. Labels with similar texts are near each other. Colour and "
        "shape show the **subset**. The grey cloud shows the unlabelled texts. The program must prepare all texts "
        "first. Then the map appears."
    )
    if job is not None and job.state in {"waiting", "running"}:
        st.info("The texts are being prepared. The map appears when that is done.", icon=":material/hourglass:")
    elif may_write() and st.button("Prepare the texts and draw the map", type="primary", key="prepare_map"):
        with errors_in_one_line():
            start_job(project, "prepare", RECOMMENDED, who_acts())
            st.rerun()


def show_controls(project: Project, rows: Sequence[Row]) -> str:
    """Show the search for a label or a subset; return *Map*, *Table* or *Groups*, whichever is chosen."""
    keep_valid(project.name, rows)
    names, subsets = [row["name"] for row in rows], sorted({row["subset"] for row in rows})
    groups = groups_on_map(rows)
    left, *between, middle, right = st.columns([5, 7, 3, 9] if groups else [5, 3, 2], vertical_alignment="bottom")
    left.selectbox(
        "Find a label", names, index=None, key="label", bind="query-params", placeholder="Part of its name",
        on_change=lambda: choose(label=st.session_state["label"]),
    )  # fmt: skip
    middle.selectbox(
        "Subset", subsets, index=None, key="subset", placeholder="All", format_func=lambda n: f"{mark(n)[2]} {n + 1}",
        on_change=lambda: choose(subset=st.session_state["subset"]),
    )  # fmt: skip
    if groups:
        with between[0]:
            choose_from_groups(groups)
    ways = ["Map", "Table", "Groups"] if groups else ["Map", "Table"]
    view = right.radio("Shown as", ways, key="map_shown", horizontal=True, label_visibility="collapsed")
    return str(view)


def groups_on_map(rows: Sequence[Row]) -> list[str]:
    """Return the groups of the labels, as people read them."""
    paths = {row["path"][:depth] for row in rows for depth in range(1, len(row["path"]) + 1)}
    return sorted(map(path_in_words, paths), key=str.casefold)


def choose_from_groups(groups: Sequence[str]) -> None:
    """Show the choice of a group."""
    if st.session_state.setdefault("map_group", None) not in {None, *groups}:
        st.session_state["map_group"] = None
    st.selectbox(
        "Group", groups, index=None, key="map_group", placeholder="All groups",
        on_change=lambda: choose_group(st.session_state["map_group"]),
    )  # fmt: skip


def scope_of(rows: Sequence[Row], focus: Focus) -> tuple[str, ...] | None:
    """Return the group whose groups have colours on the map; None where the colours are those of the subsets.

    Among many labels, it is the group of the chosen label: otherwise this label would not be on the map.
    """
    if not any(row["path"] for row in rows) or st.session_state.get("map_colours") == "Subset":
        return None
    group = checked_path(st.session_state.get("map_group") or "")
    if focus.label is None or group or len(rows) <= MOST_POINTS:
        return group
    return next(tuple(row["path"]) for row in rows if row["id"] == focus.label)


MOST_RINGS = 12
"""Number of groups of texts without a label that get a ring, the best first; more names would hide the labels."""


def overlay_of(project: Project, groups: Sequence[Cluster], drawn: Mapping[str, Any] | None, focus: Focus) -> Overlay:
    """Return the confused pairs of labels, and the spots of the groups of texts that fit no label."""
    pairs = confused(project)
    if focus.label is not None:
        pairs = [pair for pair in pairs if focus.label in pair.labels][:NEAREST]
    spots = []
    if drawn is not None:
        for group in groups[:MOST_RINGS]:
            inside = np.isin(drawn["texts"], group.texts)
            if inside.any():
                x, y = drawn["spots"][inside].mean(axis=0).tolist()
                spots.append((group.name, (round(x, 3), round(y, 3))))
    return Overlay(tuple(pairs[:MOST_LINES]), tuple(spots))


@st.cache_resource(max_entries=8, show_spinner=False)  # megabytes each; shared: a copy for each run took .04 s
def figure(
    key: tuple[object, ...],  # noqa: ARG001  the cache needs it: rows and drawing are not hashed
    focus: Focus,
    overlay: Overlay,
    colour: str,
    _rows: Sequence[Row],
    _drawn: Mapping[str, Any] | None,
) -> go.Figure:
    """Return the map. It stays a Figure, which nobody may change: Streamlit would check each point of a dict again."""
    if _drawn is not None:
        bounds, picture = np.stack([_drawn["low"], _drawn["high"]]), pool_picture(_drawn["counts"])
    else:
        coordinates, picture = np.array([(row["x"], row["y"]) for row in _rows]), ""
        margin = 0.06 * np.maximum(np.ptp(coordinates, axis=0), 1e-6)
        bounds = np.stack([coordinates.min(axis=0) - margin, coordinates.max(axis=0) + margin])
    return label_map_figure(_rows, picture, bounds, focus, overlay, colour)


def show_map(project: Project, rows: Sequence[Row], focus: Focus) -> None:
    drawn = pool_drawn(project)
    states = "".join(row["state"][:1] or "-" for row in rows)
    key = (project.folder.as_posix(), views.version(project), drawn is not None, states)
    marked, scope = drawn_focus(focus), scope_of(rows, focus)
    overlay = replace(overlay_of(project, current_groups(project) or (), drawn, marked), scope=scope)
    shown = list(rows) if scope is None else coloured_by_group(overview(rows, scope), scope)
    chart = figure((*key, len(shown)), marked, overlay, ink(), shown, drawn)
    keep_points(rows, shown)
    with st.container(key="map"):
        st.plotly_chart(chart, key=chart_key(), config=CONFIG, alt=ALT, on_select=take_from_map)
    if any(row["path"] for row in rows):
        st.radio("Colours", ["Group", "Subset"], key="map_colours", horizontal=True, persist_state="session")
    shows = "subset" if scope is None else "group"
    clicked = "Click a group to open it" if any("opens" in row for row in shown) else "Click a label"
    st.caption(
        f"{clicked}, or draw a line around several with the lasso. Labels with similar texts are near each other; "
        f"directions and long distances mean nothing. Colour and shape show the {shows}."
    )


def show_details(project: Project, rows: Sequence[Row], ids: Sequence[int], focus: Focus) -> None:
    """Show the details of the choice beside the map."""
    alike, pairs = similarities(project), confused(project)
    members = [row for row in rows if row["id"] in focus.inside]
    area = st.session_state.get("map_area", ())
    if focus.label is not None:
        show_label(project, next(row for row in rows if row["id"] == focus.label), rows, ids, alike, pairs)
    elif focus.subset is not None:
        members = [row for row in rows if row["subset"] == focus.subset]
        show_group(members, f"{mark(focus.subset)[2]} Subset {focus.subset + 1}, {len(members)} labels", ids, alike)
        show_way_to_queue("Decide texts of this subset", review_subset=focus.subset)
    else:
        group = st.session_state.get("map_group")
        count = counted(len(members), "label")
        heading = f"{count} in the lasso" if area else f"{plain(group)}: {count}" if group else count
        show_group(members, heading, ids, alike)
        if group and not area:
            show_way_to_queue("Decide texts of this group", review_group=group)
        elif members:
            show_way_to_pair(members, pairs)
            show_way_to_queue("Decide texts of these labels", review_labels=[row["id"] for row in members])
        show_pool_texts(project, area)


def show_page(project: Project) -> None:
    all_rows = label_rows(project)
    rows, ids = [row for row in all_rows if row["subset"] is not None], [row["id"] for row in all_rows]
    if not rows:
        show_empty_map(project)
        return
    if new := len(all_rows) - len(rows):
        st.caption(f"{counted(new, 'new label gets', 'new labels get')} a subset and a place here in the next round.")
    keep_points(rows)
    view = show_controls(project, rows)
    focus = focus_of(rows, ids, similarities(project))
    chosen = next((row for row in rows if row["id"] == focus.label), None)
    inside = [row for row in rows if row["id"] in focus.inside]
    anything = chosen is not None or bool(inside) or focus.subset is not None or bool(st.session_state.get("map_area"))
    # The same two columns with and without a choice: in another place of the page, the map would lose its zoom.
    left, right = st.columns([9, 5] if anything else [1_000, 1], gap="medium" if anything else None)
    with left:
        if view == "Map":
            show_map(project, rows, focus)
        elif view == "Groups":
            show_group_table(rows, confused(project))
        else:
            show_label_table(rows)
    if anything:
        with right:
            show_details(project, rows, ids, focus)
            show_label_edits(project, rows, chosen, inside)
    else:
        show_group_hint(project)
        show_overview(rows, ids, similarities(project), confused(project))
        show_write_meanings(project, rows)
        show_label_edits(project, rows, chosen, inside)
    show_new_labels(project, connected=connected_server() is not None)
    show_reforming(project)


show_page(current_project())
