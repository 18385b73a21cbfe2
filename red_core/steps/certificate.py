"""Measure accuracy by a few audits, and certify it: a test that may be looked at after every answer.

Texts are drawn one after another without replacement. Uncertain texts are drawn more often, because they tell more; the
chance of each draw is known, so the estimate has no bias. The confidences of all other texts take out most of the
variance (a control variate). They need not be true: if they are wrong, the test only needs more audits.

The test bets against the hypothesis *at most this share is right* (Waudby-Smith and Ramdas 2024, Estimating means of
bounded random variables by betting). If the hypothesis is true, the capital grows to 1/error with a probability of at
most ``error``, at any time and however often somebody looks (Ville's inequality).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from red_core.records import Booleans, Floats, Ints

CONFIDENCE = 0.95
"""Of all certificates of a sample together, and of an interval."""
FIRST_SHARE, LATER_SHARE = 0.7, 0.3
"""The first round that is tested may use 70% of the error, and each later round 30% of what the one before it may."""
EVEN_SHARE = 0.75
"""Share of the draws that are even over all texts. The rest goes where the confidence is neither near 0 nor near 1."""
STAKES = np.array([0.15, 0.4, 0.7, 0.98])
"""Shares of the largest bet that cannot lose more than the capital. The capital is spread over several bets."""
SPREAD = np.array([0.1, 0.2, 0.3, 0.4])
_BISECTIONS = 30


@dataclass(frozen=True)
class Frame:
    """Texts whose accuracy is asked for: all texts of a sample, or those with at least a certain confidence.

    Attributes
    ----------
    threshold : float in [0, 1]
        The lowest confidence; 0 for all texts.
    texts : int
    expected : float in [0, texts]
        Sum of their confidences: as many are expected to be right.
    """

    threshold: float
    texts: int
    expected: float


@dataclass(frozen=True)
class Known:
    """Texts that left the sample without a draw: decided by the analyst, or audited elsewhere. Their truth is known.

    Attributes
    ----------
    right : ndarray of shape (k,), bool
        Whether the machine's label is the decided one.
    confidence : ndarray of shape (k,), float in [0, 1]
    place : ndarray of shape (k,), int in [0, n]
        How many draws were made before the text could no longer be drawn.
    in_frame : ndarray of shape (k,), bool
        Whether the text counts: it was decided after the frame was fixed.
    """

    right: Booleans
    confidence: Floats
    place: Ints
    in_frame: Booleans


NOTHING_KNOWN = Known(np.zeros(0, np.bool_), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.bool_))


@dataclass(frozen=True)
class Draws:
    """Audited texts in the order drawn, with what the newest round says of them.

    Attributes
    ----------
    right : ndarray of shape (n,), bool
        Whether the machine's label was found to be right.
    confidence : ndarray of shape (n,), float in [0, 1]
    chance : ndarray of shape (n,), float in (0, 1]
        Probability with which the draw chose this text among all that were left.
    known : Known
        Texts that the analyst decided since the sample began, and that were not drawn.
    """

    right: Booleans
    confidence: Floats
    chance: Floats
    known: Known


def rates(confidence: Floats) -> Floats:
    """Return the share of the draws that each text gets, shape (n,), at least ``EVEN_SHARE`` / n, with the sum 1.

    Parameters
    ----------
    confidence : ndarray of shape (n,), float in [0, 1]
        The probability that the machine's label is right.
    """
    doubt = np.sqrt(confidence * (1.0 - confidence)) + 1e-9
    return np.asarray(EVEN_SHARE / len(doubt) + (1.0 - EVEN_SHARE) * doubt / doubt.sum())


def draw(share: Floats, count: int, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Draw without replacement, one after another, in proportion to ``share``.

    Parameters
    ----------
    share : ndarray of shape (n,), float, positive
        The rates of the texts that are left; they need not sum to 1.
    count : int

    Returns
    -------
    places : ndarray of shape (min(count, n),), int64
        In the order drawn.
    chance : ndarray of the same shape, float64
        Probability of each draw, given the draws before it.
    """
    places = np.argsort(rng.exponential(size=len(share)) / share, kind="stable")[:count]
    drawn = share[places]
    left = share.sum() - np.concatenate([[0.0], np.cumsum(drawn)[:-1]])
    return places, np.minimum(drawn / left, 1.0)


def whole(confidence: Floats) -> Frame:
    """Return the frame of all texts; ``confidence`` has shape (n,)."""
    return Frame(0.0, len(confidence), float(confidence.sum()))


def error_of(tested_before: int, spent: float = 0.0) -> float:
    """Return the probability with which the test of a round may be wrong.

    The sum over any number of rounds is at most 5%, so that a new round can be tested with the old audits.

    Parameters
    ----------
    tested_before : int
        Rounds that were tested with this sample before, or with an earlier sample.
    spent : float in [0, 0.05]
        Error that checks of an earlier version of the program have used.
    """
    return (1.0 - CONFIDENCE - spent) * FIRST_SHARE * LATER_SHARE**tested_before


def proves(draws: Draws, frame: Frame, everything: int, share: float, error: float) -> bool:
    """Return whether the draws prove that more than ``share`` of a frame is right; see :func:`lower_bound`."""
    if not len(draws.right) or not frame.texts:
        return False
    right = draws.right[draws.confidence >= frame.threshold]
    if right.sum() >= share * frame.texts or (~right).sum() >= (1.0 - share) * frame.texts:
        return bool(right.sum() >= share * frame.texts)  # so much of the frame is audited that it is known
    return bool(log_capital(draws, frame, everything, share).max() >= -np.log(error))


