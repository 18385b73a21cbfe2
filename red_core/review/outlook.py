"""What a certificate will probably take, by the confidences: of all texts, or of the surest part."""

from __future__ import annotations

import numpy as np

from red_core.records import Floats, Project
from red_core.review.audit_sample import PLANTED_SHARE
from red_core.review.audits import error_of_next, target
from red_core.steps.certificate import NO_FOCUS, rates
from red_core.steps.certificate_forecast import first_part, frames, least_work
from red_core.store import certificates as samples


def work_to_certify(project: Project) -> tuple[int, int] | None:
    """Return how many of the least sure texts to decide, and then about how many answers certify all others.

    It is the cheapest way that the confidences promise, as if no audit were answered yet. None if they promise none, or
    if it is less work to decide all texts.
    """
    confidence = _confidences(project)
    work = least_work(confidence, target(project), error_of_next(project))
    if work is None:
        return None
    answers = _answers(work[1], np.sort(confidence)[work[0] :], NO_FOCUS)
    return (work[0], answers) if work[0] + answers < len(confidence) else None


def part_to_certify(project: Project) -> tuple[float, int] | None:
    """Return the first part that the audits test, as a share of the texts, and about how many answers certify it.

    None if all texts together take few audits, if the confidences promise no certificate of a part, or if it is less
    work to decide the part.
    """
    confidence, share, error = _confidences(project), target(project), error_of_next(project)
    part = first_part(confidence, frames(confidence, share, error)[1:], share, error)
    if part is None:
        return None
    answers = _answers(part.audits, confidence, part.focus)
    return (part.frame.texts / len(confidence), answers) if answers < part.frame.texts else None


def second_answers(project: Project) -> float:
    """Return about which share of the answers to the audit asks about a text again, by the confidences."""
    confidence = _confidences(project)
    if not len(confidence):  # every text of the sample was decided
        return 0.0
    again = 2.0 * float(rates(confidence, NO_FOCUS) @ (1.0 - confidence))
    return again / (1.0 / (1.0 - PLANTED_SHARE) + again)


def _answers(audits: int, confidence: Floats, focus: float) -> int:
    """Return the answers that so many audits take, with control texts, and second answers about what seems wrong."""
    wrong = float(rates(confidence, focus) @ (1.0 - confidence))
    return round(audits * (1.0 / (1.0 - PLANTED_SHARE) + 2.0 * wrong))


def _confidences(project: Project) -> Floats:
    return samples.confidences(project, samples.current_sample(project))
