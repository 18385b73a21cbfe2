"""The blind audit: deal a random sample of the machine's labels, store the answers, give certificates."""

from __future__ import annotations

from typing import get_args

import numpy as np

from red_core.errors import StateError
from red_core.records import Project
from red_core.review.audit_sample import draw, draw_extras
from red_core.steps.certificate import NO_FOCUS, Draws, Frame, error_of, largest_proven, lower_bound
from red_core.steps.certificate_forecast import first_part, frames
from red_core.store import audits as stored
from red_core.store import certificates as samples
from red_core.store.audits import AuditCard, AuditKind, AuditPurpose
from red_core.store.certificates import Certificate, RoundCheck
from red_core.store.database import now
from red_core.store.decisions import last_decision
from red_core.store.labels import list_labels
from red_core.store.rounds import last_finished_round, require_finished_round
from red_core.store.texts import remember, remembered

TARGET = "audit target"
DEFAULT_TARGET = 0.95
ANSWERS_BETWEEN = 10
"""A text is asked again after at least so many other answers of the same person."""
ERROR_OF_A_LOOK = 0.0125
"""What each check of an earlier version has used of the 5%."""


def deal(
    project: Project,
    *,
    who: str,
    purpose: AuditPurpose = "certificate",
    label: int | None = None,
    count: int = 10,
    rng: np.random.Generator | None = None,
) -> list[AuditCard]:
    """Return up to ``count`` texts for a person to audit: first those that were dealt before and not answered.

    For the certificate, new ones are drawn without replacement from the texts that have a machine label, uncertain
    ones more often, and about one text in ten is planted: a seed, whose label is known. Where a certificate of all
    texts would take many answers, most draws come from the surest part until this part is certified. The first deal
    begins the sample: texts that are imported later belong to the next one (:func:`begin_sample`). A text whose answer
    was not the machine's label is dealt a second time, among others that are, and the second answer counts: a slip
    costs nothing.

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
    if purpose not in get_args(AuditPurpose):
        raise StateError(f"there is no audit for {purpose!r}. Choose one of: {', '.join(get_args(AuditPurpose))}.")
    if (purpose == "label") == (label is None):
        raise StateError(f"an audit for the {purpose} takes {'a' if label is None else 'no'} label.")
    if label is not None and label not in {known.id for known in list_labels(project)}:
        raise StateError(f"there is no label {label} in project {project.name}.")
    require_finished_round(project)
    rng = np.random.default_rng() if rng is None else rng
    sample = samples.current_sample(project) or samples.begin_sample(project, who)
    _certify(project, who)
    if label is None:
        stored.ask_again(project, sample, who, ANSWERS_BETWEEN, rng)
    cards = stored.pending(project, who, label)
    while len(cards) < count:  # repeats if somebody else was dealt the same texts in between
        missing = count - len(cards)
        drawn = (
            draw(project, sample, missing, rng, _focus(project))
            if label is None
            else draw_extras(project, label, missing, rng)
        )
        if not drawn:
            break
        stored.add_audits(project, drawn, who, sample)
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
    """Store the answer to an audit and return its id. A certificate is given at the answer that completes its proof.

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
    _certify(project, who)
    return stored_answer


def undo_answer(project: Project, who: str, request_id: str | None = None) -> int:
    """Undo a person's newest answer that is not undone; return its audit, which waits for an answer again.

    A certificate that was given stays. ``request_id`` is as in :func:`answer`.

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
    """Return the accuracy to be certified, in (0, 1); 0.95 unless it was set."""
    return float(remembered(project, TARGET, str(DEFAULT_TARGET)))


def set_target(project: Project, accuracy: float) -> None:
    """Set the accuracy to be certified, in (0, 1). What the audits prove holds for all targets at once.

    Raises
    ------
    StateError
        If it is out of range.
    """
    if not 0.0 < accuracy < 1.0:
        raise StateError(f"a target of {accuracy:g} cannot be certified. Choose one between 0 and 1, such as 0.95.")
    remember(project, TARGET, repr(float(accuracy)), anew=True)


def begin_sample(project: Project, who: str) -> int:
    """Begin a new sample that covers all texts without a decision, and return its number. Old answers stay stored.

    Raises
    ------
    StateError
        Before the first finished round.
    """
    require_finished_round(project)
    return samples.begin_sample(project, who)


def newest_check(project: Project) -> RoundCheck | None:
    """Return the check of the newest finished round with the newest sample; None before the first sample or round.

    It is stored at the first answer in this round. Until then, and again after labels were merged or retired, it is
    computed from what is there now.
    """
    sample, last = samples.current_sample(project), last_finished_round(project)
    if sample is None or last is None:
        return None
    stored_for = (check for check in samples.checks(project) if (check.sample, check.round) == (sample, last.id))
    current = next(stored_for, None)
    if current is not None and not current.void:
        return current
    error = error_of_next(project)
    every = tuple(frames(samples.confidences(project, sample), target(project), error))
    return RoundCheck(sample, last.id, last_decision(project), error, every)


def error_of_next(project: Project) -> float:
    """Return how often the check of a round that has none yet may be wrong."""
    return error_of(len(samples.checks(project)), ERROR_OF_A_LOOK * len(stored.looks(project)))


def _focus(project: Project) -> float:
    """Return the confidence from which on the next draws are favoured: a part that is still to be certified."""
    check, wanted = newest_check(project), target(project)
    if check is None or any(
        (given.sample, given.round) == (check.sample, check.round) and given.target >= wanted
        for given in samples.certificates(project)
    ):
        return NO_FOCUS
    part = first_part(samples.confidences(project, check.sample), check.frames[1:], wanted, check.error)
    return NO_FOCUS if part is None else part.focus


def _certify(project: Project, who: str) -> None:
    """Give each certificate that the answers so far prove, and that was not given yet."""
    check, wanted = newest_check(project), target(project)
    draws = None if check is None else samples.answered_draws(project, check)
    if check is None or draws is None or not len(draws.right):
        return
    if check not in samples.checks(project):
        samples.add_check(project, check)
        if check not in samples.checks(project):  # somebody else was first, or the labels were edited since
            return
    every, *parts = check.frames
    frame = largest_proven(draws, every, parts, wanted, check.error)
    if frame is not None:
        samples.add_certificate(project, _certificate(draws, check, frame, wanted, who))


def _certificate(draws: Draws, check: RoundCheck, frame: Frame, wanted: float, who: str) -> Certificate:
    inside = draws.confidence >= frame.threshold
    return Certificate(
        check.sample, check.round, frame.threshold, frame.texts, check.frames[0].texts,
        int(inside.sum()), int(draws.right[inside].sum()),
        max(wanted, lower_bound(draws, frame, check.error)), wanted, check.error, who, now(),
    )  # fmt: skip
