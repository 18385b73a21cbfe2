"""What an edit of the label set rests on: what is known of the labels, and the rules for names and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from red_core.errors import StateError
from red_core.labels.placement import LabelLayout
from red_core.records import Floats, Ints, Label, Project
from red_core.store.audits import in_the_audit
from red_core.store.decisions import decided
from red_core.store.label_edits import OpenEdit
from red_core.store.labels import current_layout, label_set_version, list_labels
from red_core.store.texts import remembered
from red_core.store.vectors import load_vectors, with_vector
from red_core.training.samples import samples


class LabelSetSnapshot:
    """What is known of a project when an edit is thought of; read when it is needed."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.version = label_set_version(project)
        self.labels: dict[int, Label] = {label.id: label for label in list_labels(project)}
        placed = LabelLayout(*current_layout(project))
        self.placed = placed.without(np.setdiff1d(placed.labels, list(self.labels)).tolist())

    @cached_property
    def samples(self) -> dict[int, list[int]]:
        """Label id -> its texts: seeds and what decisions gave it."""
        found: dict[int, list[int]] = {label: [] for label in self.labels}
        given = dict(zip(*(part.tolist() for part in samples(self.project)), strict=True)) | decided(self.project)
        for text, label in sorted(given.items()):
            if label in found:
                found[label].append(text)
        return found

    @cached_property
    def audited(self) -> set[int]:
        """Texts that never train."""
        return in_the_audit(self.project)

    @cached_property
    def vectors(self) -> dict[int, Floats]:
        """Label id -> unit vector, of the labels that have a sample with one."""
        texts = np.unique([text for own in self.samples.values() for text in own]).astype(np.int64)
        there = np.intersect1d(texts, self._embedded)
        every = load_vectors(self.project, self._embedding, there)
        found = {label: np.flatnonzero(np.isin(there, own)) for label, own in self.samples.items()}
        return {label: _mean(every[rows]) for label, rows in found.items() if len(rows)}

    def vector_of(self, texts: Sequence[int]) -> Floats | None:
        """Return the mean of those texts that have a vector, of length 1; None where none has."""
        there = np.intersect1d(np.array(texts, dtype=np.int64), self._embedded)
        return _mean(load_vectors(self.project, self._embedding, there)) if len(there) else None

    @cached_property
    def _embedding(self) -> str:
        return remembered(self.project, "embedding")

    @cached_property
    def _embedded(self) -> Ints:
        return with_vector(self.project, self._embedding)

    def name(self, label: int) -> str:
        """Return the name of an active label as messages show it.

        Raises
        ------
        StateError
            If there is no such label, or it was merged or retired.
        """
        if label not in self.labels:
            raise StateError(f"there is no label {label} in project {self.project.name} any more.")
        return repr(self.labels[label].name)

    def place(self, to: OpenEdit, placed: LabelLayout, new: Mapping[int, Floats | None] | None = None) -> str:
        """Write a partition, made valid; return what became of labels that were left alone, in words."""
        if not len(self.placed.labels):
            return ""
        fresh = {label: vector for label, vector in (new or {}).items() if vector is not None}
        whole = placed.whole(self.vectors | fresh)
        to.place(whole.labels, whole.subset_of, whole.coordinates)
        lone = [label for label in placed.alone() if label in self.labels]
        told = [f"{self.labels[label].name!r} joins subset {whole.subset(label) + 1}" for label in lone]
        return f"; left alone, {', '.join(told)}" if told else ""


def _mean(vectors: Floats) -> Floats:
    mean = vectors.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12))
