"""Statistics of blind audits: the lower bound of accuracy at each look, and the judge's rates against audits.

A certificate says, with 95% confidence, that at least a target share of the machine's labels is right. The sample may
be tested at four looks. Each look gets a quarter of the 5% (Bonferroni), so that repeated looks do not inflate the
error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, norm
from sklearn.metrics import cohen_kappa_score

from red_core.records import Booleans, Floats, Ints, Outcome

LOOKS = (100, 200, 400, 800)
"""The numbers of audits at which the certificate is tested."""
CONFIDENCE = 0.95
"""Confidence of the certificate over all looks together."""
MOST_PSEUDO_COUNTS = 20
"""The self-test counts as at most this many audits of right pairs, and as many of wrong pairs."""


def lower_bound(hits: Ints | int, audits: Ints | int) -> Floats:
    """Return the exact one-sided lower bound of a share, at the confidence of one look.

    Clopper and Pearson (1934): the share at which this many hits or more have probability 0.0125.

    Parameters
    ----------
    hits : int or ndarray of int, in [0, audits]
    audits : int or ndarray of int, at least 1
        Broadcast against ``hits``.

    Returns
    -------
    ndarray of the broadcast shape, in [0, 1)
    """
    hits, audits = np.asarray(hits), np.asarray(audits)
    bound = beta.ppf((1.0 - CONFIDENCE) / len(LOOKS), np.maximum(hits, 1), audits - np.maximum(hits, 1) + 1)
    return np.asarray(np.where(hits == 0, 0.0, bound))


def next_look(audits: int) -> int | None:
    """Return the number of audits at the next look after this many; None after the last look."""
    return next((look for look in LOOKS if look > audits), None)


def looks_over(right: Booleans) -> tuple[Ints, Ints, Floats]:
    """Return the figures of each look that a sample reaches.

    Parameters
    ----------
    right : ndarray of shape (..., n), bool
        Whether the machine's label is right, in the order of the sample.

    Returns
    -------
    audits : ndarray of shape (k,), int64
        The looks reached, ascending.
    hits, lower : ndarray of shape (..., k)
        How many are right, and the lower bound of their share.
    """
    audits = np.array([look for look in LOOKS if look <= right.shape[-1]], dtype=np.int64)
    hits = np.cumsum(right, axis=-1, dtype=np.int64)[..., audits - 1]
    return audits, hits, lower_bound(hits, audits)


@dataclass(frozen=True)
class Share:
    """A share ``right`` / ``of`` with its confidence interval.

    Attributes
    ----------
    right, of : int
        Counts of audits.
    share : float in [0, 1] or None
        None if nothing was counted.
    low, high : float in [0, 1]
        The 95% Wilson interval.
    """

    right: int
    of: int
    share: float | None
    low: float
    high: float


def share_of(right: int, of: int, before: tuple[float, float] = (0.0, 0.0)) -> Share:
    """Return a share with its Wilson (1927) interval.

    Parameters
    ----------
    right, of : int
        Counts, ``right`` in [0, of].
    before : (float, float)
        Pseudo-counts of right and of all, added to share and interval. They need not be whole numbers.
    """
    hits, count = right + before[0], of + before[1]
    if not count:
        return Share(right, of, None, 0.0, 1.0)
    share, z = hits / count, float(norm.ppf(0.975))
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * float(np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Share(right, of, share, low if hits else 0.0, high if hits < count else 1.0)


@dataclass(frozen=True)
class JudgeAgainstAudits:
    """A judge's verdicts compared with blind audits of the same texts.

    Attributes
    ----------
    tpr, tnr : Share
        Share of right pairs that were called valid, and of wrong pairs that were called invalid. The counts are
        audits only. Share and interval also include the self-test, as at most 20 pairs of each kind.
    kappa : float in [-1, 1] or None
        Cohen's kappa (1960) of the pairs called valid or invalid; None if all are of one kind, or there is none.
    coverage : float in [0, 1] or None
        Share of the pairs that were called valid or invalid; None if there are no pairs.
    pairs : int
        Pairs of an audited text and a label that have a verdict.
    """

    tpr: Share
    tnr: Share
    kappa: float | None
    coverage: float | None
    pairs: int


def judge_against_audits(
    outcomes: Sequence[Outcome], right: Booleans, self_test: Mapping[str, Mapping[str, int]]
) -> JudgeAgainstAudits:
    """Compare verdicts with audits.

    Parameters
    ----------
    outcomes : sequence of n Outcome
        The verdict on each pair of an audited text and a label.
    right : ndarray of shape (n,), bool
        Whether the audit gave the text that label.
    self_test : mapping with ``right`` and ``wrong``, each outcome to count
        The judge's outcomes in the self-test.
    """
    given = np.asarray(outcomes, dtype=str)
    valid, invalid = given == "valid", given == "invalid"
    clear = valid | invalid
    kappa = None
    if len(np.unique(np.r_[valid[clear], right[clear]])) == 2:
        kappa = float(cohen_kappa_score(right[clear], valid[clear], labels=[False, True]))
    return JudgeAgainstAudits(
        share_of(int(valid[right].sum()), int(right.sum()), _pseudo_counts(self_test["right"], "valid")),
        share_of(int(invalid[~right].sum()), int((~right).sum()), _pseudo_counts(self_test["wrong"], "invalid")),
        kappa,
        float(clear.mean()) if len(given) else None,
        len(given),
    )


def _pseudo_counts(counts: Mapping[str, int], outcome: str) -> tuple[float, float]:
    of = sum(counts.values())
    weight = min(1.0, MOST_PSEUDO_COUNTS / of) if of else 0.0
    return weight * counts.get(outcome, 0), weight * of
