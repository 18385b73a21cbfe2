"""Rounds: say what a round does and costs, run it, watch it, and see whether another is worth it."""

from __future__ import annotations

from math import ceil

import streamlit as st

from red_core.access.who import who_acts
from red_core.judges.server import JudgeServer
from red_core.records import Job, Project, Round
from red_core.rounds import mark_interrupted, recommendation, start_job
from red_core.settings import PRESETS, Settings, make_settings
from red_core.store.decisions import roll_back
from red_core.store.labels import current_layout
from red_core.store.rounds import close_round, finished_rounds, last_finished_round, list_rounds
from widgets.rounds.curves import show_curves
from widgets.rounds.judge_panel import choose_judge, cost, show_llm, show_spent
from widgets.shell.next_step import show_next_step
from widgets.shell.reads import facts
from widgets.shell.shell import current_project, errors_in_one_line, inside_the_shell
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain
from widgets.shell.words import ENDED, JUDGES, STAGES, counted

inside_the_shell()

IN_WORDS = {
    "recommended": (
        "Recommended",
        "Many noise rows that together weigh twice an average class, words beside the embedding, hidden subsets of "  # noqa: ISC004
        "look-alike labels. A question is asked where its answer is worth most; a verdict is evidence.",
    ),
    "article": (
        "Article",
        "As published: as many noise rows as twice an average class, each classifier's most uncertain texts are "  # noqa: ISC004
        "judged, and what is judged valid is taken as true.",
    ),
}
TUNABLE = (
    "examples_shown",
    "most_questions",
    "questions_per_subset",
    "least_gain",
    "feed_back_belief",
    "noise_factor",
    "least_information",
)
OF_LLM = ("most_tokens", "most_tokens_project", "self_test_seeds", "corrections")


def show_interrupted(project: Project, job: Job) -> bool:
    """Offer to go on with a round that did not end well; return whether there is one."""
    left_open = any(r.state == "open" for r in list_rounds(project))
    if job.kind != "round" or job.state not in {"cancelled", "failed", "interrupted"}:
        return False
    if not left_open:
        if job.state == "failed" and not list_rounds(project):
            st.warning(plain(f"The round failed. {job.error}"), icon=":material/error:")
        return False
    stage = STAGES.get(job.stage, job.stage).lower()
    why = f": {job.error.rstrip('.')}" if job.error else ""
    told = f"The round {ENDED[job.state]} while {stage}{why}. Nothing stored was lost."
    st.warning(plain(told), icon=":material/pause_circle:")
    if not may_write():
        return True
    with st.container(horizontal=True):
        if st.button("Go on with it", type="primary", key="resume_round", icon=":material/play_arrow:"):
            with errors_in_one_line():
                start_job(project, "round", Settings.model_validate_json(job.settings), who_acts())
                st.rerun()
        if left_open and st.button("Close it without feeding back", key="close_open"):
            with errors_in_one_line():
                close_round(project)
                st.rerun()
    return True


def show_close(project: Project, last: Round) -> None:
    """Offer to close a round that is to review."""
    with st.popover("Close without feeding back"):
        st.text("Verdicts and decisions stay; nothing joins the training set.")
        if st.button(f"Close round {last.id}", key="close_round"):
            with errors_in_one_line():
                close_round(project)
                st.rerun()


def show_roll_back(project: Project, last: Round) -> None:
    """Offer to take back what the last round fed back."""
    with st.popover(f"Take back what round {last.id} fed back", icon=":material/undo:"):
        st.text("Its texts leave the training set of the next round. Verdicts and decisions stay.")
        if st.button("Take it back", key="roll_back"):
            with errors_in_one_line():
                count = roll_back(project, last.id, who_acts())
                st.toast(f"{counted(count, 'text is', 'texts are')} out of the training set.")


def show_form(project: Project, number: int) -> None:
    st.subheader(f"Round {number}")
    left, right = st.columns(2, gap="large")
    with left:
        preset = st.radio(
            "How",
            list(IN_WORDS),
            format_func=lambda name: IN_WORDS[name][0],
            captions=[told for _, told in IN_WORDS.values()],
            key="preset",
            persist_state="session",
        )
    server = None
    with right:
        judge = choose_judge(project)
        if judge == "llm":
            server = show_llm(project)
    settings = tuned(preset, judge)
    st.text(estimate(project, settings, server))
    show_spent(project)
    ready = judge != "llm" or server is not None
    if st.button(
        f"Run round {number}", type="primary", key="run_round", icon=":material/play_arrow:", disabled=not ready
    ):
        with errors_in_one_line():
            start_job(project, "round", settings, who_acts())
            st.rerun()


