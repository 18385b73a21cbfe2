"""What a round's training leaves, and its file: arrays only, nothing is pickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from red_core.records import Booleans, Floats, Ints, Project
from red_core.steps.belief import Calibration
from red_core.steps.pool_scoring import label_log_odds
from red_core.steps.refitting import Fitted
from red_core.steps.subset_classifiers import Partition
from red_core.store.arrays import load_arrays, save_arrays
from red_core.training.features import Features


@dataclass(frozen=True)
class KnownProposals:
    """What would have been proposed for each seed by classifiers that never saw it, and whether it is right.

    Attributes
    ----------
    texts : ndarray of shape (n,), int64
        Row ids of seeds.
    labels : ndarray of shape (n,), int64
        The best label of each, as a place in ``Model.label_ids``.
    right : ndarray of shape (n,), bool
    prior_logit : ndarray of shape (n,), float32
        The logit of the belief before any verdict.
    """

    texts: Ints
    labels: Ints
    right: Booleans
    prior_logit: Floats


@dataclass(frozen=True)
class Extent:
    """How much of a model was fitted anew.

    Attributes
    ----------
    fit : "full" or "incremental"
    refitted, classifiers : int
        Of the classifiers that score the pool; those that calibrate follow them.
    reason : str
        Why the fit is full; '' if it is not.
    """

    fit: Literal["full", "incremental"]
    refitted: int
    classifiers: int
    reason: str = ""


@dataclass(frozen=True)
class Model:
    """What a round's training leaves: enough to score any text, stored or new.

    Attributes
    ----------
    fitted : Fitted
        The shown partition first, then the hidden ones.
    halves : tuple of two Fitted, or ()
        Trained without the fed-back texts of even, and of odd, row id: they score those texts.
    fed_back, seeds : ndarray of int64
        Row ids of the texts, ascending, that trained the classifiers since the last full fit, as seeds or not.
    calibration : Calibration
    known : KnownProposals
    features : Features
        What it sees of a text.
    regularisation : float
    recipe : str
        What the classifiers depend on besides the training rows.
    extent : Extent
    """

    fitted: Fitted
    halves: tuple[Fitted, ...]
    fed_back: Ints
    seeds: Ints
    calibration: Calibration
    known: KnownProposals
    features: Features
    regularisation: float
    recipe: str
    extent: Extent

    @property
    def label_ids(self) -> Ints:
        """The label of each column of the odds, ascending, shape (L,)."""
        return self.fitted.labels

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """The shown one first, then the hidden ones."""
        return self.fitted.partitions

    def log_odds(self, ids: Ints, features: Floats) -> Floats:
        """Return odds of shape (n, L) for stored texts, each from classifiers that never saw it."""
        scored = label_log_odds(features, self.partitions)
        if self.halves:
            trained_on = np.isin(ids, self.fed_back)
            for half in (0, 1):
                rows = np.flatnonzero(trained_on & (ids % 2 == half))
                scored[rows] = label_log_odds(features[rows], self.halves[half].partitions)
        return scored


def model_file(project: Project, round_id: int) -> Path:
    """Return the file of a round's model."""
    return project.folder / "rounds" / f"{round_id}.npz"


def save_model(path: Path, model: Model) -> None:
    """Write a model to ``path``, arrays only."""
    arrays = model.fitted.arrays("partitions")
    for number, half in enumerate(model.halves):
        arrays |= half.arrays(f"half{number}")
    save_arrays(
        path,
        **arrays,
        label_ids=model.label_ids,
        fed_back=model.fed_back,
        seeds=model.seeds,
        calibration=np.array([model.calibration.beta, model.calibration.none_score]),
        known_texts=model.known.texts,
        known_labels=model.known.labels,
        known_right=model.known.right,
        known_prior_logit=model.known.prior_logit,
        words=np.array([model.features.embedding, model.features.lexical, model.features.near, model.recipe]),
        numbers=np.array([model.features.lexical_weight, model.features.near_weight, model.regularisation]),
        extent=np.array([model.extent.fit, str(model.extent.refitted), model.extent.reason]),
    )


def load_model(path: Path) -> Model:
    """Read a model.

    Raises
    ------
    StoreError
        If the file is missing or damaged.
    """
    kept = load_arrays(path)
    embedding, lexical, *near, made_by = (str(word) for word in kept["words"])
    if "numbers" in kept:
        lexical_weight, near_weight, regularisation = (float(number) for number in kept["numbers"])
    else:  # version 0.1.0 looked at nothing near, and did not keep what it took for granted
        lexical_weight, near_weight, regularisation = float(kept["lexical_weight"]), 0.0, 30.0
    halves = ("half0", "half1") if "half0_weights" in kept else ()
    fitted = Fitted.of(kept, "partitions", kept["label_ids"])
    return Model(
        fitted=fitted,
        halves=tuple(Fitted.of(kept, half, kept["label_ids"]) for half in halves),
        fed_back=kept["fed_back"],
        seeds=kept.get("seeds", np.zeros(0, dtype=np.int64)),
        calibration=Calibration(*(float(value) for value in kept["calibration"])),
        known=KnownProposals(kept["known_texts"], kept["known_labels"], kept["known_right"], kept["known_prior_logit"]),
        features=Features(embedding, lexical, lexical_weight, "".join(near), near_weight),
        regularisation=regularisation,
        recipe=made_by,
        extent=_extent(kept, fitted.classifiers),
    )


def _extent(kept: Mapping[str, Any], classifiers: int) -> Extent:
    if "extent" not in kept:
        return Extent("full", classifiers, classifiers)
    fit, refitted, reason = (str(word) for word in kept["extent"])
    return Extent("incremental" if fit == "incremental" else "full", int(refitted), classifiers, reason)
