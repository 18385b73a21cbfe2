"""How reliable a judge is, measured on pairs of a text and a label whose truth is known.

A verdict is evidence, not truth. It adds to the label's logit the log of how much more often the judge gives this
answer to right pairs than to wrong ones. A difference that chance explains adds nothing: every rate is shrunk to the
pooled rate, as far as its test does not tell right from wrong pairs (positive-part James-Stein).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
from scipy.special import chdtri, expit, logit

from red_core.records import Booleans, Floats, Ints, JudgeRates, Outcome

VERDICTS: tuple[Outcome, ...] = tuple(o for o in get_args(Outcome) if o != "failed")
"""The outcomes that are verdicts: all but a failed request."""
CLEAR: tuple[Outcome, ...] = ("valid", "invalid")
"""The outcomes that answer the question."""
FURTHEST = 0.01
"""A judge's probabilities, and the chances that they are turned into, are clipped to [0.01, 0.99], so that no single
answer decides everything."""
NOISE = float(chdtri(1, 0.025))
"""The chi-square statistic up to which a difference between right and wrong pairs counts as chance. Two differences are
tested (a clear answer or none; valid or invalid), so each has half of 5%."""
LEVELS = 8
"""Into how many levels a judge's probabilities are divided to estimate what a question is worth."""
FOLDS = 10
WEAK = 10.0
"""Inverse L2 strength of the fit of a scale: enough to keep it finite where right and wrong pairs do not overlap."""


def judge_rates(right: Mapping[str, int], wrong: Mapping[str, int]) -> JudgeRates:
    """Return the chance of each outcome for right and for wrong pairs, free of differences that chance explains.

    Two differences are measured: how often the answer is clear, and how often a clear answer is *valid*. Each is shrunk
    by its own chi-square test. The answers that are not clear (*unsure*, *refused*, *unparseable*) share one weight.

    Parameters
    ----------
    right, wrong : mapping of outcome to count
        Counts of the judge's outcomes on pairs known to be right, and known to be wrong.
    """
    asked = np.array([sum(right.values()), sum(wrong.values())])
    clear = np.array([sum(counts.get(kind, 0) for kind in CLEAR) for counts in (right, wrong)])
    passed = np.array([right.get("valid", 0), wrong.get("valid", 0)])
    is_clear, is_valid = shrunk_chances(clear, asked), shrunk_chances(passed, clear)
    vague = {kind: right.get(kind, 0) + wrong.get(kind, 0) + 1 for kind in VERDICTS if kind not in CLEAR}
    shares: list[dict[str, float]] = [
        {
            "valid": float(is_clear[of] * is_valid[of]),
            "invalid": float(is_clear[of] * (1 - is_valid[of])),
            **{kind: float((1 - is_clear[of]) * count / sum(vague.values())) for kind, count in vague.items()},
        }
        for of in (0, 1)
    ]
    if not asked.min():
        return JudgeRates(shares[0], shares[1], int(asked.sum()))
    passes, rejects = passed / asked, (clear - passed) / asked
    return JudgeRates(
        shares[0], shares[1], int(asked.sum()), (float(passes[0]), float(passes[1])),
        rejects=(float(rejects[0]), float(rejects[1])),
    )  # fmt: skip


