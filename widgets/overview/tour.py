"""The first-run tour: three steps on Overview, for a person in the first project of a workspace."""

from __future__ import annotations

import streamlit as st

from red_core.access.who import who_acts
from red_core.records import Project
from red_core.store.database import project_names
from red_core.store.texts import remember, remembered
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import may_write

STEPS = (
    "This page shows how many labels are right by estimate, and what it takes to reach your goal.",
    "A round labels every text. It finds the texts where an answer helps most, and asks a judge about them.",
    "On Review, one key decides a text; ? shows all keys. Then feed back: the next round learns from your answers.",
)


def show_tour(project: Project) -> None:
    """Show the step of the tour where this person is, until it was seen or skipped."""
    key = f"tour of {who_acts()}"
    if not may_write() or len(project_names(project.workspace)) > 1 or remembered(project, key):
        return
    step = st.session_state.setdefault("tour_step", 0)
    last = step == len(STEPS) - 1
    with st.container(border=True, key="tour"):
        words, on, end = st.columns([8, 1, 1], vertical_alignment="center")
        words.markdown(f"**{step + 1} of {len(STEPS)}** {STEPS[step]}")
        if not last:
            on.button("Next", key="tour_next", on_click=st.session_state.update, args=({"tour_step": step + 1},))
        end.button(
            "Done" if last else "Skip", key="tour_end", type="tertiary", on_click=_end, args=(project, key),
            help="Ends the tour for good.",
        )  # fmt: skip


def _end(project: Project, key: str) -> None:
    with errors_in_one_line():
        remember(project, key, "seen")
