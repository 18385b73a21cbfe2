"""Edits of a guideline at the desk: they take the same way as every edit of the label set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from red_core.access.who import who_acts
from red_core.errors import StateError
from red_core.labels.meaning import Mean, edit_meaning, this_is_why, undo_examples, undo_meaning
from red_core.records import Label, Project
from red_core.review.desk import PressOutcome
from red_core.review.presses import MeaningPress, WhyPress
from red_core.store.guidelines import guideline_examples
from red_core.store.labels import label_name, list_labels
from red_core.store.overview import outdated_verdicts
from widgets.shell.reasons import reason_of
from widgets.shell.untrusted import visible
from widgets.shell.words import counted

MOVED = "desk_moved"
"""Session key: the label set was edited at the desk, so that the whole page is run again."""
LONGEST_EXAMPLE = 600
"""Characters shown of an example."""
EDITED = "desk_meanings"
"""Session key: label -> ids of its meanings before and after each edit here. Cards in the tab still know old ones."""


def apply_meaning(project: Project, press: MeaningPress) -> tuple[PressOutcome, str]:
    """Carry out an edit of a meaning, or its undo; return the outcome, and what to tell the analyst."""
    edit = Mean(press.meaning_of, press.words, press.seen, press.excludes)
    try:
        name = visible(label_name(project, edit.label))
        if press.undo:
            meaning = undo_meaning(project, edit, who_acts())
            told = f"The meaning of {name} is as it was before."
        else:
            meaning = edit_meaning(project, edit, who_acts())
            told = f"The meaning of {name} is saved. {outdated_in_words(project, edit.label)}U undoes this."
    except StateError as error:
        return PressOutcome(press.request_id, reason_of(error)), ""
    st.session_state.setdefault(EDITED, {}).setdefault(edit.label, []).extend([press.seen, meaning])
    st.session_state[MOVED] = True
    return PressOutcome(press.request_id), told


def apply_why(project: Project, press: WhyPress) -> tuple[PressOutcome, str]:
    """Put the text of a decision into guidelines, or take it out; return the outcome, and what to tell the analyst."""
    try:
        shown = this_is_why(project, press.why_of, who_acts(), press.words)
        if press.undo:
            undo_examples(project, shown, who_acts())
        names = " and ".join(visible(label_name(project, each.label)) for each in shown.examples)
    except StateError as error:
        return PressOutcome(press.request_id, reason_of(error)), ""
    st.session_state[MOVED] = True
    told = f"The example is in the guideline of {names}. U undoes this. G shows the guideline of the left label."
    return PressOutcome(press.request_id), "The guideline is as it was before." if press.undo else told


def guideline_as_json(project: Project, label: Label) -> dict[str, Any]:
    """Return the guideline of a label as the desk draws it."""
    examples = guideline_examples(project, [label.id]).get(label.id, [])
    rows = [
        [each.kind, visible(each.content[:LONGEST_EXAMPLE]), visible(each.why), visible(each.source)]
        for each in examples
    ]
    return {"label": label.id, "meaningId": label.meaning_id, "examples": rows}


def outdated_in_words(project: Project, label: int) -> str:
    """Return which verdicts on a label are outdated now, as a sentence; '' if none is."""
    count = outdated_verdicts(project).get(label, 0)
    if not count:
        return ""
    verdicts = counted(count, "earlier verdict is", "earlier verdicts are")
    return f"{verdicts} outdated now, and the next round asks again. "


def with_newest_meaning(project: Project, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a key press as if its card had seen the newest meaning of its label, if this session gave it that one."""
    edited: dict[object, list[int | None]] = st.session_state.get(EDITED, {})
    seen, own = raw.get("seen"), edited.get(raw.get("label"), [])
    if own and isinstance(seen, list) and len(seen) == 2 and seen[1] in own:
        newest = next((label.meaning_id for label in list_labels(project) if label.id == raw["label"]), None)
        if newest in own:
            return {**raw, "seen": [seen[0], newest]}
    return dict(raw)
