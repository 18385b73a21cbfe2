"""The label set of a project: form its subsets and place its labels on the map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from red_core.access import acting
from red_core.choosing import fitter
from red_core.errors import StateError
from red_core.label_places import Placed, drawn_between, taken_in
from red_core.records import NONE_OF_THESE, Floats, Ints, Project
from red_core.settings import Settings
from red_core.steps.greedy_subsets import greedy_subsets, join_most_alike, similarity_within
from red_core.steps.label_map import label_vectors, reduce_labels
from red_core.steps.out_of_fold import held_out_odds
from red_core.steps.pool_scoring import blocks
from red_core.steps.subset_classifiers import TrainingSet
from red_core.store.arrays import load_arrays, save_arrays
from red_core.store.audits import in_the_audit
from red_core.store.decisions import decided
from red_core.store.labels import current_places, earlier_places, labels, newest_formation, save_places
from red_core.store.rounds import refuse_in_mid_round
from red_core.store.texts import pool, remembered, seeds
from red_core.store.vectors import load_vectors


def seed_label_vectors(project: Project, embedding: str) -> Floats:
    """Return the label vectors of the project, shape (L, d), in the order of the label ids.

    A label is the mean of its seeds, or where it has none left, of the texts that decisions gave it.

    Raises
    ------
    StateError
        If a label has neither.
    """
    known = labels(project)
    texts, of_label = samples(project)
    bare = [label.name for label in known if label.id not in set(of_label.tolist())]
    if bare:
        raise StateError(f"label {bare[0]!r} of project {project.name} has no seed left. Import seeds for it.")
    ids = np.array([label.id for label in known], dtype=np.int64)
    return label_vectors(load_vectors(project, embedding, texts), np.searchsorted(ids, of_label), len(ids))


def samples(project: Project) -> tuple[Ints, Ints]:
    """Return the texts that say what each label is and their labels, both of shape (n,): seeds, else decided texts."""
    texts, of_label = seeds(project)
    with_seed, audited = set(of_label.tolist()), in_the_audit(project)
    fixed = sorted(
        (text, label)
        for text, label in decided(project).items()
        if label != NONE_OF_THESE and label not in with_seed and text not in audited
    )
    more = np.array(fixed, dtype=np.int64).reshape(-1, 2)
    return np.append(texts, more[:, 0]), np.append(of_label, more[:, 1])


def form_subsets(project: Project, settings: Settings, embedding: str, who: str) -> Ints:
    """Form the subsets and the map of the current labels if they are not formed yet; return subset numbers (L,).

    Article step 1: embed the labels, reduce with UMAP, split greedily. Labels that came later join the subsets there
    are, which an analyst may have edited; everything is formed anew only where as many came as there were.
    """
    ids = np.array([label.id for label in labels(project)], dtype=np.int64)
    placed = Placed(*current_places(project))
    if placed.labels.tolist() == ids.tolist():
        return placed.subset_of
    vectors = seed_label_vectors(project, embedding)
    kept = placed.without(np.setdiff1d(placed.labels, ids).tolist())
    new = np.setdiff1d(ids, kept.labels)
    if len(new) < len(kept.labels):
        known = dict(zip(ids.tolist(), vectors, strict=True))
        now = taken_in(kept, new.tolist(), known).whole(known)
        save_places(project, now.labels, now.subset_of, now.spots, who)
        return now.subset_of
    subset_of = _greedy(vectors, settings.subset_size, settings)
    places = reduce_labels(vectors, 2, random_state=settings.random_state)
    save_places(project, ids, subset_of, places, who)
    return subset_of


def _greedy(vectors: Floats, size: int, settings: Settings) -> Ints:
    reduced = reduce_labels(vectors, settings.subset_dimensions, random_state=settings.random_state)
    return greedy_subsets(reduced, size)


@dataclass(frozen=True)
class Formation:
    """One way to split the labels into subsets, with what tells whether it is a good one.

    Attributes
    ----------
    subset_of : ndarray of shape (L,), int64
        In the order of the label ids.
    similarity, highest : ndarray of shape (S,), float32
        Mean and highest cosine similarity between two labels of a subset, in the embedding.
    accuracy : float
        Share of seeds whose label the subset classifiers find, cross-validated, in [0, 1].
    """

    subset_of: Ints
    similarity: Floats
    highest: Floats
    accuracy: float


def examine_subsets(
    project: Project, settings: Settings, size: int | None, report: Callable[[int, int], None]
) -> Formation:
    """Measure the current subsets, or what the article's greedy way would make of them; nothing is stored.

    Parameters
    ----------
    size : int or None
        The article's n of the new subsets; None measures the current ones.
    report : callable(done, total)
        Called after each fold.
    """
    embedding = remembered(project, "embedding")
    vectors = seed_label_vectors(project, embedding)
    subset_of = current_places(project)[1] if size is None else _greedy(vectors, size, settings)
    texts, seed_labels = seeds(project)
    ids = np.array([label.id for label in labels(project)], dtype=np.int64)
    training = TrainingSet(
        load_vectors(project, embedding, texts),
        np.asarray(np.searchsorted(ids, seed_labels), dtype=np.int64),
        np.ones(len(texts), dtype=np.float32),
    )
    strength = float(np.median(settings.regularisation))
    folds = settings.calibration_folds
    held = held_out_odds(
        training, np.arange(len(texts)), [subset_of], fitter(settings, strength),
        folds=folds, rng=np.random.default_rng(settings.random_state), done=lambda n: report(n, folds),
    )  # fmt: skip
    right = held.odds.argmax(axis=1) == training.labels[held.rows]
    return Formation(subset_of, *similarity_within(vectors, subset_of), float(right.mean()))


def adopt_subsets(project: Project, subset_of: Ints, who: str) -> None:
    """Make these the subsets of the current labels; the map stays where it is.

    Raises
    ------
    StateError
        If a job is running, or a round was left open.
    """
    refuse_in_mid_round(project)
    ids, _, places = current_places(project)
    save_places(project, ids, subset_of, places, who)


def undo_subsets(project: Project, who: str) -> None:
    """Go back to the subsets before the newest; the undo is itself an edit that can be undone.

    Raises
    ------
    StateError
        If there are no earlier subsets of the same labels, or a job is running.
    """
    ids, subset_of, _ = earlier_places(project)
    if ids.tolist() != current_places(project)[0].tolist():
        raise StateError("there are no earlier subsets of these labels to go back to.")
    adopt_subsets(project, subset_of, who)


DENSITY_CELLS = 160
"""The pool's picture behind the map is this many cells wide and high."""


