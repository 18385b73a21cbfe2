"""The blind audit: deal a random sample of the machine's labels, store the answers, and report what they certify."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import get_args

import numpy as np

from red_core.errors import StateError
from red_core.records import PROMPT_VERSION, Project
from red_core.review.audit_sample import draw
from red_core.steps.audit_statistics import (
    JudgeAgainstAudits,
    Share,
    judge_against_audits,
    looks_over,
    next_look,
    share_of,
)
from red_core.store import audits as stored
from red_core.store.audits import Audit, AuditCard, AuditKind, Look, Purpose
from red_core.store.labels import list_labels
from red_core.store.rounds import list_rounds
from red_core.store.self_tests import tested
from red_core.store.texts import remember, remembered

TARGET = "audit target"
DEFAULT_TARGET = 0.9
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


def deal(
    project: Project,
    *,
    who: str,
    purpose: Purpose = "certificate",
    label: int | None = None,
    count: int = 10,
    rng: np.random.Generator | None = None,
) -> list[AuditCard]:
    """Return up to ``count`` texts for a person to audit: first those that were dealt before and not answered.

    New ones are a simple random sample, without replacement, of the texts that have a machine label. For the
    certificate about one text in ten is planted: a seed, whose label is known.

    Parameters
    ----------
    purpose : {"certificate", "label"}
    label : int, optional
        With the purpose *label*: only texts the machine gives this label.
    rng : numpy.random.Generator, optional
        By default seeded by the operating system.

    Raises
    ------
    StateError
        Before the first finished round; if the label does not exist; or if a label is missing or not expected.
    """
    if purpose not in get_args(Purpose):
        raise StateError(f"there is no audit for {purpose!r}. Choose one of: {', '.join(get_args(Purpose))}.")
    if (purpose == "label") == (label is None):
        raise StateError(f"an audit for the {purpose} takes {'a' if label is None else 'no'} label.")
    if label is not None and label not in {known.id for known in list_labels(project)}:
        raise StateError(f"there is no label {label} in project {project.name}.")
    if not any(r.metrics for r in list_rounds(project)):
        raise StateError(f"project {project.name} has no finished round. Run one: `red round {project.name}`.")
    rng = np.random.default_rng() if rng is None else rng
    _take_looks(project, who)
    cards = stored.pending(project, who, label)
    while len(cards) < count:  # repeats if somebody else was dealt the same texts in between
        drawn = draw(project, label, count - len(cards), rng)
        if not drawn:
            break
        stored.add_audits(project, drawn, who)
        cards = stored.pending(project, who, label)
    return cards[:count]


# Seven parameters: the answer, and three facts that are stored with it; a record of three would hide nothing.
def answer(
    project: Project,
    audit: int,
    kind: AuditKind,
    *,
    label: int | None = None,
    who: str,
    seconds: float | None = None,
    request_id: str | None = None,
) -> int:
    """Store the answer to an audit and return its id. A look is taken when the answer completes the sample for it.

    Parameters
    ----------
    audit : int
        ``AuditCard.audit``.
    kind : {"label", "none", "cannot tell"}
    label : int, optional
        The text's label, even if it was not among the options; needed with the kind *label*.
    seconds : float, optional
        How long the card was on the screen.
    request_id : str, optional
        A unique name of the request (idempotency key): a request that arrives twice is stored once.

    Raises
    ------
    StateError
        If there is no such audit, label or kind, the label is missing, or the audit was answered already.
    """
    if kind not in get_args(AuditKind):
        raise StateError(f"there is no answer {kind!r}. Choose one of: {', '.join(get_args(AuditKind))}.")
    if (kind == "label") == (label is None):
        raise StateError(f"the answer {kind!r} takes {'a' if kind == 'label' else 'no'} label.")
    stored_answer = stored.add_answer(project, audit, kind, label=label, who=who, seconds=seconds, act=request_id)
    _take_looks(project, who)
    return stored_answer


def undo_answer(project: Project, who: str, request_id: str | None = None) -> int:
    """Undo a person's newest answer that is not undone; return its audit, which waits for an answer again.

    A look that was taken stays taken. ``request_id`` is as in :func:`answer`.

    Raises
    ------
    StateError
        If there is nothing to undo.
    """
    undone = stored.undo_answer(project, who, request_id)
    if undone is None:
        raise StateError("there is no answer to undo.")
    return undone


def target(project: Project) -> float:
    """Return the accuracy to be certified, in (0, 1); 0.9 unless it was set."""
    taken = stored.looks(project)
    return taken[-1].target if taken else float(remembered(project, TARGET, str(DEFAULT_TARGET)))


def set_target(project: Project, accuracy: float) -> None:
    """Set the accuracy to be certified, in (0, 1).

    Raises
    ------
    StateError
        If it is out of range, or a look was taken with another target.
    """
    if not 0.0 < accuracy < 1.0:
        raise StateError(f"a target of {accuracy:g} cannot be certified. Choose one between 0 and 1, such as 0.9.")
    taken = stored.looks(project)
    if taken and accuracy != taken[-1].target:
        raise StateError(
            f"the target stays {taken[-1].target:g}: the interim check at {taken[-1].audits} audits has used it. "
            "A target is chosen before the first check."
        )
    remember(project, TARGET, repr(float(accuracy)), anew=True)


def summary(project: Project) -> AuditSummary:
    """Return the results of the audits so far; nothing is stored."""
    every = stored.audits(project)
    sample = [audit for audit in every if audit.purpose == "certificate"]
    taken = stored.looks(project)
    hits = stored.planted_answers(project)
    planted = share_of(sum(hits), len(hits))
    name = next((str(r.metrics.get("judge", r.judge)) for r in reversed(list_rounds(project)) if r.metrics), "")
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


def _take_looks(project: Project, who: str) -> None:
    """Take each look that was not taken yet and whose audits, the first ones dealt, are all answered."""
    sample = [audit for audit in stored.audits(project) if audit.purpose == "certificate"]
    answered = list(takewhile(lambda audit: audit.kind is not None, sample))
    taken = {look.audits for look in stored.looks(project)}
    looks = looks_over(np.array([audit.right for audit in answered], dtype=np.bool_))
    for size, hits, lower in zip(*(column.tolist() for column in looks), strict=True):
        if size not in taken:
            stored.add_look(project, size, answered[0].round, hits, target(project), lower, who)


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
        "been given without reading, or the labels are understood differently from their seeds. Check this before you "
        "trust the audit's figures."
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
