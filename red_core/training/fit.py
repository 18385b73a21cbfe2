"""Article step 2 on a project: fit the subset classifiers on the round's frozen training set, and calibrate them.

After the first round only classifiers whose labels or samples changed are fitted, unless those are the majority; see
:mod:`red_core.steps.refitting`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from red_core.errors import StoreError
from red_core.records import Floats, Ints, Progress, Project
from red_core.settings import Settings
from red_core.steps.greedy_subsets import greedy_subsets, join_most_alike
from red_core.steps.label_map import label_vectors, reduce_labels
from red_core.steps.refitting import Fitted, label_samples, subsets_now, touched_subsets
from red_core.steps.subset_classifiers import TrainingSet
from red_core.store.labels import list_labels
from red_core.training.cross_fitting import load_cross_fit, save_cross_fit
from red_core.training.features import Features
from red_core.training.fit_rows import Kept, fit_rows
from red_core.training.model import Extent, Model, load_model, model_file
from red_core.training.model_selection import Choice, select_model
from red_core.training.training_set import FrozenRows, frozen_rows, recipe_of


def train(
    project: Project, round_id: int, settings: Settings, features: Features, shown: Ints, report: Progress
) -> Model:
    """Fit and calibrate the classifiers of a round: those that are touched, or all of them in a full fit.

    A full fit selects the regularisation and the weight of the kNN features on held-out seeds, forms the hidden
    partitions and draws all noise anew. Temperature and the score of *none of these* are fitted in every round.

    Parameters
    ----------
    features : Features
        Its ``neighbour_weight`` is selected here.
    shown : ndarray of shape (L,), int64
        Subset numbers of the partition that is shown and edited; labels by ascending id.
    report : callable(done, 100)
        Percent of the work.
    """
    report(0, 100)
    rows = frozen_rows(project, round_id, list_labels(project), settings, features)
    recipe = recipe_of(settings, features)
    earlier = _newest_model(project, round_id)
    choice = Choice(earlier.regularisation, earlier.features.neighbour_weight) if earlier else None
    before, partitions, extent = _reusable(earlier, rows, shown, settings, recipe)
    if before is None or choice is None:
        choice = select_model(rows, partitions, settings, _percent(report, 0, 80), choice)
        report = _percent(report, 80, 100)
    else:
        report = _percent(report, 0, 100)
    fold_recipe = json.dumps([recipe, choice.regularisation, choice.neighbour_weight])
    kept = Kept(before, load_cross_fit(project, fold_recipe, len(partitions))) if before else None
    done = fit_rows(rows, partitions, choice, settings, report, kept)
    save_cross_fit(project, done.folds, fold_recipe)
    return Model(
        done.fitted, done.halves, done.fed_back, done.seeds, done.calibration, done.known,
        replace(features, neighbour_weight=choice.neighbour_weight), choice.regularisation, recipe, extent,
    )  # fmt: skip


def _percent(report: Progress, first: int, last: int) -> Progress:
    """Return a report for a part of the work, in percent of the whole."""
    return lambda done, total: report(first + (last - first) * done // max(total, 1), 100)


def _newest_model(project: Project, round_id: int) -> Model | None:
    """Return the model of the newest earlier round that has a file; None if there is none or it cannot be read."""
    for number in range(round_id - 1, 0, -1):
        if model_file(project, number).is_file():
            try:
                return load_model(model_file(project, number))
            except StoreError:
                return None  # a full fit replaces it
    return None


def _reusable(
    before: Model | None, rows: FrozenRows, shown: Ints, settings: Settings, recipe: str
) -> tuple[Model | None, list[Ints], Extent]:
    """Return the earlier model, or None for a full fit; the partitions; and the extent of the fit."""
    # From seeds and names, so that feeding back never moves a label that has one.
    seeds, count = rows.own, len(rows.label_ids)
    reason = _why_full(before, rows, recipe)
    if before is not None and not reason:
        hidden = [subsets_now(before.fitted, number, rows.label_ids) for number in range(1, len(before.partitions))]
        partitions = [shown, *hidden_partitions(seeds, count, settings, hidden)]
        touched, classifiers = _count_touched(before.fitted, rows, partitions), _count(partitions)
        if len(partitions) == len(before.partitions) and touched <= settings.most_refitted * classifiers:
            return before, partitions, Extent("incremental", touched, classifiers)
        reason = f"{touched} of {classifiers} classifiers were touched"
    partitions = [shown, *hidden_partitions(seeds, count, settings)]
    return None, partitions, Extent("full", _count(partitions), _count(partitions), reason)


def _why_full(before: Model | None, rows: FrozenRows, recipe: str) -> str:
    """Return why nothing of the earlier model can be used again, '' if something can."""
    if before is None:
        return "there is no earlier fit"
    if before.recipe != recipe:
        return "other settings or features"
    if np.isin(before.seeds, rows.pool).any():  # every classifier may have trained on them, if only as noise
        return "texts that were seeds are in the pool"
    return ""


def _count(partitions: Sequence[Ints]) -> int:
    """Return the number of classifiers of these partitions."""
    return sum(len(np.unique(subset_of)) for subset_of in partitions)


def _count_touched(before: Fitted, rows: FrozenRows, partitions: Sequence[Ints]) -> int:
    """Return the number of touched classifiers: all of them if the number of partitions changed."""
    if len(partitions) != len(before.partitions):
        return _count(partitions)
    ids, samples = rows.label_ids, label_samples(rows.training, len(rows.label_ids))
    return sum(len(touched_subsets(before, n, ids, samples, subset_of)) for n, subset_of in enumerate(partitions))


def hidden_partitions(
    training: TrainingSet, label_count: int, settings: Settings, kept: Sequence[Ints] = ()
) -> list[Ints]:
    """Return the hidden partitions, each shape (L,), int64: they group labels that look alike, to tell rivals apart.

    Parameters
    ----------
    training : TrainingSet
        Seeds and label names.
    kept : sequence of ndarray of shape (L,), int64
        The partitions of an earlier fit, -1 for a new label. They stay, and a new label joins the most similar labels.
    """
    if label_count <= settings.subset_size or not settings.alike_partitions:
        return []  # one subset holds all labels anyway, or none is wanted
    if kept and all((subset_of >= 0).all() for subset_of in kept):
        return list(kept)
    vectors = label_vectors(training.features, training.labels, label_count)
    centred = vectors - vectors.mean(axis=0)
    if kept:
        return [join_most_alike(centred, subset_of) for subset_of in kept]
    starts = [round(number * label_count / settings.alike_partitions) for number in range(settings.alike_partitions)]
    return [greedy_subsets(centred, settings.subset_size, alike=True, start=start) for start in starts]


def dissimilar_subsets(vectors: Floats, settings: Settings, size: int | None = None, *, alike: bool = False) -> Ints:
    """Return the subset number of each label, shape (L,): reduce with UMAP, then split greedily (article step 1).

    Parameters
    ----------
    vectors : ndarray of shape (L, d), float32
        Label vectors.
    size : int, optional
        Labels per subset, instead of that of the settings.
    alike : bool
        Group labels that look alike, instead of separating them as the article does.
    """
    reduced = reduce_labels(vectors, settings.subset_dimensions, random_state=settings.random_state)
    return greedy_subsets(reduced, size or settings.subset_size, alike=alike)
