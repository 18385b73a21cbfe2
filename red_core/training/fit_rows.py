"""Fit and calibrate the subset classifiers on a training set (article step 2): arrays in, arrays out.

A round of a project and :class:`red_core.RedClassifier` both call :func:`fit_rows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.special import logit

from red_core.records import Ints, Progress
from red_core.settings import Settings
from red_core.steps.belief import Calibration, beliefs, candidates, fit_calibration
from red_core.steps.out_of_fold import HeldOut
from red_core.steps.refitting import Fitted, refit
from red_core.steps.subset_classifiers import NoiseRule
from red_core.training.cross_fitting import CrossFitModels, cross_fit
from red_core.training.model import KnownProposals, Model
from red_core.training.model_selection import Choice, cores
from red_core.training.training_set import FrozenRows


@dataclass(frozen=True)
class Kept:
    """An earlier fit whose untouched classifiers are kept: its model, and its cross-fitted classifiers, if stored."""

    model: Model
    folds: CrossFitModels | None


@dataclass(frozen=True)
class FittedRows:
    """The result of a fit. ``folds`` are the classifiers that calibrated; the others are as in :class:`Model`."""

    fitted: Fitted
    halves: tuple[Fitted, ...]
    fed_back: Ints
    seeds: Ints
    calibration: Calibration
    known: KnownProposals
    folds: CrossFitModels


def fit_rows(
    rows: FrozenRows,
    partitions: Sequence[Ints],
    choice: Choice,
    settings: Settings,
    report: Progress,
    kept: Kept | None = None,
) -> FittedRows:
    """Fit all classifiers, or only those that ``kept`` does not hold, and calibrate them on seeds out of fold.

    Parameters
    ----------
    rows : FrozenRows
        With kNN features, if any, at weight 1.
    partitions : sequence of ndarray of shape (L,), int64
        Subset numbers of the labels in each partition.
    choice : Choice
        The regularisation, and the weight of the kNN features.
    report : callable(done, total)
        Called before the first fit and after each.
    """
    rows = replace(rows, training=rows.weighted(choice.neighbour_weight))
    fit = partial(
        refit, labels=rows.label_ids, noise=NoiseRule(settings.noise_factor, settings.noise_rows),
        regularisation=choice.regularisation, random_state=settings.random_state, workers=cores(),
    )  # fmt: skip
    seeds, fed_back = rows.texts[rows.is_seed], rows.texts[rows.is_fed_back]
    before = kept.model if kept else None
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
    held, folds = cross_fit(
        rows, partitions, lambda seen, subsets, earlier: fit(seen, subsets=subsets, before=earlier),
        kept.folds if kept else None, settings, lambda _: steps.advance(),
    )  # fmt: skip
    labels = rows.training.labels[held.rows]
    calibration = fit_calibration(held.log_odds, labels, held.foreign_log_odds, none_share=settings.none_share)
    known = _known_proposals(held, labels, rows.texts[held.rows], calibration)
    return FittedRows(fitted, tuple(halves), fed_back, seeds, calibration, known, folds)


class _Steps:
    """Counts finished fits for the progress bar; one step is a fit of all partitions."""

    def __init__(self, report: Progress, total: int) -> None:
        self._report, self._finished, self._total = report, 0, total
        report(0, total)

    def advance(self) -> None:
        self._finished += 1
        self._report(self._finished, self._total)


def _half_before(before: Model | None, half: int) -> Fitted | None:
    """Return the earlier fit of a half; until texts were fed back, it is the fit on all rows."""
    if before is None:
        return None
    return before.halves[half] if before.halves else before.fitted


def _known_proposals(held: HeldOut, labels: Ints, texts: Ints, calibration: Calibration) -> KnownProposals:
    best = beliefs(candidates(held.log_odds, calibration, 1))[:, 0]
    proposed = held.log_odds.argmax(axis=1).astype(np.int64)
    belief_logit = logit(np.clip(best, 1e-4, 1 - 1e-4)).astype(np.float32)
    return KnownProposals(texts, proposed, proposed == labels, belief_logit)
