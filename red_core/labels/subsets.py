"""Subsets of the label set: form them, measure a formation, adopt it, and undo it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from red_core.errors import StateError
from red_core.labels.placement import LabelLayout
from red_core.records import Floats, Ints, Progress, Project
from red_core.settings import Settings
from red_core.steps.greedy_subsets import similarity_within
from red_core.steps.label_map import reduce_labels
from red_core.steps.out_of_fold import out_of_fold_log_odds
from red_core.steps.subset_classifiers import TrainingSet
from red_core.store.labels import current_layout, earlier_layout, list_labels, save_layout
from red_core.store.rounds import refuse_in_mid_round
from red_core.store.texts import remembered, seeds
from red_core.store.vectors import load_vectors
from red_core.training.fit import dissimilar_subsets
from red_core.training.model_selection import fitter
from red_core.training.samples import seed_label_vectors


def form_subsets(project: Project, settings: Settings, embedding: str, who: str, *, anew: bool = False) -> Ints:
    """Form the subsets and the map of the current labels if needed; return subset numbers of shape (L,), int64.

    Article step 1: embed the labels, reduce with UMAP, split greedily. New labels join the existing subsets, which an
    analyst may have edited. Everything is formed anew only if at least as many labels are new as had a subset, or if
    ``anew`` says so.

    Raises
    ------
    StateError
        If a label has no seed left.
    """
    ids = np.array([label.id for label in list_labels(project)], dtype=np.int64)
    layout = LabelLayout(*current_layout(project))
    if layout.labels.tolist() == ids.tolist() and not anew:
        return layout.subset_of
    vectors = seed_label_vectors(project, embedding)
    layout = layout.without(np.setdiff1d(layout.labels, ids).tolist())
    new = np.setdiff1d(ids, layout.labels)
    if len(new) < len(layout.labels) and not anew:
        vector_of = dict(zip(ids.tolist(), vectors, strict=True))
        for label in new.tolist():
            layout = layout.added(label, vector_of[label], vector_of)
        layout = layout.valid(vector_of)
    else:
        subset_of = dissimilar_subsets(vectors, settings)
        layout = LabelLayout(ids, subset_of, reduce_labels(vectors, 2, random_state=settings.random_state))
    save_layout(project, layout.labels, layout.subset_of, layout.coordinates, who)
    return layout.subset_of


@dataclass(frozen=True)
class Formation:
    """One way to split the labels into subsets, with measures of its quality.

    Attributes
    ----------
    subset_of : ndarray of shape (L,), int64
        In the order of the label ids.
    similarity, highest : ndarray of shape (S,), float32
        Mean and highest cosine similarity between two labels of a subset, in the embedding.
    accuracy : float
        Share of seeds to which the subset classifiers give their label, cross-validated, in [0, 1].
    """

    subset_of: Ints
    similarity: Floats
    highest: Floats
    accuracy: float


def examine_subsets(
    project: Project,
    settings: Settings,
    size: int | None,
    report: Progress,
    *,
    alike: bool = False,
) -> Formation:
    """Measure the current subsets, or the subsets that the greedy algorithm would form; nothing is stored.

    Parameters
    ----------
    size : int or None
        Labels per new subset, the article's n; None measures the current subsets.
    report : callable(done, total)
        Called after each fold.
    alike : bool
        Group labels that look alike, instead of separating them as the article does.
    """
    embedding = remembered(project, "embedding")
    try:
        vectors = seed_label_vectors(project, embedding)
    except KeyError as error:
        raise StateError("some labelled examples are not prepared yet. The next round prepares them.") from error
    subset_of = current_layout(project)[1] if size is None else dissimilar_subsets(vectors, settings, size, alike=alike)
    texts, seed_labels = seeds(project)
    ids = np.array([label.id for label in list_labels(project)], dtype=np.int64)
    training = TrainingSet(
        load_vectors(project, embedding, texts),
        np.asarray(np.searchsorted(ids, seed_labels), dtype=np.int64),
        np.ones(len(texts), dtype=np.float32),
    )
    strength = float(np.median(settings.regularisation))
    folds = settings.calibration_folds
    held = out_of_fold_log_odds(
        training, np.arange(len(texts)), [subset_of], fitter(settings, strength),
        folds=folds, rng=np.random.default_rng(settings.random_state), done=lambda n: report(n, folds),
    )  # fmt: skip
    right = held.log_odds.argmax(axis=1) == training.labels[held.rows]
    return Formation(subset_of, *similarity_within(vectors, subset_of), float(right.mean()))


def adopt_subsets(project: Project, subset_of: Ints, who: str) -> None:
    """Make these the subsets of the current labels; map coordinates stay.

    Raises
    ------
    StateError
        If a job is running, or a round was left open.
    """
    refuse_in_mid_round(project)
    ids, _, coordinates = current_layout(project)
    save_layout(project, ids, subset_of, coordinates, who)


def undo_subsets(project: Project, who: str) -> None:
    """Restore the subsets before the newest formation; this is itself an edit that can be undone.

    Raises
    ------
    StateError
        If there are no earlier subsets of the same labels, or a job is running.
    """
    ids, subset_of, _ = earlier_layout(project)
    if ids.tolist() != current_layout(project)[0].tolist():
        raise StateError("there are no earlier subsets of these labels to go back to.")
    adopt_subsets(project, subset_of, who)
