"""Samples whose label is certain, from seeds and analyst decisions, and the label vectors computed from them.

The article calls them guaranteed valid (step 3). Texts that only a judge accepted are not among them.
"""

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
    """Texts whose label is certain, as evidence for judge and analyst.

    Attributes
    ----------
    texts : ndarray of shape (n,), int64
        Row ids.
    labels : ndarray of shape (n,), int64
        Positions in ``label_ids``.
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

    def nearest(self, text: int, vector: Floats, label: int, count: int) -> tuple[Example, ...]:
        """Return the ``count`` samples of a label nearest to a text, nearest first; the text itself is left out.

        Parameters
        ----------
        vector : ndarray of shape (d,)
            Of the text.
        label : int
            Position in ``label_ids``.
        """
        of_label = np.flatnonzero((self.labels == label) & (self.texts != text))
        rows, similarities = nearest_examples(vector[None, :], self.vectors[of_label], count)
        return tuple(
            Example(
                int(self.texts[of_label[row]]),
                self.contents[of_label[row]],
                float(similarity),
                "seed" if self.is_seed[of_label[row]] else "analyst",
            )
            for row, similarity in zip(rows[0], similarities[0], strict=True)
        )


def valid_samples(project: Project, embedding: str, label_ids: Ints) -> ValidSamples:
    """Return seeds and texts whose label a decision fixed; texts in the blind audit are left out."""
    seed_texts, seed_labels = seeds(project)
    left_out = in_the_audit(project) | set(seed_texts.tolist())  # an example of an added label is seed and decided
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
    """Return the label vectors of the project, shape (L, d), float32, by ascending label id.

    A label's vector is the mean of its seeds or, if it has none left, of the texts that decisions gave it.

    Raises
    ------
    StateError
        If a label has neither.
    KeyError
        If a text has no vector yet.
    """
    labels = list_labels(project)
    texts, of_label = samples(project)
    empty = [label.name for label in labels if label.id not in set(of_label.tolist())]
    if empty:
        raise StateError(
            f"label {empty[0]!r} of project {project.name} has no labelled example left. Import some for it."
        )
    ids = np.array([label.id for label in labels], dtype=np.int64)
    return label_vectors(load_vectors(project, embedding, texts), np.searchsorted(ids, of_label), len(ids))


def samples(project: Project) -> tuple[Ints, Ints]:
    """Return row ids of texts and their label ids, both of shape (n,), int64: the samples that define each label.

    They are a label's seeds or, if it has none left, the texts that decisions gave it.
    """
    texts, of_label = seeds(project)
    with_seed, audited = set(of_label.tolist()), in_the_audit(project)
    fixed = sorted(
        (text, label)
        for text, label in decided(project).items()
        if label != NONE_OF_THESE and label not in with_seed and text not in audited
    )
    decided_texts = np.array(fixed, dtype=np.int64).reshape(-1, 2)
    return np.append(texts, decided_texts[:, 0]), np.append(of_label, decided_texts[:, 1])