def tuned(preset: str, judge: str) -> Settings:
    """Show the settings in words, folded away; return the preset with what was changed."""
    changes: dict[str, object] = {"judge": judge}
    with st.expander("Settings", icon=":material/tune:"):
        columns = st.columns(2)
        for place, name in enumerate(TUNABLE + (OF_LLM if judge == "llm" else ())):
            field, value = Settings.model_fields[name], getattr(PRESETS[preset], name)
            changed = columns[place % 2].number_input(
                str(field.description),
                value=value,
                step=None if isinstance(value, float) else 1,
                format="%.4g" if isinstance(value, float) else "%d",
                key=f"set_{preset}_{name}",
                placeholder="no cap",
                persist_state="session",  # a cap must outlive the job that hides it
            )
            if changed != value:
                changes[name] = changed
        st.caption("`red settings` lists them all; `red round NAME --set NAME=VALUE` changes any.")
    return make_settings(preset, changes)


def estimate(project: Project, settings: Settings, server: JudgeServer | None) -> str:
    """Say how many questions the round will ask at most, and what they cost."""
    asked, confirmed, told = questions(project, settings)
    if settings.judge == "evidence":
        more = f" Up to {counted(confirmed, 'confident text')} more are confirmed." if confirmed else ""
        return f"{told}{more} The {JUDGES['evidence']} costs nothing."
    if server is None:
        return f"{told} Connect to a judge first."
    return f"{told} That takes {cost(project, server, asked)}."


def questions(project: Project, settings: Settings) -> tuple[int, int, str]:
    """Return how many questions and confirmations there are at most, and the sentence that says why."""
    pool, last = facts(project)["pool"], last_finished_round(project)
    confirmed = min(settings.most_confirmations, pool)
    if settings.selection == "entropy":
        subsets = subset_count(project, settings)
        asked = min(subsets * settings.questions_per_subset, settings.most_questions)
        each = f"{settings.questions_per_subset} for each of {counted(subsets, 'classifier')}"
        return asked, confirmed, f"About {counted(asked, 'question')}: {each}."
    if last is None:
        asked = min(settings.most_questions, pool)
        why = f"it stops where an answer is worth less than {settings.least_gain:g} in the chance of being right"
        return asked, confirmed, f"At most {counted(asked, 'question')}: {why}."
    asked = min(settings.most_questions, last.metrics["worth_asking"])
    are = "is" if asked == 1 else "are"
    worth = (
        f"About {counted(asked, 'question')} {are} worth asking" if asked else "No question is worth asking any more"
    )
    return asked, confirmed, f"{worth}."


def subset_count(project: Project, settings: Settings) -> int:
    """Return the number of subsets, as they are or as they will be."""
    formed = int(current_layout(project)[1].max(initial=-1)) + 1
    return formed or ceil(facts(project)["labels"] / settings.subset_size)


def show_acts(project: Project, every: list[Round]) -> None:
    to_review = bool(every) and every[-1].state == "to review"
    with st.container(horizontal=True):
        if to_review:
            show_close(project, every[-1])
        if fed_back := [r for r in every if r.state == "fed back"]:  # its harm shows only once the next round is done
            show_roll_back(project, fed_back[-1])
    if not to_review:
        show_form(project, len(every) + 1)


def show_past(project: Project, done: list[Round]) -> None:
    st.subheader("So far")
    told = recommendation(project)
    icon = ":material/flag:" if told.stop else ":material/autorenew:"
    st.info(plain(told.reason), icon=icon)
    show_curves(done)


project = current_project()
job = mark_interrupted(project)
every = list_rounds(project)
finished = finished_rounds(project)
working = job is not None and job.state in {"waiting", "running"}
if working:
    st.text("It goes on when you close the browser; come back whenever you like.")
elif not (job is not None and show_interrupted(project, job)):
    show_next_step(project, "rounds")
    if may_write():
        show_acts(project, every)
if finished:
    show_past(project, finished)
elif not working:
    st.caption(
        "A round fits the subset classifiers, scores the pool, asks the judge about what is uncertain, and then waits "
        "for you. Its curves will be here."
    )
