"""What the blind audit has shown so far, and what it can certify; beside it the target, and extras for one label."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from red_core.errors import RedError
from red_core.records import Label, Project
from red_core.review.audit_report import AuditSummary
from red_core.review.audits import set_target
from red_core.steps.audit_statistics import Share
from red_core.store.audits import Look
from widgets.shell.reads import audit_summary
from widgets.shell.untrusted import plain
from widgets.shell.words import counted, judge_name


def choose_audit(project: Project, labels: dict[int, Label]) -> int | None:
    """Show whose texts are audited and the target; return the label whose extras are audited, None for all."""
    found = audit_summary(project)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    label = left.selectbox(
        "Audit",
        list(labels),
        format_func=lambda n: f"Extra audits of {labels[n].name}",
        index=None,
        key="audit_label",
        placeholder="A random sample of all the machine's labels",
        help="The random sample is what the certificate rests on. Extras of one label are counted apart.",
    )
    right.number_input(
        "Target, % right",
        min_value=50.0,
        max_value=99.9,
        value=100 * found.target,
        step=0.5,
        key="audit_target",
        on_change=_keep_target,
        args=(project,),
        disabled=bool(found.looks),
        help="What the certificate is to say. It cannot change once the sample was looked at.",
    )
    if label is not None:
        st.caption("You know what the machine said of these, so they are not blind; they never enter the certificate.")
    if error := st.session_state.pop("audit_error", None):
        st.error(plain(error))
    return label


def _keep_target(project: Project) -> None:
    try:
        set_target(project, st.session_state["audit_target"] / 100)
    except RedError as error:
        st.session_state["audit_error"] = str(error)


def show_audit(project: Project, labels: dict[int, Label]) -> None:
    """Show what the audits say, each figure with its base and interval."""
    found = audit_summary(project)
    st.text(certificate_in_words(found))
    if found.accuracy.of:
        told = f"; {counted(found.cannot_tell, 'text')} could not be told, and count as wrong" * bool(found.cannot_tell)
        st.text(f"Audited: {in_words(found.accuracy)} of the machine's labels right{told}.")
    if found.judge is not None:
        st.text(_judge_in_words(found))
    if found.planted.of:
        st.text(f"Among them were texts whose label was known: {in_words(found.planted)} found.")
    if found.warning:
        st.warning(found.warning, icon=":material/warning:")
    if found.labels:
        st.text("Extra audits, label by label:")
        rows = [
            {
                "label": labels[one.label].name,
                "audited": one.accuracy.of,
                "right": one.accuracy.right,
                "from, %": round(100 * one.accuracy.low, 1),
                "to, %": round(100 * one.accuracy.high, 1),
            }
            for one in found.labels
            if one.label in labels
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True)


def certificate_in_words(found: AuditSummary) -> str:
    """Return what is certified, or how far it is to the next look."""
    if found.certificate is not None:
        return f"Certified: {_look_in_words(found.certificate)}. Of such certificates at most 5% are wrong."
    so_far = f" The last look: {_look_in_words(found.looks[-1], given=False)}." if found.looks else ""
    if found.until_next_look is None:
        return f"Not certified, and no look is left.{so_far}"
    return (
        f"{counted(found.until_next_look, 'more audit')} until the sample is looked at for a certificate of "
        f"{found.target:.1%}.{so_far}"
    )


def _look_in_words(look: Look, *, given: bool = True) -> str:
    figures = f"{look.hits:,} of {look.audits:,} right, so at least {look.lower:.1%}"
    aim = (
        f"at least {look.target:.1%} of the labels of round {look.round} are right" if given else f"round {look.round}"
    )
    return f"{aim} ({figures})"


def _judge_in_words(found: AuditSummary) -> str:
    judge = found.judge
    if judge is None:
        return ""
    kappa = "" if judge.kappa is None else f", kappa {judge.kappa:.2f}"
    clear = (
        "" if judge.coverage is None else f" Of {counted(judge.pairs, 'audited pair')} it judged {judge.coverage:.0%}"
    )
    return (
        f"{judge_name(found.judge_name)} against the audits: of right labels it passed {in_words(judge.tpr)}, "
        f"of wrong ones it stopped {in_words(judge.tnr)}{kappa}.{clear} either valid or invalid. "
        "Its self-test counts as 20 at most."
    )


def in_words(share: Share) -> str:
    """Return ``93 of 100 (93%, 86% to 97%)``."""
    if share.share is None:
        return "0 of 0"
    return f"{share.right:,} of {share.of:,} ({share.share:.0%}, {share.low:.0%} to {share.high:.0%})"