def pool_density(project: Project, embedding: str) -> dict[str, np.ndarray[Any, Any]]:
    """Count the pool's texts per cell of the map, once per formation and pool: what a viewer counts is not kept.

    Each text is drawn between its three nearest labels, by similarity, since UMAP placed labels only.

    Returns
    -------
    dict
        ``counts`` of shape (DENSITY_CELLS, DENSITY_CELLS), int32; ``low`` and ``high``, the map's edges, shape (2,).
    """
    places = current_places(project)[2]
    texts = pool(project)
    path = project.folder / "map" / f"{newest_formation(project)}-{len(texts)}.npz"
    if path.is_file():
        return load_arrays(path)
    vectors = seed_label_vectors(project, embedding)
    margin = 0.06 * np.maximum(np.ptp(places, axis=0), 1e-6)
    low, high = places.min(axis=0) - margin, places.max(axis=0) + margin
    counts = np.zeros((DENSITY_CELLS, DENSITY_CELLS))
    for block in blocks(len(texts)):
        similarity = load_vectors(project, embedding, texts[block]) @ vectors.T
        spots = drawn_between(similarity, places)
        counts += np.histogram2d(
            spots[:, 0], spots[:, 1], bins=DENSITY_CELLS, range=[[low[0], high[0]], [low[1], high[1]]]
        )[0]
    found = {"counts": counts.astype(np.int32), "low": low, "high": high}
    if acting().may_write:
        save_arrays(path, **found)
    return found


def hidden_partitions(
    training: TrainingSet, label_count: int, settings: Settings, kept: Sequence[Ints] = ()
) -> list[Ints]:
    """Return the hidden partitions that group labels which look alike, so that rivals are told apart.

    Parameters
    ----------
    kept : sequence of ndarray of shape (L,), int64
        Those of an earlier fit, -1 where a label is new: they stay, and a new label joins the labels it looks like.
    """
    if label_count <= settings.subset_size:
        return []  # one subset holds them all anyway
    if kept and all((subset_of >= 0).all() for subset_of in kept):
        return list(kept)
    vectors = label_vectors(training.features, training.labels, label_count)
    centred = vectors - vectors.mean(axis=0)
    if kept:
        return [join_most_alike(centred, subset_of) for subset_of in kept]
    starts = [round(number * label_count / settings.alike_partitions) for number in range(settings.alike_partitions)]
    return [greedy_subsets(centred, settings.subset_size, alike=True, start=start) for start in starts]
