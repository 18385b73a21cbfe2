"""How reliable a judge is, measured on pairs of a text and a label whose truth is known.

A verdict is evidence, not truth. It adds to the label's logit the log of how much more often the judge gives this
answer to right pairs than to wrong ones.
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
"""The outcomes that are verdicts: all but a failed request."""
FURTHEST = 0.01
"""A judge's probabilities are clipped to [0.01, 0.99], so that no single answer decides everything."""


def judge_rates(right: Mapping[str, int], wrong: Mapping[str, int]) -> JudgeRates:
    """Return the share of each outcome among right and among wrong pairs, with add-one smoothing.

    Parameters
    ----------
    right, wrong : mapping of outcome to count
        Counts of the judge's outcomes on pairs known to be right, and known to be wrong.
    """
    shares: list[dict[str, float]] = [
        {kind: (counts.get(kind, 0) + 1) / (sum(counts.values()) + len(VERDICTS)) for kind in VERDICTS}
        for counts in (right, wrong)
    ]
    asked = sum(right.values()), sum(wrong.values())
    passes = (right.get("valid", 0) / asked[0], wrong.get("valid", 0) / asked[1]) if min(asked) else None
    return JudgeRates(shares[0], shares[1], sum(asked), passes)


def log_likelihood_ratio(rates: JudgeRates, outcome: Outcome) -> float:
    """Return ln P(outcome | right) - ln P(outcome | wrong), which a verdict adds to its label's logit."""
    return float(np.log(rates.right[outcome]) - np.log(rates.wrong[outcome]))


@dataclass(frozen=True)
class ProbabilityScale:
    """The log likelihood ratio as a linear function of logit(p), with p clipped to [0.01, 0.99]."""

    slope: float
    intercept: float

    def __call__(self, probability: float) -> float:
        """Return the log likelihood ratio of a probability in [0, 1]."""
        return self.slope * float(_clipped_logit(np.array([probability]))[0]) + self.intercept


def fit_probability_scale(probabilities: Floats, right: Booleans) -> ProbabilityScale | None:
    """Return the scale of a judge's probabilities: logistic regression on logit(p), minus the prior log-odds.

    None if all pairs are right or all are wrong, or if higher probabilities do not mean more right pairs. Then only the
    outcome counts.

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
    prior_log_odds = float(np.log(right.sum() / (~right).sum()))
    return ProbabilityScale(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]) - prior_log_odds)


def wilson(count: int, of: int) -> tuple[float, float]:
    """Return the 95% Wilson interval of ``count`` out of ``of``, in [0, 1]; (0, 1) if ``of`` is 0."""
    if not of:
        return 0.0, 1.0
    interval = binomtest(count, of).proportion_ci(0.95, "wilson")
    return float(interval.low), float(interval.high)


def reliability_warning(right: Mapping[str, int], wrong: Mapping[str, int]) -> str:
    """Return a warning about this judge for the user, by its intervals; '' if nothing is wrong with it."""
    asked_right, asked_wrong = sum(right.values()), sum(wrong.values())
    passed, let_through = right.get("valid", 0), wrong.get("valid", 0)
    lowest, highest = wilson(passed, asked_right)[0], wilson(let_through, asked_wrong)[1]
    clear = sum(counts.get(kind, 0) for counts in (right, wrong) for kind in ("valid", "invalid"))
    if 2 * clear < asked_right + asked_wrong:
        return "It gives no clear answer to most questions. Try another model or another API."
    if 2 * let_through > asked_wrong:
        return "It accepts most wrong labels, so its *valid* means little. Do not feed back on its verdicts alone."
    if 2 * passed < asked_right:
        return "It rejects most right labels, so its *invalid* means little."
    if lowest <= highest:
        return "It is not certain yet that it can tell right labels from wrong ones. Test more pairs."
    return ""


def _clipped_logit(probabilities: Floats) -> Floats:
    return np.asarray(logit(np.clip(probabilities, FURTHEST, 1.0 - FURTHEST)))
