"""Belief: P(label | all we know), over the labels and *none of these*.

A text's belief is the softmax of beta * s over the labels, with a fixed logit for *none of these* (s: the log-odds of
the subset classifiers). A verdict adds its log likelihood ratio to the logit of its label. Only the best labels of a
text are stored one by one; the others are summed up exactly in one remainder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import logit, logsumexp, softmax

from red_core.records import NONE_OF_THESE, Floats, Ints

CANDIDATES_KEPT = 10
"""Labels stored one by one for each text; the others are summed up exactly in the remainder."""


@dataclass(frozen=True)
class Calibration:
    """The temperature ``beta`` (> 0) and the score of *none of these*, ``none_score``, on the scale of s."""

    beta: float
    none_score: float


NOT_CALIBRATED = Calibration(beta=1.0, none_score=-20.0)
"""Where no example can be held out: the log-odds as the classifiers give them, and no text is *none of these*."""


@dataclass(frozen=True)
class Candidates:
    """The logits of n texts for their best M labels each.

    Attributes
    ----------
    labels : ndarray of shape (n, M), int64
        Ordered from the best; ties by label number.
    logits : ndarray of shape (n, M), float32
        beta * s, plus the log likelihood ratios of verdicts.
    remainder : ndarray of shape (n,), float32
        log of the sum of exp(beta * s) over all other labels; -inf where there are none.
    none : float
        The logit of *none of these*.
    """

    labels: Ints
    logits: Floats
    remainder: Floats
    none: float

    def only(self, rows: Ints) -> Candidates:
        """Return these rows."""
        return Candidates(self.labels[rows], self.logits[rows], self.remainder[rows], self.none)


def candidates(log_odds: Floats, calibration: Calibration, keep: int) -> Candidates:
    """Return the logits of the ``keep`` best labels of each text, and of all others together.

    Parameters
    ----------
    log_odds : ndarray of shape (n, L), float32
        See :func:`red_core.steps.pool_scoring.label_log_odds`.
    """
    keep = min(keep, log_odds.shape[1])
    logits = np.float32(calibration.beta) * log_odds
    best = np.argpartition(-logits, keep - 1, axis=1)[:, :keep]
    values = np.take_along_axis(logits, best, axis=1)
    order = np.lexsort((best, -values), axis=1)
    labels, values = np.take_along_axis(best, order, axis=1), np.take_along_axis(values, order, axis=1)
    np.put_along_axis(logits, best, -np.inf, axis=1)
    peak = values[:, :1]  # no other label is higher
    with np.errstate(divide="ignore"):
        remainder = np.log(np.exp(logits - peak).sum(axis=1)) + peak[:, 0]
    return Candidates(
        labels.astype(np.int64), values, remainder.astype(np.float32), calibration.beta * calibration.none_score
    )


def joined(parts: Sequence[Candidates]) -> Candidates:
    """Return the texts of all parts, in their order; the parts share one calibration."""
    return Candidates(
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.logits for part in parts]),
        np.concatenate([part.remainder for part in parts]),
        parts[0].none,
    )


def beliefs(kept: Candidates) -> Floats:
    """Return the belief of each candidate, of *none of these* and of the remainder, summing to 1 in each row.

    Returns
    -------
    ndarray of shape (n, M + 2), float64
        Columns: the M candidates in their order, *none of these*, the remainder.
    """
    none = np.full(len(kept.labels), kept.none)
    logits = np.c_[kept.logits, none, kept.remainder].astype(np.float64)
    return np.asarray(softmax(logits, axis=1))


def beliefs_in(kept: Candidates, of_column: Ints, classes: int) -> Floats:
    """Return the belief in each class: the beliefs of its labels added up.

    Parameters
    ----------
    of_column : ndarray of shape (L,), int64
        The class of each label; -1 is *none of these*.

    Returns
    -------
    ndarray of shape (n, classes + 1), float64
        The last column is *none of these*. Each row sums to 1 minus the remainder.
    """
    belief, count = beliefs(kept), kept.labels.shape[1]
    shares = np.zeros((len(belief), classes + 1))
    np.add.at(shares, (np.arange(len(belief))[:, None], of_column[kept.labels]), belief[:, :count])
    shares[:, -1] += belief[:, count]
    return shares


LEAST_SHARE, GREATEST_SHARE = 0.001, 0.5
"""The range in which the share of *none of these* is searched."""


def likeliest_share_of_none(kept: Candidates, prior_share: float) -> float:
    """Return the maximum likelihood share of pool texts that belong to no label.

    Saerens, Latinne and Decaestecker (2002) adjust a classifier to new class priors in this way. Here only one prior is
    adjusted: that of *none of these*.

    Parameters
    ----------
    prior_share : float
        The share for which the score of *none of these* was fitted, in (0, 1).

    Returns
    -------
    float in [LEAST_SHARE, GREATEST_SHARE]
    """

    def excess(share: float) -> float:  # decreasing, zero at the maximum likelihood share
        return float(beliefs(with_share_of_none(kept, prior_share, share))[:, -2].mean()) / share - 1.0

    if excess(LEAST_SHARE) <= 0.0:
        return LEAST_SHARE
    if excess(GREATEST_SHARE) >= 0.0:
        return GREATEST_SHARE
    return float(brentq(excess, LEAST_SHARE, GREATEST_SHARE, xtol=1e-5))


def with_share_of_none(kept: Candidates, prior_share: float, share: float) -> Candidates:
    """Return the candidates with the logit of *none of these* adjusted from one prior share to another."""
    return replace(kept, none=kept.none + float(logit(share) - logit(prior_share)))


def add_evidence(kept: Candidates, row: int, label: int, log_likelihood_ratio: float) -> bool:
    """Add a verdict's evidence to a logit of one text, in place; return False if the label is not a candidate."""
    columns = np.flatnonzero(kept.labels[row] == label)
    if not len(columns):
        return False
    kept.logits[row, columns[0]] += log_likelihood_ratio
    return True


