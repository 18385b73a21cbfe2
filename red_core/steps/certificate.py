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
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from red_core.records import Booleans, Floats, Ints

CONFIDENCE = 0.95
"""Of all certificates of a sample together, and of an interval."""
FIRST_SHARE, LATER_SHARE = 0.7, 0.3
"""The first round that is tested may use 70% of the error, and each later round 30% of what the one before it may."""
EVEN_SHARE = 0.75
"""Share of the draws that are even over all texts. The rest goes where the confidence is neither near 0 nor near 1."""
FOCUS_SHARE = 0.8
"""Share of the draws that come from a part alone while this part is to be certified; see :func:`rates`."""
NO_FOCUS = np.inf
STAKES = np.array([0.15, 0.4, 0.7, 0.98])
"""Shares of the largest bet that cannot lose more than the capital. The capital is spread over several bets."""
SPREAD = np.array([0.1, 0.2, 0.3, 0.4])
_BISECTIONS, _OUTSIDE = 30, -1.0


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
class Chances:
    """The probabilities of draws, each given the draws before it.

    Attributes
    ----------
    drawn : ndarray of shape (n,), float in (0, 1]
        Of the text that was drawn, among all that were left.
    least : ndarray of shape (n,), float in (0, 1]
        No text that was left had a smaller one.
    focus : ndarray of shape (n,), float in [0, 1] or NO_FOCUS
        The draw favoured the texts with at least this confidence in the newest round.
    least_in_focus : ndarray of shape (n,), float in (0, 1]
        None of those had a smaller one; as ``least`` without a focus.
    """

    drawn: Floats
    least: Floats
    focus: Floats
    least_in_focus: Floats

    def at(self, draw: int) -> Chance:
        """Return the probabilities of one draw."""
        return Chance(*(float(values[draw]) for values in (self.drawn, self.least, self.focus, self.least_in_focus)))


class Chance(NamedTuple):
    """The probabilities of one draw; see :class:`Chances`."""

    drawn: float
    least: float
    focus: float
    least_in_focus: float


@dataclass(frozen=True)
class Draws:
    """Audited texts in the order drawn, with what the newest round says of them.

    Attributes
    ----------
    right : ndarray of shape (n,), bool
        Whether the machine's label was found to be right.
    confidence : ndarray of shape (n,), float in [0, 1]
    chances : Chances
    known : Known
        Texts that the analyst decided since the sample began, and that were not drawn.
    """

    right: Booleans
    confidence: Floats
    chances: Chances
    known: Known


def rates(confidence: Floats, focus: float = NO_FOCUS) -> Floats:
    """Return the share of the draws that each text gets, shape (n,), with the sum 1.

    Parameters
    ----------
    confidence : ndarray of shape (n,), float in [0, 1]
        The probability that the machine's label is right.
    focus : float in [0, 1] or NO_FOCUS
        ``FOCUS_SHARE`` of the draws come from the texts with at least this confidence alone.
    """
    everywhere, inside = _even_and_uncertain(confidence), confidence >= focus
    if not inside.any():
        return everywhere
    share = (1.0 - FOCUS_SHARE) * everywhere
    share[inside] += FOCUS_SHARE * _even_and_uncertain(confidence[inside])
    return share


def _even_and_uncertain(confidence: Floats) -> Floats:
    doubt = np.sqrt(confidence * (1.0 - confidence)) + 1e-9
    return np.asarray(EVEN_SHARE / len(doubt) + (1.0 - EVEN_SHARE) * doubt / doubt.sum())


def draw(confidence: Floats, count: int, rng: np.random.Generator, focus: float = NO_FOCUS) -> tuple[Ints, Chances]:
    """Draw texts without replacement, one after another, at their :func:`rates`.

    Parameters
    ----------
    confidence : ndarray of shape (n,), float in [0, 1]
        Of the texts that are left.
    count : int
    focus : float in [0, 1] or NO_FOCUS

    Returns
    -------
    places : ndarray of shape (m,), int64
        In the order drawn; m = min(count, n).
    chances : Chances
        Of shape (m,).
    """
    share = rates(confidence, focus)
    places = np.argsort(rng.exponential(size=len(share)) / share, kind="stable")[:count]
    drawn, inside = share[places], confidence >= focus
    left = share.sum() - np.concatenate([[0.0], np.cumsum(drawn)[:-1]])
    least = share.min() if len(share) else 1.0  # what is left shares the chances of what is drawn, so they only grow
    in_focus = share[inside].min() if inside.any() else least
    return places, Chances(
        np.minimum(drawn / left, 1.0), *(np.full(len(places), value) for value in (least, focus, in_focus))
    )


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


