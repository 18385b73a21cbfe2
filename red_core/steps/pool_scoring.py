"""Article step 3, first half: score the pool with every subset classifier, in blocks."""

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
"""Rows scored at once: the block's scores stay in the processor's cache at 1,000 labels."""


def blocks(row_count: int) -> Iterator[slice]:
    """Yield slices of at most BLOCK_ROWS rows that cover ``row_count`` rows."""
    for start in range(0, row_count, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, row_count))


def label_log_odds(features: Floats, partitions: Sequence[Partition]) -> Floats:
    """Return log odds of each label against noise, comparable across subsets, averaged over partitions.

    s(x, l) = log p(l|x) - log p(noise|x) - log(w_l / W_noise), w the total training weights.

    Parameters
    ----------
    features : ndarray of shape (n, d), float32
    partitions : sequence of Partition, at least one

    Returns
    -------
    ndarray of shape (n, L), float32
    """
    one = averaged(partitions)
    return np.asarray(features @ one.weights.T + (one.bias - one.correction), dtype=np.float32)


def averaged(partitions: Sequence[Partition]) -> Partition:
    """Return one partition that gives the odds of all of them; its ``subset_of`` is that of the first."""
    if len(partitions) == 1:
        return partitions[0]
    count = np.float32(len(partitions))
    weights = np.asarray(sum(p.weights for p in partitions) / count, dtype=np.float32)
    bias = np.asarray(sum(p.bias - p.correction for p in partitions) / count, dtype=np.float32)
    return replace(partitions[0], weights=weights, bias=bias, correction=np.zeros_like(bias))


@dataclass(frozen=True)
class SubsetPredictions:
    """What each subset classifier says of each text; S subsets, n texts.

    Attributes
    ----------
    entropy : ndarray of shape (n, S), float32, in [0, 1]
        Normalised by the log of the classifier's number of classes, so that unequal subsets compare.
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
        own = logits[:, inside]
        if subsets > 1:  # a subset of all labels has no noise; else noise is the reference, logit 0
            own = np.c_[own, np.zeros(len(features), dtype=np.float32)]
        best = own.argmax(axis=1)
        label[:, number] = np.where(best < len(inside), inside[np.minimum(best, len(inside) - 1)], -1)
        entropy[:, number] = normalised_entropy(softmax(own, axis=1))
    return SubsetPredictions(entropy, label)


def normalised_entropy(probabilities: Floats) -> Floats:
    """Return each row's Shannon entropy over the log of its number of classes, in [0, 1]."""
    entropy = entr(probabilities).sum(axis=1) / np.log(probabilities.shape[1])
    return np.asarray(np.clip(entropy, 0.0, 1.0))
