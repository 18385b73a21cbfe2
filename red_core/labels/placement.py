"""Subset numbers and map coordinates of labels, as arrays: move, add and remove labels, and keep the subsets valid."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import softmax

from red_core.records import Floats, Ints

NEAREST = 3
"""A point is drawn between this many of the labels most similar to it."""
SHARPNESS = 20.0
"""Factor on the similarities before the softmax that weights those labels."""
Vectors = Mapping[int, Floats]
"""Label id -> unit vector of shape (d,), for labels that have one."""


def drawn_between(similarity: Floats, coordinates: Floats) -> Floats:
    """Return map coordinates of shape (n, 2): the mean of the nearest labels', weighted by similarity.

    Parameters
    ----------
    similarity : ndarray of shape (n, L)
        Cosine similarities to the labels, in [-1, 1].
    coordinates : ndarray of shape (L, 2)
        Of the labels.
    """
    count = min(NEAREST, len(coordinates))
    nearest = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
    weights = softmax(SHARPNESS * np.take_along_axis(similarity, nearest, axis=1), axis=1)
    return np.asarray((weights[:, :, None] * coordinates[nearest]).sum(axis=1))


@dataclass(frozen=True)
class LabelLayout:
    """The labels with their subsets and their map coordinates.

    Attributes
    ----------
    labels : ndarray of shape (L,), int64
        Label ids, ascending.
    subset_of : ndarray of shape (L,), int64
        Subset numbers, from 0.
    coordinates : ndarray of shape (L, 2)
        On the map.
    """

    labels: Ints
    subset_of: Ints
    coordinates: Floats

    def subset(self, label: int) -> int:
        """Return the subset number of a label of this layout."""
        return int(self.subset_of[np.searchsorted(self.labels, label)])

    def members(self, subset: int) -> list[int]:
        """Return the label ids of a subset, ascending."""
        return [int(label) for label in self.labels[self.subset_of == subset]]

    def without(self, removed: Collection[int]) -> LabelLayout:
        """Return the layout without these labels; all others stay where they are."""
        remaining = ~np.isin(self.labels, list(removed))
        return LabelLayout(self.labels[remaining], self.subset_of[remaining], self.coordinates[remaining])

    def moved(self, subsets: Mapping[int, int]) -> LabelLayout:
        """Return the layout with some labels (label id -> subset number) in another subset."""
        numbers = [subsets.get(label, old) for label, old in zip(self.labels.tolist(), self.subset_of, strict=True)]
        return replace(self, subset_of=np.array(numbers, dtype=np.int64))

    def joined(self, label: int, subset: int, point: Floats) -> LabelLayout:
        """Return the layout with one more label, in this subset and at this point, shape (2,), of the map."""
        order = np.argsort(np.append(self.labels, label), kind="stable")
        return LabelLayout(
            np.append(self.labels, label)[order],
            np.append(self.subset_of, subset)[order],
            np.vstack([self.coordinates, point])[order],
        )

    def point_for(self, vector: Floats | None, vectors: Vectors, subset: int) -> Floats:
        """Return the map point of a new label, shape (2,): between the labels most like it.

        Without vectors to compare, it is the middle of the subset.
        """
        rows = [row for row, label in enumerate(self.labels.tolist()) if label in vectors]
        if vector is None or not rows:
            return np.asarray(self.coordinates[self.subset_of == subset].mean(axis=0))
        others = np.stack([vectors[int(self.labels[row])] for row in rows])
        return np.asarray(drawn_between((others @ vector)[None, :], self.coordinates[rows])[0])

    def least_alike(self, vector: Floats | None, vectors: Vectors, avoid: Collection[int] = ()) -> int:
        """Return the subset whose mean is least similar to a label: the article joins labels this way.

        Without vectors to compare, it is the smallest subset. Subsets in ``avoid`` are taken only if there is no other.
        """
        numbers = np.unique(self.subset_of)
        allowed = [n for n in numbers.tolist() if n not in avoid] or numbers.tolist()

        def key(number: int) -> tuple[float, int]:
            labels = self.members(number)
            known = [vectors[label] for label in labels if label in vectors]
            return float(np.mean(known, axis=0) @ vector) if known and vector is not None else 0.0, len(labels)

        return int(min(allowed, key=key))

    def added(self, label: int, vector: Floats | None, vectors: Vectors, subset: int | None = None) -> LabelLayout:
        """Return the layout with a new label, by default in the subset least like it; all others stay in place."""
        subset = self.least_alike(vector, vectors) if subset is None else subset
        return self.joined(label, subset, self.point_for(vector, vectors, subset))

    def alone(self) -> list[int]:
        """Return the labels that are the only one of their subset."""
        sizes = np.bincount(self.subset_of)
        return [int(label) for label in self.labels[sizes[self.subset_of] == 1]]

    def valid(self, vectors: Vectors) -> LabelLayout:
        """Return a valid layout: subset numbers without gaps, and no label alone if another subset can take it.

        A subset of one label has no rivals to tell apart, so its classifier would learn noise only.
        """
        layout = self
        while len(np.unique(layout.subset_of)) > 1 and (alone := layout.alone()):
            others = layout.without(alone[:1])
            layout = layout.moved({alone[0]: others.least_alike(vectors.get(alone[0]), vectors)})
        _, numbers = np.unique(layout.subset_of, return_inverse=True)
        return replace(layout, subset_of=np.asarray(numbers, dtype=np.int64))


def restored(before: LabelLayout, current: LabelLayout, active: Collection[int], vectors: Vectors) -> LabelLayout:
    """Return the layout before an edit, with the active labels that were added since.

    An added label keeps its map point. It joins the subset of a label that shares its subset now.
    """
    layout = before.without([label for label in before.labels.tolist() if label not in active])
    for label in np.setdiff1d(current.labels, layout.labels).tolist():
        if label in active:
            companions = [other for other in current.members(current.subset(label)) if other in layout.labels]
            subset = layout.subset(companions[0]) if companions else layout.least_alike(vectors.get(label), vectors)
            layout = layout.joined(label, subset, current.coordinates[np.searchsorted(current.labels, label)])
    return layout.valid(vectors)
