"""Statistics of blind audits: shares with their intervals, and the judge's rates against audits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from red_core.records import Booleans, Floats, Outcome

MOST_PSEUDO_COUNTS = 20
"""The self-test counts as at most this many audits of right pairs, and as many of wrong pairs."""


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
    share, z = hits / count, float(ndtri(0.975))
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * float(np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Share(right, of, share, low if hits else 0.0, high if hits < count else 1.0)


def weighted_share(right: Booleans, weight: Floats) -> Share:
    """Return a share of texts that were drawn with different chances.

    The interval is Wilson's for as many even draws as these are worth: the square of the sum of the weights, divided by
    the sum of their squares (Kish 1965).

    Parameters
    ----------
    right : ndarray of shape (n,), bool
    weight : ndarray of shape (n,), float, positive
        How many texts each of them stands for; the scale does not matter.
    """
    counts = int(right.sum()), len(right)
    if not counts[1]:
        return share_of(0, 0)
    worth = float(weight.sum() ** 2 / (weight**2).sum())
    hits = worth * float(weight[right].sum() / weight.sum())
    return replace(share_of(0, 0, (hits, worth)), right=counts[0], of=counts[1])


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
        from sklearn.metrics import cohen_kappa_score  # noqa: PLC0415  scikit-learn takes a second to import

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
