"""A fitted model that labels any text without a project: the features, the classifiers and the calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from red_core.encoders.loading import refuse_another_length
from red_core.steps.belief import Calibration, Candidates, candidates, with_share_of_none
from red_core.steps.pool_scoring import blocks, label_log_odds
from red_core.steps.subset_classifiers import Partition
from red_core.training.features import NewTexts


@dataclass(frozen=True)
class TextModel:
    """Labels texts as a round's classifiers do: arrays only, read only.

    Attributes
    ----------
    texts : NewTexts
        Computes the features.
    classifiers : Partition
        The average of all partitions, L labels.
    calibration : Calibration
    none_shares : (float, float)
        Shares of texts that belong to no label: the one the calibration was fitted for, and the pool's estimate.
    """

    texts: NewTexts
    classifiers: Partition
    calibration: Calibration
    none_shares: tuple[float, float]

    def candidates(self, texts: Sequence[str], keep: int) -> Iterator[Candidates]:
        """Yield the logits of the ``keep`` best labels of each text, in blocks of texts, in their order."""
        features = self.texts.features(texts)
        refuse_another_length(self.texts.embedding, features, self.classifiers.weights.shape[1])
        for block in blocks(len(texts)):
            top = candidates(label_log_odds(features[block], (self.classifiers,)), self.calibration, keep)
            yield with_share_of_none(top, *self.none_shares)


def without_neighbour_weights(classifiers: Partition) -> Partition:
    """Return classifiers for features without the kNN half, which comes last."""
    half = classifiers.weights.shape[1] // 2
    return replace(classifiers, weights=np.ascontiguousarray(classifiers.weights[:, :half]))
