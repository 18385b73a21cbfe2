"""The similarity check (no LLM, no key, no network): a text must be closer to its label than to any other label.

It uses the same vectors as the classifiers and makes the same mistakes. So its weight in the belief is only what it
adds to the classifiers' score, fitted on the seeds; each seed is left out of its own evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

from red_core.records import EVIDENCE_CHECK, Answer, Booleans, Floats, Ints, JudgeRates, Outcome, Question
from red_core.steps.neighbours import label_similarities
from red_core.training import ValidSamples

VectorsOf = Callable[[Ints], Floats]
"""Text row ids of shape (n,) to unit vectors of shape (n, d)."""

MODEL = "margin of the mean of the 3 nearest"
VERSION = "1"
VALID_FROM = 0.7
"""Valid: the margin alone, without the base rate, gives at least this probability."""
INVALID_UNDER = 0.5
"""Invalid: margin and base rate together give a smaller probability than this. Otherwise unsure."""
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
        Logit of the share of right proposals.
    weight : float
        Weight of the log likelihood ratio, clipped at 6, in the belief; in [0, 1].
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
        """The stored name."""
        return EVIDENCE_CHECK

    @property
    def free(self) -> bool:
        """True: a question costs nothing."""
        return True

    def answers(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """Yield answers in groups; see :class:`red_core.judges.protocol.Judge`."""
        for start in range(0, len(questions), QUESTIONS_PER_GROUP):
            group = questions[start : start + QUESTIONS_PER_GROUP]
            texts = np.array([q.text for q in group], dtype=np.int64)
            label_index = np.searchsorted(self.samples.label_ids, [q.label.id for q in group])
            margin = margins(self.samples, self.queries(texts), texts, label_index)
            ratios = self.intercept + self.slope * margin
            yield [
                (start + index, self._answer(float(ratio), float(value)))
                for index, (ratio, value) in enumerate(zip(ratios, margin, strict=True))
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
    """Return the outcome of a check; see VALID_FROM and INVALID_UNDER."""
    if expit(base + log_likelihood_ratio) < INVALID_UNDER:
        return "invalid"
    return "valid" if expit(log_likelihood_ratio) >= VALID_FROM else "unsure"


def margins(samples: ValidSamples, vectors: Floats, texts: Ints, label_index: Ints) -> Floats:
    """Return each text's similarity to its proposed label minus that to the best rival, shape (n,), in [-2, 2].

    A text that is itself a sample is left out of its own evidence.
    """
    similarity = vectors @ samples.vectors.T
    similarity[texts[:, None] == samples.texts[None, :]] = -np.inf
    to_label = label_similarities(similarity, samples.labels, len(samples.label_ids))
    rows = np.arange(len(texts))
    own = to_label[rows, label_index]
    to_label[rows, label_index] = -np.inf
    return np.asarray(own - to_label.max(axis=1), dtype=np.float32)


def fit_evidence_check(
    samples: ValidSamples,
    queries: VectorsOf,
    *,
    texts: Ints,
    label_index: Ints,
    right: Booleans,
    prior_logit: Floats,
) -> EvidenceCheck:
    """Fit the check on proposals whose truth is known: the best label of each seed, from classifiers that never saw it.

    Parameters
    ----------
    samples : ValidSamples
    queries : callable
        Text row ids to unit vectors.
    texts, label_index : ndarray of shape (n,), int64
        The proposals: row ids of texts, and indices in ``samples.label_ids``.
    right : ndarray of shape (n,), bool
    prior_logit : ndarray of shape (n,)
        Logit of the classifiers' out-of-fold belief in the proposal.
    """
    margin = np.concatenate(
        [
            margins(samples, queries(texts[part]), texts[part], label_index[part])
            for part in np.array_split(np.arange(len(texts)), 1 + len(texts) // QUESTIONS_PER_GROUP)
        ]
    )
    slope, intercept, base = _likelihood_ratio(margin, right)
    ratios = intercept + slope * margin
    outcomes = np.array([outcome_of(ratio, base) for ratio in ratios])
    return EvidenceCheck(
        samples, queries, slope, intercept, base, _beyond_the_classifiers(ratios, prior_logit, right),
        JudgeRates(_shares(outcomes[right]), _shares(outcomes[~right]), len(right)),
    )  # fmt: skip


def _likelihood_ratio(margin: Floats, right: Booleans) -> tuple[float, float, float]:
    """Return slope and intercept of the log likelihood ratio over the margin, and the logit of the base rate."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  scikit-learn takes a second to import

    share = (right.sum() + 1.0) / (len(right) + 2.0)
    base = float(np.log(share / (1.0 - share)))
    if right.all() or not right.any():  # with one class the margin cannot be calibrated
        return 0.0, 0.0, base
    model = LogisticRegression(C=1e3).fit(margin[:, None], right)
    return float(model.coef_[0, 0]), float(model.intercept_[0]) - base, base


def _beyond_the_classifiers(ratios: Floats, prior_logit: Floats, right: Booleans) -> float:
    """Return the weight in [0, 1] of: logit P(right) = prior logit + weight x log likelihood ratio."""
    if not len(right):
        return 0.0  # no pair shows what it adds
    clipped = np.clip(ratios, -6.0, 6.0)

    def loss(weight: float) -> float:
        z = prior_logit + weight * clipped
        return float(-log_expit(np.where(right, z, -z)).mean())

    return float(minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded").x)


def _shares(outcomes: np.ndarray[tuple[int], np.dtype[np.str_]]) -> dict[str, float]:
    """Return the share of each outcome with add-one smoothing, so that no share is 0."""
    kinds = ("valid", "invalid", "unsure")
    counts = np.array([(outcomes == kind).sum() + 1.0 for kind in kinds])
    return dict(zip(kinds, (counts / counts.sum()).tolist(), strict=True))
