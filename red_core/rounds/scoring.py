"""Score the pool (article step 3): the belief about every text, to which verdicts and decisions are added."""

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
    joined,
    likeliest_share_of_none,
    ranked,
    with_share_of_none,
)
from red_core.steps.pool_scoring import SubsetPredictions, blocks, subset_predictions
from red_core.store.rounds import BEST_STORED, Prediction
from red_core.training import Model

LARGE_BLOCK_ROWS = 16_384
"""Rows whose features, and whose rows to store, are in memory together."""


@dataclass(frozen=True)
class ScoredPool:
    """The pool with its beliefs; ``kept`` changes as verdicts come in.

    Attributes
    ----------
    texts : ndarray of shape (n,), int64
        Row ids, ascending.
    label_ids : ndarray of shape (L,), int64
        Candidates are indices into it.
    alone : Candidates
        Beliefs of the classifiers alone.
    kept : Candidates
        Beliefs with verdicts and rejections.
    predictions : SubsetPredictions or None
        Of each classifier of the shown partition, if the query strategy needs entropy.
    none_share : float
        The estimated share of the pool that belongs to no label, in [0, 1].
    """

    texts: Ints
    label_ids: Ints
    alone: Candidates
    kept: Candidates
    predictions: SubsetPredictions | None
    none_share: float

    def row_of(self, text: int) -> int | None:
        """Return the row of a text; None if it is not in the pool."""
        row = int(np.searchsorted(self.texts, text))
        return row if row < len(self.texts) and self.texts[row] == text else None

    def add(self, text: int, label: int, log_likelihood_ratio: float) -> None:
        """Add evidence about a pair to the belief; -inf rules the label out, as an analyst's rejection does."""
        row = self.row_of(text)
        if row is not None:
            add_evidence(self.kept, row, self.index_of(label), log_likelihood_ratio)

    def index_of(self, label: int) -> int:
        """Return the index of a label id in ``label_ids``."""
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
    """Score all texts in blocks, so that memory does not grow with texts times labels."""
    likeliest, predictions = [], []
    report(0, len(texts))
    read = model.features.reader(project)
    for block in _large_blocks(len(texts)):
        features = read(texts[block])
        for part in blocks(len(features)):
            log_odds = model.log_odds(texts[block][part], features[part])
            likeliest.append(candidates(log_odds, model.calibration, CANDIDATES_KEPT))
            if with_entropy:
                predictions.append(subset_predictions(features[part], model.partitions[0]))
        report(block.stop, len(texts))
    alone = joined(likeliest)
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


def _large_blocks(count: int) -> Iterator[slice]:
    """Yield blocks of at most LARGE_BLOCK_ROWS rows."""
    for start in range(0, count, LARGE_BLOCK_ROWS):
        yield slice(start, min(start + LARGE_BLOCK_ROWS, count))


def predictions_of(scored: ScoredPool) -> Iterable[Prediction]:
    """Yield the row that is stored for each text: its best labels and beliefs; made block by block as they are read."""
    for block in _large_blocks(len(scored.texts)):
        rows = np.arange(block.start, block.stop)
        kept, alone = scored.kept.only(rows), scored.alone.only(rows)
        labels, belief = ranked(scored.label_ids, kept)
        before_labels, before = ranked(scored.label_ids, alone)
        classifier_belief = np.where(before_labels == labels[:, :1], before, 0.0).sum(axis=1)
        none = beliefs(kept)[:, -2]
        for row, text in enumerate(scored.texts[block]):
            best = [
                [int(label), round(float(b), 5)]
                for label, b in zip(labels[row, :BEST_STORED], belief[row, :BEST_STORED], strict=True)
            ]
            yield (
                int(text), int(labels[row, 0]), float(belief[row, 0]), int(labels[row, 1]), float(belief[row, 1]),
                float(none[row]), float(classifier_belief[row]), json.dumps(best),
            )  # fmt: skip
