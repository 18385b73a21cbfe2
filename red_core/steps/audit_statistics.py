"""What blind audits prove: a lower bound that holds at every look, and how good the judge is against them.

A certificate says that at least a target share of the machine's labels is right, with 95% confidence. The sample may
be looked at four times; each look has a quarter of the 5% (Bonferroni), so that looking often proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, norm
from sklearn.metrics import cohen_kappa_score

from red_core.records import Booleans, Floats, Ints, Outcome

LOOKS = (100, 200, 400, 800)
"""The numbers of audits at which the certificate may be given."""
CONFIDENCE = 0.95
"""Of the certificate, over all looks together."""
MOST_PSEUDO_COUNTS = 20
"""The self-test counts as no more audits than this, of right and of wrong pairs each."""


def lower_bound(hits: Ints | int, audits: Ints | int) -> Floats:
    """Return the exact one-sided lower bound of a share, at the confidence of one look.

    Clopper and Pearson (1934): the share at which so many hits or more have probability 0.0125.

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
    found = beta.ppf((1.0 - CONFIDENCE) / len(LOOKS), np.maximum(hits, 1), audits - np.maximum(hits, 1) + 1)
    return np.asarray(np.where(hits == 0, 0.0, found))


def next_look(audits: int) -> int | None:
    """Return the next number of audits that is looked at after this many; None after the last."""
    return next((look for look in LOOKS if look > audits), None)


def looks_over(right: Booleans) -> tuple[Ints, Ints, Floats]:
    """Return what is seen at each look that a sample reaches.

    Parameters
    ----------
    right : ndarray of shape (..., n), bool
        Whether the machine's label is right, in the order dealt.

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
    """So many of so many, with what can be said about the share behind it.

    Attributes
    ----------
    right, of : int
        As counted in audits.
    share : float in [0, 1] or None
        None where nothing was counted.
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
        Pseudo-counts that enter share and interval: right, and of how many. They need not be whole.
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
    """How a judge's verdicts compare with blind audits of the same texts.

    Attributes
    ----------
    tpr, tnr : Share
        Of right pairs called valid, of wrong pairs called invalid. The counts are audits alone; share and interval
        count the self-test as well, as at most 20 pairs of each kind.
    kappa : float in [-1, 1] or None
        Cohen's (1960), of the pairs called valid or invalid; None where all are of one kind, or there is none.
    coverage : float in [0, 1] or None
        The share of the pairs that were called valid or invalid; None where there is none.
    pairs : int
        Pairs of an audited text and a label that have a verdict.
    """

    tpr: Share
    tnr: Share
    kappa: float | None
    coverage: float | None
    pairs: int


def judge_against_audits(
    said: Sequence[Outcome], right: Booleans, self_test: Mapping[str, Mapping[str, int]]
) -> JudgeAgainstAudits:
    """Compare verdicts with audits.

    Parameters
    ----------
    said : sequence of n Outcome
        The verdict on each pair of an audited text and a label.
    right : ndarray of shape (n,), bool
        Whether the audit gave the text that label.
    self_test : mapping with ``right`` and ``wrong``, each outcome to count
        What the judge said of pairs of the self-test.
    """
    words = np.asarray(said, dtype=str)
    valid, invalid = words == "valid", words == "invalid"
    clear = valid | invalid
    kappa = None
    if len(np.unique(np.r_[valid[clear], right[clear]])) == 2:
        kappa = float(cohen_kappa_score(right[clear], valid[clear], labels=[False, True]))
    return JudgeAgainstAudits(
        share_of(int(valid[right].sum()), int(right.sum()), _pseudo_counts(self_test["right"], "valid")),
        share_of(int(invalid[~right].sum()), int((~right).sum()), _pseudo_counts(self_test["wrong"], "invalid")),
        kappa,
        float(clear.mean()) if len(words) else None,
        len(words),
    )


def _pseudo_counts(counts: Mapping[str, int], word: str) -> tuple[float, float]:
    of = sum(counts.values())
    weight = min(1.0, MOST_PSEUDO_COUNTS / of) if of else 0.0
    return weight * counts.get(word, 0), weight * of
