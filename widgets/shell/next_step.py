"""The one next action in a project, with a sentence that says why it is next, and the button that does it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import streamlit as st

from red_core.access.who import who_acts
from red_core.errors import RedError
from red_core.records import Project, Round
from red_core.rounds import mark_interrupted, recommendation, start_job
from red_core.settings import RECOMMENDED, Settings
from red_core.store.rounds import list_rounds
from red_core.training.encoder_choice import encoder_advice
from widgets.review.queues import TO_GOAL
from widgets.shell.reads import (
    audit_summary,
    facts,
    feed_back_plan,
    part_to_certify,
    plan,
    queue_counts,
    source_counts,
    training_texts,
    work_to_certify,
    worth_doing,
)
from widgets.shell.shell import NO_FILTERS, PAGES, errors_in_one_line, go
from widgets.shell.sign_in import may_write
from widgets.shell.words import answers_in_words, counted

WITH_THEIR_OWN = ("overview", "data", "rounds", "results")
"""Pages that show the next step with its reason: there, the sidebar does not show it again."""


@dataclass(frozen=True)
class Step:
    """The next action.

    Attributes
    ----------
    sentence : str
    page : str
        The page where it is done.
    link : str
        The words of the link to that page.
    settings : Settings or None
        Of the round that the action starts; None where it is another action.
    mode : str
        The mode of Review in which it is done; '' where the page needs none.
    queue : str
        The queue of Review in which it is done; '' where it is the one that is open.
    """

    sentence: str
    page: str
    link: str
    settings: Settings | None = None
    mode: str = ""
    queue: str = ""

    def leads_to(self, here: str) -> bool:
        """Return whether a page is where it is done, in the mode in which it is done."""
        return here == self.page and self.mode in {"", st.session_state.get("review_mode", self.mode)}


def next_step(project: Project) -> Step:
    """Return what to do next in this project."""
    if is_working(project):
        return Step("Work goes on in the background. You may close the browser meanwhile.", "label_map", "Label map")
    rounds = list_rounds(project)
    if not rounds and encoder_advice(project).waits:
        return Step("The texts are in a language that the encoder does not know. Choose an encoder.", "data", "Data")
    if not rounds:
        pool = facts(project)["pool"]
        if not pool:
            return Step("There are no unlabelled texts yet. Import a file.", "data", "Data")
        sentence = f"The data is imported. The first round labels {counted(pool, 'text')}. Or look at the map first."
        return Step(sentence, "rounds", "Rounds", RECOMMENDED)
    last = rounds[-1]
    if last.state == "open":
        return Step(f"Round {last.id} was not finished. Continue it.", "rounds", "Rounds")
    if last.state == "to review":
        nothing_waits = not queue_counts(project)["to decide"] and not feed_back_plan(project).items
        return (
            _certified(project, last)
            or _to_certify(project)
            or (_to_certify_part(project) if nothing_waits else None)
            or _to_review(project)
        )
    return _after(project, last)


def _certified(project: Project, last: Round) -> Step | None:
    """Return the step after the goal is certified for all labels of the last round; None before."""
    given, forecast = audit_summary(project).certificate, plan(project)
    if given is None or forecast is None or given.round != last.id or given.target < forecast.goal:
        return None
    return Step(f"The goal is reached: {given.target:.1%} are certified. Download the labels.", "results", "Results")


def _to_certify(project: Project) -> Step | None:
    """Return the step after the goal is reached by the estimate alone; None before."""
    forecast, ready = plan(project), len(feed_back_plan(project).items)
    if forecast is None or not forecast.reached:
        return None
    also = f" {counted(ready, 'text is', 'texts are')} ready to be fed back." if ready else ""
    sentence, mode, queue = f"By the estimate, the goal of {forecast.goal:.1%} is reached. ", "Blind audit", ""
    work, part = work_to_certify(project), part_to_certify(project)
    if work is None and part is not None:
        sentence += f"{_part_in_words(part)} More decisions, or another round, make the others sure enough."
    elif work is None:
        sentence += "More decisions, or another round, make it sure enough for a certificate."
        mode, queue = "Review", "to decide"
    elif not work[0]:
        sentence += f"Certify it: about {answers_in_words(work[1])} in the blind audit."
        sentence += "" if part is None else f" {_part_in_words(part, 'First, certify')}"
    else:
        first = counted(work[0], "text")
        sentence += f"Decide the {first} of lowest confidence, then certify it: about {answers_in_words(work[1])}."
        mode, queue = "Review", "low belief" if queue_counts(project)["low belief"] >= work[0] else "to decide"
    return Step(f"{sentence}{also}", "review", mode, mode=mode, queue=queue)


def _to_certify_part(project: Project) -> Step | None:
    """Return the step to a certificate for the surest part, where the goal is out of reach for all texts."""
    forecast = plan(project)
    if forecast is None or forecast.reached or forecast.in_reach:
        return None
    part = part_to_certify(project)
    if part is None:
        return None
    sentence = f"The goal of {forecast.goal:.1%} is out of reach for all texts. {_part_in_words(part)}"
    return Step(sentence, "review", "Blind audit", mode="Blind audit")


def _part_in_words(part: tuple[float, int], certify: str = "Certify") -> str:
    """Return how to certify a part; see :func:`red_core.review.outlook.part_to_certify`."""
    return f"{certify} the surest {part[0]:.0%} or more: about {answers_in_words(part[1])} in the blind audit."


def _to_review(project: Project) -> Step:
    waiting = queue_counts(project)["to decide"]
    queue = "" if not waiting else TO_GOAL if worth_doing(project) else "to decide"
    return Step(_what_to_review(project), "review", "Review", mode="Review", queue=queue)


def _what_to_review(project: Project) -> str:
    waiting, ready = queue_counts(project)["to decide"], len(feed_back_plan(project).items)
    worth, forecast = worth_doing(project), plan(project)
    needed = forecast.you.needed.decisions if forecast is not None and forecast.you.needed and worth else None
    if waiting:
        toward = f" About {answers_in_words(needed, 'decision')} of yours reach the goal." if needed else ""
        if needed and worth < needed:
            toward += " The next round finds the rest."
        feed_back = f", or feed back the {counted(ready, 'text that is', 'texts that are')} ready" if ready else ""
        return f"Your decision helps most for {counted(waiting, 'text')}.{toward} Review them{feed_back}."
    if ready:
        return f"No text waits for your decision. {counted(ready, 'text is', 'texts are')} ready to be fed back."
    return (
        "No text waits for you, and none is ready to feed back. Check the verdicts on Review, or close the round on "
        "Rounds."
    )


def _after(project: Project, last: Round) -> Step:
    """Return the next action after a round that was fed back or closed."""
    state = f"Round {last.id} is {last.state}."
    if new := source_counts(project).get("no round yet", 0):
        sentence = f"{state} {counted(new, 'row waits', 'rows wait')} for a label from round {last.id + 1}."
        return Step(sentence, "rounds", "Rounds")
    forecast = plan(project)
    if certified := _certified(project, last):
        return certified
    if forecast is not None and forecast.reached:
        sentence = (
            f"{state} By the estimate, the goal of {forecast.goal:.1%} is reached. Download the labels, or audit."
        )
        return Step(sentence, "results", "Results")
    stored = Settings.model_validate_json(last.settings)
    settings = stored if stored.judge != "llm" else None  # what costs money starts on Rounds, beside its cost
    learned = training_texts(project) - last.metrics.get("training_rows", 0) if last.metrics else 0
    if learned > 0:
        sentence = f"{state} Run round {last.id + 1}: it learns from {counted(learned, 'more text')}."
        return Step(sentence, "rounds", "Rounds", settings)
    advice = recommendation(project)
    if advice.stop and (part := _to_certify_part(project)) is not None:
        return replace(part, sentence=f"{state} {part.sentence}")
    if advice.stop:
        return Step(f"{state} {advice.reason} You can stop here and download the labels.", "results", "Results")
    return Step(f"{state} {advice.reason}", "rounds", "Rounds", settings)


def show_stepper(project: Project, here: str) -> None:
    """Show in the sidebar where the work stands: import, round, review, feed back, and round again; and the next step.

    Parameters
    ----------
    here : str
        The page that is open.
    """
    rounds = list_rounds(project)
    last = rounds[-1] if rounds else None
    reviewing = last is not None and last.state == "to review"
    number = len(rounds) if last is not None and last.state in {"open", "to review"} else len(rounds) + 1
    now = 1
    if reviewing:
        now = 2 if queue_counts(project)["to decide"] or not feed_back_plan(project).items else 3
    steps = ("Import", f"Round {number}", "Review", "Feed back")
    words = [f"**{step}**" if index == now else step for index, step in enumerate(steps)]
    st.sidebar.caption(" → ".join(words))
    with st.sidebar, suppress(RedError, OSError):  # the page shows what is wrong
        if may_write() and here not in WITH_THEIR_OWN and not is_working(project):
            step = next_step(project)
            if not step.leads_to(here):
                _show_button(project, step, here, of="sidebar")


def is_working(project: Project) -> bool:
    """Return whether a job waits or runs: until it ended, the label set cannot be edited."""
    job = mark_interrupted(project)
    return job is not None and job.state in {"waiting", "running"}


def show_next_step(project: Project, here: str) -> None:
    """Show an analyst the next action, and the button that starts it or leads to where it is done."""
    if not may_write():
        return
    step = next_step(project)
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="next_step"):
        st.text(step.sentence)
        if not step.leads_to(here):
            _show_button(project, step, here)


def _show_button(project: Project, step: Step, here: str, of: str = "next") -> None:
    """Show the button that starts a round, or opens the page of another action; beside the first, the way to Rounds."""
    if step.settings is None or here == "rounds":
        if st.button(step.link, type="primary", key=f"{of}_go", icon=":material/arrow_forward:"):
            go(step.page, **_opened(step))
        return
    number = len(list_rounds(project)) + 1
    if st.button(f"Run round {number}", type="primary", key=f"{of}_round", icon=":material/play_arrow:"):
        with errors_in_one_line():
            start_job(project, "round", step.settings, who_acts())
            st.rerun()
    if of == "next":
        st.page_link(PAGES[step.page], label=step.link, icon=":material/arrow_forward:")


def _opened(step: Step) -> dict[str, object]:
    """Return the values of the widgets of Review for the step: its mode, and its queue without filters."""
    if not step.mode:
        return {}
    mode: dict[str, object] = {"review_mode": step.mode}
    return {**NO_FILTERS, **mode, "review_queue": step.queue} if step.queue else mode
