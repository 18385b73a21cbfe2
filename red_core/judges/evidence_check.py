"""The evidence check: no LLM, no key, no network. A text must lie closer to the label's valid samples than to any rival's.

It looks at the same vectors as the classifiers, so its errors go with theirs: its weight in the belief is
what it adds beyond the classifiers' own score, fitted on the seeds, each left out of its own evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from sklearn.linear_model import LogisticRegression

from red_core.evidence import ValidSamples
from red_core.records import Answer, Booleans, Floats, Ints, JudgeRates, Outcome, Question
from red_core.steps.neighbours import label_similarities

VectorsOf = Callable[[Ints], Floats]
"""Text row ids of shape (n,) to unit vectors of shape (n, d)."""

NAME = "evidence"
MODEL = "margin of the mean of the 3 nearest"
VERSION = "1"
VALID_FROM, INVALID_TO = 0.9, 0.1
"""Probability of being right from which it says valid, and up to which it says invalid; in between it is unsure."""
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
        Logit of being right as a function of the margin.
    weight, offset : float
        log likelihood ratio = offset + weight x that logit, the logit cut at 6.
    rates : JudgeRates
    """

    samples: ValidSamples
    queries: VectorsOf
    slope: float
    intercept: float
    weight: float
    offset: float
    rates: JudgeRates

    @property
    def name(self) -> str:
        """The wire."""
        return NAME

    def answers(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """Yield answers in groups; see :class:`red_core.judges.protocol.Judge`."""
        for start in range(0, len(questions), QUESTIONS_PER_GROUP):
            group = questions[start : start + QUESTIONS_PER_GROUP]
            texts = np.array([q.text for q in group], dtype=np.int64)
            places = np.searchsorted(self.samples.label_ids, [q.label.id for q in group])
            found = margins(self.samples, self.queries(texts), texts, places)
            logits = self.intercept + self.slope * found
            yield [
                (start + place, self._answer(float(logit), float(margin)))
                for place, (logit, margin) in enumerate(zip(logits, found, strict=True))
            ]

    def _answer(self, logit: float, margin: float) -> Answer:
        p_valid = float(expit(logit))
        return Answer(
            outcome=outcome_of(p_valid),
            p_valid=p_valid,
            log_likelihood_ratio=self.offset + self.weight * float(np.clip(logit, -6.0, 6.0)),
            raw=f"margin {margin:.4f}",
            model=MODEL,
            prompt_version=VERSION,
        )


def outcome_of(p_valid: float) -> Outcome:
    """Return valid, invalid or, in between, unsure."""
    if p_valid >= VALID_FROM:
        return "valid"
    return "invalid" if p_valid <= INVALID_TO else "unsure"


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
    """Fit the check on known pairs: seeds with their own label and with their strongest rival.

    Parameters
    ----------
    samples : ValidSamples
    queries : callable
        Text row ids to unit vectors.
    texts, places : ndarray of shape (n,), int64
        The pairs.
    right : ndarray of shape (n,), bool
    prior_logit : ndarray of shape (n,)
        Logit of the classifiers' out-of-fold belief in the pair.
    """
    found = np.concatenate(
        [
            margins(samples, queries(texts[part]), texts[part], places[part])
            for part in np.array_split(np.arange(len(texts)), max(1, len(texts) // QUESTIONS_PER_GROUP))
        ]
    )
    model = LogisticRegression(C=1e3).fit(found[:, None], right)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    logits = intercept + slope * found
    weight, offset = _beyond_the_classifiers(logits, prior_logit, right)
    outcomes = np.array([outcome_of(p) for p in expit(logits)])
    return EvidenceCheck(
        samples, queries, slope, intercept, weight, offset,
        JudgeRates(_shares(outcomes[right]), _shares(outcomes[~right]), len(right)),
    )  # fmt: skip


def _beyond_the_classifiers(logits: Floats, prior_logit: Floats, right: Booleans) -> tuple[float, float]:
    """Return weight (at least 0) and offset in: logit P(right) = prior logit + offset + weight x check's logit."""
    clipped = np.clip(logits, -6.0, 6.0)

    def loss(parameters: Floats) -> float:
        z = prior_logit + parameters[1] + parameters[0] * clipped
        return float(-log_expit(np.where(right, z, -z)).mean() + 1e-3 * (parameters**2).sum())

    best = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=[(0.0, 1.0), (-3.0, 3.0)])
    return float(best.x[0]), float(best.x[1]) if best.x[0] > 0 else 0.0


def _shares(outcomes: np.ndarray[tuple[int], np.dtype[np.str_]]) -> dict[str, float]:
    """Return the share of each outcome with add-one smoothing, so that none is impossible."""
    kinds = ("valid", "invalid", "unsure")
    counts = np.array([(outcomes == kind).sum() + 1.0 for kind in kinds])
    return dict(zip(kinds, (counts / counts.sum()).tolist(), strict=True))
