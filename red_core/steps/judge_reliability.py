"""How much a judge's word is worth: from its answers to pairs whose truth is known.

A verdict is evidence, not truth. Each answer adds to the belief the log of how much oftener the judge gives it to
right pairs than to wrong ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
from scipy.special import logit
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression

from red_core.records import Booleans, Floats, JudgeRates, Outcome

VERDICTS: tuple[Outcome, ...] = tuple(o for o in get_args(Outcome) if o != "failed")
"""The outcomes that are verdicts: whatever was received."""
FURTHEST = 0.01
"""Probabilities are read as within [0.01, 0.99]: nobody is surer than that."""


def judge_rates(right: Mapping[str, int], wrong: Mapping[str, int]) -> JudgeRates:
    """Return the share of each outcome among right and among wrong pairs, with one added to every count.

    Parameters
    ----------
    right, wrong : mapping of outcome to count
        What the judge said of pairs known to be right, and known to be wrong.
    """
    shares: list[dict[str, float]] = [
        {kind: (counts.get(kind, 0) + 1) / (sum(counts.values()) + len(VERDICTS)) for kind in VERDICTS}
        for counts in (right, wrong)
    ]
    asked = sum(right.values()), sum(wrong.values())
    passes = (right.get("valid", 0) / asked[0], wrong.get("valid", 0) / asked[1]) if min(asked) else None
    return JudgeRates(shares[0], shares[1], sum(asked), passes)


def log_likelihood_ratio(rates: JudgeRates, outcome: Outcome) -> float:
    """Return ln P(outcome | right) - ln P(outcome | wrong): what a verdict adds to its label's exponent."""
    return float(np.log(rates.right[outcome]) - np.log(rates.wrong[outcome]))


@dataclass(frozen=True)
class ProbabilityScale:
    """A log likelihood ratio as a line over logit(p), p clipped to [0.01, 0.99]."""

    slope: float
    intercept: float

    def __call__(self, probability: float) -> float:
        """Return the log likelihood ratio of a probability in [0, 1]."""
        return self.slope * float(_clipped_logit(np.array([probability]))[0]) + self.intercept


def fit_probability_scale(probabilities: Floats, right: Booleans) -> ProbabilityScale | None:
    """Fit how much a judge's probabilities say: logistic regression of correctness on logit(p), less the prior odds.

    None where the pairs are all right or all wrong, or higher probabilities do not go with right pairs: then the
    outcome alone counts.

    Parameters
    ----------
    probabilities : ndarray of shape (n,), in [0, 1]
    right : ndarray of shape (n,), bool
    """
    if right.all() or not right.any():
        return None
    fitted = LogisticRegression(C=1.0).fit(_clipped_logit(probabilities)[:, None], right)
    if fitted.coef_[0, 0] <= 0:
        return None
    prior = float(np.log(right.sum() / (~right).sum()))
    return ProbabilityScale(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]) - prior)


def wilson(count: int, of: int) -> tuple[float, float]:
    """Return the 95% Wilson interval of ``count`` out of ``of``, in [0, 1]; the whole range where there is nothing."""
    if not of:
        return 0.0, 1.0
    found = binomtest(count, of).proportion_ci(0.95, "wilson")
    return float(found.low), float(found.high)


def told(right: Mapping[str, int], wrong: Mapping[str, int]) -> str:
    """Return in words what kind of judge this is, judged by its intervals; '' where nothing is wrong with it."""
    asked_right, asked_wrong = sum(right.values()), sum(wrong.values())
    passed, let_through = right.get("valid", 0), wrong.get("valid", 0)
    lowest, highest = wilson(passed, asked_right)[0], wilson(let_through, asked_wrong)[1]
    spoken = sum(counts.get(kind, 0) for counts in (right, wrong) for kind in ("valid", "invalid"))
    if 2 * spoken < asked_right + asked_wrong:
        return "It gives no clear answer to most questions: try another model or wire."
    if 2 * let_through > asked_wrong:
        return "A rubber stamp: it passes most wrong labels. Its valid means little; do not feed back on it."
    if 2 * passed < asked_right:
        return "A nay-sayer: it turns down most right labels. Its invalid means little."
    if lowest <= highest:
        return "Right and wrong labels cannot be told apart by it with certainty yet: test more pairs."
    return ""


def _clipped_logit(probabilities: Floats) -> Floats:
    return np.asarray(logit(np.clip(probabilities, FURTHEST, 1.0 - FURTHEST)))
