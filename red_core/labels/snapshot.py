"""A snapshot of the label set for edits, and the validation of names, meanings, examples and subset numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from red_core.errors import StateError
from red_core.labels.placement import LabelLayout
from red_core.records import FEWEST_EXAMPLES, NONE_NAMES, Floats, Ints, Label, Project
from red_core.steps.label_map import label_vectors
from red_core.store.audits import in_the_audit
from red_core.store.decisions import decided
from red_core.store.label_edits import OpenEdit
from red_core.store.labels import current_layout, label_set_version, list_labels, name_key
from red_core.store.texts import pool, remembered, texts_by_identity
from red_core.store.vectors import load_vectors, with_vector
from red_core.text import LONGEST_LABEL, LONGEST_MEANING, LONGEST_TEXT, normalise_text, text_id
from red_core.training.samples import samples


class LabelSetSnapshot:
    """The label set at the moment an edit begins; samples and vectors are read when they are first needed.

    Attributes
    ----------
    version : int
        Of the label set.
    labels : dict of int to Label
        The active labels by their ids.
    layout : LabelLayout
        Of the active labels that have a subset; empty before subsets are formed.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.version = label_set_version(project)
        self.labels: dict[int, Label] = {label.id: label for label in list_labels(project)}
        stored = LabelLayout(*current_layout(project))
        self.layout = stored.without(np.setdiff1d(stored.labels, list(self.labels)).tolist())

    @cached_property
    def samples(self) -> dict[int, list[int]]:
        """Label id -> its texts, ascending: seeds, and texts that decisions gave it."""
        texts_of: dict[int, list[int]] = {label: [] for label in self.labels}
        label_of = dict(zip(*(column.tolist() for column in samples(self.project)), strict=True))
        for text, label in sorted((label_of | decided(self.project)).items()):
            if label in texts_of:
                texts_of[label].append(text)
        return texts_of

    @cached_property
    def audited(self) -> set[int]:
        """Texts in the blind audit, which never train."""
        return in_the_audit(self.project)

    @cached_property
    def vectors(self) -> dict[int, Floats]:
        """Label id -> unit vector of shape (d,), for labels with at least one embedded sample."""
        pairs = [(text, label) for label, texts in self.samples.items() for text in texts]
        texts, label_of = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        embedded = np.isin(texts, self._embedded)
        labels, index = np.unique(label_of[embedded], return_inverse=True)
        means = label_vectors(load_vectors(self.project, self._embedding, texts[embedded]), index, len(labels))
        return dict(zip(labels.tolist(), means, strict=True))

    def mean_vector(self, texts: Sequence[int]) -> Floats | None:
        """Return the mean of those texts that have a vector, as a unit vector; None if none has."""
        embedded = np.intersect1d(np.array(texts, dtype=np.int64), self._embedded)
        if not len(embedded):
            return None
        vectors = load_vectors(self.project, self._embedding, embedded)
        return np.asarray(label_vectors(vectors, np.zeros(len(vectors), dtype=np.int64), 1)[0])

    @cached_property
    def _embedding(self) -> str:
        return remembered(self.project, "embedding")

    @cached_property
    def _embedded(self) -> Ints:
        return with_vector(self.project, self._embedding)

    def keep_two(self, fewer: int) -> None:
        """Refuse an edit that takes so many labels away if fewer than two would be left: nothing could be told apart.

        Raises
        ------
        StateError
        """
        if len(self.labels) - fewer < 2:
            raise StateError("at least two labels must be left. Add another label first.")

    def name(self, label: int) -> str:
        """Return the name of an active label in quotes, as messages show it.

        Raises
        ------
        StateError
            If there is no such label, or it was merged or retired.
        """
        if label not in self.labels:
            raise StateError(f"there is no label {label} in project {self.project.name} any more.")
        return repr(self.labels[label].name)

    def check_subset(self, subset: int) -> None:
        """Raise StateError if no subset has this number (from 0)."""
        if not len(self.layout.labels):
            raise StateError(f"project {self.project.name} has no subsets yet. Prepare its texts first.")
        if not (self.layout.subset_of == subset).any():
            raise StateError(f"there is no subset {subset + 1}.")

    def sort_examples(
        self, examples: Sequence[int | str], fewest: int = FEWEST_EXAMPLES
    ) -> tuple[list[int], dict[str, str]]:
        """Return the examples that are pool texts, as row ids, and the new ones as text_id -> content.

        Parameters
        ----------
        examples : sequence of int or str
            Row ids of pool texts, or texts as typed. A typed text that is in the project already is that text.

        Raises
        ------
        StateError
            If a text cannot be an example, or there are fewer than ``fewest``.
        """
        typed: dict[str, str] = {}
        for content in (normalise_text(example) for example in examples if isinstance(example, str)):
            if not content or "\0" in content or len(content) > LONGEST_TEXT:
                raise StateError(f"an example has 1 to {LONGEST_TEXT:,} characters, and no NUL.")
            typed[text_id(content)] = content
        stored = texts_by_identity(self.project, list(typed))
        unlabelled = set(pool(self.project).tolist())
        labelled = {text for texts in self.samples.values() for text in texts}
        chosen = {example for example in examples if not isinstance(example, str)}
        chosen |= {text for text in stored.values() if text in unlabelled | labelled}
        for text in chosen:
            if text not in unlabelled:
                raise StateError(
                    f"text {text} is not an unlabelled text of this project. Choose texts without a label."
                )
            if text in self.audited:
                raise StateError(f"text {text} is in the blind audit, which never trains. Choose another example.")
        typed = {identity: content for identity, content in typed.items() if stored.get(identity) not in chosen}
        if len(chosen) + len(typed) < fewest:
            raise StateError(f"a new label needs at least {fewest} different examples.")
        return sorted(chosen), typed

    def write_layout(self, edit: OpenEdit, layout: LabelLayout, new: Mapping[int, Floats | None] | None = None) -> str:
        """Write a layout, made valid; return a phrase about labels that had to join another subset, '' for none.

        Parameters
        ----------
        new : mapping of int to ndarray or None, optional
            Label id -> vector, for labels that the edit adds.
        """
        if not len(self.layout.labels):
            return ""
        added = {label: vector for label, vector in (new or {}).items() if vector is not None}
        valid = layout.valid(self.vectors | added)
        edit.place(valid.labels, valid.subset_of, valid.coordinates)
        alone = [label for label in layout.alone() if label in self.labels]
        moves = [f"{self.labels[label].name!r} joins subset {valid.subset(label) + 1}" for label in alone]
        return f"; left alone, {', '.join(moves)}" if moves else ""


def checked_name(name: str) -> str:
    """Return a label name as an import would store it: NFC, whitespace collapsed.

    Raises
    ------
    StateError
        If it is empty, too long, holds NUL, or means *none of these*.
    """
    normalised = normalise_text(name)
    if name_key(normalised) in NONE_NAMES:
        raise StateError(f"{normalised!r} says that no label fits. Choose another name for the label or group.")
    if not normalised or "\0" in normalised or len(normalised) > LONGEST_LABEL:
        raise StateError(f"the name of a label or group has 1 to {LONGEST_LABEL} characters, and no NUL.")
    return normalised


def checked_meaning(meaning: str) -> str:
    """Return a meaning in NFC and on one line; it may be empty.

    Raises
    ------
    StateError
        If it is too long, or holds NUL.
    """
    normalised = normalise_text(meaning)
    if "\0" in normalised or len(normalised) > LONGEST_MEANING:
        raise StateError(f"a meaning has at most {LONGEST_MEANING:,} characters, and no NUL.")
    return normalised
