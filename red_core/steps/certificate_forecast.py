"""Forecast what a certificate takes, and choose by the confidences what is tested.

Samples are drawn as if the confidences were true. Nothing here looks at an answer before it is given, so no choice made
here costs error (``certificate.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from red_core.records import Floats
from red_core.steps.certificate import (
    NO_FOCUS,
    NOTHING_KNOWN,
    SPREAD,
    Draws,
    Frame,
    draw,
    log_capital,
    proves,
    whole,
)

COVERAGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""The most confident shares of the texts that may be tested one after another, fewest texts first."""
FIRST_COVERAGE, AT_MOST_TIMES = 0.5, 1.5
"""The first share that is tested: the largest with at most 1.5 times the expected audits of the cheapest, or this."""
FEW_FOR_ALL, LARGE_PART = 400, 0.8
"""If all texts should take fewer audits, no part comes first. Draws do not favour a part of so many of the texts."""
LEAST_FOR_PACE = 30
TRIALS, MOST_EXPECTED, ENOUGH_TEXTS = 25, 800, 5_000
"""Samples drawn to forecast a proof, audits in each, and texts that stand for all."""
DECIDED_FIRST = (0, 25, 50, 100, 150, 200, 300)
"""Numbers of decisions that are tried to make a certificate cheaper."""
CLEARLY_LESS = 0.8
"""A smaller gain than to this share of the answers is chance, with so few samples."""


def frames(confidence: Floats, share: float, error: float) -> list[Frame]:
    """Return all texts as a frame, and then the most confident shares of them, fewest texts first.

    A test stops at the first share that is not proven. So the first one is chosen to take few audits, and to be large.
    It is chosen by the confidences alone, so this choice costs no error.

    Parameters
    ----------
    confidence : ndarray of shape (n,), float in [0, 1]
    share, error : float in (0, 1)
        The accuracy to be proven, and how often the proof may be wrong: what the first share is chosen for.
    """
    every, parts = whole(confidence), dict[float, Frame]()
    thresholds = np.quantile(confidence, 1.0 - np.array(COVERAGES), method="lower").tolist() if len(confidence) else []
    for threshold in thresholds:
        inside = confidence[confidence >= threshold]
        if len(inside) < len(confidence):
            parts.setdefault(threshold, Frame(threshold, len(inside), float(inside.sum())))
    audits = {part: audits_expected(confidence, part.threshold, share, error) for part in parts.values()}
    least = min((count for count in audits.values() if count is not None), default=None)
    first = max(
        (part.texts for part, count in audits.items() if least and count and count <= AT_MOST_TIMES * least),
        default=FIRST_COVERAGE * len(confidence),
    )
    return [every, *(part for part in parts.values() if part.texts >= first)]


def audits_expected(confidence: Floats, threshold: float, share: float, error: float) -> int | None:
    """Return the audits from the beginning after which half of the proofs of ``share`` are complete.

    A few samples are drawn as if the confidences were true. The draws favour a part that does not hold most texts.

    Parameters
    ----------
    confidence : ndarray of shape (n,), float in [0, 1]
        Of all texts of the sample.
    threshold : float in [0, 1]
        The proof is about the texts with at least this confidence; 0 for all texts.
    share, error : float in (0, 1)

    Returns
    -------
    int or None
        At least 1; None if fewer than half of the proofs are complete after ``MOST_EXPECTED`` audits.
    """
    rng = np.random.default_rng(0)
    if len(confidence) > ENOUGH_TEXTS:
        confidence = rng.choice(confidence, ENOUGH_TEXTS, replace=False)
    inside = confidence >= threshold
    frame = Frame(threshold, int(inside.sum()), float(confidence[inside].sum()))
    if not frame.texts:
        return None
    given, focus = [], _focus(confidence, threshold)
    for _ in range(TRIALS):
        right = rng.random(len(confidence)) < confidence
        places, chances = draw(confidence, MOST_EXPECTED, rng, focus)
        draws = Draws(right[places], confidence[places], chances, NOTHING_KNOWN)
        proven = log_capital(draws, frame, share) >= -np.log(error)
        proven |= np.cumsum(draws.right & inside[places]) >= share * frame.texts  # so many are known
        given.append(float(proven.argmax() + 1) if proven.any() else np.inf)
    middle = float(np.median(given))
    return int(middle) if np.isfinite(middle) else None


@dataclass(frozen=True)
class FirstPart:
    """The part that is tested first, where it is worth a test of its own.

    Attributes
    ----------
    frame : Frame
    audits : int
        After so many, half of its proofs are complete.
    focus : float in [0, 1] or NO_FOCUS
        The draws favour texts with at least this confidence until the part is proven.
    """

    frame: Frame
    audits: int
    focus: float


def first_part(confidence: Floats, parts: Sequence[Frame], share: float, error: float) -> FirstPart | None:
    """Return the first part with what it takes to prove it.

    Parameters
    ----------
    confidence : ndarray of shape (n,), float in [0, 1]
        Of all texts of the sample.
    parts : sequence of Frame
        As :func:`frames` gives them, without the frame of all texts.
    share, error : float in (0, 1)

    Returns
    -------
    FirstPart or None
        None if all texts together should take few audits, or if the confidences promise no proof of the part.
    """
    if not parts:
        return None
    for_all = audits_expected(confidence, 0.0, share, error)
    of_part = audits_expected(confidence, parts[0].threshold, share, error)
    if of_part is None or (for_all is not None and for_all < FEW_FOR_ALL):
        return None
    return FirstPart(parts[0], of_part, _focus(confidence, parts[0].threshold))


def _focus(confidence: Floats, threshold: float) -> float:
    """Return where draws for the texts from a confidence on go: nowhere in particular if these are most texts."""
    return threshold if (confidence >= threshold).mean() < LARGE_PART else NO_FOCUS


def least_work(confidence: Floats, share: float, error: float) -> tuple[int, int] | None:
    """Return how many of the least confident texts to decide, and then about how many audits certify the others.

    Of the numbers in ``DECIDED_FIRST``, the one with the fewest answers together is taken, if that is clearly less
    work than to decide none.

    Parameters are as in :func:`audits_expected`.

    Returns
    -------
    tuple (decisions, audits), or None
        None if the confidences promise no certificate with any of these numbers.
    """
    ordered = np.sort(confidence)
    expected = {decisions: audits_expected(ordered[decisions:], 0.0, share, error) for decisions in DECIDED_FIRST}
    found = {decisions: decisions + audits for decisions, audits in expected.items() if audits is not None}
    if not found:
        return None
    best = min(found, key=lambda decisions: found[decisions])
    first = 0 if found.get(0, np.inf) * CLEARLY_LESS <= found[best] else best
    return first, found[first] - first


def audits_until_proven(draws: Draws, frame: Frame, share: float, error: float) -> int | None:
    """Return about how many more draws the proof of ``share`` takes if the capital grows as it did so far.

    Returns
    -------
    int or None
        At least 1; 0 if it is proven; None with fewer than ``LEAST_FOR_PACE`` draws, or if the capital does not grow.
    """
    if proves(draws, frame, share, error):
        return 0
    if len(draws.right) < LEAST_FOR_PACE or not frame.texts:
        return None
    capital = float(log_capital(draws, frame, share)[-1]) - float(np.log(SPREAD[-1]))
    if capital <= 0.0:
        return None
    missing = -np.log(error) - np.log(SPREAD[-1]) - capital
    return max(1, int(np.ceil(missing * len(draws.right) / capital)))
