"""The blind audit: deal a random sample of the machine's labels, store the answers, take the looks."""

from __future__ import annotations

from itertools import takewhile
from typing import get_args

import numpy as np

from red_core.errors import StateError
from red_core.records import Project
from red_core.review.audit_sample import draw
from red_core.steps.audit_statistics import looks_over
from red_core.store import audits as stored
from red_core.store.audits import AuditCard, AuditKind, AuditPurpose
from red_core.store.labels import list_labels
from red_core.store.rounds import require_finished_round
from red_core.store.texts import remember, remembered

TARGET = "audit target"
DEFAULT_TARGET = 0.95


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
    """Return the accuracy to be certified, in (0, 1); 0.95 unless it was set."""
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
        raise StateError(f"a target of {accuracy:g} cannot be certified. Choose one between 0 and 1, such as 0.95.")
    taken = stored.looks(project)
    if taken and accuracy != taken[-1].target:
        raise StateError(
            f"the target stays {taken[-1].target:g}: the interim check at {taken[-1].audits} audits has used it. "
            "A target is chosen before the first check."
        )
    remember(project, TARGET, repr(float(accuracy)), anew=True)


def _take_looks(project: Project, who: str) -> None:
    """Take each look that was not taken yet and whose audits, the first ones dealt, are all answered."""
    sample = [audit for audit in stored.audits(project) if audit.purpose == "certificate"]
    answered = list(takewhile(lambda audit: audit.kind is not None, sample))
    taken = {look.audits for look in stored.looks(project)}
    looks = looks_over(np.array([audit.right for audit in answered], dtype=np.bool_))
    for size, hits, lower in zip(*(column.tolist() for column in looks), strict=True):
        if size not in taken:
            stored.add_look(project, size, answered[0].round, hits, target(project), lower, who)