def largest_proven(draws: Draws, every: Frame, parts: Sequence[Frame], share: float, error: float) -> Frame | None:
    """Return the largest frame of which the draws prove that more than ``share`` is right: all texts, or a part.

    The parts are tested one after another, fewest texts first, until one is not proven (fixed-sequence testing, as in
    Angelopoulos and others 2021, Learn then Test). So all of them together are wrong as rarely as one of them.
    """
    if proves(draws, every, every.texts, share, error):
        return every
    largest = None
    for part in parts:
        if not proves(draws, part, every.texts, share, error):
            break
        largest = part
    return largest


def lower_bound(draws: Draws, frame: Frame, everything: int, error: float) -> float:
    """Return the largest share of which the audits prove that more of the frame is right; 0 if they prove nothing.

    Parameters
    ----------
    draws : Draws
        All draws of the sample, inside and outside of the frame.
    frame : Frame
    everything : int
        Number of texts of the whole sample's frame.
    error : float in (0, 1)
        Probability of a wrong bound, over all numbers of audits together.
    """
    if not len(draws.right) or not frame.texts:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if proves(draws, frame, everything, middle, error):
            low = middle
        else:
            high = middle
    return low


def log_capital(draws: Draws, frame: Frame, everything: int, share: float) -> Floats:
    """Return the logarithm of the capital after each draw, shape (n,), in bets against *at most ``share`` is right*.

    Parameters are as in :func:`lower_bound`.
    """
    estimates, least = _estimates(draws, frame, everything)
    largest = 1.0 / np.maximum(share - least, 1e-12)
    gains = STAKES[:, None] * largest * (estimates - share)
    paths = np.cumsum(np.log1p(np.maximum(gains, -1.0 + 1e-12)), axis=1)
    return np.asarray(np.logaddexp.reduce(paths + np.log(SPREAD)[:, None], axis=0))


def _estimates(draws: Draws, frame: Frame, everything: int) -> tuple[Floats, Floats]:
    """Return each draw's unbiased estimate of the share that is right, and the least that it could have been."""
    inside = draws.confidence >= frame.threshold
    right, expected = np.where(inside, draws.right, 0.0), np.where(inside, draws.confidence, 0.0)
    seen = np.cumsum(right) - right + np.maximum(frame.expected - (np.cumsum(expected) - expected), 0.0)
    seen += _known_of_decisions(draws.known, frame.threshold, len(right))
    estimates = (seen + (right - expected) / draws.chance) / frame.texts
    return estimates, (seen - everything / EVEN_SHARE) / frame.texts


def _known_of_decisions(known: Known, threshold: float, draws: int) -> Floats:
    """Return what decisions add to each draw's estimate, shape (draws,).

    A text of the frame is known from its decision on. A text that is not in the frame could still be drawn before its
    decision, so it is taken out of the estimates of these draws.
    """
    surprise = np.where(known.confidence >= threshold, known.right - known.confidence, 0.0)
    before = np.arange(draws)[:, None] < known.place[None, :]
    return np.asarray(np.where(known.in_frame, ~before, -1.0 * before) @ surprise)


@dataclass(frozen=True)
class Measured:
    """Accuracy as the audits measure it.

    Attributes
    ----------
    right, of : int
        Counts of audits. Uncertain texts are drawn more often, so ``right`` / ``of`` is lower than ``share``.
    share : float in [0, 1] or None
        None without audits.
    low, high : float in [0, 1]
        The 95% interval; it holds at any number of audits.
    """

    right: int
    of: int
    share: float | None
    low: float
    high: float


def measure(draws: Draws, frame: Frame, everything: int) -> Measured:
    """Return the share of a frame that is right, with its interval. Parameters are as in :func:`lower_bound`."""
    inside = draws.confidence >= frame.threshold
    counts = int(draws.right[inside].sum()), int(inside.sum())
    if not counts[1] or not frame.texts:
        return Measured(*counts, None, 0.0, 1.0)
    half = (1.0 - CONFIDENCE) / 2.0
    low = lower_bound(draws, frame, everything, half)
    high = 1.0 - _share_wrong_at_least(draws, frame, everything, half)
    return Measured(*counts, float(np.clip(estimate(draws, frame, everything), low, high)), low, high)


def estimate(draws: Draws, frame: Frame, everything: int) -> float:
    """Return the unbiased estimate of the share of a frame that is right; with few draws it may leave [0, 1].

    Parameters are as in :func:`lower_bound`, with at least one draw.
    """
    return float(_estimates(draws, frame, everything)[0].mean())


def _share_wrong_at_least(draws: Draws, frame: Frame, everything: int, error: float) -> float:
    """Return the lower bound of the share that is wrong."""
    inside = draws.confidence >= frame.threshold
    counted = draws.known.confidence >= frame.threshold
    known = Known(
        ~draws.known.right & counted,
        np.where(counted, 1.0 - draws.known.confidence, 0.0),
        draws.known.place,
        draws.known.in_frame,
    )
    wrong = Draws(~draws.right & inside, np.where(inside, 1.0 - draws.confidence, 0.0), draws.chance, known)
    return lower_bound(wrong, Frame(0.0, frame.texts, frame.texts - frame.expected), everything, error)