def proves(draws: Draws, frame: Frame, share: float, error: float) -> bool:
    """Return whether the draws prove that more than ``share`` of a frame is right; see :func:`lower_bound`."""
    if not len(draws.right) or not frame.texts:
        return False
    known = draws.known
    counted = known.in_frame & (known.confidence >= frame.threshold)
    right = np.concatenate([draws.right[draws.confidence >= frame.threshold], known.right[counted]])
    if right.sum() >= share * frame.texts or (~right).sum() >= (1.0 - share) * frame.texts:
        return bool(right.sum() >= share * frame.texts)  # so much of the frame is known
    return bool(log_capital(draws, frame, share).max() >= -np.log(error))


def largest_proven(draws: Draws, every: Frame, parts: Sequence[Frame], share: float, error: float) -> Frame | None:
    """Return the largest frame of which the draws prove that more than ``share`` is right: all texts, or a part.

    The parts are tested one after another, fewest texts first, until one is not proven (fixed-sequence testing, as in
    Angelopoulos and others 2021, Learn then Test). So all of them together are wrong as rarely as one of them.
    """
    if proves(draws, every, share, error):
        return every
    largest = None
    for part in parts:
        if not proves(draws, part, share, error):
            break
        largest = part
    return largest


def lower_bound(draws: Draws, frame: Frame, error: float) -> float:
    """Return the largest share of which the audits prove that more of the frame is right; 0 if they prove nothing.

    Parameters
    ----------
    draws : Draws
        All draws of the sample, inside and outside of the frame.
    frame : Frame
    error : float in (0, 1)
        Probability of a wrong bound, over all numbers of audits together.
    """
    if not len(draws.right) or not frame.texts:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if proves(draws, frame, middle, error):
            low = middle
        else:
            high = middle
    return low


def log_capital(draws: Draws, frame: Frame, share: float) -> Floats:
    """Return the logarithm of the capital after each draw, shape (n,), in bets against *at most ``share`` is right*.

    Parameters are as in :func:`lower_bound`.
    """
    estimates, least = _estimates(draws, frame)
    largest = 1.0 / np.maximum(share - least, 1e-12)
    gains = STAKES[:, None] * largest * (estimates - share)
    paths = np.cumsum(np.log1p(np.maximum(gains, -1.0 + 1e-12)), axis=1)
    return np.asarray(np.logaddexp.reduce(paths + np.log(SPREAD)[:, None], axis=0))


def _estimates(draws: Draws, frame: Frame) -> tuple[Floats, Floats]:
    """Return each draw's unbiased estimate of the share that is right, and the least that it could have been."""
    inside = draws.confidence >= frame.threshold
    right, expected = np.where(inside, draws.right, 0.0), np.where(inside, draws.confidence, 0.0)
    seen = np.cumsum(right) - right + np.maximum(frame.expected - (np.cumsum(expected) - expected), 0.0)
    seen += _known_of_decisions(draws.known, frame.threshold, len(right))
    chances = draws.chances
    least = np.where(frame.threshold >= chances.focus, chances.least_in_focus, chances.least)
    return (seen + (right - expected) / chances.drawn) / frame.texts, (seen - 1.0 / least) / frame.texts


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


def measure(draws: Draws, frame: Frame) -> Measured:
    """Return the share of a frame that is right, with its interval. Parameters are as in :func:`lower_bound`."""
    inside = draws.confidence >= frame.threshold
    counts = int(draws.right[inside].sum()), int(inside.sum())
    if not counts[1] or not frame.texts:
        return Measured(*counts, None, 0.0, 1.0)
    half = (1.0 - CONFIDENCE) / 2.0
    low = lower_bound(draws, frame, half)
    high = 1.0 - _share_wrong_at_least(draws, frame, half)
    return Measured(*counts, float(np.clip(estimate(draws, frame), low, high)), low, high)


def estimate(draws: Draws, frame: Frame) -> float:
    """Return the unbiased estimate of the share of a frame that is right; with few draws it may leave [0, 1].

    Parameters are as in :func:`lower_bound`, with at least one draw.
    """
    return float(_estimates(draws, frame)[0].mean())


def _share_wrong_at_least(draws: Draws, frame: Frame, error: float) -> float:
    """Return the lower bound of the share that is wrong."""
    inside, counted = draws.confidence >= frame.threshold, draws.known.confidence >= frame.threshold
    focus = np.where(frame.threshold >= draws.chances.focus, 0.0, NO_FOCUS)  # in the new frame all is from 0 on
    wrong = Draws(
        ~draws.right,
        np.where(inside, 1.0 - draws.confidence, _OUTSIDE),
        replace(draws.chances, focus=focus),
        replace(
            draws.known,
            right=~draws.known.right,
            confidence=np.where(counted, 1.0 - draws.known.confidence, _OUTSIDE),
        ),
    )
    return lower_bound(wrong, Frame(0.0, frame.texts, frame.texts - frame.expected), error)
