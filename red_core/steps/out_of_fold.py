"""Odds from classifiers that never saw the text: no belief about a text may come from a model trained on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from red_core.records import Floats, Ints
from red_core.steps.pool_scoring import label_log_odds
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
    log_odds: Floats
    foreign_log_odds: Floats


@dataclass(frozen=True)
class Folds:
    """Which fold leaves out which row, and which label.

    Attributes
    ----------
    of_row : ndarray of shape (n,), int64
        The fold whose classifiers never see the row, and score it; -1: it only trains.
    of_label : ndarray of shape (L,), int64
        The fold whose classifiers do not know the label; -1: none.
    count : int
    """

    of_row: Ints
    of_label: Ints
    count: int


def deal_folds(labels: Ints, eligible: Ints, label_count: int, folds: int, rng: np.random.Generator) -> Folds:
    """Deal rows, and labels, over folds; the rows of a label are spread evenly.

    Parameters
    ----------
    labels : ndarray of shape (n,), int64
    eligible : ndarray of int64
        The rows to score (seeds); the others only train.
    """
    of_row = np.full(len(labels), -1, dtype=np.int64)
    of_row[eligible] = _folds_within_label(labels[eligible], folds, rng)
    # Fewer labels than folds would leave too little to classify among; then labels stay in.
    of_label = rng.permutation(label_count) % folds if label_count >= 2 * folds else np.full(label_count, -1)
    return Folds(with_a_row_each(of_row, labels), of_label, folds)


def with_a_row_each(of_row: Ints, labels: Ints) -> Ints:
    """Let the rows of a label that has no row outside one fold only train: its classifiers need one."""
    for_training = of_row.copy()
    first, last = (np.full(int(labels.max(initial=-1)) + 1, fill) for fill in (np.iinfo(np.int64).max, -2))
    np.minimum.at(first, labels, of_row)
    np.maximum.at(last, labels, of_row)
    for_training[(first == last)[labels]] = -1
    return for_training


def out_of_fold_log_odds(
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
    """Deal rows over folds and score them; see :func:`deal_folds` and :func:`score_folds`.

    Parameters
    ----------
    most_folds : int, optional
        Score only the rows of this many folds.
    """
    dealt = deal_folds(training.labels, eligible, len(partitions[0]), folds, rng)
    return score_folds(training, dealt, partitions, fit, most_folds=most_folds, done=done)


def score_folds(
    training: TrainingSet,
    dealt: Folds,
    partitions: Sequence[Ints],
    fit: Fit,
    *,
    most_folds: int | None = None,
    done: Callable[[int], None] | None = None,
) -> HeldOut:
    """Score rows out of fold; each fold also leaves some *labels* out, to learn what none of these looks like.

    Parameters
    ----------
    training : TrainingSet
    dealt : Folds
    partitions : sequence of ndarray of shape (L,)
        Subset numbers of each label.
    fit : callable
        Called once for each fold, in their order.
    """
    rows: list[Ints] = []
    log_odds: list[Floats] = []
    foreign: list[Floats] = []
    for number in range(dealt.count if most_folds is None else min(dealt.count, most_folds)):
        absent = dealt.of_label == number
        without = absent[training.labels]
        kept = (dealt.of_row != number) & ~without
        fitted = fit(training.only(kept), [np.where(absent, -1, subset_of) for subset_of in partitions])
        known = np.flatnonzero((dealt.of_row == number) & ~without)
        outside = np.flatnonzero((dealt.of_row >= 0) & without)
        for target, where in ((log_odds, known), (foreign, outside)):
            scored = label_log_odds(training.features[where], fitted)
            scored[:, absent] = -np.inf
            target.append(scored)
        rows.append(known)
        if done is not None:
            done(number + 1)
    return HeldOut(np.concatenate(rows), np.concatenate(log_odds), np.concatenate(foreign))


def _folds_within_label(labels: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """Deal the rows of each label over the folds in turn, starting anywhere, so that no label loses all its rows."""
    fold = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == label))
        fold[own] = (np.arange(len(own)) + rng.integers(folds)) % folds
    return fold
