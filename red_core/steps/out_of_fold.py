"""Odds from classifiers that never saw the text: no belief about a text may come from a model trained on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from red_core.records import Floats, Ints
from red_core.steps.pool_scoring import label_odds
from red_core.steps.subset_classifiers import Partition, TrainingSet

Fit = Callable[[TrainingSet, Sequence[Ints]], tuple[Partition, ...]]
"""Fits all partitions, given as subset numbers of each label, on a training set."""


@dataclass(frozen=True)
class HeldOut:
    """Seeds scored by classifiers that did not see them.

    Attributes
    ----------
    rows : ndarray of shape (n,), int64
        Training rows whose label the classifiers knew.
    odds : ndarray of shape (n, L), float32
        -inf in the columns of labels that were left out.
    foreign_odds : ndarray of shape (m, L), float32
        Odds of rows whose label was left out of the classifiers altogether: to them, none of these.
    """

    rows: Ints
    odds: Floats
    foreign_odds: Floats


def held_out_odds(
    training: TrainingSet,
    eligible: Ints,
    partitions: Sequence[Ints],
    fit: Fit,
    *,
    folds: int,
    rng: np.random.Generator,
    most_folds: int | None = None,
    done: Callable[[int], None] | None = None,
) -> HeldOut:
    """Score seeds out of fold; each fold also leaves some *labels* out, to learn what none of these looks like.

    Parameters
    ----------
    training : TrainingSet
    eligible : ndarray of int64
        The rows to score (seeds); the others only train.
    partitions : sequence of ndarray of shape (L,)
        Subset numbers of each label.
    fit : callable
    folds : int
    most_folds : int, optional
        Score only the seeds of this many of them.
    """
    label_count = len(partitions[0])
    fold = np.full(len(training.labels), -1, dtype=np.int64)
    fold[eligible] = _folds_within_label(training.labels[eligible], folds, rng)
    # Fewer labels than folds would leave too little to classify among; then labels stay in.
    group = rng.permutation(label_count) % folds if label_count >= 2 * folds else np.full(label_count, -1)
    rows: list[Ints] = []
    odds: list[Floats] = []
    foreign: list[Floats] = []
    for number in range(folds if most_folds is None else min(folds, most_folds)):
        absent = group == number
        kept = (fold != number) & ~absent[training.labels]
        subsets = [np.where(absent, -1, subset_of) for subset_of in partitions]
        fitted = fit(training.only(kept), subsets)
        known = np.flatnonzero((fold == number) & ~absent[training.labels])
        outside = eligible[absent[training.labels[eligible]]]
        for target, where in ((odds, known), (foreign, outside)):
            scored = label_odds(training.features[where], fitted)
            scored[:, absent] = -np.inf
            target.append(scored)
        rows.append(known)
        if done is not None:
            done(number + 1)
    return HeldOut(np.concatenate(rows), np.concatenate(odds), np.concatenate(foreign))


def _folds_within_label(labels: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """Deal the rows of each label over the folds in turn, starting anywhere, so that no label loses all its rows."""
    fold = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == label))
        fold[own] = (np.arange(len(own)) + rng.integers(folds)) % folds
    return fold
