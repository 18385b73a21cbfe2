"""The blind audit: deal a random sample of the machine's labels, take the answers, and say what they prove."""

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
from red_core.store import audits
from red_core.store import audits as stored
from red_core.store.audits import Audit, AuditCard, AuditKind, AuditPurpose, Look
from red_core.store.labels import list_labels
from red_core.store.rounds import last_finished_round, require_finished_round
from red_core.store.self_tests import tested
from red_core.store.texts import remember, remembered

TARGET = "audit target"
DEFAULT_TARGET = 0.9
LEAST_PLANTED, PLANTED_TARGET = 5, 0.9
"""Fewer known answers say nothing of a person; who reads finds this share of them."""


@dataclass(frozen=True)
class LabelAudit:
    """The extra audits of one label: of texts whose machine label it still is, how many have it."""

    label: int
    accuracy: Share


@dataclass(frozen=True)
class AuditSummary:
    """What the audits say, against the machine's labels of the newest finished round.

    Attributes
    ----------
    target : float
        The accuracy the certificate is about.
    accuracy : Share
        Answered audits of the certificate's sample, and how many the machine had right; *cannot tell* counts as not
        right.
    cannot_tell : int
        Of those answered.
    until_next_look : int or None
        Answers missing until the sample is looked at again; None after the last look.
    looks : tuple of Look
        Those taken, fewest audits first.
    certificate : Look or None
        The newest look at which it was given.
    judge_name : str
        The newest round's judge; '' before the first round.
    judge : JudgeAgainstAudits or None
        That judge against the audited texts it was asked about, extras among them; None where there is none.
    planted : Share
        Answers to planted texts, and how many were the known label.
    warning : str
        What the planted texts say of the answers, '' where nothing is wrong with them.
    labels : tuple of LabelAudit
        The extras, which never enter the certificate.
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
    purpose: AuditPurpose = "certificate",
    label: int | None = None,
    count: int = 10,
    rng: np.random.Generator | None = None,
) -> list[AuditCard]:
    """Return up to ``count`` texts for a person to audit: first those dealt before and not answered, in that order.

    New ones are a simple random sample, without replacement, of the texts whose label is the machine's. About one in
    ten of those for the certificate is planted.

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
        Before the first finished round, or if the label is missing, not there, or none is wanted.
    """
    if purpose not in get_args(AuditPurpose):
        raise StateError(f"there is no audit for {purpose!r}. Choose one of: {', '.join(get_args(AuditPurpose))}.")
    if (purpose == "label") == (label is None):
        raise StateError(f"an audit for the {purpose} takes {'a' if label is None else 'no'} label.")
    if label is not None and label not in {known.id for known in list_labels(project)}:
        raise StateError(f"there is no label {label} in project {project.name}.")
    require_finished_round(project)
    rng = np.random.default_rng() if rng is None else rng
    _take_looks(project, who)
    cards = stored.pending(project, who, label)
    while len(cards) < count:  # more than once where somebody else was dealt the same texts in between
        drawn = draw(project, label, count - len(cards), rng)
        if not drawn:
            break
        stored.add_audits(project, drawn, who)
        cards = stored.pending(project, who, label)
    return cards[:count]


def answer(
    project: Project,
    audit: int,
    kind: AuditKind,
    *,
    label: int | None = None,
    who: str,
    seconds: float | None = None,
    act: str | None = None,
) -> int:
    """Record the answer to an audit and return its id; a look at the sample is taken when it completes one.

    Parameters
    ----------
    audit : int
        ``AuditCard.audit``.
    kind : {"label", "none", "cannot tell"}
    label : int, optional
        The label the text has, whether it was an option or not; needed with the kind *label*.
    seconds : float, optional
        How long the card was shown.
    act : str, optional
        A name no other act has: sent twice, it is stored once.

    Raises
    ------
    StateError
        If there is no such audit, label or kind, the label is missing, or somebody has answered it.
    """
    if kind not in get_args(AuditKind):
        raise StateError(f"there is no answer {kind!r}. Choose one of: {', '.join(get_args(AuditKind))}.")
    if (kind == "label") == (label is None):
        raise StateError(f"the answer {kind!r} takes {'a' if kind == 'label' else 'no'} label.")
    done = stored.add_answer(project, audit, kind, label=label, who=who, seconds=seconds, act=act)
    _take_looks(project, who)
    return done


def undo_answer(project: Project, who: str, act: str | None = None) -> int:
    """Undo a person's newest answer that stands and return its audit, which waits again; a look taken stays taken.

    Raises
    ------
    StateError
        If there is nothing to undo.
    """
    undone = stored.undo_answer(project, who, act)
    if undone is None:
        raise StateError("there is no answer to undo.")
    return undone


def target(project: Project) -> float:
    """Return the accuracy the certificate is about: 0.9 unless set."""
    taken = stored.looks(project)
    return taken[-1].target if taken else float(remembered(project, TARGET, str(DEFAULT_TARGET)))


def set_target(project: Project, accuracy: float) -> None:
    """Set the accuracy the certificate is about, in (0, 1).

    Raises
    ------
    StateError
        If it is out of range, or the sample was looked at under another one.
    """
    if not 0.0 < accuracy < 1.0:
        raise StateError(f"a target of {accuracy:g} cannot be certified. Choose one between 0 and 1, such as 0.9.")
    taken = stored.looks(project)
    if taken and accuracy != taken[-1].target:
        raise StateError(
            f"the target stays {taken[-1].target:g}: the sample was looked at under it at {taken[-1].audits} audits, "
            "and it is chosen before what it is held against."
        )
    remember(project, TARGET, repr(float(accuracy)), anew=True)


def summary(project: Project) -> AuditSummary:
    """Return what the audits say so far; nothing is stored."""
    every = stored.audits(project)
    sample = [audit for audit in every if audit.purpose == "certificate"]
    taken = stored.looks(project)
    known = stored.planted_answers(project)
    planted = share_of(sum(known), len(known))
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


def _take_looks(project: Project, who: str) -> None:
    """Take each look not taken yet whose audits, the first in the order dealt, are all answered."""
    sample = [audit for audit in stored.audits(project) if audit.purpose == "certificate"]
    done = list(takewhile(lambda audit: audit.kind is not None, sample))
    taken = {look.audits for look in stored.looks(project)}
    seen = looks_over(np.array([audit.right for audit in done], dtype=np.bool_))
    for size, hits, lower in zip(*(column.tolist() for column in seen), strict=True):
        if size not in taken:
            stored.add_look(project, size, done[0].round, hits, target(project), lower, who)


def _until_next_look(sample: Sequence[Audit], taken: Sequence[Look]) -> int | None:
    following = next_look(max((look.audits for look in taken), default=0))
    return None if following is None else following - sum(audit.kind is not None for audit in sample[:following])


def _accuracy(audits: Sequence[Audit]) -> Share:
    return share_of(sum(audit.right for audit in audits), sum(audit.kind is not None for audit in audits))


def _judge(project: Project, name: str) -> JudgeAgainstAudits | None:
    pairs = stored.judged_pairs(project, name)
    if not pairs:
        return None
    answers = tested(project, name, PROMPT_VERSION)
    counts: dict[str, Counter[str]] = {
        kind: Counter(a.outcome for a in answers if a.kind == kind) for kind in ("right", "wrong")
    }
    return judge_against_audits([said for _, said, _ in pairs], np.array([right for _, _, right in pairs]), counts)


def _warning(planted: Share) -> str:
    if planted.of < LEAST_PLANTED or planted.high >= PLANTED_TARGET:
        return ""
    return (
        f"Of {planted.of} texts whose label is known, only {planted.right} were given it. Answers given unread, or "
        "labels understood otherwise than their seeds say: look into it before the audit's figures are trusted."
    )


def audited_accuracy(project: Project) -> dict[int, Share]:
    """Return label id -> of the audited texts the machine gives it, how many have it, with the interval.

    Certificate sample and extras alike: within a label both are drawn at random. A label without an answered audit is
    left out.
    """
    answered = [audit for audit in audits.audits(project) if audit.kind is not None]
    return _shares((audit.machine, audit.right) for audit in answered)


def judge_record(project: Project, judge: str) -> dict[int, Share]:
    """Return label id -> of a judge's verdicts on it whose truth is known, how many were right, with the interval.

    They are those of its self-test, canaries left out, and those about texts that were audited blind; never about
    texts that somebody decided with the verdict before her eyes. *Unsure* and the like are neither right nor wrong.

    Parameters
    ----------
    judge : str
        As a finished round names it.
    """
    known = [(label, outcome, right) for label, outcome, right in audits.judged_pairs(project, judge)]
    known += [
        (t.label, t.outcome, t.kind == "right") for t in tested(project, judge, PROMPT_VERSION) if t.kind != "canary"
    ]
    said = {"valid": True, "invalid": False}
    return _shares((label, said[outcome] == truth) for label, outcome, truth in known if outcome in said)


def _shares(pairs: Iterable[tuple[int, bool]]) -> dict[int, Share]:
    pairs = list(pairs)
    of, right = Counter(label for label, _ in pairs), Counter(label for label, hit in pairs if hit)
    return {label: share_of(right[label], count) for label, count in of.items()}
