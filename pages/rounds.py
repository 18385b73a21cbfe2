"""Rounds: what a round does and costs, the run, its progress, and whether another round helps."""

from __future__ import annotations

import streamlit as st

import red_core.api  # noqa: F401  whole and first: two sessions of a cold server import at the same time
from red_core.access.who import who_acts
from red_core.judges.project import cancel_batches, judge_of
from red_core.judges.server_settings import JudgeServer
from red_core.records import Job, Project, Round
from red_core.rounds import mark_interrupted, recommendation, start_job
from red_core.rounds.estimate import expected_questions
from red_core.rounds.plan import Plan
from red_core.settings import PRESETS, Settings, make_settings
from red_core.store.decisions import roll_back, round_to_roll_back
from red_core.store.rounds import close_round, finished_rounds, list_rounds
from red_core.store.verdicts import confirmations
from widgets.rounds.curves import show_curves
from widgets.rounds.judge_cost import choose_batch, question_cost, show_spent
from widgets.rounds.judge_panel import choose_judge, show_llm
from widgets.shell.next_step import show_next_step
from widgets.shell.progress import duration_in_words
from widgets.shell.reads import facts, plan, what_changed
from widgets.shell.reasons import why_ended
from widgets.shell.shell import current_project, errors_in_one_line, inside_the_shell
from widgets.shell.sign_in import may_write
from widgets.shell.untrusted import plain
from widgets.shell.words import JUDGES, STAGES, answers_in_words, counted

inside_the_shell()

PRESET_WORDS = {
    "recommended": (
        "Recommended",
        "Asks the judge about texts where an answer helps most. A more accurate judge counts more.",
    ),
    "article": (
        "Article",
        "The method of the research article. It asks about texts that each classifier is least sure of. Every valid "  # noqa: ISC004
        "verdict counts as true.",
    ),
}
"""Title and explanation of each preset."""
BEFORE_A_ROUND = ("", "embed", "form subsets")
"""The stages in which a job has not opened its round yet, or goes on with one."""
BASIC = ("examples_shown", "most_questions", "feed_back_belief")
OF_LLM = ("most_tokens", "most_tokens_project", "self_test_seeds", "corrections")
ADVANCED = ("least_gain", "questions_per_subset", "noise_factor", "least_information")
ADVANCED_EXPLAINED = (
    "*Article* follows the research article (Recursive Expert Delegation). "
    "Each classifier knows the labels of one subset and one more class, *noise*: texts whose label is in another "
    "subset. *Recommended* trains each classifier with up to 1,000 noise rows; *Article* uses as many noise rows as "
    "the noise weight times the average class size. *Recommended* also reads words, characters and nearest neighbours, "
    "and adds hidden subsets of similar labels. The change since the last round is the average Kullback-Leibler "
    "divergence of the confidences of two rounds, in nats; 0 means that nothing changed. On the command line, `red "
    "settings` lists all settings. `red round PROJECT --set SETTING=VALUE` changes one."
)


def show_interrupted(project: Project, job: Job) -> bool:
    """Show a round that was cancelled, failed or was interrupted; return whether there is one."""
    left_open = any(r.state == "open" for r in list_rounds(project))
    if job.kind != "round" or job.state not in {"cancelled", "failed", "interrupted"}:
        return False
    if not left_open:
        if job.state != "cancelled" and (job.stage in BEFORE_A_ROUND or not list_rounds(project)):
            st.warning(plain(f"The round {why_ended(job)}."), icon=":material/error:")
        return False
    ended = why_ended(job, while_=f" while {STAGES.get(job.stage, job.stage).lower()}")
    message = f"The round {ended}. Everything stored so far is kept."
    st.warning(plain(message), icon=":material/pause_circle:")
    if not may_write():
        return True
    with st.container(horizontal=True):
        if st.button("Continue the round", type="primary", key="resume_round", icon=":material/play_arrow:"):
            with errors_in_one_line():
                start_job(project, "round", Settings.model_validate_json(job.settings), who_acts())
                st.rerun()
        if st.button("Close the round without feeding back", key="close_open"):
            with errors_in_one_line():
                close_round(project)
                cancel_batches(project)  # its replies would not be read any more
                st.rerun()
    return True


def show_close(project: Project, last: Round) -> None:
    """Show the button that closes a round in review."""
    with st.popover("Close without feeding back", key="close_fold"):
        st.text("Verdicts and decisions stay. Nothing joins the training data.")
        if st.button(f"Close round {last.id}", key="close_round"):
            with errors_in_one_line():
                close_round(project)
                cancel_batches(project)  # its replies would not be read any more
                st.rerun()


def show_roll_back(project: Project, number: int, newest: int) -> None:
    """Show the button that takes the texts of the last feed back out of the training data."""
    then = f"The review of round {number} opens again."
    if number != newest:
        then = f"Round {number} stays closed, because round {newest} came after it."
    with st.popover(f"Undo the feed back of round {number}", icon=":material/undo:", key="roll_back_fold"):
        st.text(f"These texts leave the training data of the next round. Verdicts and decisions stay. {then}")
        if st.button("Undo it", key="roll_back"):
            with errors_in_one_line():
                count = roll_back(project, number, who_acts())
                st.session_state["rolled_back"] = f"{counted(count, 'text')} left the training data. {then}"
                st.rerun()  # the page and its header say that the round is fed back


