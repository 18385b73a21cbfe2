"""Label map: the labels as points coloured by subset, one label or subset in detail, and new subsets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from red_core.access import who_acts
from red_core.label_set import Formation, adopt_subsets, examine_subsets, undo_subsets
from red_core.records import Floats, Project
from red_core.settings import RECOMMENDED, make_settings
from red_core.steps.judge_reliability import wilson
from red_core.store import views
from red_core.store.labels import current_places, earlier_places
from red_core.worker import mark_interrupted, start_job
from widgets.judge_panel import connected_server
from widgets.label_edit_panel import show_label_edits
from widgets.label_panel import (
    NEAREST,
    Row,
    choose,
    nearest,
    show_group,
    show_label,
    show_labels,
    show_overview,
    show_write_meanings,
)
from widgets.map_figure import ALT, CONFIG, Focus, label_map_figure, mark, pool_picture
from widgets.new_labels_panel import show_new_labels
from widgets.reads import facts, label_table, pool_counts, similarities
from widgets.shell import current_project, errors_in_one_line, inside_the_shell
from widgets.sign_in import may_write

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
    names, subsets = [row["name"] for row in rows], sorted({row["subset"] for row in rows})
    before = st.session_state.get("map_of", project.name)
    st.session_state["map_of"] = project.name
    chosen = st.session_state.get("label"), st.session_state.get("subset")
    if before != project.name or chosen[0] not in {None, *names} or chosen[1] not in {None, *subsets}:
        choose()  # what is chosen belongs to another project, or is gone
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


def focus_of(rows: Sequence[Row], ids: Sequence[int], alike: Floats | None) -> Focus:
    chosen = next((row for row in rows if row["name"] == st.session_state["label"]), None)
    inside = tuple(st.session_state.get("inside") or ())
    if chosen is None:
        return Focus(subset=st.session_state["subset"], inside=inside)
    near = () if alike is None else tuple(ids[at] for at, _ in nearest(ids.index(chosen["id"]), alike)[:NEAREST])
    return Focus(chosen["id"], chosen["subset"], inside, near)


@st.cache_data(max_entries=30, show_spinner=False)
def figure(
    key: tuple[str, tuple[int, ...], bool],  # noqa: ARG001  what the rows and the pool depend on
    focus: Focus,
    ink: str,
    _rows: Sequence[Row],
    _density: dict[str, Any] | None,
) -> go.Figure:
    if _density is not None:
        edges, picture = np.stack([_density["low"], _density["high"]]), pool_picture(_density["counts"])
    else:
        places, picture = np.array([(row["x"], row["y"]) for row in _rows]), ""
        margin = 0.06 * np.maximum(np.ptp(places, axis=0), 1e-6)
        edges = np.stack([places.min(axis=0) - margin, places.max(axis=0) + margin])
    return label_map_figure(_rows, picture, edges, focus, ink)


def show_map(project: Project, rows: Sequence[Row], focus: Focus) -> None:
    density = pool_counts(project)
    key = (project.folder.as_posix(), views.version(project), density is not None)
    ink = st.get_option(f"theme.{st.context.theme.type or 'light'}.textColor") or "#808080"
    drawn = figure(key, focus, ink, rows, density)
    st.plotly_chart(drawn, key="map", config=CONFIG, alt=ALT, on_select=partial(take_from_map, rows))
    st.caption(
        "Near labels read alike; directions and far distances mean nothing, so there are no axes. Colour and sign: "
        "subset. Size: seeds. Grey: the pool, more texts where it is denser. Click a label, or lasso several."
    )


def take_from_map(rows: Sequence[Row]) -> None:
    taken = [rows[at] for at in st.session_state["map"].selection.point_indices if at < len(rows)]
    if len(taken) == 1:
        choose(label=taken[0]["name"])
    elif taken:
        choose(inside=tuple(row["id"] for row in taken))


def show_reforming(project: Project) -> None:
    if not may_write():
        return
    with st.expander("Re-form the subsets", icon=":material/shuffle:"):
        st.caption("More labels per subset: fewer classifiers, each with a harder task. Nothing changes until adopted.")
        ids, now, _ = current_places(project)
        most, largest = max(2, min(100, len(now))), int(np.bincount(now).max())
        with st.container(horizontal=True, vertical_alignment="bottom"):
            size = st.number_input("Labels per subset (n)", 2, most, min(largest, most), width=170)
            wanted = st.button("Try it", key="try_subsets", icon=":material/play_arrow:")
            undoable = earlier_places(project)[0].tolist() == ids.tolist()
            undo = st.button("Undo the last change of subsets", key="undo_subsets", disabled=not undoable)
        with errors_in_one_line():
            if wanted:
                try_subsets(project, int(size))
            elif undo:
                undo_subsets(project, who_acts())
                st.rerun()
        tried = st.session_state.get("tried_subsets")
        if tried is not None and tried[0] == tried_for(project):
            show_before_and_after(project, *tried[1:])


def tried_for(project: Project) -> tuple[str, tuple[int, ...]]:
    """Return what a trial belongs to: after another import or change of subsets it is out of date."""
    return project.folder.as_posix(), views.version(project)[:2]


def try_subsets(project: Project, size: int) -> None:
    settings = make_settings(changes={"subset_size": size})
    measured = []
    with st.spinner("Fitting the classifiers of both"):
        bar = st.progress(0.0)
        for part, (name, wanted) in enumerate({"The current subsets": None, "The new ones": size}.items()):

            def report(done: int, of: int, part: int = part, name: str = name) -> None:
                bar.progress((part + done / of) / 2, f"{name}, {done} of {of} folds")

            bar.progress(part / 2, name)
            measured.append(examine_subsets(project, settings, wanted, report))
        bar.empty()
    st.session_state["tried_subsets"] = (tried_for(project), size, *measured)


def show_before_and_after(project: Project, size: int, before: Formation, after: Formation) -> None:
    seeds = facts(project)["seeds"]
    st.dataframe(pd.DataFrame({"now": told(before, seeds), f"with n = {size}": told(after, seeds)}))
    st.caption(
        f"Accuracy: classifiers fitted without a fifth of the {seeds:,} seeds label that fifth; the share they get "
        "right, with its 95% interval. Where the intervals overlap, the difference may be chance. Similarity: lower "
        "is easier."
    )
    with st.container(horizontal=True):
        if st.button("Adopt", type="primary", key="adopt_subsets", help="The next round trains on them."):
            with errors_in_one_line():
                adopt_subsets(project, after.subset_of, who_acts())
                st.rerun()
        if st.button("Keep the current ones", key="keep_subsets"):
            del st.session_state["tried_subsets"]
            st.rerun()


def told(formation: Formation, seeds: int) -> dict[str, str]:
    sizes = np.bincount(formation.subset_of)
    low, high = wilson(round(formation.accuracy * seeds), seeds)
    return {
        "subsets": f"{len(sizes):,}, of {' to '.join(str(n) for n in sorted({sizes.min(), sizes.max()}))} labels",
        "mean similarity in a subset": f"{formation.similarity.mean():.3f}",
        "highest similarity in a subset": f"{formation.highest.max():.3f}",
        "cross-validated accuracy": f"{formation.accuracy:.1%} [{low:.1%} to {high:.1%}]",
    }


def show_page(project: Project) -> None:
    every = label_table(project)
    rows, ids = [row for row in every if row["subset"] is not None], [row["id"] for row in every]
    if not rows:
        teach_the_empty_map(project)
        return
    if len(rows) < len(every):
        st.caption(f"{len(every) - len(rows):,} new labels get their place and subset with the next round.")
    shown, alike = show_controls(project, rows), similarities(project)
    focus = focus_of(rows, ids, alike)
    left, right = st.columns([9, 5], gap="medium")
    with left:
        if shown == "Map":
            show_map(project, rows, focus)
        else:
            show_labels(rows, "labels_table", tall=True)
        chosen = next((row for row in rows if row["id"] == focus.label), None)
        show_label_edits(project, rows, chosen, [row for row in rows if row["id"] in focus.inside])
        show_new_labels(project, connected=connected_server() is not None)
        show_reforming(project)
    with right:
        members = [row for row in rows if row["id"] in focus.inside]
        if focus.label is not None:
            show_label(project, next(row for row in rows if row["id"] == focus.label), rows, ids, alike)
        elif focus.subset is not None:
            own = [row for row in rows if row["subset"] == focus.subset]
            show_group(own, f"{mark(focus.subset)[2]} Subset {focus.subset + 1}, {len(own)} labels", ids, alike)
        elif members:
            show_group(members, f"{len(members)} labels in the lasso", ids, alike)
        else:
            show_overview(rows, ids, alike)
            show_write_meanings(project, rows)


show_page(current_project())