def shrunk_chances(hits: Ints, of: Ints) -> Floats:
    """Return the chance of an event in two groups, shrunk on the logit scale to the chance in both together.

    The difference keeps the share ``1 - NOISE / chi-square`` of its size, at least 0. One is added to each count.

    Parameters
    ----------
    hits, of : ndarray of shape (2, ...)
        How often the event happened, and how often it could have, in each group.

    Returns
    -------
    ndarray of shape (2, ...), in (0, 1)
    """
    pooled = (hits.sum(axis=0) + 1) / (of.sum(axis=0) + 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = hits.sum(axis=0) / of.sum(axis=0)
        difference = hits[0] / of[0] - hits[1] / of[1]
        statistic = difference**2 / (share * (1 - share) * (1 / of[0] + 1 / of[1]))
        keep = np.nan_to_num(np.maximum(0.0, 1.0 - NOISE / statistic), nan=0.0, neginf=0.0)
    own = logit((hits + 1) / (of + 2))
    return np.asarray(expit(logit(pooled) + keep * (own - logit(pooled))))


def log_likelihood_ratio(rates: JudgeRates, outcome: Outcome) -> float:
    """Return ln P(outcome | right) - ln P(outcome | wrong), which a verdict adds to its label's logit."""
    return float(np.log(rates.right[outcome]) - np.log(rates.wrong[outcome]))


def bits_of_words(right: Mapping[str, int], wrong: Mapping[str, int]) -> float:
    """Return how many bits one outcome says about *right or wrong*, in [0, 1].

    It is the mean gain in log2 P(truth) over even odds. Each pair is left out of the rates that weigh its own answer,
    so that chance does not count as knowledge.
    """
    losses: list[float] = []
    for index, own in enumerate((right, wrong)):
        total = 0.0
        for outcome, count in own.items():
            if not count:
                continue
            without = dict(own) | {outcome: count - 1}
            rates = judge_rates(*((without, wrong) if index == 0 else (right, without)))
            odds = rates.right[outcome] / rates.wrong[outcome]
            total += count * float(np.log2(1 + (1 / odds if index == 0 else odds)))
        losses.append(total / max(sum(own.values()), 1))
    return max(0.0, 1.0 - float(np.mean(losses))) if right and wrong else 0.0


@dataclass(frozen=True)
class ProbabilityScale:
    """The log likelihood ratio as a linear function of logit(p); p and the resulting chance are clipped."""

    slope: float
    intercept: float

    def __call__(self, probability: float) -> float:
        """Return the log likelihood ratio of a probability in [0, 1]."""
        return float(self.ratios(np.array([probability]))[0])

    def ratios(self, probabilities: Floats) -> Floats:
        """Return the log likelihood ratio of each probability."""
        most = logit(1.0 - FURTHEST)
        return np.asarray(np.clip(self.slope * _clipped_logit(probabilities) + self.intercept, -most, most))


def fit_probability_scale(probabilities: Floats, right: Booleans) -> ProbabilityScale | None:
    """Return the scale of a judge's probabilities: logistic regression on logit(p), minus the prior log-odds.

    The logits are divided by their standard deviation for the fit, because some models move their probabilities only
    between .5 and .6 and mean it. The scale is shrunk by the likelihood-ratio test of its slope, as the rates are by
    theirs. None if all pairs are right or
    all are wrong, if higher probabilities do not mean more right pairs, or if chance explains that they do. Then only
    the outcome counts.

    Parameters
    ----------
    probabilities : ndarray of shape (n,), in [0, 1]
    right : ndarray of shape (n,), bool
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  scikit-learn takes a second to import

    if right.all() or not right.any():
        return None
    logits = _clipped_logit(probabilities)
    spread = float(logits.std()) or 1.0
    fitted = LogisticRegression(C=WEAK).fit(logits[:, None] / spread, right)
    slope, intercept = float(fitted.coef_[0, 0]) / spread, float(fitted.intercept_[0])
    if slope <= 0:
        return None
    prior_log_odds = float(np.log(right.sum() / (~right).sum()))
    signs = np.where(right, 1.0, -1.0)
    explained = np.logaddexp(0, -signs * prior_log_odds) - np.logaddexp(0, -signs * (slope * logits + intercept))
    keep = 1.0 - NOISE / max(2.0 * float(explained.sum()), NOISE)
    return ProbabilityScale(keep * slope, keep * (intercept - prior_log_odds)) if keep > 0 else None


def bits_of_probabilities(probabilities: Floats, right: Booleans) -> float:
    """Return how many bits one probability says about *right or wrong*, in [0, 1], by cross-validation.

    As :func:`bits_of_words`; a fold for which there is no scale says nothing.
    """
    ratios = np.zeros(len(right))
    for fold in range(FOLDS):
        rows = np.arange(len(right)) // 2 % FOLDS == fold  # a right pair and its wrong one stand side by side
        if rows.any() and not rows.all() and (scale := fit_probability_scale(probabilities[~rows], right[~rows])):
            ratios[rows] = scale.ratios(probabilities[rows])
    loss = np.logaddexp2(0.0, -np.where(right, ratios, -ratios) / np.log(2))
    if right.all() or not right.any():
        return 0.0
    return float(max(0.0, 1.0 - (loss[right].mean() + loss[~right].mean()) / 2))


@dataclass(frozen=True)
class Comparing:
    """What an answer to *rather this label than that?* says, by the probability of the label that is shown first.

    Attributes
    ----------
    scale : ProbabilityScale
        Of the first label against the second. A lean to the first is its intercept.
    levels : tuple of (float, float)
        The chance of each level of the answer if the label is right, and if its rival is. By symmetry these are the
        same for both places.
    bits : float
        See :func:`bits_of_probabilities`.
    """

    scale: ProbabilityScale
    levels: tuple[tuple[float, float], ...]
    bits: float

    def ratio(self, of_first: float, *, label_first: bool) -> float:
        """Return ln P(answer | label) - ln P(answer | rival)."""
        ratio = self.scale(of_first)
        return ratio if label_first else -ratio

    def toward(self, ratio: float) -> tuple[float, float]:
        """Return what an answer with this ratio adds to the logits of the label and of its rival.

        Nobody tested what the judge answers if neither label is right. Then each answer is taken to be as likely as
        halfway between the two labels: the normalised geometric mean of both chances. So an answer says nothing for
        the two labels together on average.
        """
        others = -float(np.log(sum(np.sqrt(label * rival) for label, rival in self.levels)))
        return ratio / 2 - others, -ratio / 2 - others


def fit_comparing(of_first: Floats, first_right: Booleans) -> Comparing | None:
    """Return what comparisons say; None where there is no scale, as of :func:`fit_probability_scale`.

    Parameters
    ----------
    of_first : ndarray of shape (n,), in [0, 1]
        The judge's probability of the label that it was shown first.
    first_right : ndarray of shape (n,), bool
        Whether that label is the right one; otherwise the other is.
    """
    scale = fit_probability_scale(of_first, first_right)
    if scale is None:
        return None
    ratios = scale.ratios(of_first)
    levels = _levels(np.concatenate([ratios, -ratios]))
    return Comparing(scale, levels, bits_of_probabilities(of_first, first_right))


def weight(rates: JudgeRates, scale: ProbabilityScale | None, outcome: Outcome, probability: float | None) -> float:
    """Return what an answer adds to its label's logit: by its probability if that is calibrated, else by its word."""
    if scale is not None and probability is not None:
        return scale(probability)
    return log_likelihood_ratio(rates, outcome)


def shares_of_both(about_one: Floats, compared: Floats, right: Booleans) -> tuple[float, float]:
    """Return which shares of two log likelihood ratios count if both are about the same label of a text.

    The two answers come from one judge, which may err twice in the same way. The shares are those under which the sum
    of both ratios predicts best, so that two answers that say the same count as one. Each lies in [0, 1]: two
    answers never say more together than two witnesses would.

    Parameters
    ----------
    about_one, compared : ndarray of shape (n,)
        The ratios of *is this label right?* and of *rather this label than that?*.
    right : ndarray of shape (n,), bool
    """
    from scipy.optimize import minimize  # noqa: PLC0415  it takes a while to import

    both = np.where(right, 1.0, -1.0)[:, None] * np.stack([about_one, compared], axis=1)
    if not np.any(both, axis=0).all():
        return 1.0, 1.0  # one of them says nothing anyway
    found = minimize(
        lambda shares: np.logaddexp(0.0, -both @ shares).sum(),
        np.array([0.5, 0.5]),
        jac=lambda shares: -expit(-both @ shares) @ both,
        bounds=[(0.0, 1.0), (0.0, 1.0)],
    )
    return float(found.x[0]), float(found.x[1])


def compares_better(rates: JudgeRates, least_bits: float) -> bool:
    """Tell whether *rather this label than that?* is worth asking: its bits, and its bits for each token."""
    bits = rates.rival_bits or 0.0
    return bool(rates.rival_levels) and bits >= least_bits and bits > (rates.bits or 0.0) * rates.rival_price


def is_useful(rates: JudgeRates, least_bits: float) -> bool:
    """Tell whether *is this label right?* is worth asking; also if that was not measured."""
    return rates.bits is None or rates.bits >= least_bits


def levels_of(scale: ProbabilityScale, probabilities: Floats) -> tuple[tuple[float, float], ...]:
    """Return the chance of each level of a judge's probability for right and for wrong pairs, the lowest level first.

    The levels hold equally many of these probabilities; the chances agree with the scale. The value of a question is
    estimated with them as with outcomes.
    """
    return _levels(scale.ratios(probabilities))


def _levels(ratios: Floats) -> tuple[tuple[float, float], ...]:
    parts = [part for part in np.array_split(np.sort(ratios), LEVELS) if len(part)]
    mass = np.array([len(part) for part in parts], dtype=np.float64)
    ratio = np.array([part.mean() for part in parts])
    right, wrong = mass * expit(ratio), mass * expit(-ratio)
    return tuple(zip((right / right.sum()).tolist(), (wrong / wrong.sum()).tolist(), strict=True))


def wilson(count: int, of: int) -> tuple[float, float]:
    """Return the 95% Wilson interval of ``count`` out of ``of``, in [0, 1]; (0, 1) if ``of`` is 0."""
    from scipy.stats import binomtest  # noqa: PLC0415  scipy.stats takes half a second to import

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
