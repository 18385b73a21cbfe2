"""Beside the label map: tables of labels to choose from, and the chosen label or subset in detail."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from red_core.access.who import who_acts
from red_core.labels.acts import checked_meaning
from red_core.records import Floats, Project
from red_core.rounds import start_job
from red_core.settings import RECOMMENDED
from red_core.store import views
from red_core.store.labels import set_meanings
from red_core.store.views import Confusion
from red_core.text import LONGEST_MEANING
from widgets.labels.label_tables import show_confused_pairs, show_labels, show_pickable, take_row
from widgets.labels.map_choice import NEAREST, Row, choose, nearest
from widgets.labels.map_figure import STATES
from widgets.labels.similarity_figure import similarity_figure
from widgets.rounds.judge_panel import connected_server, show_failure
from widgets.shell.history import show_label_history
from widgets.shell.marks import mark
from widgets.shell.reads import round_number
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain, show_text
from widgets.shell.words import counted

MATRIX_UP_TO = 15


def show_write_meanings(project: Project, rows: Sequence[Row]) -> None:
    """Offer to let the judge's model write the meanings that are missing, where there is one."""
    missing = sum(not row["meaning"].strip() for row in rows)
    server = connected_server()
    if not missing or server is None or not may_write():
        return
    show_failure(project, "meanings", "Writing the meanings")
    told = f"Let {plain(server.model)} write {counted(missing, 'missing meaning')}"
    if st.button(told, key="write_meanings", icon=":material/edit_note:", help="From the seeds; you can edit each."):
        with errors_in_one_line():
            start_job(project, "meanings", RECOMMENDED, who_acts())
            st.rerun()


def show_overview(rows: Sequence[Row], ids: Sequence[int], alike: Floats | None, pairs: Sequence[Confusion]) -> None:
    """Show all subsets: the legend of the map; and the pairs of labels that are confused."""
    subsets = sorted({row["subset"] for row in rows})
    st.subheader(f"{len(rows):,} labels in {len(subsets):,} subset{'s' if len(subsets) > 1 else ''}")
    st.caption("One small classifier learns each subset; its labels are as unlike as possible, so it errs less.")
    members = [[row for row in rows if row["subset"] == n] for n in subsets]
    frame = pd.DataFrame({"subset": subsets, "labels": [len(own) for own in members]})
    if alike is not None:
        frame[["mean", "highest"]] = [pair[:2] for pair in (within(own, ids, alike) for own in members)]
    show_pickable(frame, "subsets_table", partial(take_subset, subsets))
    if alike is not None:
        st.caption("Mean and highest cosine similarity between two labels of the subset; 1 is the same.")
    show_confused_pairs(pairs, rows)


def take_subset(subsets: Sequence[int]) -> None:
    """Choose the subset in the row that was clicked."""
    chosen = st.session_state["subsets_table"].selection.rows
    choose(subset=subsets[chosen[0]] if chosen else None)


def within(members: Sequence[Row], ids: Sequence[int], alike: Floats) -> tuple[float, float, Floats]:
    """Return mean and highest similarity between two of these labels, and all of them as a matrix."""
    at = [ids.index(row["id"]) for row in members]
    matrix = alike[np.ix_(at, at)]
    pairs = matrix[np.triu_indices(len(at), k=1)]
    return (float(pairs.mean()), float(pairs.max()), matrix) if len(pairs) else (1.0, 1.0, matrix)


def show_group(members: Sequence[Row], heading: str, ids: Sequence[int], alike: Floats | None) -> None:
    """Show the labels of a subset, or those in the lasso."""
    st.button("All subsets", on_click=choose, icon=":material/arrow_back:", type="tertiary", key="all_subsets")
    st.subheader(heading)
    if members:
        show_labels(members, "members_table", keep_inside=True)
    if alike is None or len(members) < 2:
        return
    mean, highest, matrix = within(members, ids, alike)
    st.caption(f"Cosine similarity between two of them: {mean:.2f} on average, {highest:.2f} at most.")
    if len(members) <= MATRIX_UP_TO:
        drawn = similarity_figure([row["name"] for row in members], matrix, mark(members[0]["subset"])[0])
        st.plotly_chart(drawn, key="matrix", config={"displayModeBar": False}, alt="Similarity of every two members")


