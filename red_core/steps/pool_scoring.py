"""Article step 3, first half: scores of the pool under every subset classifier, in blocks of rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import entr, softmax

from red_core.records import Floats, Ints

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from red_core.steps.subset_classifiers import Partition

BLOCK_ROWS = 2_048
"""Rows scored at once. At 1,000 labels the scores of a block fit into the processor's cache."""


def blocks(row_count: int) -> Iterator[slice]:
    """Yield slices of at most BLOCK_ROWS rows that cover ``row_count`` rows."""
    for start in range(0, row_count, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, row_count))


def label_log_odds(features: Floats, partitions: Sequence[Partition]) -> Floats:
    """Return the log-odds of each label against noise, comparable across subsets, averaged over partitions.

    s(x, l) = log p(l|x) - log p(noise|x) - log(w_l / W_noise), w the total training weights.

    Parameters
    ----------
    features : ndarray of shape (n, d), float32
    partitions : sequence of Partition, at least one

    Returns
    -------
    ndarray of shape (n, L), float32
    """
    mean = averaged(partitions)
    return np.asarray(features @ mean.weights.T + (mean.bias - mean.correction), dtype=np.float32)


def averaged(partitions: Sequence[Partition]) -> Partition:
    """Return one partition with the mean log-odds of all of them; its ``subset_of`` is that of the first."""
    if len(partitions) == 1:
        return partitions[0]
    count = np.float32(len(partitions))
    weights = np.asarray(sum(p.weights for p in partitions) / count, dtype=np.float32)
    bias = np.asarray(sum(p.bias - p.correction for p in partitions) / count, dtype=np.float32)
    return replace(partitions[0], weights=weights, bias=bias, correction=np.zeros_like(bias))


@dataclass(frozen=True)
class SubsetPredictions:
    """The predictions of each subset classifier; S subsets, n texts.

    Attributes
    ----------
    entropy : ndarray of shape (n, S), float32, in [0, 1]
        Entropy over the log of the classifier's number of classes, so that subsets of any size compare.
    label : ndarray of shape (n, S), int64
        The most probable class; -1 is noise.
    """

    entropy: Floats
    label: Ints


def subset_predictions(features: Floats, partition: Partition) -> SubsetPredictions:
    """Return the entropy and the argmax of every n+1 class classifier of one partition (article step 3)."""
    logits = features @ partition.weights.T + partition.bias
    subsets = int(partition.subset_of.max()) + 1
    entropy = np.empty((len(features), subsets), dtype=np.float32)
    label = np.empty((len(features), subsets), dtype=np.int64)
    for number in range(subsets):
        inside = np.flatnonzero(partition.subset_of == number)
        classes = logits[:, inside]
        if subsets > 1:  # noise is the reference, logit 0; a subset of all labels has no noise
            classes = np.c_[classes, np.zeros(len(features), dtype=np.float32)]
        best = classes.argmax(axis=1)
        label[:, number] = np.where(best < len(inside), inside[np.minimum(best, len(inside) - 1)], -1)
        entropy[:, number] = normalised_entropy(softmax(classes, axis=1))
    return SubsetPredictions(entropy, label)


def normalised_entropy(probabilities: Floats) -> Floats:
    """Return each row's Shannon entropy over the log of its number of classes, in [0, 1]."""
    entropy = entr(probabilities).sum(axis=1) / np.log(probabilities.shape[1])
    return np.asarray(np.clip(entropy, 0.0, 1.0))
