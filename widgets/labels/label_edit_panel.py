"""Edit the label set: choose an edit, preview it, carry it out, undo it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from red_core.access.who import who_acts
from red_core.errors import RedError
from red_core.labels import edits as label_edits
from red_core.labels.edit_kinds import Add, Edit, Merge, Move, Rename, Retire, Split
from red_core.labels.edits import Preview
from red_core.labels.many import MergePairs
from red_core.records import Project
from red_core.store import views
from red_core.store.label_undo import edits
from red_core.store.texts import contents
from red_core.text import LONGEST_LABEL, LONGEST_MEANING
from widgets.labels.group_panel import group_form
from widgets.labels.label_file_form import label_file_form, offer_label_file
from widgets.labels.many_panel import many_form
from widgets.labels.map_choice import Row, choose
from widgets.shell.caching import cached_read
from widgets.shell.marks import mark
from widgets.shell.next_step import is_working
from widgets.shell.reasons import reason_of
from widgets.shell.row_height import LETTER, row_height
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain, visible
from widgets.shell.words import counted

KINDS = ("Add a label", "Rename", "Move", "Groups", "Merge", "Split", "Retire", "Many labels", "From a file")
MOST_PARTS = 6
VERBS = {
    "renamed": "rename", "merged": "merge", "retired": "retire", "moved": "move", "added": "add", "applied": "apply",
    "dissolved": "dissolve", "made": "make", "put": "put", "split": "split", "took": "take",
}  # fmt: skip
"""The verbs with which the messages of edits begin, and those of a preview: what was not done yet is no past."""
WAIT = "Work goes on in the background. You can preview and edit when it is done."
EDIT_WIDTH = 440
NEW_LABEL = "new_label"
"""Session key of the name and the example texts that the form for a new label is filled with."""


def show_label_edits(project: Project, rows: Sequence[Row], chosen: Row | None, inside: Sequence[Row]) -> None:
    """Show the form of an edit of the chosen label, its preview, and the history with Undo.

    Parameters
    ----------
    chosen : Row or None
        The label that is shown beside the map.
    inside : sequence of Row
        The labels in the lasso: the first choice of *Merge*.
    """
    # Once used, the expander stays open: it shows the result of the edit, and Undo.
    used = NEW_LABEL in st.session_state or st.session_state.get("edit_used", False)
    with st.expander("Edit the labels", icon=":material/edit:", expanded=used):
        if result := st.session_state.pop("edit_done", None):  # once: on later pages it would look like news
            st.success(plain(result), icon=":material/check:")
        if not may_write():
            offer_label_file(project)
            _show_history(project)
            return
        kind = st.radio("Edit", KINDS, key="edit_kind", horizontal=True)
        forms: dict[str, Callable[[], Edit | None]] = {
            "Add a label": lambda: _add(project, rows),
            "Rename": lambda: _rename(chosen),
            "Move": lambda: _move(rows, chosen),
            "Groups": lambda: group_form(project, chosen, inside),
            "Merge": lambda: _merge(rows, chosen, inside),
            "Split": lambda: _split(project, chosen),
            "Retire": lambda: _retire(chosen),
            "Many labels": lambda: many_form(project, rows),
            "From a file": lambda: label_file_form(project),
        }
        if chosen is None and kind in {"Rename", "Move", "Split", "Retire"}:
            st.caption("Choose a label on the map, in the table, or by its name above.")
            edit = None
        else:
            edit = forms[str(kind)]()
        _show_preview(project, edit)
        _show_history(project)


def _add(project: Project, rows: Sequence[Row]) -> Edit | None:
    draft = st.session_state.get(NEW_LABEL, {"name": "", "texts": []})
    left, right = st.columns([3, 2])
    name = left.text_input("Name", draft["name"], key=f"add_name_{draft['name']}", max_chars=LONGEST_LABEL)
    subsets = sorted({row["subset"] for row in rows})
    subset = right.selectbox(
        "Subset", subsets, index=None, placeholder="Automatic", key="add_subset",
        format_func=lambda n: f"{mark(n)[2]} {n + 1}", help="Automatic: the subset with the least similar labels",
    )  # fmt: skip
    meaning = st.text_input(
        "Meaning", key="add_meaning", max_chars=LONGEST_MEANING, placeholder="One sentence: what belongs to this label"
    )
    chosen = [int(text) for text in draft["texts"]]
    if chosen:
        become = counted(len(chosen), "text of the group becomes an example", "texts of the group become examples")
        st.caption(f"{become}. Untick the texts that do not belong.")
        frame = pd.DataFrame({"example": [True] * len(chosen), "text": _visible_texts(project, chosen)})
        ticked = st.data_editor(
            frame, hide_index=True, disabled=["text"], key=f"add_chosen_{draft['name']}", height=240
        )
        chosen = [text for text, keep in zip(chosen, ticked["example"], strict=True) if keep]
    typed = st.text_area(
        "Examples, one per line", key="add_examples", placeholder="Two or more texts, as customers write them",
        height=100,
    )  # fmt: skip
    examples: tuple[int | str, ...] = (*chosen, *(line.strip() for line in typed.splitlines() if line.strip()))
    return Add(name, meaning, subset, examples) if name.strip() and examples else None


def _rename(chosen: Row | None) -> Edit | None:
    if chosen is None:
        return None
    name = st.text_input("New name", chosen["name"], key=f"rename_{chosen['id']}", max_chars=LONGEST_LABEL)
    return Rename(chosen["id"], name) if name.strip() and name != chosen["name"] else None


def _retire(chosen: Row | None) -> Edit | None:
    if chosen is None:
        return None
    st.caption(
        "The label leaves the label set. Its labelled examples become unlabelled texts, and decisions for it no longer "
        "count. You can undo this."
    )
    return Retire(chosen["id"])


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
    merged = st.multiselect("Labels", list(names), first, format_func=names.__getitem__, key=f"merge_{first}")
    into = st.selectbox(
        "Merge into", [n for n in names if n not in merged or len(merged) > 1], index=None, key="merge_into",
        format_func=names.__getitem__, help="This label keeps its name, its meaning and its place on the map.",
    )  # fmt: skip
    others = tuple(label for label in merged if label != into)
    return Merge(others, into) if others and into is not None else None


def _split(project: Project, chosen: Row | None) -> Edit | None:
    if chosen is None:
        return None
    count = int(st.number_input("Parts", 2, MOST_PARTS, 2, key="split_parts"))
    try:
        clusters = _proposed_split(project, chosen["id"], count)
    except RedError as error:
        st.caption(plain(reason_of(error)))
        return None
    part_of = {text: part for part, cluster in enumerate(clusters) for text in cluster}
    with st.container(horizontal=True):
        names = [
            st.text_input(
                f"Name of part {part + 1}", key=f"split_{chosen['id']}_{count}_{part}", max_chars=LONGEST_LABEL
            )
            for part in range(count)
        ]
    st.caption(
        "These parts are a suggestion. Change a number to move a text to another part. With 0, it keeps the old label."
    )
    frame = pd.DataFrame(
        {"part": [part + 1 for part in part_of.values()], "text": _visible_texts(project, list(part_of))}
    )
    assigned = st.data_editor(
        frame, hide_index=True, disabled=["text"], key=f"split_texts_{chosen['id']}_{count}", height=240,
        column_config={
            "part": st.column_config.NumberColumn(min_value=0, max_value=count, step=1, width=60, required=True)
        },
    )  # fmt: skip
    parts: dict[str, list[int]] = {name: [] for name in names if name.strip()}
    for text, part in zip(part_of, assigned["part"], strict=True):
        if pd.notna(part) and part and names[int(part) - 1].strip():
            parts[names[int(part) - 1]].append(text)
    return Split(chosen["id"], parts) if parts else None


def _visible_texts(project: Project, texts: Sequence[int]) -> list[str]:
    return [visible(content) for content in contents(project, np.array(texts, dtype=np.int64))]


@cached_read()
def _proposed_split(project: Project, label: int, parts: int) -> list[list[int]]:
    return label_edits.propose_split(project, label, parts)


def _show_preview(project: Project, edit: Edit | None) -> None:
    working = is_working(project)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Preview", key="edit_preview", disabled=edit is None or working, on_click=_try, args=(project, edit))
        tried: tuple[Any, Any, Preview] | None = st.session_state.get("edit_tried")
        fits = tried is not None and tried[:2] == (_project_state(project), edit)
        st.button(
            "Do it", key="edit_do", type="primary", disabled=not fits or working, on_click=_do, args=(project, edit),
            help=None if fits else "Press Preview first: it shows what this edit changes.",
        )  # fmt: skip
        if isinstance(edit, MergePairs):
            st.button(
                f"Merge {counted(len(edit.into), 'pair')} now", key="edit_at_once", on_click=_at_once,
                args=(project, edit), disabled=working, help="Without a preview. You can undo it.",
            )  # fmt: skip
        if working:
            st.caption(WAIT, width="content")
    if error := st.session_state.pop("edit_error", None):
        st.error(plain(error), icon=":material/error:")
    if fits and tried is not None:
        for line in in_words(tried[2]):
            st.text(line)


def _project_state(project: Project) -> tuple[object, ...]:
    """Return what a preview is valid for: this project, until something in it changes."""
    return project.folder.as_posix(), views.version(project)


def _try(project: Project, edit: Edit) -> None:
    st.session_state.update({"edit_used": True, "edit_done": None})
    try:
        st.session_state["edit_tried"] = (_project_state(project), edit, label_edits.preview(project, edit))
    except RedError as error:
        st.session_state["edit_error"] = reason_of(error)


def _at_once(project: Project, edit: Edit) -> None:
    _try(project, edit)
    if "edit_error" not in st.session_state:
        _do(project, edit)


def _do(project: Project, edit: Edit) -> None:
    try:
        label_edits.apply_edit(project, edit, who_acts())
    except RedError as error:
        st.session_state["edit_error"] = reason_of(error)
        return
    st.session_state["edit_done"] = f"Done: {st.session_state.pop('edit_tried')[2].message}."
    st.session_state.pop(NEW_LABEL, None)
    st.session_state.update(dict.fromkeys(("add_name_", "add_meaning", "add_examples"), ""))
    choose()


def in_words(preview: Preview) -> list[str]:
    """Return a sentence for each thing an edit would change: texts, verdicts, classifiers, the label set."""
    moves = {
        "labelled example": preview.seeds,
        "decision": preview.decisions,
        "rejection": preview.rejections,
        "text fed back": preview.fed_back,
        "machine label": preview.predictions,
    }
    plurals = {"text fed back": "texts fed back"}
    moved = ", ".join(counted(count, name, plurals.get(name, "")) for name, count in moves.items() if count)
    refitted = sum(len(partition) for partition in preview.refitted)
    verb, _, rest = preview.message.partition(" ")
    return [
        f"This edit will {VERBS[verb]} {rest}." if verb in VERBS else f"This edit: {preview.message}.",
        f"This edit moves {moved}." if moved else "This edit moves no text.",
        f"{counted(preview.stale, 'verdict')} would no longer count."
        if preview.stale
        else "Every verdict still counts.",
        f"The next round trains {counted(refitted, 'classifier')} again.",
        f"Afterwards there are {counted(preview.labels, 'label')}, in subsets of "
        f"{', '.join(map(str, preview.subset_sizes))}."
        if 0 < len(preview.subset_sizes) <= 20
        else f"Afterwards there are {counted(preview.labels, 'label')}.",
    ]


def _show_history(project: Project) -> None:
    history = edits(project)
    undoable = [edit for edit in history if not edit.undone and edit.kind != "undo"]
    if not history:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{counted(len(history), 'edit')} of the label set so far.", width="content")
        st.button(
            "Undo the newest edit", key="edit_undo", icon=":material/undo:",
            disabled=not undoable or not may_write() or is_working(project),
            on_click=_undo, args=(project,), help=plain(undoable[-1].told) if undoable else None,
        )  # fmt: skip
    table = pd.DataFrame([asdict(edit) for edit in reversed(history)])[["version", "told", "who", "at"]]
    table = table.rename(columns={"told": "edit", "at": "when"}).assign(when=pd.to_datetime(table["at"]))
    height = row_height(list(table["edit"]), EDIT_WIDTH // LETTER)
    st.dataframe(
        table, hide_index=True, height=min(height * len(history) + 40, 220), row_height=height,
        column_order=["edit", "when", "who", "version"],
        column_config={
            "edit": st.column_config.TextColumn(width=EDIT_WIDTH),
            "when": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", width=120),
        },
    )  # fmt: skip


def _undo(project: Project) -> None:
    st.session_state["edit_used"] = True
    try:
        st.session_state["edit_done"] = f"Undone: {label_edits.undo_edit(project, who_acts())}."
    except RedError as error:
        st.session_state["edit_error"] = reason_of(error)
    choose()
