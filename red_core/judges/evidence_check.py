"""The evidence check: no LLM, no key, no network.

A text must lie closer to the label's valid samples than to any rival's.

It looks at the same vectors as the classifiers, so its errors go with theirs: its weight in the belief is
what it adds beyond the classifiers' own score, fitted on the seeds, each left out of its own evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit
from sklearn.linear_model import LogisticRegression

from red_core.records import EVIDENCE_CHECK, Answer, Booleans, Floats, Ints, JudgeRates, Outcome, Question
from red_core.steps.neighbours import label_similarities
from red_core.training import ValidSamples

VectorsOf = Callable[[Ints], Floats]
"""Text row ids of shape (n,) to unit vectors of shape (n, d)."""

MODEL = "margin of the mean of the 3 nearest"
VERSION = "1"
VALID_FROM = 0.7
"""It says valid where the margin alone, beyond the base rate, favours the label by this share or more."""
INVALID_UNDER = 0.5
"""It says invalid where the proposal is, all in all, more likely wrong than right; in between it is unsure."""
QUESTIONS_PER_GROUP = 256


@dataclass(frozen=True)
class EvidenceCheck:
    """See the module. Make it with :func:`fit_evidence_check`.

    Attributes
    ----------
    samples : ValidSamples
    queries : callable
        Text row ids to unit vectors.
    slope, intercept : float
        Log likelihood ratio of being right as a function of the margin.
    base : float
        Logit of the share of proposals that are right.
    weight : float
        What the log likelihood ratio, cut at 6, counts in the belief, beyond the classifiers' own score; in [0, 1].
    rates : JudgeRates
    """

    samples: ValidSamples
    queries: VectorsOf
    slope: float
    intercept: float
    base: float
    weight: float
    rates: JudgeRates

    @property
    def name(self) -> str:
        """The wire."""
        return EVIDENCE_CHECK

    @property
    def free(self) -> bool:
        """It costs nothing to ask."""
        return True

    def answers(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """Yield answers in groups; see :class:`red_core.judges.protocol.Judge`."""
        for start in range(0, len(questions), QUESTIONS_PER_GROUP):
            group = questions[start : start + QUESTIONS_PER_GROUP]
            texts = np.array([q.text for q in group], dtype=np.int64)
            places = np.searchsorted(self.samples.label_ids, [q.label.id for q in group])
            found = margins(self.samples, self.queries(texts), texts, places)
            ratios = self.intercept + self.slope * found
            yield [
                (start + place, self._answer(float(ratio), float(margin)))
                for place, (ratio, margin) in enumerate(zip(ratios, found, strict=True))
            ]

    def _answer(self, ratio: float, margin: float) -> Answer:
        return Answer(
            outcome=outcome_of(ratio, self.base),
            p_valid=float(expit(self.base + ratio)),
            log_likelihood_ratio=self.weight * float(np.clip(ratio, -6.0, 6.0)),
            raw=f"margin {margin:.4f}",
            model=MODEL,
            prompt_version=VERSION,
        )


def outcome_of(log_likelihood_ratio: float, base: float) -> Outcome:
    """Return what the check says of a proposal; see VALID_FROM and INVALID_UNDER."""
    if expit(base + log_likelihood_ratio) < INVALID_UNDER:
        return "invalid"
    return "valid" if expit(log_likelihood_ratio) >= VALID_FROM else "unsure"


def margins(samples: ValidSamples, vectors: Floats, texts: Ints, places: Ints) -> Floats:
    """Return each text's similarity to its proposed label minus that to the best rival, shape (n,), in [-2, 2].

    A text that is itself a sample is left out of its own evidence.
    """
    similarity = vectors @ samples.vectors.T
    similarity[texts[:, None] == samples.texts[None, :]] = -np.inf
    to_label = label_similarities(similarity, samples.labels, len(samples.label_ids))
    everyone = np.arange(len(texts))
    own = to_label[everyone, places]
    to_label[everyone, places] = -np.inf
    return np.asarray(own - to_label.max(axis=1), dtype=np.float32)


def fit_evidence_check(
    samples: ValidSamples,
    queries: VectorsOf,
    *,
    texts: Ints,
    places: Ints,
    right: Booleans,
    prior_logit: Floats,
) -> EvidenceCheck:
    """Fit the check on known proposals: the best label of each seed from classifiers that never saw it.

    Parameters
    ----------
    samples : ValidSamples
    queries : callable
        Text row ids to unit vectors.
    texts, places : ndarray of shape (n,), int64
        The proposals.
    right : ndarray of shape (n,), bool
    prior_logit : ndarray of shape (n,)
        Logit of the classifiers' out-of-fold belief in the proposal.
    """
    found = np.concatenate(
        [
            margins(samples, queries(texts[part]), texts[part], places[part])
            for part in np.array_split(np.arange(len(texts)), 1 + len(texts) // QUESTIONS_PER_GROUP)
        ]
    )
    slope, intercept, base = _likelihood_ratio(found, right)
    ratios = intercept + slope * found
    outcomes = np.array([outcome_of(ratio, base) for ratio in ratios])
    return EvidenceCheck(
        samples, queries, slope, intercept, base, _beyond_the_classifiers(ratios, prior_logit, right),
        JudgeRates(_shares(outcomes[right]), _shares(outcomes[~right]), len(right)),
    )  # fmt: skip


def _likelihood_ratio(found: Floats, right: Booleans) -> tuple[float, float, float]:
    """Return slope and intercept of the log likelihood ratio over the margin, and the logit of the base rate."""
    share = (right.sum() + 1.0) / (len(right) + 2.0)
    base = float(np.log(share / (1.0 - share)))
    if right.all() or not right.any():  # nothing to tell apart: the margin says nothing
        return 0.0, 0.0, base
    model = LogisticRegression(C=1e3).fit(found[:, None], right)
    return float(model.coef_[0, 0]), float(model.intercept_[0]) - base, base


def _beyond_the_classifiers(ratios: Floats, prior_logit: Floats, right: Booleans) -> float:
    """Return the weight in [0, 1] in: logit P(right) = prior logit + weight x log likelihood ratio."""
    clipped = np.clip(ratios, -6.0, 6.0)

    def loss(weight: float) -> float:
        z = prior_logit + weight * clipped
        return float(-log_expit(np.where(right, z, -z)).mean())

    return float(minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded").x)


def _shares(outcomes: np.ndarray[tuple[int], np.dtype[np.str_]]) -> dict[str, float]:
    """Return the share of each outcome with add-one smoothing, so that none is impossible."""
    kinds = ("valid", "invalid", "unsure")
    counts = np.array([(outcomes == kind).sum() + 1.0 for kind in kinds])
    return dict(zip(kinds, (counts / counts.sum()).tolist(), strict=True))
