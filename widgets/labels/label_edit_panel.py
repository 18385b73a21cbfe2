"""Edits of the label set: chosen, previewed, carried out, undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
import streamlit as st

from red_core.access.who import who_acts
from red_core.errors import RedError
from red_core.labels import edits as label_edits
from red_core.labels.edits import Add, Edit, Merge, Move, Preview, Rename, Retire, Split
from red_core.records import Project
from red_core.store import views
from red_core.store.texts import contents
from red_core.text import LONGEST_LABEL, LONGEST_MEANING
from widgets.labels.label_file_form import label_file_form, offer_label_file
from widgets.labels.map_choice import Row, choose
from widgets.shell.marks import mark
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain, visible
from widgets.shell.words import counted

KINDS = ("Add a label", "Rename", "Move", "Merge", "Split", "Retire", "From a file")
MOST_PARTS = 6
NEW_LABEL = "new_label"
"""What the form for a new label begins with, from somewhere else on the page: name and example texts."""


def show_label_edits(project: Project, rows: Sequence[Row], chosen: Row | None, inside: Sequence[Row]) -> None:
    """Show the form of an edit about what is chosen on the map, its preview, and the history with its undo.

    Parameters
    ----------
    chosen : Row or None
        The label that is shown beside the map.
    inside : sequence of Row
        The labels in the lasso: what *Merge* begins with.
    """
    # Once used it stays open: what was done, and its undo, stand in it.
    used = NEW_LABEL in st.session_state or st.session_state.get("edit_used", False)
    with st.expander("Edit the labels", icon=":material/edit:", expanded=used):
        if done := st.session_state.get("edit_done"):
            st.success(plain(done), icon=":material/check:")
        if not may_write():
            offer_label_file(project)
            _show_history(project)
            return
        kind = st.segmented_control("Edit", KINDS, default=KINDS[0], key="edit_kind", required=True)
        forms: dict[str, Callable[[], Edit | None]] = {
            "Add a label": lambda: _add(project, rows),
            "Rename": lambda: _rename(chosen),
            "Move": lambda: _move(rows, chosen),
            "Merge": lambda: _merge(rows, chosen, inside),
            "Split": lambda: _split(project, chosen),
            "Retire": lambda: None if chosen is None else Retire(chosen["id"]),
            "From a file": lambda: label_file_form(project),
        }
        if chosen is None and kind in {"Rename", "Move", "Split", "Retire"}:
            st.caption("Choose a label on the map, in the table, or by its name above.")
            act = None
        else:
            act = forms[str(kind)]()
        _show_preview(project, act)
        _show_history(project)


def _add(project: Project, rows: Sequence[Row]) -> Edit | None:
    begun = st.session_state.get(NEW_LABEL, {"name": "", "texts": []})
    left, right = st.columns([3, 2])
    name = left.text_input("Name", begun["name"], key=f"add_name_{begun['name']}", max_chars=LONGEST_LABEL)
    subsets = sorted({row["subset"] for row in rows})
    subset = right.selectbox(
        "Subset", subsets, index=None, placeholder="The one it is least like", key="add_subset",
        format_func=lambda n: f"{mark(n)[2]} {n + 1}",
    )  # fmt: skip
    meaning = st.text_input(
        "Meaning", key="add_meaning", max_chars=LONGEST_MEANING, placeholder="What belongs to it, in a sentence"
    )
    chosen = [int(text) for text in begun["texts"]]
    if chosen:
        st.caption(f"{counted(len(chosen), 'text')} of the group of texts as examples; take out what does not belong.")
        frame = pd.DataFrame({"example": [True] * len(chosen), "text": [visible(c) for c in contents(project, chosen)]})
        kept = st.data_editor(frame, hide_index=True, disabled=["text"], key=f"add_chosen_{begun['name']}", height=240)
        chosen = [text for text, keep in zip(chosen, kept["example"], strict=True) if keep]
    typed = st.text_area(
        "Examples, one a line", key="add_examples", placeholder="Texts as customers write them, two or more", height=100
    )
    examples = (*chosen, *(line.strip() for line in typed.splitlines() if line.strip()))
    return Add(name, meaning, subset, examples) if name.strip() and examples else None


def _rename(chosen: Row | None) -> Edit | None:
    if chosen is None:
        return None
    name = st.text_input("New name", chosen["name"], key=f"rename_{chosen['id']}", max_chars=LONGEST_LABEL)
    return Rename(chosen["id"], name) if name.strip() and name != chosen["name"] else None


def _move(rows: Sequence[Row], chosen: Row | None) -> Edit | None:
    if chosen is None:
        return None
    others = sorted({row["subset"] for row in rows} - {chosen["subset"]})
    to = st.selectbox(
        "To subset", others, index=None, key=f"move_{chosen['id']}", format_func=lambda n: f"{mark(n)[2]} {n + 1}"
    )
    return None if to is None else Move(chosen["id"], to)


def _merge(rows: Sequence[Row], chosen: Row | None, inside: Sequence[Row]) -> Edit | None:
    names = {row["id"]: row["name"] for row in rows}
    first = [row["id"] for row in inside] or ([chosen["id"]] if chosen is not None else [])
    left, right = st.columns(2)
    merged = left.multiselect("Labels", list(names), first, format_func=names.__getitem__, key=f"merge_{first}")
    into = right.selectbox(
        "Become part of", [n for n in names if n not in merged or len(merged) > 1], index=None, key="merge_into",
        format_func=names.__getitem__, help="It keeps its name, its meaning and its place.",
    )  # fmt: skip
    others = tuple(label for label in merged if label != into)
    return Merge(others, into) if others and into is not None else None


def _split(project: Project, chosen: Row | None) -> Edit | None:
    if chosen is None:
        return None
    count = int(st.number_input("Parts", 2, MOST_PARTS, 2, key="split_parts"))
    try:
        clusters = _proposed(project.folder.as_posix(), views.version(project), project, chosen["id"], count)
    except RedError as error:
        st.caption(plain(str(error)))
        return None
    part_of = {text: part for part, cluster in enumerate(clusters) for text in cluster}
    said = dict(zip(part_of, contents(project, list(part_of)), strict=True))
    with st.container(horizontal=True):
        names = [
            st.text_input(
                f"Name of part {part + 1}", key=f"split_{chosen['id']}_{count}_{part}", max_chars=LONGEST_LABEL
            )
            for part in range(count)
        ]
    st.caption("A proposal of what belongs together: give each text the part it belongs to; 0 stays with the label.")
    frame = pd.DataFrame({"part": [part + 1 for part in part_of.values()], "text": [visible(said[t]) for t in part_of]})
    assigned = st.data_editor(
        frame, hide_index=True, disabled=["text"], key=f"split_texts_{chosen['id']}_{count}", height=240,
        column_config={"part": st.column_config.NumberColumn(min_value=0, max_value=count, step=1, width=60)},
    )  # fmt: skip
    parts: dict[str, list[int]] = {name: [] for name in names if name.strip()}
    for text, part in zip(part_of, assigned["part"], strict=True):
        if part and names[int(part) - 1].strip():
            parts[names[int(part) - 1]].append(text)
    return Split(chosen["id"], parts) if parts else None


@st.cache_data(max_entries=20, show_spinner=False)
def _proposed(folder: str, version: tuple[int, ...], _project: Project, label: int, parts: int) -> list[list[int]]:  # noqa: ARG001
    return label_edits.propose_split(_project, label, parts)


def _show_preview(project: Project, act: Edit | None) -> None:
    with st.container(horizontal=True):
        st.button("Preview", key="edit_preview", disabled=act is None, on_click=_try, args=(project, act))
        tried: tuple[Any, Any, Preview] | None = st.session_state.get("edit_tried")
        fits = tried is not None and tried[:2] == (_now(project), act)
        st.button(
            "Do it", key="edit_do", type="primary", disabled=not fits, on_click=_do, args=(project, act),
            help=None if fits else "Look at what it would do first.",
        )  # fmt: skip
    if error := st.session_state.pop("edit_error", None):
        st.error(plain(error), icon=":material/error:")
    if fits and tried is not None:
        for line in in_words(tried[2]):
            st.text(line)


def _now(project: Project) -> tuple[object, ...]:
    return project.folder.as_posix(), views.version(project)


def _try(project: Project, act: Edit) -> None:
    st.session_state.update({"edit_used": True, "edit_done": None})
    try:
        st.session_state["edit_tried"] = (_now(project), act, label_edits.preview(project, act))
    except RedError as error:
        st.session_state["edit_error"] = str(error)


def _do(project: Project, act: Edit) -> None:
    try:
        label_edits.apply_edit(project, act, who_acts())
    except RedError as error:
        st.session_state["edit_error"] = str(error)
        return
    st.session_state["edit_done"] = f"Done: {st.session_state.pop('edit_tried')[2].told}."
    st.session_state.pop(NEW_LABEL, None)
    st.session_state.update(dict.fromkeys(("add_name_", "add_meaning", "add_examples"), ""))
    choose()


def in_words(found: Preview) -> list[str]:
    """Return what an edit would do: what moves, what falls, what is fitted anew."""
    moves = {
        "seed": found.seeds,
        "decision": found.decisions,
        "rejection": found.rejections,
        "text fed back": found.fed_back,
        "machine label": found.predictions,
    }
    many = {"text fed back": "texts fed back"}
    told = ", ".join(counted(count, what, many.get(what, "")) for what, count in moves.items() if count)
    shown, *hidden = found.refitted or ((),)
    refitted = len(shown) + sum(len(part) for part in hidden)
    return [
        f"{found.told}.",
        f"It moves {told}." if told else "It moves no text.",
        f"{counted(found.stale, 'verdict')} would not count any more."
        if found.stale
        else "Every verdict still counts.",
        f"{counted(refitted, 'classifier is', 'classifiers are')} fitted anew in the next round.",
        f"{counted(found.labels, 'label')} then, in subsets of {', '.join(map(str, found.subset_sizes))}."
        if 0 < len(found.subset_sizes) <= 20
        else f"{counted(found.labels, 'label')} then.",
    ]


def _show_history(project: Project) -> None:
    made = label_edits.edits(project)
    undoable = [one for one in made if not one.undone and one.kind != "undo"]
    if not made:
        return
    left, right = st.columns([3, 2], vertical_alignment="center")
    left.caption(f"{counted(len(made), 'edit')} of the label set so far.")
    right.button(
        "Undo the newest edit", key="edit_undo", icon=":material/undo:", disabled=not undoable or not may_write(),
        on_click=_undo, args=(project,), help=plain(undoable[-1].told) if undoable else None,
    )  # fmt: skip
    shown = pd.DataFrame([asdict(one) for one in reversed(made)])[["version", "told", "who", "at"]]
    st.dataframe(shown, hide_index=True, height=min(38 * len(made) + 40, 220))


def _undo(project: Project) -> None:
    st.session_state["edit_used"] = True
    try:
        st.session_state["edit_done"] = f"Undone: {label_edits.undo_edit(project, who_acts())}."
    except RedError as error:
        st.session_state["edit_error"] = str(error)
    choose()
