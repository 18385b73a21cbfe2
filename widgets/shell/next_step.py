"""The one next action in a project, with a sentence that says why it is next."""

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
    """The next action: a sentence, the page where it is done, and the words of the link to that page."""

    sentence: str
    page: str
    link: str


def next_step(project: Project) -> Step:
    """Return what to do next in this project."""
    job = mark_interrupted(project)
    if job is not None and job.state in {"waiting", "running"}:
        return Step("Work goes on in the background. You may close the browser meanwhile.", "label_map", "Label map")
    rounds = list_rounds(project)
    if not rounds:
        return Step("The data is imported. Look at the labels on the map, or run the first round.", "rounds", "Rounds")
    last = rounds[-1]
    if last.state == "open":
        return Step(f"Round {last.id} was not finished. Continue it.", "rounds", "Rounds")
    if last.state == "to review":
        waiting, ready = queue_counts(project)["to decide"], len(feed_back_plan(project).items)
        return Step(_what_to_review(waiting, ready), "review", "Review")
    advice = recommendation(project)
    if advice.stop:
        return Step(f"{advice.reason} You can stop here and download the labels.", "results", "Results")
    return Step(f"Round {last.id} is {last.state}. {advice.reason}", "rounds", "Rounds")


def _what_to_review(waiting: int, ready: int) -> str:
    if waiting:
        feed_back = f", or feed back the {counted(ready, 'text that is', 'texts that are')} ready" if ready else ""
        return f"Your decision helps most for {counted(waiting, 'text')}. Review them{feed_back}."
    if ready:
        return f"No text waits for your decision. {counted(ready, 'text is', 'texts are')} ready to be fed back."
    return (
        "No text waits for you, and none is ready to feed back. Check the verdicts on Review, or close the round on "
        "Rounds."
    )


def show_next_step(project: Project, here: str) -> None:
    """Show an analyst the next action, with a link if it is done on another page than ``here``."""
    if not may_write():
        return
    step = next_step(project)
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="next_step"):
        st.text(step.sentence)
        if step.page != here:
            st.page_link(PAGES[step.page], label=step.link, icon=":material/arrow_forward:")