def fit_calibration(
    known_log_odds: Floats, known_labels: Ints, foreign_log_odds: Floats, *, none_share: float
) -> Calibration:
    """Fit the temperature and the score of *none of these* by maximum likelihood on out-of-fold texts.

    Parameters
    ----------
    known_log_odds : ndarray of shape (n, L), float32
        Out-of-fold log-odds of seeds.
    known_labels : ndarray of shape (n,), int64
    foreign_log_odds : ndarray of shape (m, L), float32
        Log-odds of seeds whose label the classifiers were not trained on, -inf in the columns of such labels. For
        these classifiers the seeds are *none of these*.
    none_share : float
        Expected share of pool texts that belong to no label, in (0, 1): the weight of the foreign rows.

    Returns
    -------
    Calibration
        NOT_CALIBRATED if there is no seed.
    """
    known = np.asarray(known_log_odds, dtype=np.float64)
    foreign = np.asarray(foreign_log_odds, dtype=np.float64)
    if not len(known):
        return NOT_CALIBRATED
    own = known[np.arange(len(known)), known_labels]

    def loss(parameters: Floats) -> float:
        beta, none = np.exp(parameters[0]), parameters[1]
        scale_known = np.logaddexp(logsumexp(beta * known, axis=1), beta * none)
        scale_foreign = np.logaddexp(logsumexp(beta * foreign, axis=1), beta * none)
        inside = (1 - none_share) * np.mean(scale_known - beta * own)
        outside = none_share * np.mean(scale_foreign - beta * none) if len(foreign) else 0.0
        return float(
            inside + outside + 1e-4 * none**2
        )  # the last term keeps the score finite if no foreign row determines it

    start = np.array([0.0, float(np.quantile(own, 0.05))])
    best = minimize(loss, start, method="L-BFGS-B", bounds=[(-5.0, 5.0), (None, None)])
    return Calibration(beta=float(np.exp(best.x[0])), none_score=float(best.x[1]))


def ranked(label_ids: Ints, kept: Candidates) -> tuple[Ints, Floats]:
    """Return the candidates and *none of these* with their beliefs, best first.

    Returns
    -------
    labels : ndarray of shape (n, M + 1), int64
        Label ids; -1 is none of these.
    belief : ndarray of the same shape
        Each row sums to 1 minus the remainder.
    """
    belief = beliefs(kept)[:, :-1]
    labels = np.c_[label_ids[kept.labels], np.full(len(kept.labels), NONE_OF_THESE)]
    order = np.argsort(-belief, axis=1, kind="stable")
    return np.take_along_axis(labels, order, axis=1), np.take_along_axis(belief, order, axis=1)
