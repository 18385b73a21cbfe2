"""What a round trains on, as arrays: its frozen samples, and the labels' own names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from red_core.records import Booleans, Ints, Label, Project
from red_core.settings import Settings
from red_core.steps.refitting import identities
from red_core.steps.subset_classifiers import TrainingSet
from red_core.store.rounds import training_rows
from red_core.store.texts import pool, seeds
from red_core.training.features import Features, says_something


@dataclass(frozen=True)
class FrozenRows:
    """A round's training set.

    Attributes
    ----------
    label_ids : ndarray of shape (L,), int64
        Ascending; ``training.labels`` are places in it.
    training : TrainingSet
        n rows; what stands near a text counts with weight 1.
    texts : ndarray of shape (n,), int64
        Row ids; -1 is a label's own name.
    is_seed : ndarray of shape (n,), bool
    pool : ndarray of int64
        The texts that are going to be scored.
    """

    label_ids: Ints
    training: TrainingSet
    texts: Ints
    is_seed: Booleans
    pool: Ints

    @property
    def is_fed_back(self) -> Booleans:
        """Which rows are neither seeds nor names."""
        return (self.texts >= 0) & ~self.is_seed


def frozen_rows(
    project: Project, round_id: int, labels: Sequence[Label], settings: Settings, features: Features
) -> FrozenRows:
    """Return the frozen training set of a round."""
    place = {label.id: number for number, label in enumerate(labels)}
    rows = training_rows(project, round_id)
    texts = np.array([text for text, _, _ in rows], dtype=np.int64)
    classes = [place[label] for _, label, _ in rows]
    weights = [weight for _, _, weight in rows]
    keys = [f"{text}:{np.float32(weight)}" for text, _, weight in rows]
    features = replace(features, near_weight=1.0)
    seen = features.of(project, texts)
    scored = pool(project)
    is_seed = np.isin(texts, seeds(project)[0]) & ~np.isin(texts, scored)
    named = [label for label in labels if says_something(label.name)] if settings.label_names_as_seeds else []
    if named:
        seen = np.vstack([seen, features.of_names(project, [label.name for label in named])])
        classes += [place[label.id] for label in named]
        weights += [1.0] * len(named)
        keys += [f"name:{label.name}" for label in named]
        texts = np.append(texts, np.full(len(named), -1))
        is_seed = np.append(is_seed, np.zeros(len(named), dtype=np.bool_))
    training = TrainingSet(
        seen, np.array(classes, dtype=np.int64), np.array(weights, dtype=np.float32), identities(keys)
    )
    return FrozenRows(np.array([label.id for label in labels], dtype=np.int64), training, texts, is_seed, scored)
