"""Cross-fitting: each fold's classifiers score the seeds they did not train on, for calibration.

They are kept for the next round, which refits only those that are touched. Seeds added or relabelled since the last
full fit are used for training only: a kept classifier may have trained on them as noise, so they cannot calibrate it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from red_core.errors import StoreError
from red_core.records import Ints, Project
from red_core.settings import Settings
from red_core.steps.noise_oversampling import spread_evenly
from red_core.steps.out_of_fold import Folds, HeldOut, deal_folds, score_folds, with_a_row_each
from red_core.steps.refitting import Fitted
from red_core.steps.subset_classifiers import Partition, TrainingSet
from red_core.store.arrays import load_arrays, save_arrays
from red_core.training.training_set import FrozenRows

SEEDS_HELD_OUT = 5_000
"""At most so many seeds calibrate, spread over the labels. More would cost gigabytes and gain little."""
Refit = Callable[[TrainingSet, Sequence[Ints], Fitted | None], Fitted]
"""Fits all partitions, or only those of their classifiers that an earlier fit does not hold."""


@dataclass(frozen=True)
class CrossFitModels:
    """The classifiers of each fold, and the assignment of seeds to folds.

    Attributes
    ----------
    texts, labels, fold : ndarray of shape (n,), int64
        Row ids of seeds, their label ids, and the fold whose classifiers did not train on them.
    label_fold : ndarray of shape (L,), int64
        The fold whose classifiers do not know the label, -1 none; labels as in ``fitted``.
    fitted : tuple of Fitted
        One for each fold.
    """

    texts: Ints
    labels: Ints
    fold: Ints
    label_fold: Ints
    fitted: tuple[Fitted, ...]

    def folds_of(self, rows: FrozenRows) -> Folds:
        """Return the folds of these rows; a seed that is new, or has another label, only trains."""
        pairs = zip(self.texts.tolist(), self.labels.tolist(), strict=True)
        fold_of = dict(zip(pairs, self.fold.tolist(), strict=True))
        labels = rows.label_ids[rows.training.labels]
        of_row = [fold_of.get(pair, -1) for pair in zip(rows.texts.tolist(), labels.tolist(), strict=True)]
        of_label = dict(zip(self.fitted[0].labels.tolist(), self.label_fold.tolist(), strict=True))
        return Folds(
            with_a_row_each(np.array(of_row, dtype=np.int64), rows.training.labels),
            np.array([of_label.get(label, -1) for label in rows.label_ids.tolist()], dtype=np.int64),
            len(self.fitted),
        )


def cross_fit(
    rows: FrozenRows,
    subsets: Sequence[Ints],
    refit: Refit,
    before: CrossFitModels | None,
    settings: Settings,
    done: Callable[[int], None],
) -> tuple[HeldOut, CrossFitModels]:
    """Score seeds with classifiers that did not train on them; refit those of ``before`` that are touched.

    Parameters
    ----------
    rows : FrozenRows
        With their kNN features at the chosen weight.
    subsets : sequence of ndarray of shape (L,), int64
        Subset numbers of each partition.
    before : CrossFitModels or None
        Those of the last round. They are dropped if fewer than half of the seeds would still calibrate.
    done : callable(number)
        Called after each fold.
    """
    training, folds = rows.training, before.folds_of(rows) if before else None
    if folds is None or 2 * (folds.of_row >= 0).sum() < min(rows.is_seed.sum(), SEEDS_HELD_OUT):
        before, rng = None, np.random.default_rng(settings.random_state)
        seeds = np.flatnonzero(rows.is_seed)
        if len(seeds) > SEEDS_HELD_OUT:
            seeds = np.sort(spread_evenly(seeds, training.labels[seeds], SEEDS_HELD_OUT, rng))
        folds = deal_folds(
            training.labels, seeds, len(rows.label_ids), settings.calibration_folds, rng,
            has_background=training.background is not None,
        )  # fmt: skip
    fitted: list[Fitted] = []

    def fit(fold_rows: TrainingSet, fold_subsets: Sequence[Ints]) -> tuple[Partition, ...]:
        fitted.append(refit(fold_rows, fold_subsets, before.fitted[len(fitted)] if before else None))
        return fitted[-1].partitions

    held = score_folds(training, folds, subsets, fit, done=done)
    scored = np.flatnonzero(folds.of_row >= 0)
    labels = rows.label_ids[training.labels[scored]]
    return held, CrossFitModels(rows.texts[scored], labels, folds.of_row[scored], folds.of_label, tuple(fitted))


def save_cross_fit(project: Project, models: CrossFitModels, recipe: str) -> None:
    """Store the models for the next round, in place of the last ones.

    Parameters
    ----------
    recipe : str
        Everything besides the samples on which the classifiers depend.
    """
    folds = [fitted.arrays(f"fold{number}") for number, fitted in enumerate(models.fitted)]
    save_arrays(
        _file(project),
        **{name: array for arrays in folds for name, array in arrays.items()},
        texts=models.texts, labels=models.labels, fold=models.fold, label_fold=models.label_fold,
        label_ids=models.fitted[0].labels, made_by=np.array(recipe),
    )  # fmt: skip


def load_cross_fit(project: Project, recipe: str, partitions: int) -> CrossFitModels | None:
    """Return the models of the last round; None if there are none, or they are damaged or have another recipe.

    They only save time, so backups leave them out.
    """
    try:
        stored = load_arrays(_file(project))
    except StoreError:
        return None
    if str(stored["made_by"]) != recipe:
        return None
    count = sum(name.endswith("_bias") for name in stored)
    fitted = tuple(Fitted.of(stored, f"fold{number}", stored["label_ids"]) for number in range(count))
    if len(fitted[0].partitions) != partitions:
        return None
    return CrossFitModels(stored["texts"], stored["labels"], stored["fold"], stored["label_fold"], fitted)


def _file(project: Project) -> Path:
    """Return the models' file, in a folder that backups leave out."""
    return project.folder / "rounds" / "held-out" / "models.npz"
