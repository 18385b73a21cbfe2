"""What a certificate will probably take, by the confidences: of all texts, or of the surest part."""

from __future__ import annotations

from red_core.records import Floats, Project
from red_core.review.audits import error_of_next, target
from red_core.steps.certificate_forecast import audits_expected, frames, least_work
from red_core.store import certificates as samples


def work_to_certify(project: Project) -> tuple[int, int] | None:
    """Return how many of the least sure texts to decide, and then about how many audits certify all others.

    It is the cheapest way that the confidences promise, as if no audit were answered yet; None if they promise none.
    """
    return least_work(_confidences(project), target(project), error_of_next(project))


def part_to_certify(project: Project) -> tuple[float, int] | None:
    """Return the first part that the audits test, as a share of the texts, and about how many audits certify it.

    None if the confidences promise no certificate of any part.
    """
    confidence, share, error = _confidences(project), target(project), error_of_next(project)
    for part in frames(confidence, share, error)[1:]:
        audits = audits_expected(confidence, part.threshold, share, error)
        return None if audits is None else (part.texts / len(confidence), audits)
    return None


def _confidences(project: Project) -> Floats:
    return samples.confidences(project, samples.current_sample(project))
