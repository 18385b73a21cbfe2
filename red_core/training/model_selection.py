"""What the seeds choose: how strongly to regularise, and how much of what stands near a text counts.

Other data wants other values: many noisy seeds want strong regularisation, a pool full of look-alikes wants its
neighbours. The choice is the least log loss on seeds the classifiers did not see; the truth of the pool is never read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np
from scipy.special import logsumexp

from red_core.records import Floats, Ints, Progress
from red_core.settings import Settings
from red_core.steps.belief import fit_calibration
from red_core.steps.out_of_fold import Fit, out_of_fold_log_odds
from red_core.steps.subset_classifiers import NoiseRule, Partition, TrainingSet, fit_partition

SEEDS_SCORED = 500
"""About as many seeds decide; more folds would only cost time."""


@dataclass(frozen=True)
class Choice:
    """The inverse L2 strength, and the weight of what stands near a text."""

    regularisation: float
    near_weight: float


def fitter(settings: Settings, regularisation: float) -> Fit:
    """Return what fits all partitions on a training set."""
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


def weigh_near(training: TrainingSet, near: bool, weight: float) -> TrainingSet:
    """Return training rows whose second half, what stands near them, counts with this weight."""
    if not near:
        return training
    half = training.features.shape[1] // 2
    scaled = np.hstack([training.features[:, :half], np.float32(weight) * training.features[:, half:]])
    return replace(training, features=scaled.astype(np.float32))


def choose(
    training: TrainingSet,
    eligible: Ints,
    partitions: Sequence[Ints],
    settings: Settings,
    near: bool,
    report: Progress,
    last: Choice | None = None,
) -> Choice:
    """Return the choice of least held-out log loss: first the regularisation at a middling weight, then the weight.

    Both walk from the middle, or from the last choice, to the better side until the loss rises.

    Parameters
    ----------
    training : TrainingSet
        Where ``near``, the second half of the features is what stands near each row, at weight 1.
    eligible : ndarray of int64
        The rows of seeds.
    last : Choice, optional
        That of an earlier round.
    """
    weights = settings.neighbour_weights if near else (0.0,)
    strength = _start(settings.regularisation, last.regularisation if last else None)
    middle = _start(weights, last.near_weight if last else None)
    done = 0

    @cache
    def loss(regularisation: float, weight: float) -> float:
        nonlocal done
        found = _held_out_loss(weigh_near(training, near, weight), eligible, partitions, settings, regularisation)
        done += 1
        report(done, len(settings.regularisation) + len(weights))
        return found

    best = _lowest(settings.regularisation, strength, lambda value: loss(value, middle))
    return Choice(best, _lowest(weights, middle, lambda value: loss(best, value)))


def _start(values: Sequence[float], last: float | None) -> float:
    return last if last is not None and last in values else sorted(values)[len(values) // 2]


def _lowest(values: Sequence[float], start: float, loss: Callable[[float], float]) -> float:
    """Return the value of least loss, walking from ``start`` to the better side until the loss rises."""
    if len(values) == 1:
        return values[0]
    ordered = sorted(values)
    place = ordered.index(start)
    known = {start: loss(start)}
    for side in (ordered[place:], ordered[place::-1]):
        for here, there in pairwise(side):
            known[there] = loss(there)
            if known[there] >= known[here]:
                break
    return min(known, key=lambda value: known[value])


def _held_out_loss(
    training: TrainingSet, eligible: Ints, partitions: Sequence[Ints], settings: Settings, regularisation: float
) -> float:
    """Return the mean negative log belief in the seeds' own labels, in nats, out of fold and calibrated."""
    folds = settings.calibration_folds
    held = out_of_fold_log_odds(
        training, eligible, partitions, fitter(settings, regularisation),
        folds=folds, rng=np.random.default_rng(settings.random_state),
        most_folds=max(1, -(-SEEDS_SCORED * folds // len(eligible))),
    )  # fmt: skip
    labels = training.labels[held.rows]
    calibration = fit_calibration(held.log_odds, labels, held.foreign_log_odds, none_share=settings.none_share)
    logits: Floats = calibration.beta * held.log_odds.astype(np.float64)
    own = logits[np.arange(len(labels)), labels]
    everything = np.logaddexp(logsumexp(logits, axis=1), calibration.beta * calibration.none_score)
    return float(np.mean(everything - own))


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