def show_form(project: Project, number: int) -> None:
    """Show what the round does and costs, its button, and the choice of the judge; everything else is folded."""
    st.header(f"Round {number}")
    start = st.container()
    judge = choose_judge(project)
    server = show_llm(project) if judge == "llm" else None
    settings = tuned(judge, batch=choose_batch(server))
    with start:
        st.text(f"{estimate(project, settings, server)} {duration_in_words(project)}")
        show_spent(project)
        ready = judge != "llm" or server is not None
        if st.button(
            f"Run round {number}", type="primary", key="run_round", icon=":material/play_arrow:", disabled=not ready
        ):
            with errors_in_one_line():
                start_job(project, "round", settings, who_acts())
                st.rerun()


def tuned(judge: str, *, batch: bool) -> Settings:
    """Show the method and the settings of a round, folded; return the preset with the changes made here.

    Raises
    ------
    SettingsError
        If a value is out of its range.
    """
    preset = str(st.session_state.get("preset", "recommended"))
    changes: dict[str, object] = {"judge": judge, "batch": batch}
    with st.expander("Settings", icon=":material/tune:", key="settings_fold"):
        changes |= changed_settings(preset, BASIC + (OF_LLM if judge == "llm" else ()))
    with st.expander("Advanced", icon=":material/science:", key="advanced_fold"):
        st.radio(
            "Method", list(PRESET_WORDS), format_func=lambda name: PRESET_WORDS[name][0],
            captions=[caption for _, caption in PRESET_WORDS.values()], key="preset", persist_state="session",
        )  # fmt: skip
        st.caption(ADVANCED_EXPLAINED)
        changes |= changed_settings(preset, ADVANCED)
    return make_settings(preset, changes)


def changed_settings(preset: str, names: tuple[str, ...]) -> dict[str, object]:
    """Show a field for each of these settings; return those that differ from the preset."""
    columns, changes = st.columns(2), dict[str, object]()
    for index, name in enumerate(names):
        field, value = Settings.model_fields[name], getattr(PRESETS[preset], name)
        entered = columns[index % 2].number_input(
            str(field.description),
            value=value,
            step=None if isinstance(value, float) else 1,
            format="%.4g" if isinstance(value, float) else "%d",
            key=f"set_{preset}_{name}",
            placeholder="no limit",
            persist_state="session",  # the fields are hidden while a job runs
        )
        if entered != value:
            changes[name] = entered
    return changes


def estimate(project: Project, settings: Settings, server: JudgeServer | None) -> str:
    """Return how many questions the round asks at most, and what they cost."""
    judge = "" if server is None else judge_of(project, server)
    expected = expected_questions(project, settings, facts(project), judge)
    if settings.judge == "evidence":
        confirmed = min(settings.most_confirmations, facts(project)["pool"])
        more = f" It also confirms up to {counted(confirmed, 'text')} with a high confidence." if confirmed else ""
        return f"{expected.sentence} The {JUDGES['evidence']} costs nothing.{more}"
    if server is None:
        return f"{expected.sentence} Connect to a judge first."
    if not expected.questions:
        return expected.sentence
    return f"{expected.sentence} {question_cost(project, server).in_words(expected.questions)}"


def show_actions(project: Project, every: list[Round]) -> None:
    to_review = bool(every) and every[-1].state == "to review"
    with st.container(horizontal=True):
        if to_review:
            show_close(project, every[-1])
        if number := round_to_roll_back(project):
            show_roll_back(project, number, every[-1].id)
    if not to_review:
        show_form(project, len(every) + 1)


def show_past(project: Project, done: list[Round]) -> None:
    st.header("So far")
    advice, forecast = recommendation(project), plan(project)
    icon = ":material/flag:" if advice.stop else ":material/autorenew:"
    st.info(plain(f"{towards_the_goal(forecast)} {advice.reason}" if forecast else advice.reason), icon=icon)
    if changes := what_changed(project):
        st.text(changes.sentence(who_acts()))
    show_curves(done, confirmations(project, done[-1].id))


def towards_the_goal(forecast: Plan) -> str:
    """Return how far the goal is, as a sentence."""
    now = f"About {forecast.now:.1%} of the labels are right; the goal is {forecast.goal:.1%}."
    if forecast.reached or forecast.you.needed is None:
        return now
    return f"{now} You alone would need about {answers_in_words(forecast.you.needed.decisions, 'more decision')}."


project = current_project()
job = mark_interrupted(project)
every = list_rounds(project)
finished = finished_rounds(project)
working = job is not None and job.state in {"waiting", "running"}
if working:
    st.text("The work continues when you close the browser. You can come back at any time.")
elif not (job is not None and show_interrupted(project, job)):
    show_next_step(project, "rounds")
    if rolled_back := st.session_state.pop("rolled_back", None):
        st.success(rolled_back, icon=":material/undo:")
    if may_write():
        show_actions(project, every)
if finished:
    show_past(project, finished)
elif not working:
    st.caption(
        "A round trains the classifiers, labels the unlabelled texts, and asks the judge about uncertain ones. Then it "
        "waits for your review. The figures of each round appear here."
    )
