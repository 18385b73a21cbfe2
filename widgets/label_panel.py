"""Beside the label map: tables of labels to choose from, and the chosen label or subset in detail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from red_core.access import who_acts
from red_core.records import Floats, Project
from red_core.settings import RECOMMENDED
from red_core.store import views
from red_core.store.labels import set_meanings
from red_core.worker import start_job
from widgets.history import show_label_history
from widgets.judge_panel import connected_server, show_failure
from widgets.map_figure import HEIGHT, mark, similarity_figure
from widgets.reads import round_number
from widgets.shell import errors_in_one_line
from widgets.sign_in import may_write
from widgets.untrusted import plain, show_text
from widgets.words import counted

NEAREST = 5
MATRIX_UP_TO = 15
LONGEST_MEANING = 1_000
MOST_COLOURED = 300
"""Rows of a table up to which the signs have their colours; beyond, the colours would double what is sent."""
TWO_DIGITS = ("mean belief", "similarity", "mean", "highest")
Row = dict[str, Any]


def choose(label: str | None = None, subset: int | None = None, inside: tuple[int, ...] = ()) -> None:
    """Make this what the page shows; a callback, so that it comes before the widgets are drawn."""
    st.session_state.update({"label": label, "subset": subset, "inside": inside})


def nearest(place: int, alike: Floats) -> list[tuple[int, float]]:
    """Return the places of all other labels and their similarity to the one at ``place``, the highest first."""
    order = np.argsort(-alike[place], kind="stable")
    return [(int(other), float(alike[place, other])) for other in order if other != place]


def show_labels(rows: Sequence[Row], key: str, *, keep_inside: bool = False, tall: bool = False) -> None:
    """Show labels as a table in which a row can be chosen; ``tall`` is all there is to know, over the whole map."""
    wanted = ["name", "subset", "seeds", *(["fed_back"] if tall else []), "labelled", "belief", "meaning"]
    if not any(row["labelled"] for row in rows):
        wanted = ["name", "subset", "seeds", "meaning"]
    if not tall and len({row["subset"] for row in rows}) == 1:
        wanted.remove("subset")
    frame = pd.DataFrame(list(rows))[wanted]
    names = {"name": "label", "fed_back": "fed back", "belief": "mean belief"}
    show_pickable(frame.rename(columns=names), key, partial(take_row, rows, key, keep_inside), tall=tall)


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
        | {name: st.column_config.NumberColumn(format="%.2f") for name in TWO_DIGITS},
    )


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


def show_overview(rows: Sequence[Row], ids: Sequence[int], alike: Floats | None) -> None:
    """Show all subsets: the legend of the map."""
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
    show_labels(members, "members_table", keep_inside=True)
    if alike is None or len(members) < 2:
        return
    mean, highest, matrix = within(members, ids, alike)
    st.caption(f"Cosine similarity between two of them: {mean:.2f} on average, {highest:.2f} at most.")
    if len(members) <= MATRIX_UP_TO:
        drawn = similarity_figure([row["name"] for row in members], matrix, mark(members[0]["subset"])[0])
        st.plotly_chart(drawn, key="matrix", config={"displayModeBar": False}, alt="Similarity of every two members")


def show_label(project: Project, row: Row, rows: Sequence[Row], ids: Sequence[int], alike: Floats | None) -> None:
    """Show one label: its meaning, its counts, what is near it, its texts."""
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
    texts = views.label_texts(project, row["id"], last)
    tabs = st.tabs(["Most alike", f"Seeds ({row['seeds']:,})", "From the pool"])
    with tabs[0]:
        show_alike(row, rows, ids, alike)
    for tab, kind, nothing in zip(tabs[1:], ("seeds", "pool"), ("No seed.", "None before a round."), strict=True):
        with tab.container(height=320, border=False):
            for text in texts[kind]:
                with st.container(border=True):
                    show_text(text)
            if not texts[kind]:
                st.caption(nothing)
    show_label_history(project, row["id"])


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
                set_meanings(project, {row["id"]: typed.strip()[:LONGEST_MEANING]}, who_acts())
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
