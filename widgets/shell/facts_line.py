"""The one quiet line of facts on top of every page, and what a running job is doing."""

from __future__ import annotations

import streamlit as st

from red_core.records import Job, JudgeRates, Project, Round
from red_core.rounds import mark_interrupted
from red_core.store.jobs import ask_to_cancel
from red_core.store.rounds import last_finished_round
from widgets.shell.reads import audit_summary, facts, queue_counts
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import may_write, to_the_door
from widgets.shell.untrusted import plain
from widgets.shell.words import STAGES, counted, judge_name, passes

FEW_AUDITS = 20
"""Fewer say little, and one answer more would show whether the machine had given the same."""


def show_facts_line(project: Project) -> None:
    """Show where the project stands, in one line."""
    counts, last = facts(project), last_finished_round(project)
    parts = [counted(counts["labels"], "label"), counted(counts["seeds"], "seed")]
    parts += [f"{counted(counts['pool'], 'text')} in the pool"]
    if last is not None:
        parts = [f"Round {last.id}, {last.state}", *_review_facts(project, last), *_sure_and_right(last)]
        parts += _audited(project)
    elif counts["truths"]:
        parts.append("trial project: its truth is known, and only scoring reads it")
    st.caption(plain("  ·  ".join(parts)))


def _review_facts(project: Project, last: Round) -> list[str]:
    waiting = queue_counts(project)["to decide"] if last.state == "to review" else 0
    rates = JudgeRates(**last.metrics["judge_rates"])
    judge = judge_name(last.metrics.get("judge", last.judge))
    to_do = [f"{waiting:,} to decide"] if last.state == "to review" else []
    return [*to_do, f"{judge} {passes(rates)}"]


def _sure_and_right(last: Round) -> list[str]:
    known = [f"expected agreement {last.metrics['expected_agreement']:.1%}"]
    if last.metrics["true_agreement"] is not None:
        known.append(f"true {last.metrics['true_agreement']:.1%} (trial)")
    return known


def _audited(project: Project) -> list[str]:
    """Return the audited accuracy with its interval and base, once somebody has audited."""
    found = audit_summary(project)
    if found.accuracy.share is None or found.accuracy.of < FEW_AUDITS:
        return []
    told = f"audited {found.accuracy.share:.0%} [{found.accuracy.low:.0%} to {found.accuracy.high:.0%}]"
    certified = f", certified {found.target:.1%}" if found.certificate is not None else ""
    return [f"{told} ({found.accuracy.of:,}){certified}"]


def show_job(project: Project) -> Job | None:
    """Show the job that runs now, refreshed every second, with Cancel; return the newest job.

    A job that was cancelled, failed or was interrupted is said once more where it can be resumed.
    """
    job = mark_interrupted(project)
    if job is not None and job.state in {"waiting", "running"}:
        _running(project, job.id)
    return job


@st.fragment(run_every=1.0)
def _running(project: Project, job_id: int) -> None:
    with errors_in_one_line():  # a fragment runs without the shell around it
        to_the_door()
        _show_running(project, job_id)


def _show_running(project: Project, job_id: int) -> None:
    job = mark_interrupted(project)
    if job is None or job.id != job_id or job.state not in {"waiting", "running"}:
        st.rerun()
    stage = STAGES.get(job.stage, job.stage)
    share = min(job.done / job.total, 1.0) if job.total else 0.0
    count = f" · {job.done:,} of {job.total:,}" if job.total else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(share, text=plain(f"{stage}{count}"))
        if may_write() and st.button(
            "Cancel", key="cancel_job", disabled=job.cancel_asked, help="What is stored stays."
        ):
            with errors_in_one_line():
                ask_to_cancel(project, job.id)
                st.rerun()
