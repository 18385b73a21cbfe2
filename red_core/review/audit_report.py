"""What the audits show: measured accuracy, the certificate, and how often the judge was right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from red_core.records import PROMPT_VERSION, Project
from red_core.review.audits import newest_check, target
from red_core.steps.audit_statistics import JudgeAgainstAudits, Share, judge_against_audits, share_of, weighted_share
from red_core.steps.certificate import CONFIDENCE, Measured, lower_bound, measure
from red_core.steps.certificate_forecast import audits_until_proven
from red_core.store import audits as stored
from red_core.store import certificates as samples
from red_core.store.audits import Audit, Look
from red_core.store.certificates import Certificate, RoundCheck
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
    accuracy : Measured
        Of the machine's labels, from the certificate's answered sample. *Cannot tell* counts as wrong.
    cannot_tell : int
        Such answers in that sample.
    proven : float in [0, 1]
        What these answers prove, with the error of a certificate: at least this share is right.
    until_certified : int or None
        About how many more answers the certificate takes, if they come as before; None if that cannot be told.
    certificate : Certificate or None
        The newest round's one about all texts.
    selective : Certificate or None
        The newest round's one about the most confident texts, if it has none about all texts.
    earlier : Certificate or None
        The newest one about all texts of an earlier round.
    edited : bool
        Whether labels were merged or retired after answers about the newest round: it gets no certificate any more.
    not_covered : int
        Machine labels that the sample does not cover, because their texts were imported after it began.
    looks : tuple of Look
        Checks of an earlier version, fewest audits first.
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
    accuracy: Measured
    cannot_tell: int
    proven: float
    until_certified: int | None
    certificate: Certificate | None
    selective: Certificate | None
    earlier: Certificate | None
    edited: bool
    not_covered: int
    looks: tuple[Look, ...]
    judge_name: str
    judge: JudgeAgainstAudits | None
    planted: Share
    warning: str
    labels: tuple[LabelAudit, ...]


def summary(project: Project) -> AuditSummary:
    """Return the results of the audits so far; nothing is stored."""
    every = stored.audits(project)
    hits = stored.planted_answers(project)
    planted = share_of(sum(hits), len(hits))
    last = last_finished_round(project)
    name = "" if last is None else str(last.metrics.get("judge", last.judge))
    check = newest_check(project)
    given, checks = samples.certificates(project), samples.checks(project)
    for_all = [each for each in reversed(given) if not each.threshold]
    accuracy, proven, until = _measured(project, check)
    return AuditSummary(
        target=target(project),
        accuracy=accuracy,
        cannot_tell=sum(audit.purpose == "certificate" and audit.kind == "cannot tell" for audit in every),
        proven=proven,
        until_certified=until,
        certificate=next((each for each in for_all if last is not None and each.round == last.id), None),
        selective=_selective(given, check),
        earlier=next((each for each in for_all if last is not None and each.round < last.id), None),
        edited=check is not None
        and any(each.void and (each.sample, each.round) == (check.sample, check.round) for each in checks),
        not_covered=0 if check is None else samples.not_covered(project, check.sample),
        looks=tuple(stored.looks(project)),
        judge_name=name,
        judge=_judge(project, name),
        planted=planted,
        warning=_warning(planted),
        labels=tuple(
            LabelAudit(about, _share([a for a in every if a.about == about == a.machine and a.kind is not None]))
            for about in sorted({audit.about for audit in every if audit.about is not None})
        ),
    )


def in_words(certificate: Certificate) -> str:
    """Return what a certificate says, in one or two sentences."""
    which = "" if not certificate.threshold else f" with a confidence of {certificate.threshold:.1%} or more"
    return (
        f"At least {certificate.target:.1%} of the {certificate.texts:,} machine labels of round {certificate.round}"
        f"{which} are right (proven: {certificate.lower:.1%}, by {certificate.audits:,} audits). At most "
        f"{1 - CONFIDENCE:.0%} of such certificates are wrong."
    )


def _measured(project: Project, check: RoundCheck | None) -> tuple[Measured, float, int | None]:
    if check is None:
        return Measured(0, 0, None, 0.0, 1.0), 0.0, None
    draws, every = samples.answered_draws(project, check), check.frames[0]
    proven = lower_bound(draws, every, check.error)
    until = audits_until_proven(draws, every, target(project), check.error)
    return measure(draws, every), proven, until


def _selective(given: Sequence[Certificate], check: RoundCheck | None) -> Certificate | None:
    """Return the newest round's certificate about most texts, if there is none about all texts."""
    of_round = [each for each in given if check is not None and each.round == check.round]
    if any(not each.threshold for each in of_round):
        return None
    return max(of_round, key=lambda each: each.texts, default=None)


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

    The certificate's sample and the extras both count, each text with as many texts as it stands for. A label without
    an answered audit is left out.
    """
    answered = [audit for audit in stored.audits(project) if audit.kind is not None]
    return {
        label: _share([audit for audit in answered if audit.machine == label])
        for label in {audit.machine for audit in answered}
    }


def _share(audits: Sequence[Audit]) -> Share:
    """Return the share of answered audits that is right; an even draw stands for as many texts as the average one."""
    weights = [None if audit.chance is None else 1.0 / audit.chance for audit in audits]
    average = np.mean([weight for weight in weights if weight is not None] or [1.0])
    return weighted_share(
        np.array([audit.right for audit in audits], dtype=np.bool_),
        np.array([average if weight is None else weight for weight in weights], dtype=np.float64),
    )


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
