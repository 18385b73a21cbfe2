"""What the audits show: measured accuracy, the certificate, and how often the judge was right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from red_core.records import PROMPT_VERSION, Project
from red_core.review.audits import target
from red_core.steps.audit_statistics import JudgeAgainstAudits, Share, judge_against_audits, next_look, share_of
from red_core.store import audits as stored
from red_core.store.audits import Audit, Look
from red_core.store.rounds import last_finished_round
from red_core.store.self_tests import tested

LEAST_PLANTED, PLANTED_TARGET = 5, 0.9
"""With fewer answers to planted texts there is no warning; a careful reader gets at least this share of them right."""


@dataclass(frozen=True)
class LabelAudit:
    """The extra audits of one label: the share that is right of texts that still have it as their machine label."""

    label: int
    accuracy: Share


@dataclass(frozen=True)
class AuditSummary:
    """The results of the audits, for the machine's labels of the newest finished round.

    Attributes
    ----------
    target : float
        The accuracy to be certified.
    accuracy : Share
        Of the certificate's answered sample: texts whose machine label is right. *Cannot tell* counts as wrong.
    cannot_tell : int
        Such answers in that sample.
    until_next_look : int or None
        Answers still missing until the next look; None after the last look.
    looks : tuple of Look
        Looks taken, fewest audits first.
    certificate : Look or None
        The newest look that gave it.
    judge_name : str
        The newest finished round's judge; '' before the first round.
    judge : JudgeAgainstAudits or None
        How that judge did on audited texts that it judged, extras included; None if there are none.
    planted : Share
        Of the answered planted texts: answers with the known label.
    warning : str
        Doubt about the answers, from the planted texts; '' for none.
    labels : tuple of LabelAudit
        The extra audits; they do not count for the certificate.
    """

    target: float
    accuracy: Share
    cannot_tell: int
    until_next_look: int | None
    looks: tuple[Look, ...]
    certificate: Look | None
    judge_name: str
    judge: JudgeAgainstAudits | None
    planted: Share
    warning: str
    labels: tuple[LabelAudit, ...]


def summary(project: Project) -> AuditSummary:
    """Return the results of the audits so far; nothing is stored."""
    every = stored.audits(project)
    sample = [audit for audit in every if audit.purpose == "certificate"]
    taken = stored.looks(project)
    hits = stored.planted_answers(project)
    planted = share_of(sum(hits), len(hits))
    last = last_finished_round(project)
    name = "" if last is None else str(last.metrics.get("judge", last.judge))
    return AuditSummary(
        target=target(project),
        accuracy=_accuracy(sample),
        cannot_tell=sum(audit.kind == "cannot tell" for audit in sample),
        until_next_look=_until_next_look(sample, taken),
        looks=tuple(taken),
        certificate=next((look for look in reversed(taken) if look.given), None),
        judge_name=name,
        judge=_judge(project, name),
        planted=planted,
        warning=_warning(planted),
        labels=tuple(
            LabelAudit(about, _accuracy([a for a in every if a.about == about == a.machine]))
            for about in sorted({audit.about for audit in every if audit.about is not None})
        ),
    )


def _until_next_look(sample: Sequence[Audit], taken: Sequence[Look]) -> int | None:
    following = next_look(max((look.audits for look in taken), default=0))
    return None if following is None else following - sum(audit.kind is not None for audit in sample[:following])


def _accuracy(sample: Sequence[Audit]) -> Share:
    return share_of(sum(audit.right for audit in sample), sum(audit.kind is not None for audit in sample))


def _judge(project: Project, name: str) -> JudgeAgainstAudits | None:
    pairs = stored.judged_pairs(project, name)
    if not pairs:
        return None
    answers = tested(project, name, PROMPT_VERSION)
    counts: dict[str, Counter[str]] = {
        kind: Counter(a.outcome for a in answers if a.kind == kind) for kind in ("right", "wrong")
    }
    return judge_against_audits(
        [outcome for _, outcome, _ in pairs], np.array([right for _, _, right in pairs]), counts
    )


def _warning(planted: Share) -> str:
    if planted.of < LEAST_PLANTED or planted.high >= PLANTED_TARGET:
        return ""
    return (
        f"Only {planted.right} of {planted.of} texts with a known label were answered with it. Some answers may have "
        "been given without reading, or the labels are understood differently from their examples. Check this before "
        "you trust the audit's figures."
    )


def audited_accuracy(project: Project) -> dict[int, Share]:
    """Return label id -> share of the audited texts with this machine label that is right, with its interval.

    The certificate's sample and the extras both count: within a label both are random. A label without an answered
    audit is left out.
    """
    answered = [audit for audit in stored.audits(project) if audit.kind is not None]
    return _shares((audit.machine, audit.right) for audit in answered)


def judge_record(project: Project, judge: str) -> dict[int, Share]:
    """Return label id -> share of a judge's verdicts on it that were right, with its interval.

    Verdicts count if the truth is known: those of the self-test, without injection tests, and those on blindly audited
    texts. Decisions do not count, since the person saw the verdict. Neither do outcomes such as *unsure*.

    Parameters
    ----------
    judge : str
        As a finished round names it.
    """
    verdicts = [(label, outcome, right) for label, outcome, right in stored.judged_pairs(project, judge)]
    verdicts += [
        (t.label, t.outcome, t.kind == "right") for t in tested(project, judge, PROMPT_VERSION) if t.kind != "canary"
    ]
    meant = {"valid": True, "invalid": False}
    return _shares((label, meant[outcome] == truth) for label, outcome, truth in verdicts if outcome in meant)


def _shares(pairs: Iterable[tuple[int, bool]]) -> dict[int, Share]:
    pairs = list(pairs)
    of, right = Counter(label for label, _ in pairs), Counter(label for label, hit in pairs if hit)
    return {label: share_of(right[label], count) for label, count in of.items()}
