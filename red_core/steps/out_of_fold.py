"""Out-of-fold scores (cross-fitting): each text is scored by classifiers that were not trained on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from red_core.records import Booleans, Floats, Ints
from red_core.steps.pool_scoring import label_log_odds
from red_core.steps.subset_classifiers import Partition, TrainingSet

Fit = Callable[[TrainingSet, Sequence[Ints]], tuple[Partition, ...]]
"""fit(training, partitions): fits all partitions, each given as the subset number of every label."""


@dataclass(frozen=True)
class HeldOut:
    """Out-of-fold scores of seeds.

    Attributes
    ----------
    rows : ndarray of shape (n,), int64
        Training rows whose label the classifiers were trained on.
    log_odds : ndarray of shape (n, L), float32
        Log-odds of these rows, -inf in the columns of labels that were left out.
    foreign_log_odds : ndarray of shape (m, L), float32
        Log-odds of rows whose label was left out of the classifiers. For them the rows are *none of these*.
    """

    rows: Ints
    log_odds: Floats
    foreign_log_odds: Floats


@dataclass(frozen=True)
class Folds:
    """The fold of each row and of each label.

    Attributes
    ----------
    of_row : ndarray of shape (n,), int64
        The fold that scores the row and does not train on it; -1 for a row that is only trained on.
    of_label : ndarray of shape (L,), int64
        The fold that leaves the label out; -1 if none does.
    count : int
    """

    of_row: Ints
    of_label: Ints
    count: int


# A step of the article takes its arrays and settings by name.
def deal_folds(
    labels: Ints,
    eligible: Ints,
    label_count: int,
    folds: int,
    rng: np.random.Generator,
    *,
    has_background: bool = False,
) -> Folds:
    """Return random folds of rows and of labels; the rows of a label are spread evenly.

    Parameters
    ----------
    labels : ndarray of shape (n,), int64
    eligible : ndarray of int64
        The rows to score (seeds); the others are only trained on.
    """
    of_row = np.full(len(labels), -1, dtype=np.int64)
    of_row[eligible] = _folds_within_label(labels[eligible], folds, rng)
    # With so few labels, a fold without some of them has too few left to be noise for each other, unless there is other
    # noise. One label has to stay.
    can_miss = label_count >= 2 * folds or (has_background and label_count > 1)
    of_label = rng.permutation(label_count) % folds if can_miss else np.full(label_count, -1)
    return Folds(with_a_row_each(of_row, labels), of_label, folds)


def with_a_row_each(of_row: Ints, labels: Ints) -> Ints:
    """Return the folds with -1 for all rows of a label that lie in one fold: training needs at least one of them."""
    for_training = of_row.copy()
    first, last = (np.full(int(labels.max(initial=-1)) + 1, fill) for fill in (np.iinfo(np.int64).max, -2))
    np.minimum.at(first, labels, of_row)
    np.maximum.at(last, labels, of_row)
    for_training[(first == last)[labels]] = -1
    return for_training


# A step of the article takes its arrays and settings by name.
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
    """Return the out-of-fold scores of random folds; see :func:`deal_folds` and :func:`score_folds`.

    Parameters
    ----------
    most_folds : int, optional
        Score only the rows of the first so many folds.
    """
    has_background = training.background is not None
    dealt = deal_folds(training.labels, eligible, len(partitions[0]), folds, rng, has_background=has_background)
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
    """Return out-of-fold scores. Each fold also leaves some *labels* out, to calibrate *none of these*.

    Parameters
    ----------
    training : TrainingSet
    dealt : Folds
    partitions : sequence of ndarray of shape (L,)
        Subset numbers of each label.
    fit : callable
        Called once for each fold, in order.
    """
    rows: list[Ints] = []
    log_odds: list[Floats] = []
    foreign: list[Floats] = []
    for number in range(dealt.count if most_folds is None else min(dealt.count, most_folds)):
        absent = dealt.of_label == number
        without = absent[training.labels]
        training_rows = (dealt.of_row != number) & ~without
        fitted = fit(
            _in_place_of_all(training, training_rows), [np.where(absent, -1, subset_of) for subset_of in partitions]
        )
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


def _in_place_of_all(training: TrainingSet, rows: Booleans) -> TrainingSet:
    """Return these rows with the weight of all rows of their labels.

    A penalised fit on fewer rows has smaller log-odds. The temperature that suits them would make the classifiers of
    all rows too sure.
    """
    part = training.only(rows)
    count = int(training.labels.max(initial=-1)) + 1
    whole, kept = (np.bincount(each.labels, weights=each.weights, minlength=count) for each in (training, part))
    return replace(part, weights=(part.weights * (whole / np.maximum(kept, 1e-9))[part.labels]).astype(np.float32))


def _folds_within_label(labels: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """Return a fold for each row: the rows of a label go to the folds in turn, from a random fold on."""
    fold = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        fold[rows] = (np.arange(len(rows)) + rng.integers(folds)) % folds
    return fold
