"""What an edit of the label set rests on: what is known of the labels, and the rules for names and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from red_core.errors import StateError
from red_core.label_places import Placed
from red_core.label_set import samples
from red_core.records import Floats, Ints, Label, Project
from red_core.store.audits import in_the_audit
from red_core.store.decisions import decided
from red_core.store.label_edits import OpenEdit
from red_core.store.labels import current_places, label_set_version, labels
from red_core.store.texts import pool, remembered, texts_by_identity
from red_core.store.vectors import load_vectors, with_vector
from red_core.tables import normalise_text, text_id
from red_core.tables.columns import LONGEST_LABEL, LONGEST_TEXT

FEWEST_EXAMPLES = 2
"""One sample is its own only neighbour: nothing could be learned or checked from it."""
LONGEST_MEANING = 1_000


class Known:
    """What is known of a project when an edit is thought of; read when it is needed."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.version = label_set_version(project)
        self.labels: dict[int, Label] = {label.id: label for label in labels(project)}
        placed = Placed(*current_places(project))
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

    def place(self, to: OpenEdit, placed: Placed, new: Mapping[int, Floats | None] | None = None) -> str:
        """Write a partition, made valid; return what became of labels that were left alone, in words."""
        if not len(self.placed.labels):
            return ""
        fresh = {label: vector for label, vector in (new or {}).items() if vector is not None}
        whole = placed.whole(self.vectors | fresh)
        to.place(whole.labels, whole.subset_of, whole.spots)
        lone = [label for label in placed.alone() if label in self.labels]
        told = [f"{self.labels[label].name!r} joins subset {whole.subset(label) + 1}" for label in lone]
        return f"; left alone, {', '.join(told)}" if told else ""


def _mean(vectors: Floats) -> Floats:
    mean = vectors.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12))


def checked_name(name: str) -> str:
    """Return a name as an import would store it.

    Raises
    ------
    StateError
        If it is empty, too long, or holds NUL.
    """
    found = normalise_text(name)
    if not found or "\0" in found or len(found) > LONGEST_LABEL:
        raise StateError(f"a label's name has 1 to {LONGEST_LABEL} characters, and no NUL.")
    return found


def checked_meaning(meaning: str) -> str:
    """Return a meaning, in NFC and on one line.

    Raises
    ------
    StateError
        If it is too long, or holds NUL.
    """
    found = normalise_text(meaning)
    if "\0" in found or len(found) > LONGEST_MEANING:
        raise StateError(f"a meaning has at most {LONGEST_MEANING:,} characters, and no NUL.")
    return found


def sorted_examples(known: Known, examples: Sequence[int | str]) -> tuple[list[int], dict[str, str]]:
    """Return the examples that are pool texts, as row ids, and the others, typed, as text_id -> content.

    Raises
    ------
    StateError
        If one cannot be an example, or there are too few.
    """
    typed: dict[str, str] = {}
    for content in (normalise_text(example) for example in examples if isinstance(example, str)):
        if not content or "\0" in content or len(content) > LONGEST_TEXT:
            raise StateError(f"an example has 1 to {LONGEST_TEXT:,} characters, and no NUL.")
        typed[text_id(content)] = content
    there = texts_by_identity(known.project, list(typed))
    open_texts, own = set(pool(known.project).tolist()), {t for texts in known.samples.values() for t in texts}
    chosen = {example for example in examples if not isinstance(example, str)}
    chosen |= {text for text in there.values() if text in open_texts or text in own}
    for text in chosen:
        if text not in open_texts:
            raise StateError(f"text {text} is not in the pool: an example has no label of its own yet.")
        if text in known.audited:
            raise StateError(f"text {text} is in the blind audit, which never trains. Choose another example.")
    typed = {identity: content for identity, content in typed.items() if there.get(identity) not in chosen}
    if len(chosen) + len(typed) < FEWEST_EXAMPLES:
        raise StateError(f"a new label needs at least {FEWEST_EXAMPLES} different examples.")
    return sorted(chosen), typed


def check_subset(known: Known, subset: int) -> None:
    """Raise StateError if there is no subset of this number."""
    if not len(known.placed.labels):
        raise StateError(f"project {known.project.name} has no subsets yet. Prepare its texts first.")
    if not (known.placed.subset_of == subset).any():
        raise StateError(f"there is no subset {subset + 1}.")
