"""Article step 2 on a project: fit the subset classifiers on the round's frozen training set, and calibrate them.

After the first round only classifiers whose labels or samples changed are fitted, unless those are the majority; see
:mod:`red_core.steps.refitting`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.special import logit

from red_core.errors import StoreError
from red_core.records import Ints, Progress, Project
from red_core.settings import Settings
from red_core.steps.belief import Calibration, beliefs, candidates, fit_calibration
from red_core.steps.greedy_subsets import greedy_subsets, join_most_alike
from red_core.steps.label_map import label_vectors
from red_core.steps.out_of_fold import HeldOut
from red_core.steps.refitting import Fitted, label_samples, refit, subsets_now, touched_subsets
from red_core.steps.subset_classifiers import NoiseRule, TrainingSet
from red_core.store.labels import list_labels
from red_core.training.cross_fitting import cross_fit, load_cross_fit, save_cross_fit
from red_core.training.features import Features
from red_core.training.model import Extent, KnownProposals, Model, load_model, model_file
from red_core.training.model_selection import Choice, cores, select_model
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
    report : callable(done, total)
    """
    rows = frozen_rows(project, round_id, list_labels(project), settings, features)
    recipe = recipe_of(settings, features)
    earlier = _newest_model(project, round_id)
    choice = Choice(earlier.regularisation, earlier.features.neighbour_weight) if earlier else None
    before, partitions, extent = _reusable(earlier, rows, shown, settings, recipe)
    if before is None or choice is None:
        choice = select_model(rows, partitions, settings, report, choice)
    rows = replace(rows, training=rows.weighted(choice.neighbour_weight))
    fit = partial(
        refit, labels=rows.label_ids, noise=NoiseRule(settings.noise_factor, settings.noise_rows),
        regularisation=choice.regularisation, random_state=settings.random_state, workers=cores(),
    )  # fmt: skip
    seeds, fed_back = rows.texts[rows.is_seed], rows.texts[rows.is_fed_back]
    if before is not None:  # kept classifiers may hold as noise texts that have left the training set since
        seeds, fed_back = np.union1d(before.seeds, seeds), np.union1d(before.fed_back, fed_back)
    steps = _Steps(report, 1 + settings.calibration_folds + (2 if len(fed_back) else 0))
    fitted = fit(rows.training, subsets=partitions, before=before.fitted if before else None)
    steps.advance()
    halves = []
    for half in (0, 1) if len(fed_back) else ():
        seen = rows.training.only(~(rows.is_fed_back & (rows.texts % 2 == half)))
        halves.append(fit(seen, subsets=partitions, before=_half_before(before, half)))
        steps.advance()
    fold_recipe = json.dumps([recipe, choice.regularisation, choice.neighbour_weight])
    held, models = cross_fit(
        rows, partitions, lambda seen, subsets, earlier: fit(seen, subsets=subsets, before=earlier),
        load_cross_fit(project, fold_recipe, len(partitions)) if before else None, settings,
        lambda _: steps.advance(),
    )  # fmt: skip
    save_cross_fit(project, models, fold_recipe)
    labels = rows.training.labels[held.rows]
    calibration = fit_calibration(held.log_odds, labels, held.foreign_log_odds, none_share=settings.none_share)
    return Model(
        fitted, tuple(halves), fed_back, seeds, calibration,
        _known_proposals(held, labels, rows.texts[held.rows], calibration),
        replace(features, neighbour_weight=choice.neighbour_weight), choice.regularisation, recipe, extent,
    )  # fmt: skip


class _Steps:
    """Counts finished fits for the progress bar; one step is a fit of all partitions."""

    def __init__(self, report: Progress, total: int) -> None:
        self._report, self._finished, self._total = report, 0, total
        report(0, total)

    def advance(self) -> None:
        self._finished += 1
        self._report(self._finished, self._total)


def _newest_model(project: Project, round_id: int) -> Model | None:
    """Return the model of the newest earlier round that has a file; None if there is none or it cannot be read."""
    for number in range(round_id - 1, 0, -1):
        if model_file(project, number).is_file():
            try:
                return load_model(model_file(project, number))
            except StoreError:
                return None  # a full fit replaces it
    return None


def _half_before(before: Model | None, half: int) -> Fitted | None:
    """Return the earlier fit of a half; until texts were fed back, it is the fit on all rows."""
    if before is None:
        return None
    return before.halves[half] if before.halves else before.fitted


def _reusable(
    before: Model | None, rows: FrozenRows, shown: Ints, settings: Settings, recipe: str
) -> tuple[Model | None, list[Ints], Extent]:
    """Return the earlier model, or None for a full fit; the partitions; and the extent of the fit."""
    # From seeds and names alone, so that feeding back never moves a label.
    seeds, count = rows.training.only(~rows.is_fed_back), len(rows.label_ids)
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


def _known_proposals(held: HeldOut, labels: Ints, texts: Ints, calibration: Calibration) -> KnownProposals:
    best = beliefs(candidates(held.log_odds, calibration, 1))[:, 0]
    proposed = held.log_odds.argmax(axis=1).astype(np.int64)
    belief_logit = logit(np.clip(best, 1e-4, 1 - 1e-4)).astype(np.float32)
    return KnownProposals(texts, proposed, proposed == labels, belief_logit)


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
    if label_count <= settings.subset_size:
        return []  # one subset holds all labels anyway
    if kept and all((subset_of >= 0).all() for subset_of in kept):
        return list(kept)
    vectors = label_vectors(training.features, training.labels, label_count)
    centred = vectors - vectors.mean(axis=0)
    if kept:
        return [join_most_alike(centred, subset_of) for subset_of in kept]
    starts = [round(number * label_count / settings.alike_partitions) for number in range(settings.alike_partitions)]
    return [greedy_subsets(centred, settings.subset_size, alike=True, start=start) for start in starts]
