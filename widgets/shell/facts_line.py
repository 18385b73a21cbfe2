"""The line of facts above every page, and the progress of a running job."""

from __future__ import annotations

import streamlit as st

from red_core.records import Job, JudgeRates, Project, Round
from red_core.rounds import mark_interrupted
from red_core.store.jobs import ask_to_cancel
from red_core.store.rounds import last_finished_round
from widgets.shell.progress import show_progress
from widgets.shell.reads import accuracy_now, audit_summary, facts, queue_counts
from widgets.shell.reasons import why_ended
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import may_write, to_the_door
from widgets.shell.untrusted import plain
from widgets.shell.words import acceptance, counted, judge_name

FEW_AUDITS = 20
"""Below this number of audits no accuracy is shown: it says little, and one more answer would give away whether the
machine's label of that text was right."""

WORK = {
    "round": "The round",
    "judge-check": "The self-test of the judge",
    "prepare": "The import",
    "meanings": "Writing the meanings",
    "encoder": "The change of the encoder",
    "compare encoders": "The comparison of encoders",
}
PAGES_OF_WORK = {"round": "Rounds", "judge-check": "Rounds", "meanings": "Label map"}
"""The page that says more when work fails, and where it goes on; *Data* for all other work."""


def show_facts_line(project: Project, *, live: bool) -> None:
    """Show the state of the project in one line; ``live``: again every second, where keys change it without a rerun."""
    st.fragment(_facts_line, run_every=1.0 if live else None)(project)


def _facts_line(project: Project) -> None:
    with errors_in_one_line():  # a fragment runs without the shell around it
        to_the_door()
        _show_facts(project)


def _show_facts(project: Project) -> None:
    counts, last = facts(project), last_finished_round(project)
    parts = [
        counted(counts["labels"], "label"),
        counted(counts["seeds"], "labelled example"),
        counted(counts["pool"], "unlabelled text"),
    ]
    if last is not None:
        parts = [f"Round {last.id}, {last.state}", *_review_facts(project, last), *_accuracies(project)]
        parts += _measured_accuracy(project)
    elif counts["truths"]:
        parts.append("trial: most labels are hidden, to measure accuracy")
    st.caption(plain("  ·  ".join(parts)))


def _review_facts(project: Project, last: Round) -> list[str]:
    rates = JudgeRates(**last.metrics["judge_rates"])
    judge = f"{judge_name(last.metrics.get('judge', last.judge))} {acceptance(rates)}"
    return [f"{queue_counts(project)['to decide']:,} to decide", judge] if last.state == "to review" else [judge]


def _accuracies(project: Project) -> list[str]:
    said = zip(("estimated accuracy", "true accuracy (trial)"), accuracy_now(project), strict=True)
    return [f"{name} {share:.1%}" for name, share in said if share is not None]


def _measured_accuracy(project: Project) -> list[str]:
    """Return the accuracy that the audits measured, with its interval and base; nothing after few audits."""
    audits = audit_summary(project)
    measured = audits.accuracy
    if measured.share is None or measured.of < FEW_AUDITS:
        return []
    interval = f"range {100 * measured.low:.0f} to {measured.high:.0%}, {counted(measured.of, 'text')}"
    certified = ""
    if audits.certificate is not None:
        certified = f", certified {audits.certificate.target:.1%}"
    elif audits.selective is not None:
        part = audits.selective
        certified = f", certified {part.target:.1%} for {part.texts / part.of:.0%} of the texts"
    return [f"measured accuracy (audit) {measured.share:.0%} ({interval}){certified}"]


def show_job(project: Project) -> Job | None:
    """Show the running job, refreshed every second, with Cancel; return the newest job.

    A job that was cancelled, failed or was interrupted is shown by the page that can resume it. Every page says once
    that the work ended, and why it failed.
    """
    job = mark_interrupted(project)
    if job is not None and job.state in {"waiting", "running"}:
        st.session_state["job_watched"] = (project.name, job.id)
        _running(project, job.id)
    elif job is not None and st.session_state.pop("job_watched", None) == (project.name, job.id):
        _say_how_it_ended(job)
    return job


def _say_how_it_ended(job: Job) -> None:
    if job.state == "done":
        st.toast(f"{WORK[job.kind]} is done.", icon=":material/check:")  # a long one hides the button of the next step
    elif job.state in {"failed", "interrupted"}:
        where = PAGES_OF_WORK.get(job.kind, "Data")
        st.toast(plain(f"{WORK[job.kind]} {why_ended(job)}. See {where}."), icon=":material/error:", duration="long")


@st.fragment(run_every=1.0)
def _running(project: Project, job_id: int) -> None:
    with errors_in_one_line():  # a fragment runs without the shell around it
        to_the_door()
        _show_running(project, job_id)


def _show_running(project: Project, job_id: int) -> None:
    job = mark_interrupted(project)
    if job is None or job.id != job_id or job.state not in {"waiting", "running"}:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        show_progress(project, job)
        if may_write() and st.button(
            "Cancel", key="cancel_job", disabled=job.cancel_asked, help="Stops the work. Results stored so far stay."
        ):
            with errors_in_one_line():
                ask_to_cancel(project, job.id)
                st.rerun()
