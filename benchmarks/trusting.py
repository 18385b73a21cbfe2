"""Baselines of the quality benchmark: loops that take a verdict as the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.trial import Draw, SimulatedJudge
from red_core.records import Floats, Ints
from red_core.settings import ARTICLE
from red_core.steps.greedy_subsets import greedy_subsets
from red_core.steps.label_map import label_vectors, reduce_labels
from red_core.steps.pool_scoring import label_log_odds, normalised_entropy, subset_predictions
from red_core.steps.subset_classifiers import NoiseRule, TrainingSet, fit_partition


@dataclass
class Trusted:
    """The pairs accepted as true, and the pairs that are never asked again."""

    accepted: dict[int, int]
    refused: set[tuple[int, int]]
    twice: int = 0

    def ask(self, judge: SimulatedJudge, drawn: Draw, pairs: Sequence[tuple[int, int]], most: int) -> None:
        for row, label in pairs:
            if judge.asked >= most:
                return
            if not self.open(row, label):
                continue
            if not judge.says_valid(drawn.pool_texts[row], drawn.names[label]):
                self.refused.add((row, label))
            elif row in self.accepted:
                self.twice += 1
            else:
                self.accepted[row] = label

    def open(self, row: int, label: int) -> bool:
        return (row, label) not in self.refused and self.accepted.get(row) != label

    def masked(self, score: Floats) -> Floats:
        best = score.copy()
        for row, label in self.refused:
            best[row, label] = -np.inf
        return best

    def labels(self, score: Floats) -> Ints:
        final = self.masked(score).argmax(axis=1)
        final[list(self.accepted)] = list(self.accepted.values())
        return final


def flat_model(drawn: Draw, trusted: Trusted):
    """Fit one logistic regression over all labels; it asks about the most uncertain texts first."""
    training = training_of(drawn, trusted.accepted)
    fitted = LogisticRegression(C=10.0, max_iter=500, tol=1e-4).fit(training.features, training.labels)
    shares, logits = fitted.predict_proba(drawn.pool_vectors), fitted.decision_function(drawn.pool_vectors)
    order = np.argsort(-normalised_entropy(shares), kind="stable")
    proposed = trusted.masked(shares).argmax(axis=1)

    def propose(_batch: int) -> Iterator[tuple[int, int]]:
        for row in order.tolist():
            if row not in trusted.accepted:
                yield row, int(proposed[row])

    return logits, lambda batch: first(propose(batch), batch)


def article_model(drawn: Draw, trusted: Trusted):
    """Fit the article's subsets with noise; each classifier asks about its k texts of highest entropy, except noise."""
    training = training_of(drawn, trusted.accepted)
    vectors = label_vectors(drawn.seed_vectors, drawn.seed_labels, len(drawn.names))
    subset_of = greedy_subsets(reduce_labels(vectors, ARTICLE.subset_dimensions, random_state=0), ARTICLE.subset_size)
    rule = NoiseRule(ARTICLE.noise_factor, ARTICLE.noise_rows)
    partition = fit_partition(training, subset_of, rule, regularisation=ARTICLE.regularisation[0], random_state=0)
    predictions = subset_predictions(drawn.pool_vectors, partition)

    def propose(batch: int) -> Iterator[tuple[int, int]]:
        each = max(1, batch // predictions.label.shape[1])
        for number in range(predictions.label.shape[1]):
            order = np.argsort(-predictions.entropy[:, number], kind="stable")
            own = (
                (row, int(predictions.label[row, number]))
                for row in order.tolist()
                if predictions.label[row, number] >= 0
            )
            yield from first((pair for pair in own if trusted.open(*pair)), each)

    return label_log_odds(drawn.pool_vectors, [partition]), lambda batch: list(propose(batch))


def first(pairs: Iterator[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    return [pair for pair, _ in zip(pairs, range(count), strict=False)]


def training_of(drawn: Draw, accepted: dict[int, int]) -> TrainingSet:
    rows, taken = list(accepted), list(accepted.values())
    features = np.vstack([drawn.seed_vectors, drawn.pool_vectors[rows]])
    classes = np.r_[drawn.seed_labels, np.array(taken, dtype=np.int64)]
    return TrainingSet(features, classes, np.ones(len(classes), dtype=np.float32))
