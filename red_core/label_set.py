"""The label set of a project: form its subsets and place its labels on the map."""

from __future__ import annotations

import numpy as np

from red_core.errors import StateError
from red_core.records import Floats, Ints, Project
from red_core.settings import Settings
from red_core.steps.greedy_subsets import greedy_subsets
from red_core.steps.label_map import label_vectors, reduce_labels
from red_core.steps.subset_classifiers import TrainingSet
from red_core.store.labels import current_places, labels, save_places
from red_core.store.texts import seeds
from red_core.store.vectors import load_vectors


def seed_label_vectors(project: Project, embedding: str) -> Floats:
    """Return the label vectors of the project, shape (L, d), in the order of the label ids.

    Raises
    ------
    StateError
        If a label has no seed.
    """
    texts, seed_labels = seeds(project)
    ids = np.array([label.id for label in labels(project)], dtype=np.int64)
    try:
        return label_vectors(load_vectors(project, embedding, texts), np.searchsorted(ids, seed_labels), len(ids))
    except ValueError as error:
        raise StateError(f"project {project.name}: {error}. Import seeds for it.") from error


def form_subsets(project: Project, settings: Settings, embedding: str, who: str) -> Ints:
    """Form the subsets and the map of the current labels if they are not formed yet; return subset numbers (L,).

    Article step 1: embed the labels, reduce with UMAP, split greedily.
    """
    ids = np.array([label.id for label in labels(project)], dtype=np.int64)
    placed, subset_of, _ = current_places(project)
    if placed.tolist() == ids.tolist():
        return subset_of
    vectors = seed_label_vectors(project, embedding)
    reduced = reduce_labels(vectors, settings.subset_dimensions, random_state=settings.random_state)
    subset_of = greedy_subsets(reduced, settings.subset_size)
    places = reduce_labels(vectors, 2, random_state=settings.random_state)
    save_places(project, ids, subset_of, places, who)
    return subset_of


def hidden_partitions(training: TrainingSet, label_count: int, settings: Settings) -> list[Ints]:
    """Return the hidden partitions that group labels which look alike, so that rivals are told apart."""
    if label_count <= settings.subset_size:
        return []  # one subset holds them all anyway
    vectors = label_vectors(training.features, training.labels, label_count)
    centred = vectors - vectors.mean(axis=0)
    starts = [round(number * label_count / settings.alike_partitions) for number in range(settings.alike_partitions)]
    return [greedy_subsets(centred, settings.subset_size, alike=True, start=start) for start in starts]