def show_label(
    project: Project,
    row: Row,
    rows: Sequence[Row],
    ids: Sequence[int],
    alike: Floats | None,
    pairs: Sequence[Confusion],
) -> None:
    """Show one label: its meaning, its counts and rates, what is near it, what it is taken for, its texts."""
    inside = tuple(st.session_state.get("inside") or ())
    with st.container(horizontal=True):
        st.button("All subsets", on_click=choose, icon=":material/arrow_back:", type="tertiary", key="all_subsets")
        st.button(f"Subset {row['subset'] + 1}", on_click=choose, args=(None, row["subset"]), type="tertiary")
        if inside:
            st.button(f"The lasso's {len(inside)}", on_click=choose, args=(None, None, inside), type="tertiary")
    st.subheader(plain(row["name"]))
    show_meaning(project, row)
    last = round_number(project)
    found = f" · {row['fed_back']:,} fed back · {row['labelled']:,} labelled in round {last}" if last else ""
    belief = f", mean belief {row['belief']:.2f}" if row["labelled"] else ""
    st.text(f"{row['seeds']:,} seeds{found}{belief}")
    if told := "; ".join(_rates(row)):
        st.text(told)
    if not st.session_state.get("map_drawn"):
        st.button(
            "Show it on the map", on_click=choose, args=(row["name"], None, inside), key="fly",
            icon=":material/my_location:", type="tertiary",
            help="Zooms to it, with what is near and what it is taken for",
        )  # fmt: skip
    texts = views.label_texts(project, row["id"], last)
    tabs = st.tabs(["Most alike", "Confused with", f"Seeds ({row['seeds']:,})", "From the pool"])
    with tabs[0]:
        show_alike(row, rows, ids, alike)
    with tabs[1]:
        show_confused_with(row, rows, pairs)
    for tab, kind, nothing in zip(tabs[2:], ("seeds", "pool"), ("No seed.", "None before a round."), strict=True):
        with tab.container(height=320, border=False):
            for text in texts[kind]:
                with st.container(border=True):
                    show_text(text)
            if not texts[kind]:
                st.caption(nothing)
    show_label_history(project, row["id"])


def _rates(row: Row) -> list[str]:
    """Return what audits, the judge's record and drift say of a label."""
    told = []
    if row["audits"]:
        told.append(f"audited right {row['audited']:.0%} of {row['audits']:,}")
    if row["judged"]:
        told.append(f"judge right {row['judge']:.0%} of {row['judged']:,}")
    if row["state"]:
        told.append(STATES[row["state"]])
    return told


def show_confused_with(row: Row, rows: Sequence[Row], pairs: Sequence[Confusion]) -> None:
    """Show the labels that one is taken for."""
    by_id = {other["id"]: other for other in rows}
    own = [one for one in pairs if row["id"] in one.labels and one.other(row["id"]) in by_id][:NEAREST]
    if not own:
        st.caption("None: no text is torn between it and another label, as far as is known.")
        return
    others = [by_id[one.other(row["id"])] for one in own]
    frame = pd.DataFrame(
        {
            "label": [other["name"] for other in others],
            "texts": [round(one.expected, 1) for one in own],
            "overturned": [one.overturned for one in own],
            "subset": [other["subset"] for other in others],
        }
    )
    key = f"confused_{row['id']}"
    show_pickable(frame, key, partial(take_row, others, key, True))
    st.caption("Texts expected to be mistaken for each other, and verdicts of the judge that were overturned.")


def show_meaning(project: Project, row: Row) -> None:
    """Show a label's meaning, and what edits it."""
    if row["meaning"]:
        show_text(row["meaning"])
        st.caption(plain(f"Written by {row['meaning_by']}."))
    else:
        st.caption("No meaning written. One sentence that tells it from its neighbours helps judge and analyst.")
    if not may_write():
        return
    with st.popover("Edit meaning", icon=":material/edit:"):
        key = f"meaning_{project.name}_{row['id']}"
        with st.form(key=f"form_{key}", border=False):  # what is typed counts with the first press of Save
            typed = st.text_area("Meaning", row["meaning"], max_chars=LONGEST_MEANING, key=key)
            saved = st.form_submit_button("Save", type="primary", key="save_meaning")
        if saved and typed.strip() != row["meaning"]:
            with errors_in_one_line():
                set_meanings(project, {row["id"]: checked_meaning(typed)}, who_acts())
                st.rerun()


def show_alike(row: Row, rows: Sequence[Row], ids: Sequence[int], alike: Floats | None) -> None:
    """Show the labels most similar to one, of all and within its subset."""
    if alike is None:
        st.caption("Similarities come when all texts are prepared.")
        return
    by_id = {other["id"]: other for other in rows}
    order = [(by_id[ids[at]], value) for at, value in nearest(ids.index(row["id"]), alike) if ids[at] in by_id]
    own = [(other, value) for other, value in order if other["subset"] == row["subset"]]
    for heading, found, kind in (("Of all labels", order, "all"), ("In its own subset", own, "own")):
        st.caption(f"{heading}, by cosine similarity")
        table = [{"label": o["name"], "similarity": value, "subset": o["subset"]} for o, value in found[:NEAREST]]
        frame = pd.DataFrame(table, columns=["label", "similarity", *(["subset"] if kind == "all" else [])])
        key = f"alike_{kind}_{row['id']}"
        show_pickable(frame, key, partial(take_row, [o for o, _ in found[:NEAREST]], key, True))
