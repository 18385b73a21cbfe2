"""The guaranteed-valid samples (article step 3): seeds and analyst decisions. Texts only a judge accepted stay out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from red_core.errors import StateError
from red_core.records import NONE_OF_THESE, Example, Floats, Ints, Project
from red_core.steps.label_map import label_vectors
from red_core.steps.neighbours import nearest_examples
from red_core.store.audits import in_the_audit
from red_core.store.decisions import decided
from red_core.store.labels import list_labels
from red_core.store.texts import contents, seeds
from red_core.store.vectors import load_vectors


@dataclass(frozen=True)
class ValidSamples:
    """Samples to compare with.

    Attributes
    ----------
    texts : ndarray of shape (n,), int64
        Row ids.
    labels : ndarray of shape (n,), int64
        Places in ``label_ids``.
    vectors : ndarray of shape (n, d), float32
        Unit vectors of the embedding.
    contents : tuple of n str
    is_seed : ndarray of shape (n,), bool
    label_ids : ndarray of shape (L,), int64
    """

    texts: Ints
    labels: Ints
    vectors: Floats
    contents: tuple[str, ...]
    is_seed: np.ndarray[tuple[int], np.dtype[np.bool_]]
    label_ids: Ints

    def nearest(self, text: int, vector: Floats, place: int, count: int) -> tuple[Example, ...]:
        """Return the ``count`` samples of one label nearest to a text, itself left out, nearest first."""
        own = np.flatnonzero((self.labels == place) & (self.texts != text))
        rows, similarities = nearest_examples(vector[None, :], self.vectors[own], count)
        return tuple(
            Example(
                int(self.texts[own[row]]),
                self.contents[own[row]],
                float(similarity),
                "seed" if self.is_seed[own[row]] else "analyst",
            )
            for row, similarity in zip(rows[0], similarities[0], strict=True)
        )


def valid_samples(project: Project, embedding: str, label_ids: Ints) -> ValidSamples:
    """Collect seeds and texts whose label an analyst fixed, but for those in the blind audit."""
    seed_texts, seed_labels = seeds(project)
    left_out = in_the_audit(project) | set(seed_texts.tolist())  # what an edit gave to a label is both
    fixed = [
        (text, label)
        for text, label in sorted(decided(project).items())
        if label != NONE_OF_THESE and text not in left_out
    ]
    texts = np.append(seed_texts, np.array([text for text, _ in fixed], dtype=np.int64))
    label_of = np.append(seed_labels, np.array([label for _, label in fixed], dtype=np.int64))
    return ValidSamples(
        texts,
        np.asarray(np.searchsorted(label_ids, label_of), dtype=np.int64),
        load_vectors(project, embedding, texts),
        tuple(contents(project, texts)),
        np.arange(len(texts)) < len(seed_texts),
        label_ids,
    )


def seed_label_vectors(project: Project, embedding: str) -> Floats:
    """Return the label vectors of the project, shape (L, d), in the order of the label ids.

    A label is the mean of its seeds, or where it has none left, of the texts that decisions gave it.

    Raises
    ------
    StateError
        If a label has neither.
    """
    known = list_labels(project)
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
