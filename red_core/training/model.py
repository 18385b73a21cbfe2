"""A round's trained model, and its file: arrays only, nothing is pickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from red_core.errors import StoreError
from red_core.records import Booleans, Floats, Ints, Project
from red_core.steps.belief import Calibration
from red_core.steps.pool_scoring import label_log_odds
from red_core.steps.refitting import Fitted
from red_core.steps.subset_classifiers import Partition
from red_core.store.arrays import load_arrays, save_arrays
from red_core.training.features import Features


@dataclass(frozen=True)
class KnownProposals:
    """The proposal for each seed from classifiers that did not train on it, and whether it is right.

    Attributes
    ----------
    texts : ndarray of shape (n,), int64
        Row ids of seeds.
    labels : ndarray of shape (n,), int64
        The best label of each, as a position in ``Model.label_ids``.
    right : ndarray of shape (n,), bool
    belief_logit : ndarray of shape (n,), float32
        Logit of the classifiers' belief in it, before any verdict.
    """

    texts: Ints
    labels: Ints
    right: Booleans
    belief_logit: Floats


@dataclass(frozen=True)
class Extent:
    """How much of a model was fitted in its round.

    Attributes
    ----------
    fit : "full" or "incremental"
    refitted, classifiers : int
        Numbers of classifiers that score the pool, fitted and in all; those that calibrate are not counted.
    reason : str
        Why the fit is full; '' for an incremental one.
    """

    fit: Literal["full", "incremental"]
    refitted: int
    classifiers: int
    reason: str = ""


@dataclass(frozen=True)
class Model:
    """The result of a round's training; it can score any text, stored or new.

    Attributes
    ----------
    fitted : Fitted
        The shown partition first, then the hidden ones.
    halves : tuple of two Fitted, or ()
        Trained without the fed-back texts of even, and of odd, row id; they score those texts.
    fed_back, seeds : ndarray of int64
        Row ids, ascending, of all texts that the classifiers trained on since the last full fit.
    calibration : Calibration
    known : KnownProposals
    features : Features
        The features it was trained on.
    regularisation : float
    recipe : str
        Everything besides the training rows on which the classifiers depend.
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
        """The label id of each column of the log-odds, ascending, shape (L,)."""
        return self.fitted.labels

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """The shown one first, then the hidden ones."""
        return self.fitted.partitions

    def log_odds(self, ids: Ints, features: Floats) -> Floats:
        """Return log-odds of shape (n, L) for stored texts, each from classifiers that did not train on it."""
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
    """Write a model.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    features = model.features
    save_arrays(
        path,
        **model.fitted.arrays("partitions"),
        **{k: v for n, half in enumerate(model.halves) for k, v in half.arrays(f"half{n}").items()},
        label_ids=model.label_ids,
        fed_back=model.fed_back,
        seeds=model.seeds,
        calibration=np.array([model.calibration.beta, model.calibration.none_score]),
        known_texts=model.known.texts,
        known_labels=model.known.labels,
        known_right=model.known.right,
        known_prior_logit=model.known.belief_logit,
        words=np.array([features.embedding, features.lexical, features.neighbours, model.recipe]),
        numbers=np.array([features.lexical_weight, features.neighbour_weight, model.regularisation]),
        extent=np.array([model.extent.fit, str(model.extent.refitted), model.extent.reason]),
    )


def load_model(path: Path) -> Model:
    """Read a model.

    Raises
    ------
    StoreError
        If the file is missing, damaged, or of a version that stored less.
    """
    stored = load_arrays(path)
    try:
        return _model_of(stored)
    except KeyError as error:
        raise StoreError(
            f"{path} was written by a version of R.E.D. that is too old to be read. Run a round again."
        ) from error
    except (ValueError, IndexError, TypeError) as error:
        raise StoreError(f"{path} is damaged: its arrays do not fit each other. Run a round again.") from error


def _model_of(stored: Mapping[str, Any]) -> Model:
    embedding, lexical, neighbours, recipe = (str(word) for word in stored["words"])
    lexical_weight, neighbour_weight, regularisation = (float(number) for number in stored["numbers"])
    fit, refitted, reason = (str(word) for word in stored["extent"])
    label_ids = stored["label_ids"]
    fitted = Fitted.of(stored, "partitions", label_ids)
    return Model(
        fitted=fitted,
        halves=tuple(Fitted.of(stored, half, label_ids) for half in ("half0", "half1") if f"{half}_weights" in stored),
        fed_back=stored["fed_back"],
        seeds=stored["seeds"],
        calibration=Calibration(*(float(value) for value in stored["calibration"])),
        known=KnownProposals(
            stored["known_texts"], stored["known_labels"], stored["known_right"], stored["known_prior_logit"]
        ),
        features=Features(embedding, lexical, lexical_weight, neighbours, neighbour_weight),
        regularisation=regularisation,
        recipe=recipe,
        extent=Extent("incremental" if fit == "incremental" else "full", int(refitted), fitted.classifiers, reason),
    )
