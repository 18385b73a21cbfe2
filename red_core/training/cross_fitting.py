"""The classifiers that calibrate: each fold's never saw its seeds. Kept for the next round, which refits the touched.

A seed that came, or got another label, after the last full fit only trains: the classifiers that were kept may have
seen it as noise. So a seed is scored by classifiers none of which ever saw it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from red_core.errors import StoreError
from red_core.records import Ints, Project
from red_core.steps.noise_oversampling import spread_evenly
from red_core.steps.out_of_fold import Folds, HeldOut, deal_folds, score_folds, with_a_row_each
from red_core.steps.refitting import Fitted
from red_core.steps.subset_classifiers import Partition, TrainingSet
from red_core.store.arrays import load_arrays, save_arrays
from red_core.training.training_set import FrozenRows

SEEDS_HELD_OUT = 5_000
"""So many calibrate, spread over the labels, and the others only train; more would cost gigabytes and tell no more."""
Refit = Callable[[TrainingSet, Sequence[Ints], Fitted | None], Fitted]
"""Fits all partitions, or what an earlier fit does not hold of them."""


@dataclass(frozen=True)
class CrossFitModels:
    """The classifiers of each fold, and who was dealt to which.

    Attributes
    ----------
    texts, labels, fold : ndarray of shape (n,), int64
        Row ids of seeds, their label ids, and the fold that never saw them.
    label_fold : ndarray of shape (L,), int64
        The fold that does not know the label, -1 none; labels as in ``fitted``.
    fitted : tuple of Fitted
        One for each fold.
    made_by : str
        What the classifiers depend on besides their samples.
    """

    texts: Ints
    labels: Ints
    fold: Ints
    label_fold: Ints
    fitted: tuple[Fitted, ...]
    made_by: str

    def dealt(self, rows: FrozenRows) -> Folds:
        """Return how these rows are dealt: who is new, or has another label, only trains."""
        known = dict(zip(zip(self.texts.tolist(), self.labels.tolist(), strict=True), self.fold.tolist(), strict=True))
        labels = rows.label_ids[rows.training.labels]
        pairs = zip(rows.texts.tolist(), labels.tolist(), strict=True)
        of_row = np.array([known.get(pair, -1) for pair in pairs], dtype=np.int64)
        of_label = dict(zip(self.fitted[0].labels.tolist(), self.label_fold.tolist(), strict=True))
        return Folds(
            with_a_row_each(of_row, rows.training.labels),
            np.array([of_label.get(label, -1) for label in rows.label_ids.tolist()], dtype=np.int64),
            len(self.fitted),
        )


def cross_fit(
    rows: FrozenRows,
    training: TrainingSet,
    subsets: Sequence[Ints],
    refit: Refit,
    before: CrossFitModels | None,
    *,
    folds: int,
    random_state: int,
    made_by: str,
    done: Callable[[int], None],
) -> tuple[HeldOut, CrossFitModels]:
    """Score seeds by classifiers that never saw them, refitting those of ``before`` that are touched.

    Parameters
    ----------
    training : TrainingSet
        That of ``rows``, with what stands near weighed.
    """
    dealt = before.dealt(rows) if before else None
    if dealt is None or 2 * (dealt.of_row >= 0).sum() < min(rows.is_seed.sum(), SEEDS_HELD_OUT):  # too few are left
        before, rng = None, np.random.default_rng(random_state)
        seeds = np.flatnonzero(rows.is_seed)
        if len(seeds) > SEEDS_HELD_OUT:
            seeds = np.sort(spread_evenly(seeds, training.labels[seeds], SEEDS_HELD_OUT, rng))
        dealt = deal_folds(training.labels, seeds, len(rows.label_ids), folds, rng)
    made: list[Fitted] = []

    def fit(kept: TrainingSet, known: Sequence[Ints]) -> tuple[Partition, ...]:
        made.append(refit(kept, known, before.fitted[len(made)] if before else None))
        return made[-1].partitions

    held = score_folds(training, dealt, subsets, fit, done=done)
    own = np.flatnonzero(dealt.of_row >= 0)
    labels = rows.label_ids[training.labels[own]]
    return held, CrossFitModels(rows.texts[own], labels, dealt.of_row[own], dealt.of_label, tuple(made), made_by)


def save_cross_fit(project: Project, models: CrossFitModels) -> None:
    """Keep these in the place of those of the round before."""
    arrays = {f"fold{number}": fitted for number, fitted in enumerate(models.fitted)}
    save_arrays(
        _file(project),
        **{name: array for part, fitted in arrays.items() for name, array in fitted.arrays(part).items()},
        texts=models.texts, labels=models.labels, fold=models.fold, label_fold=models.label_fold,
        label_ids=models.fitted[0].labels, made_by=np.array(models.made_by),
    )  # fmt: skip


def load_cross_fit(project: Project, made_by: str, partitions: int) -> CrossFitModels | None:
    """Return those of the round before; None if they are not there, damaged, or of another kind.

    They only save time, so that backups leave them out.
    """
    try:
        kept = load_arrays(_file(project))
    except StoreError:
        return None
    if str(kept["made_by"]) != made_by:
        return None
    count = sum(name.endswith("_bias") for name in kept)
    fitted = tuple(Fitted.of(kept, f"fold{number}", kept["label_ids"]) for number in range(count))
    if len(fitted[0].partitions) != partitions:
        return None
    return CrossFitModels(kept["texts"], kept["labels"], kept["fold"], kept["label_fold"], fitted, made_by)


def _file(project: Project) -> Path:
    """Return their file: in a folder of its own, so that it is no part of a backup."""
    return project.folder / "rounds" / "held-out" / "models.npz"
