"""The labels that need the analyst, each with the reason and one button."""

from __future__ import annotations

import streamlit as st

from red_core.records import Label, Project
from red_core.review.needs import Need, needs
from red_core.store.overview import outdated_verdicts
from widgets.labels.map_choice import choose
from widgets.shell.reads import confused, drift, label_table, labels, overturned
from widgets.shell.shell import go
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain
from widgets.shell.words import counted

SHOWN = 8
QUEUE_OF = {"outdated": "stale", "drift": "random", "decide": "low belief"}


def show_needs(project: Project) -> None:
    """Show the labels with the most wrong texts to expect, and what helps each of them."""
    found = needs(
        label_table(project), confused(project), outdated_verdicts(project), _drifting(project), overturned(project)
    )
    names = labels(project)
    st.header("Labels that need you")
    if not found:
        st.caption("No label needs you now: for each one, at most one text is expected to be wrong.")
        return
    st.caption(
        f"{counted(len(found), 'label')}, the largest gain first. The number estimates how many texts have this label "
        "and need another."
    )
    shown = found if st.session_state.get("all_needs") else found[:SHOWN]
    for need in shown:
        _show(need, names)
    if len(found) > SHOWN:
        st.toggle(f"Show all {len(found):,} labels", key="all_needs")


def _drifting(project: Project) -> dict[int, int]:
    """Return the labels whose new texts differ from the earlier ones, and how many of the new ones are undecided."""
    kept = drift(project)
    if kept is None:
        return {}
    return {each.label.id: kept.waiting.get(each.label.id, 0) for each in kept.labels if each.drifted}


def _show(need: Need, names: dict[int, Label]) -> None:
    name, wrong, why, action = st.columns([4, 1, 5, 3], vertical_alignment="center")
    name.markdown(f"**{plain(names[need.label].name)}**")
    wrong.text(f"{need.wrong:,.0f}")
    sentence, button = _words(need, names)
    why.text(sentence)
    if may_write() and action.button(button, key=f"need_{need.label}", width="stretch"):
        if need.action in {"examples", "guideline"}:
            choose(names[need.label].name)
            go("label_map")
        if need.rival is not None:
            go("review", review_mode="Pairs", review_pair=tuple(sorted((need.label, need.rival))))
        go("review", review_mode="Review", review_labels=[need.label], review_queue=QUEUE_OF[need.action])


def _words(need: Need, names: dict[int, Label]) -> tuple[str, str]:
    """Return the reason as a sentence, and the words of the button."""
    if need.action == "examples":
        return f"It has only {counted(need.count, 'example')}.", "Add examples"
    if need.action == "outdated":
        return f"{counted(need.count, 'verdict is', 'verdicts are')} older than its meaning.", "Decide these"
    if need.action == "guideline":
        times = counted(need.count, "verdict of the judge was", "verdicts of the judge were")
        return f"{times} corrected since its guideline was written.", "Edit its guideline"
    if need.action == "drift":
        return f"{counted(need.count, 'new text', 'new texts')} differ from its earlier ones.", "Decide its texts"
    if need.action == "pair" and need.rival is not None:
        texts = counted(max(1, need.count), "text lies", "texts lie")
        return f"{texts} between it and {names[need.rival].name}.", "Decide this pair"
    return "Many of its texts have a low confidence.", "Decide its texts"
