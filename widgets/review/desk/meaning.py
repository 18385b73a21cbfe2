"""An edit of a label's meaning at the desk: it takes the same way as every edit of the label set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from red_core.access.who import who_acts
from red_core.errors import StateError
from red_core.labels.meaning import Mean, edit_meaning, undo_meaning
from red_core.records import Project
from red_core.review.desk import PressOutcome
from red_core.review.presses import MeaningPress
from red_core.store.labels import label_name, list_labels
from red_core.store.overview import outdated_verdicts
from widgets.shell.untrusted import visible
from widgets.shell.words import counted

MOVED = "desk_moved"
"""Session key: the label set was edited at the desk, so that the whole page is run again."""
EDITED = "desk_meanings"
"""Session key: label -> ids of its meanings before and after each edit here. Cards in the tab still know old ones."""


def apply_meaning(project: Project, press: MeaningPress) -> tuple[PressOutcome, str]:
    """Carry out an edit of a meaning, or its undo; return the outcome, and what to tell the analyst."""
    edit = Mean(press.meaning_of, press.words, press.seen)
    try:
        name = visible(label_name(project, edit.label))
        if press.undo:
            meaning = undo_meaning(project, edit, who_acts())
            told = f"The meaning of {name} is as it was before."
        else:
            meaning = edit_meaning(project, edit, who_acts())
            told = f"The meaning of {name} is saved. {outdated_in_words(project, edit.label)}U takes it back."
    except StateError as error:
        return PressOutcome(press.request_id, str(error)), ""
    st.session_state.setdefault(EDITED, {}).setdefault(edit.label, []).extend([press.seen, meaning])
    st.session_state[MOVED] = True
    return PressOutcome(press.request_id), told


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
