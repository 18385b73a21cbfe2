"""Label map: the labels as points coloured by subset, one label or subset in detail, and edits of the label set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

import red_core  # noqa: F401  whole and first: two sessions of a cold server import at the same time
from red_core.access.who import who_acts
from red_core.records import Cluster, Project
from red_core.rounds import mark_interrupted, start_job
from red_core.settings import RECOMMENDED
from red_core.store import views
from widgets.labels.label_edit_panel import show_label_edits
from widgets.labels.label_panel import show_group, show_label, show_overview, show_write_meanings
from widgets.labels.label_rows import label_rows
from widgets.labels.label_tables import show_label_table
from widgets.labels.map_choice import NEAREST, Row, chart_key, choose, drawn_focus, focus_of, keep_valid, take_from_map
from widgets.labels.map_figure import ALT, CONFIG, label_map_figure, pool_picture
from widgets.labels.map_overlay import MOST_LINES, Focus, Overlay
from widgets.labels.new_labels_panel import found_groups, show_new_labels
from widgets.labels.pool_texts_panel import show_pool_texts
from widgets.labels.reforming_panel import show_reforming
from widgets.rounds.judge_panel import connected_server
from widgets.shell.marks import mark
from widgets.shell.reads import confused, pool_drawn, similarities
from widgets.shell.shell import current_project, errors_in_one_line, inside_the_shell
from widgets.shell.sign_in import may_write

inside_the_shell()


def teach_the_empty_map(project: Project) -> None:
    job = mark_interrupted(project)
    st.markdown(
        "Here every **label** becomes a point: near labels read alike, colours and signs tell the **subsets**, "
        "and the pool lies behind as a grey cloud. Its texts must be turned into vectors first."
    )
    if job is not None and job.state in {"waiting", "running"}:
        st.info("The texts are being prepared; the map comes when that is done.", icon=":material/hourglass:")
    elif may_write() and st.button("Prepare the texts and draw the map", type="primary", key="prepare_map"):
        with errors_in_one_line():
            start_job(project, "prepare", RECOMMENDED, who_acts())
            st.rerun()


def show_controls(project: Project, rows: Sequence[Row]) -> str:
    """Show what finds a label or a subset; return whether the map or the table is wanted."""
    keep_valid(project.name, rows)
    names, subsets = [row["name"] for row in rows], sorted({row["subset"] for row in rows})
    left, middle, right = st.columns([5, 3, 2], vertical_alignment="bottom")
    left.selectbox(
        "Find a label", names, index=None, key="label", bind="query-params", placeholder="Type a part of its name",
        on_change=lambda: choose(label=st.session_state["label"]),
    )  # fmt: skip
    middle.selectbox(
        "Subset", subsets, index=None, key="subset", placeholder="All", format_func=lambda n: f"{mark(n)[2]} {n + 1}",
        on_change=lambda: choose(subset=st.session_state["subset"]),
    )  # fmt: skip
    shown = right.segmented_control(
        "Shown as", ["Map", "Table"], default="Map", key="map_shown", required=True, label_visibility="collapsed"
    )
    return str(shown)


MOST_RINGS = 12
"""Groups of texts that fit no label that get a ring: the best ones, or their names hide the labels."""


def overlay_of(project: Project, groups: Sequence[Cluster], drawn: Mapping[str, Any] | None, focus: Focus) -> Overlay:
    """Return the lines of confusion, and where the groups of texts that fit no label lie."""
    pairs = confused(project)
    if focus.label is not None:
        pairs = [one for one in pairs if focus.label in one.labels][:NEAREST]
    places = []
    for group in groups[:MOST_RINGS] if drawn is not None else ():
        at = np.isin(drawn["texts"], group.texts)  # type: ignore[index]
        if at.any():
            x, y = drawn["spots"][at].mean(axis=0).tolist()  # type: ignore[index]
            places.append((group.name, (round(x, 3), round(y, 3))))
    return Overlay(tuple(pairs[:MOST_LINES]), tuple(places))


@st.cache_resource(max_entries=30, show_spinner=False)  # nobody changes it; a copy for each run took .04 s
def figure(
    key: tuple[object, ...],  # noqa: ARG001  what the rows and the pool depend on
    focus: Focus,
    overlay: Overlay,
    ink: str,
    _rows: Sequence[Row],
    _drawn: Mapping[str, Any] | None,
) -> dict[str, Any]:
    # As a dict, since a Figure's fields come back from the cache in another order, and would be another chart.
    if _drawn is not None:
        bounds, picture = np.stack([_drawn["low"], _drawn["high"]]), pool_picture(_drawn["counts"])
    else:
        places, picture = np.array([(row["x"], row["y"]) for row in _rows]), ""
        margin = 0.06 * np.maximum(np.ptp(places, axis=0), 1e-6)
        bounds = np.stack([places.min(axis=0) - margin, places.max(axis=0) + margin])
    return dict(label_map_figure(_rows, picture, bounds, focus, overlay, ink).to_plotly_json())


def show_map(project: Project, rows: Sequence[Row], focus: Focus) -> None:
    drawn = pool_drawn(project)
    states = "".join(row["state"][:1] or "-" for row in rows)
    key = (project.folder.as_posix(), views.version(project), drawn is not None, states)
    ink = st.get_option(f"theme.{st.context.theme.type or 'light'}.textColor") or "#808080"
    shown = drawn_focus(focus)
    overlay = overlay_of(project, found_groups(project) or (), drawn, shown)
    chart = figure(key, shown, overlay, ink, rows, drawn)
    with st.container(key="map"):
        st.plotly_chart(chart, key=chart_key(), config=CONFIG, alt=ALT, on_select=partial(take_from_map, rows))
    st.caption(
        "Near labels read alike; directions and far distances mean nothing, so there are no axes. Colour and sign: "
        "subset. Size: seeds. Hollow: new since the last round; with a dot: look at it. Orange lines: taken for each "
        "other. Grey: the pool, more texts where it is denser. Dotted rings: texts that fit no label. Click a label, "
        "or lasso several."
    )


def show_details(project: Project, rows: Sequence[Row], ids: Sequence[int], focus: Focus) -> None:
    """Show what is chosen, beside the map."""
    alike, pairs = similarities(project), confused(project)
    members = [row for row in rows if row["id"] in focus.inside]
    area = st.session_state.get("map_area", ())
    if focus.label is not None:
        show_label(project, next(row for row in rows if row["id"] == focus.label), rows, ids, alike, pairs)
    elif focus.subset is not None:
        own = [row for row in rows if row["subset"] == focus.subset]
        show_group(own, f"{mark(focus.subset)[2]} Subset {focus.subset + 1}, {len(own)} labels", ids, alike)
    elif members or area:
        show_group(members, f"{len(members)} labels in the lasso" if area else f"{len(members)} labels", ids, alike)
        show_pool_texts(project, area)
    else:
        show_overview(rows, ids, alike, pairs)
        show_write_meanings(project, rows)


def show_page(project: Project) -> None:
    every = label_rows(project)
    rows, ids = [row for row in every if row["subset"] is not None], [row["id"] for row in every]
    if not rows:
        teach_the_empty_map(project)
        return
    if len(rows) < len(every):
        st.caption(f"{len(every) - len(rows):,} new labels get their place and subset with the next round.")
    shown = show_controls(project, rows)
    focus = focus_of(rows, ids, similarities(project))
    left, right = st.columns([9, 5], gap="medium")
    with left:
        if shown == "Map":
            show_map(project, rows, focus)
        else:
            show_label_table(rows)
        chosen = next((row for row in rows if row["id"] == focus.label), None)
        show_label_edits(project, rows, chosen, [row for row in rows if row["id"] in focus.inside])
        show_new_labels(project, connected=connected_server() is not None)
        show_reforming(project)
    with right:
        show_details(project, rows, ids, focus)


show_page(current_project())
