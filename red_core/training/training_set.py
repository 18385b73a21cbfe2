"""What a round trains on: its frozen samples and the labels' names as arrays, and a recipe of all else."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from red_core.errors import StateError
from red_core.records import Booleans, Floats, Ints, Label, Project
from red_core.settings import Settings
from red_core.steps.refitting import identities
from red_core.steps.subset_classifiers import TrainingSet
from red_core.store.rounds import frozen_seeds, training_rows
from red_core.store.texts import pool
from red_core.training.background import background_texts, unlike_labels, wants_background
from red_core.training.features import Features

_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True)
class FrozenRows:
    """A round's training set.

    Attributes
    ----------
    label_ids : ndarray of shape (L,), int64
        Ascending; ``training.labels`` are positions in it.
    training : TrainingSet
        n rows.
    texts : ndarray of shape (n,), int64
        Row ids; -1 for a label's name.
    is_seed : ndarray of shape (n,), bool
    pool : ndarray of int64
        Row ids of the texts to be scored.
    has_neighbours : bool
        The second half of the features is the kNN features, at weight 1.
    """

    label_ids: Ints
    training: TrainingSet
    texts: Ints
    is_seed: Booleans
    pool: Ints
    has_neighbours: bool

    @property
    def is_fed_back(self) -> Booleans:
        """Which rows are neither seeds nor label names, shape (n,)."""
        return (self.texts >= 0) & ~self.is_seed

    @property
    def own(self) -> TrainingSet:
        """The seeds and label names; of a label that has neither, what was fed back to it."""
        fed_back = self.is_fed_back
        without = np.setdiff1d(self.training.labels, self.training.labels[~fed_back])
        return self.training.only(~fed_back | np.isin(self.training.labels, without))

    def weighted(self, neighbour_weight: float) -> TrainingSet:
        """Return the training rows with their kNN features, if there are any, at this weight."""
        if not self.has_neighbours:
            return self.training
        half = self.training.features.shape[1] // 2
        weights = np.ones(2 * half, dtype=np.float32)
        weights[half:] = neighbour_weight
        background = None if self.training.background is None else self.training.background * weights
        return replace(self.training, features=self.training.features * weights, background=background)

    def with_names(self, positions: Sequence[int], names: Sequence[str], features: Floats) -> FrozenRows:
        """Return the rows and, after them, one for each of these label names.

        Parameters
        ----------
        positions : sequence of m int
            Of their labels.
        features : ndarray of shape (m, d), float32
        """
        old, count = self.training, len(names)
        identity = None if old.identity is None else np.append(old.identity, identities(f"name:{n}" for n in names))
        training = TrainingSet(
            np.vstack([old.features, features]), np.append(old.labels, np.array(positions, dtype=np.int64)),
            np.append(old.weights, np.ones(count, dtype=np.float32)), identity, old.background,
        )  # fmt: skip
        return replace(
            self, training=training, texts=np.append(self.texts, np.full(count, -1)),
            is_seed=np.append(self.is_seed, np.zeros(count, dtype=np.bool_)),
        )  # fmt: skip

    def with_background(self, features: Floats) -> FrozenRows:
        """Return the rows with a background: those of these texts of no label that are unlike every label.

        Parameters
        ----------
        features : ndarray of shape (m, d), float32
        """
        far = unlike_labels(features, self.training.features, self.training.labels)
        background = features[far] if far.any() else None
        return replace(self, training=replace(self.training, background=background))


def frozen_rows(
    project: Project, round_id: int, labels: Sequence[Label], settings: Settings, features: Features
) -> FrozenRows:
    """Return the training set that a round froze when it opened; kNN features are at weight 1.

    Raises
    ------
    StateError
        If a label has no row.
    """
    index = {label.id: position for position, label in enumerate(labels)}
    rows = training_rows(project, round_id)
    texts = np.array([text for text, _, _ in rows], dtype=np.int64)
    classes = [index[label] for _, label, _ in rows]
    weights = [weight for _, _, weight in rows]
    keys = [f"{text}:{np.float32(weight)}" for text, _, weight in rows]
    features = replace(features, neighbour_weight=1.0)
    seeds = frozen_seeds(project, round_id)
    scored = np.setdiff1d(pool(project), seeds)  # a later decision may have put one there
    training = TrainingSet(
        features.of(project, texts), np.array(classes, dtype=np.int64), np.array(weights, dtype=np.float32),
        identities(keys),
    )  # fmt: skip
    label_ids = np.array([label.id for label in labels], dtype=np.int64)
    frozen = FrozenRows(label_ids, training, texts, np.isin(texts, seeds), scored, bool(features.neighbours))
    named = positions_of_names([label.name for label in labels], settings)
    names = [labels[position].name for position in named]
    if named:
        frozen = frozen.with_names(named, names, features.of_names(project, names))
    empty = np.setdiff1d(np.arange(len(labels)), frozen.training.labels)
    if len(empty):
        raise StateError(
            f"label {labels[empty[0]].name!r} has no labelled example left. "
            f"Close the round (`red close {project.name}`). "
            "Then give the label an example, or merge or retire it on Label map."
        )
    if not wants_background(settings, len(labels)):
        return frozen
    return frozen.with_background(features.of_others(project, background_texts()))


def positions_of_names(names: Sequence[str], settings: Settings) -> list[int]:
    """Return the positions of the label names that serve as one more example each."""
    return [n for n, name in enumerate(names) if settings.label_names_as_seeds and has_word(name)]


def has_word(name: str) -> bool:
    """Return whether a label's name contains a word; a bare code such as ``11-1011.00`` or ``Q7`` does not."""
    return _WORD.search(name) is not None


def recipe_of(settings: Settings, features: Features) -> str:
    """Return, as JSON, everything besides the training rows on which the fitted classifiers depend."""
    names = (
        "random_state", "subset_size", "label_names_as_seeds", "noise_factor", "noise_rows", "regularisation",
        "calibration_folds",
    )  # fmt: skip
    return json.dumps(
        [
            features.embedding, features.lexical, features.lexical_weight, features.neighbours,
            settings.neighbour_weights, settings.alike_partitions, *(getattr(settings, name) for name in names),
            settings.background_labels,
        ]
    )  # fmt: skip
