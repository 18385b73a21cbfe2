"""The line of facts above every page, and the progress of a running job."""

from __future__ import annotations

from math import ceil
from time import monotonic

import streamlit as st

from red_core.records import Job, JudgeRates, Project, Round
from red_core.rounds import mark_interrupted
from red_core.store.jobs import ask_to_cancel
from red_core.store.rounds import last_finished_round
from widgets.shell.reads import accuracy_now, audit_summary, facts, queue_counts
from widgets.shell.reasons import why_ended
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import may_write, to_the_door
from widgets.shell.untrusted import plain
from widgets.shell.words import STAGES, acceptance, counted, judge_name

FEW_AUDITS = 20
"""Below this number of audits no accuracy is shown: it says little, and one more answer would give away whether the
machine's label of that text was right."""

SECONDS_OF_STAGE: dict[str, dict[str, int]] = {
    "round": {
        "": 0, "embed": 110, "form subsets": 15, "words and characters": 15, "neighbours": 113, "fit": 100, "score": 25,
        "test the judge": 20, "ask": 60, "believe": 10,
    },
    "prepare": {"": 0, "compare encoders": 10, "embed": 110, "form subsets": 15},
    "encoder": {"": 0, "download the encoder": 60, "embed": 110, "form subsets": 15},
    "compare encoders": {"": 0, "compare encoders": 1},
    "judge-check": {"": 0, "test the judge": 1},
    "meanings": {"": 0, "write meanings": 1},
}  # fmt: skip
"""Typical seconds of each stage of each kind of job, in their order (1,000 labels, 100,000 texts): its progress."""
OF_A_JUDGE = {"test the judge", "ask", "write meanings"}
"""The stages that take as long as a judge's server takes to reply."""
PART_OF = {"wait for the batch": "ask"}
"""Stages that are counted as part of another one."""
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
SECONDS_SEEN, SHARE_SEEN = 5.0, 0.02
"""The time left is shown after so many seconds and so much progress."""


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
    share = _highest_share(project, job)
    count = f" · {job.done:,} of {job.total:,}" if job.total else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(share, text=plain(f"{STAGES.get(job.stage, job.stage)}{count}{_time_left(project, job, share)}"))
        if may_write() and st.button(
            "Cancel", key="cancel_job", disabled=job.cancel_asked, help="Stops the work. Results stored so far stay."
        ):
            with errors_in_one_line():
                ask_to_cancel(project, job.id)
                st.rerun()


def _share(job: Job) -> float:
    """Return how much of the whole job is done, in [0, 1]: it does not go back from stage to stage."""
    inside = min(job.done / job.total, 1.0) if job.total else 0.0
    seconds, stage = SECONDS_OF_STAGE[job.kind], PART_OF.get(job.stage, job.stage)
    before = sum(list(seconds.values())[: list(seconds).index(stage)])
    return (before + inside * seconds[stage]) / sum(seconds.values())


def _highest_share(project: Project, job: Job) -> float:
    """Return the share of the job, or a higher one that this session saw: a judge can find more to ask."""
    key = f"job_share_{project.name}_{job.id}"
    st.session_state[key] = share = max(_share(job), float(st.session_state.get(key, 0.0)))
    return share


def _time_left(project: Project, job: Job, share: float) -> str:
    """Return the time left in words, by the speed since this session first saw the job; '' until that is known.

    The speed of a judge's server is its own: while it is asked, only its questions count.
    """
    if job.stage in PART_OF:
        return ""
    key = f"job_seen_{project.name}_{job.id}"
    if job.stage in OF_A_JUDGE:
        key, share = f"{key}_{job.stage}", min(job.done / max(job.total, 1), 1.0)
    seen = st.session_state.setdefault(key, (monotonic(), share))
    took, gained = monotonic() - seen[0], share - seen[1]
    if took < SECONDS_SEEN or gained < SHARE_SEEN:
        return ""
    left = took * (1.0 - share) / gained
    return f" · about {ceil(left / 60)} min left" if left > 90 else f" · about {10 * ceil(left / 10)} s left"
