"""Article step 3 on a project: the belief about every pool text, and what verdicts and decisions add to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from red_core.records import Ints, Progress, Project
from red_core.steps.belief import (
    CANDIDATES_KEPT,
    Candidates,
    add_evidence,
    beliefs,
    candidates,
    likeliest_share_of_none,
    ranked,
    with_share_of_none,
)
from red_core.steps.pool_scoring import SubsetPredictions, blocks, subset_predictions
from red_core.store.rounds import Prediction
from red_core.training import Model

BEST_STORED = 5
"""Labels stored per text and round."""


@dataclass(frozen=True)
class ScoredPool:
    """The pool with its beliefs; ``kept`` is added to as verdicts come in.

    Attributes
    ----------
    texts : ndarray of shape (n,), int64
        Row ids, ascending.
    label_ids : ndarray of shape (L,), int64
        Candidates are places in it.
    alone : Candidates
        What the classifiers say alone.
    kept : Candidates
        With verdicts and rejections.
    predictions : SubsetPredictions or None
        Of each classifier of the shown partition, where the selection wants entropy.
    none_share : float
        The likeliest share of the pool that belongs to no label.
    """

    texts: Ints
    label_ids: Ints
    alone: Candidates
    kept: Candidates
    predictions: SubsetPredictions | None
    none_share: float

    def row_of(self, text: int) -> int | None:
        """Return the row of a text, None if it is not in the pool."""
        row = int(np.searchsorted(self.texts, text))
        return row if row < len(self.texts) and self.texts[row] == text else None

    def add(self, text: int, label: int, log_likelihood_ratio: float) -> None:
        """Add evidence about a pair to the belief; -inf rules the label out, as an analyst's rejection does."""
        row = self.row_of(text)
        if row is not None:
            add_evidence(self.kept, row, self.place_of(label), log_likelihood_ratio)

    def place_of(self, label: int) -> int:
        """Return the place of a label id in ``label_ids``."""
        return int(np.searchsorted(self.label_ids, label))


def score_pool(
    project: Project,
    model: Model,
    texts: Ints,
    *,
    none_share: float,
    with_entropy: bool,
    report: Progress,
) -> ScoredPool:
    """Score all texts in blocks, so that memory does not grow with texts x labels."""
    kept, predictions = [], []
    report(0, len(texts))
    for block in _large_blocks(len(texts)):
        features = model.features.of(project, texts[block])
        for part in blocks(len(features)):
            log_odds = model.log_odds(texts[block][part], features[part])
            kept.append(candidates(log_odds, model.calibration, CANDIDATES_KEPT))
            if with_entropy:
                predictions.append(subset_predictions(features[part], model.partitions[0]))
        report(block.stop, len(texts))
    alone = Candidates(
        np.concatenate([k.labels for k in kept]),
        np.concatenate([k.logits for k in kept]),
        np.concatenate([k.remainder for k in kept]),
        kept[0].none,
    )
    share = likeliest_share_of_none(alone, none_share)
    alone = with_share_of_none(alone, none_share, share)
    return ScoredPool(
        texts,
        model.label_ids,
        alone,
        replace(alone, logits=alone.logits.copy()),
        SubsetPredictions(
            np.concatenate([p.entropy for p in predictions]), np.concatenate([p.label for p in predictions])
        )
        if with_entropy
        else None,
        share,
    )


def _large_blocks(count: int, rows: int = 16_384) -> Iterator[slice]:
    """Yield the blocks whose features are loaded at once."""
    for start in range(0, count, rows):
        yield slice(start, min(start + rows, count))


def predictions_of(scored: ScoredPool) -> Iterable[Prediction]:
    """Yield what is stored of each text's belief."""
    labels, belief = ranked(scored.label_ids, scored.kept)
    before_labels, before = ranked(scored.label_ids, scored.alone)
    prior = np.where(before_labels == labels[:, :1], before, 0.0).sum(axis=1)
    none = beliefs(scored.kept)[:, -2]
    for row, text in enumerate(scored.texts):
        best = [
            [int(label), round(float(b), 5)]
            for label, b in zip(labels[row, :BEST_STORED], belief[row, :BEST_STORED], strict=True)
        ]
        yield (
            int(text), int(labels[row, 0]), float(belief[row, 0]), int(labels[row, 1]), float(belief[row, 1]),
            float(none[row]), float(prior[row]), json.dumps(best),
        )  # fmt: skip
