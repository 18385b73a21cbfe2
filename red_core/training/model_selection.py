"""Model selection: the regularisation strength and the weight of the kNN features, by cross-validation on the seeds.

Different data needs different values: many noisy seeds need strong regularisation, a pool of similar texts gains from
kNN features. The criterion is the log loss on held-out seeds; the hidden labels of a trial are never read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from joblib import cpu_count
from scipy.special import logsumexp

from red_core.records import Floats, Ints, Progress
from red_core.settings import Settings
from red_core.steps.belief import fit_calibration
from red_core.steps.out_of_fold import Fit, out_of_fold_log_odds
from red_core.steps.subset_classifiers import NoiseRule, Partition, TrainingSet, fit_partition
from red_core.training.training_set import FrozenRows

SEEDS_SCORED = 500
"""Approximate number of seeds in the criterion; with more seeds fewer folds are scored, which saves time."""


@dataclass(frozen=True)
class Choice:
    """The inverse L2 strength (scikit-learn's C), and the weight of the kNN features."""

    regularisation: float
    neighbour_weight: float


def fitter(settings: Settings, regularisation: float) -> Fit:
    """Return a function that fits all partitions on a training set."""
    noise = NoiseRule(settings.noise_factor, settings.noise_rows)

    def fit(rows: TrainingSet, subsets: Sequence[Ints]) -> tuple[Partition, ...]:
        return tuple(
            fit_partition(
                rows, s, noise,
                regularisation=regularisation, random_state=settings.random_state, workers=cores(),
            )
            for s in subsets
        )  # fmt: skip

    return fit


def select_model(
    rows: FrozenRows,
    partitions: Sequence[Ints],
    settings: Settings,
    report: Progress,
    last: Choice | None = None,
) -> Choice:
    """Return the choice of least log loss: first the regularisation at the middle weight, then the weight.

    Each search starts at the last choice, or else in the middle, and moves on until the loss rises.

    Parameters
    ----------
    partitions : sequence of ndarray of shape (L,), int64
        Subset numbers of the labels.
    report : callable(done, total)
        Called after each evaluation; ``total`` is the most that may be needed.
    last : Choice, optional
        That of an earlier round.
    """
    weights = settings.neighbour_weights if rows.has_neighbours else (0.0,)
    strength = _start(settings.regularisation, last.regularisation if last else None)
    weight = _start(weights, last.neighbour_weight if last else None)
    evaluations = 0

    @cache
    def loss(regularisation: float, neighbour_weight: float) -> float:
        nonlocal evaluations
        log_loss = _log_loss(rows, rows.weighted(neighbour_weight), partitions, settings, regularisation)
        evaluations += 1
        report(evaluations, len(settings.regularisation) + len(weights))
        return log_loss

    best = _lowest(settings.regularisation, strength, lambda value: loss(value, weight))
    return Choice(best, _lowest(weights, weight, lambda value: loss(best, value)))


def _start(values: Sequence[float], last: float | None) -> float:
    return last if last is not None and last in values else sorted(values)[len(values) // 2]


def _lowest(values: Sequence[float], start: float, loss: Callable[[float], float]) -> float:
    """Return the value of least loss; search from ``start`` in both directions until the loss rises."""
    if len(values) == 1:
        return values[0]
    ordered = sorted(values)
    position = ordered.index(start)
    losses = {start: loss(start)}
    for side in (ordered[position:], ordered[position::-1]):
        for before, value in pairwise(side):
            losses[value] = loss(value)
            if losses[value] >= losses[before]:
                break
    return min(losses, key=lambda value: losses[value])


def _log_loss(
    rows: FrozenRows, training: TrainingSet, partitions: Sequence[Ints], settings: Settings, regularisation: float
) -> float:
    """Return the mean negative log belief in the seeds' labels, in nats, out of fold and calibrated."""
    folds, seeds = settings.calibration_folds, np.flatnonzero(rows.is_seed)
    held = out_of_fold_log_odds(
        training, seeds, partitions, fitter(settings, regularisation),
        folds=folds, rng=np.random.default_rng(settings.random_state),
        most_folds=max(1, -(-SEEDS_SCORED * folds // len(seeds))),
    )  # fmt: skip
    if not len(held.rows):
        return 0.0  # nothing tells the values apart: the first one that is tried stays
    labels = training.labels[held.rows]
    calibration = fit_calibration(held.log_odds, labels, held.foreign_log_odds, none_share=settings.none_share)
    logits: Floats = calibration.beta * held.log_odds.astype(np.float64)
    of_label = logits[np.arange(len(labels)), labels]
    normaliser = np.logaddexp(logsumexp(logits, axis=1), calibration.beta * calibration.none_score)
    return float(np.mean(normaliser - of_label))


def cores() -> int:
    """Return the number of processors that this process may use: a worker leaves one to the server."""
    return int(cpu_count())  # it knows the affinity, the limit of a container, and LOKY_MAX_CPU_COUNT
