"""The one obvious next action, with the sentence that says why it is next."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from red_core.records import Project
from red_core.rounds import mark_interrupted, recommendation
from red_core.store.rounds import list_rounds
from widgets.shell.reads import feed_back_plan, queue_counts
from widgets.shell.shell import PAGES
from widgets.shell.sign_in import may_write
from widgets.shell.words import counted


@dataclass(frozen=True)
class Step:
    """A sentence and the page where it is done."""

    sentence: str
    page: str
    link: str


def next_step(project: Project) -> Step:
    """Return what to do next in this project."""
    job = mark_interrupted(project)
    if job is not None and job.state in {"waiting", "running"}:
        return Step("Work goes on in the background; you may close the browser meanwhile.", "label_map", "Label map")
    done = list_rounds(project)
    if not done:
        return Step("Everything is in. Look at the labels on the map, or run the first round.", "rounds", "Rounds")
    last = done[-1]
    if last.state == "open":
        return Step(f"Round {last.id} was not finished. Go on with it.", "rounds", "Rounds")
    if last.state == "to review":
        waiting = queue_counts(project)["to decide"]
        ready = len(feed_back_plan(project).items)
        if waiting:
            more = f", or feed back the {ready:,} that are ready" if ready else ""
            told = f"{counted(waiting, 'text is', 'texts are')} worth your decision. Review them{more}."
            return Step(told, "review", "Review")
        if ready:
            told = f"Nothing waits for you. {counted(ready, 'text is', 'texts are')} ready to be fed back."
            return Step(told, "review", "Review")
        return Step(
            "Nothing waits for you and nothing is ready: look at the verdicts, or close the round.", "review", "Review"
        )
    told = recommendation(project)
    if told.stop:
        return Step(f"{told.reason} You can stop here and download the labels.", "results", "Results")
    return Step(f"Round {last.id} is {last.state}. {told.reason}", "rounds", "Rounds")


def show_next_step(project: Project, here: str) -> None:
    """Show an analyst the next action, with a link where it is done on another page."""
    if not may_write():
        return
    step = next_step(project)
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="next_step"):
        st.text(step.sentence)
        if step.page != here:
            st.page_link(PAGES[step.page], label=step.link, icon=":material/arrow_forward:")
