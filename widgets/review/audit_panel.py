"""The blind audit: its target, its results so far, the certificate, and extra audits of one label."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from red_core.access.who import who_acts
from red_core.errors import RedError
from red_core.records import Label, Project
from red_core.review.audit_report import AuditSummary
from red_core.review.audit_report import in_words as said_by
from red_core.review.audits import begin_sample
from red_core.steps.audit_statistics import Share
from red_core.steps.certificate import Measured
from red_core.store.audits import answers_given
from widgets.shell.facts_line import FEW_AUDITS
from widgets.shell.goal import show_goal_form
from widgets.shell.reads import audit_summary, part_to_certify, second_answers, work_to_certify
from widgets.shell.reasons import reason_of
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import may_write, to_the_door
from widgets.shell.untrusted import plain
from widgets.shell.words import answers_in_words, counted, judge_name

SECONDS = 1.0
"""Between two looks at the results, because a key of the desk reruns only the desk."""
RANGE = "The range shows how exact a figure is: the true share lies in it with 95% confidence."


def choose_audit(project: Project, labels: dict[int, Label]) -> int | None:
    """Show the choice of texts to audit, and the goal.

    Returns
    -------
    int or None
        The label that gets extra audits; None for the random sample of all labels.
    """
    left, right = st.columns([2, 1], vertical_alignment="center")
    label = left.selectbox(
        "Audit",
        list(labels),
        format_func=lambda n: f"Extra audits of {labels[n].name}",
        index=None,
        key="audit_label",
        placeholder="A random sample of the machine labels",
        label_visibility="collapsed",
    )
    with right:
        goal = audit_summary(project).target
        show_goal_form(project, goal, f"Goal {goal:.1%}")
    if label is not None:
        st.caption(
            "You know the machine's label of these texts, so this is no blind audit. The certificate uses the random "
            "sample only."
        )
    if error := st.session_state.pop("audit_error", None):
        st.error(plain(error))
    return label


def show_what_is_asked(project: Project) -> None:
    """Show how many answers are ahead and why texts come back. It follows no single answer: that would tell on it."""
    audits = audit_summary(project)
    ahead = ""
    if audits.certificate is None and not audits.edited:
        work, part = work_to_certify(project), part_to_certify(project)
        ahead = ahead_in_words(audits.target, work, part, answers_given(project))
    st.caption(
        f"{ahead}About {second_answers(project):.0%} of the answers repeat a text: texts whose answer was not the "
        "machine's label, and as many others. So a slip costs nothing."
    )


def ahead_in_words(goal: float, work: tuple[int, int] | None, part: tuple[float, int] | None, given: int) -> str:
    """Return about how many answers are left to the certificate, by the confidences; '' if they promise none."""
    if work is not None and not work[0]:
        needed, of = work[1], f"{goal:.1%} for all texts"
    elif part is not None:
        needed, of = part[1], f"{goal:.1%} for the surest {part[0]:.0%} of the texts or more"
    else:
        return ""
    if needed <= given:
        return f"The {answers_in_words(needed)} that a certificate should take are given: see the results below. "
    return f"About {answers_in_words(needed - given, 'more answer')} certify {of}. "


def _start_sample(project: Project) -> None:
    try:
        begin_sample(project, who_acts())
    except RedError as error:
        st.session_state["audit_error"] = reason_of(error)
    st.session_state["sample_begun"] = True


@st.fragment(run_every=SECONDS)
def show_audit_folded(project: Project, labels: dict[int, Label]) -> None:
    """Show the results of the audits, folded, so that they do not bias the answers; what is open follows every key."""
    to_the_door()
    if st.session_state.pop("sample_begun", False):
        st.rerun()  # the whole page: the cards are others now
    with errors_in_one_line():  # the shell does not run around a fragment
        fold = st.expander(
            "What the audit shows so far", icon=":material/verified:", key="audit_fold", on_change="rerun"
        )
        if fold.open:
            with fold:
                show_audit(project, labels)


def show_audit(project: Project, labels: dict[int, Label]) -> None:
    """Show the results of the audits, each figure with its base and its interval (95%)."""
    audits = audit_summary(project)
    _show_sample(project, audits)
    if audits.judge is not None:
        st.text(_judge_in_words(audits))
    if audits.planted.of:
        st.text(f"Some texts with a known label check the answers. Right answers: {in_words(audits.planted)}.")
    if audits.accuracy.of or audits.labels:
        st.caption(RANGE)
    if audits.warning:
        st.warning(audits.warning, icon=":material/warning:")
    if audits.judge is not None and audits.judge.kappa is not None:
        with st.popover("Advanced", key="audit_advanced_fold"):
            st.text(
                f"Cohen's kappa is {audits.judge.kappa:.2f}. It compares the judge with your audits and takes out the "
                "agreement that random answers would also give: 1 is perfect agreement, 0 is random."
            )
    if audits.labels:
        st.text("Extra audits of single labels:")
        rows = [
            {
                "label": labels[audited.label].name,
                "audited": audited.accuracy.of,
                "right": audited.accuracy.right,
                "from, %": round(100 * audited.accuracy.low, 1),
                "to, %": round(100 * audited.accuracy.high, 1),
            }
            for audited in audits.labels
            if audited.label in labels
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True)


def _show_sample(project: Project, audits: AuditSummary) -> None:
    st.text(certificate_in_words(audits))
    if not audits.accuracy.of and audits.certificate is None:
        st.text(work_in_words(work_to_certify(project), part_to_certify(project)))
    if audits.accuracy.share is not None:
        st.text(measured_in_words(audits.accuracy))
    if audits.cannot_tell:
        st.text(f"You could not tell the label of {counted(audits.cannot_tell, 'text')}. They count as wrong.")
    if audits.not_covered:
        new = counted(audits.not_covered, "text")
        st.text(f"{new} came in after this sample began. The certificate does not cover them.")
        if may_write():
            st.button("Start a new sample", key="new_sample", on_click=_start_sample, args=(project,))


def work_in_words(work: tuple[int, int] | None, part: tuple[float, int] | None) -> str:
    """Return what certificates take: see ``work_to_certify`` and ``part_to_certify`` of ``red_core.review.outlook``."""
    first = "" if part is None else f" About {answers_in_words(part[1])} certify the surest {part[0]:.0%} or more."
    if work is None:
        words = "The confidences are too low for a certificate of all texts. Decide more texts, or run another round."
        return f"{words}{first}"
    decide = f"Decide the {counted(work[0], 'text')} of lowest confidence. Then a" if work[0] else "A"
    return f"{decide} blind audit on Review, by the confidences with about {answers_in_words(work[1])}.{first}"


def certificate_in_words(audits: AuditSummary) -> str:
    """Return the certificate, or what is proven so far and how many answers are missing."""
    if audits.edited:
        return "Labels were merged or retired since the audit of this round began. The next round can be certified."
    if audits.certificate is not None:
        return f"Certified. {said_by(audits.certificate)}"
    if audits.selective is not None:
        part = audits.selective
        return (
            f"Certified for {part.texts / part.of:.0%} of the texts. {said_by(part)} {part.of - part.texts:,} texts "
            f"with less confidence remain.{_missing_in_words(audits)}"
        )
    before = "" if audits.earlier is None else f" Before: {said_by(audits.earlier)}"
    if not audits.accuracy.of:
        return f"Answer audits to certify {audits.target:.1%} accuracy. You can stop at any time.{before}"
    proven = f" The answers prove that at least {audits.proven:.1%} of the labels are right."
    if audits.accuracy.of < FEW_AUDITS:
        proven = ""
    return f"Not certified yet.{proven}{_missing_in_words(audits)}{before}"


def _missing_in_words(audits: AuditSummary) -> str:
    if not audits.until_certified:
        return ""
    about = answers_in_words(audits.until_certified, "more answer")
    return f" If the next answers are like these, {about} will certify {audits.target:.1%} for all texts."


def measured_in_words(accuracy: Measured) -> str:
    """Return the accuracy that the audits measured, with its range and base; of few, how many were right."""
    if accuracy.of < FEW_AUDITS:
        of = counted(accuracy.of, "audited text")
        return f"Of {of}, {accuracy.right:,} were right. From {FEW_AUDITS} on, the accuracy is measured."
    return (
        f"Measured accuracy: {accuracy.share:.1%} of the machine labels are right ({accuracy.low:.1%} to "
        f"{accuracy.high:.1%}). Of {counted(accuracy.of, 'audited text')}, {accuracy.right:,} were right. Uncertain "
        "texts are drawn more often, and the measured accuracy takes this into account."
    )


def _judge_in_words(audits: AuditSummary) -> str:
    judge = audits.judge
    if judge is None:
        return ""
    clear = (
        f" It gave a clear answer (valid or invalid) for {judge.coverage:.0%} of "
        f"{counted(judge.pairs, 'audited suggestion')}."
        if judge.coverage is not None
        else ""
    )
    return (
        f"The program compared {judge_name(audits.judge_name)} with your audits. It said valid for "
        f"{in_words(judge.tpr)} of the right labels and invalid for {in_words(judge.tnr)} of the wrong ones.{clear} "
        "The program rates the judge by your audits and by the self-test. The self-test counts at most as much as 20 "
        "audits of right labels and 20 of wrong labels."
    )


def in_words(share: Share) -> str:
    """Return ``93 of 100 (93%, 86% to 97%)``; the interval is Wilson's at 95%."""
    if share.share is None:
        return "0 of 0"
    return f"{share.right:,} of {share.of:,} ({share.share:.0%}, {share.low:.0%} to {share.high:.0%})"
