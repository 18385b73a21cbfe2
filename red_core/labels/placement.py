"""Where labels stand, as arrays: subsets that stay a partition, and places on the map that stay where they are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from red_core.records import Floats, Ints

NEAREST = 3
"""What is placed among labels is drawn between so many of the most similar ones."""
Vectors = Mapping[int, Floats]
"""Label id -> unit vector of shape (d,), of the labels that have one."""


def drawn_between(similarity: Floats, coordinates: Floats) -> Floats:
    """Return coordinates of shape (n, 2): the mean of the nearest labels', weighted by similarity.

    Parameters
    ----------
    similarity : ndarray of shape (n, L)
        Cosines, in [-1, 1].
    spots : ndarray of shape (L, 2)
    """
    kept = min(NEAREST, len(coordinates))
    near = np.argpartition(-similarity, kept - 1, axis=1)[:, :kept]
    pull = softmax(20.0 * np.take_along_axis(similarity, near, axis=1), axis=1)
    return np.asarray((pull[:, :, None] * coordinates[near]).sum(axis=1))


@dataclass(frozen=True)
class LabelLayout:
    """The labels with their subsets and their places on the map.

    Attributes
    ----------
    labels : ndarray of shape (L,), int64
        Label ids, ascending.
    subset_of : ndarray of shape (L,), int64
    spots : ndarray of shape (L, 2)
        Coordinates on the map.
    """

    labels: Ints
    subset_of: Ints
    coordinates: Floats

    def subset(self, label: int) -> int:
        """Return the subset number of a label."""
        return int(self.subset_of[np.searchsorted(self.labels, label)])

    def members(self, subset: int) -> list[int]:
        """Return the labels of a subset, ascending."""
        return [int(label) for label in self.labels[self.subset_of == subset]]

    def size(self, subset: int) -> int:
        """Return how many labels a subset has."""
        return int((self.subset_of == subset).sum())

    def without(self, gone: Collection[int]) -> LabelLayout:
        """Return the others, each where it is."""
        kept = ~np.isin(self.labels, list(gone))
        return LabelLayout(self.labels[kept], self.subset_of[kept], self.coordinates[kept])

    def moved(self, subsets: Mapping[int, int]) -> LabelLayout:
        """Return the same with some labels in another subset."""
        numbers = [subsets.get(label, old) for label, old in zip(self.labels.tolist(), self.subset_of, strict=True)]
        return LabelLayout(self.labels, np.array(numbers, dtype=np.int64), self.coordinates)

    def joined(self, label: int, subset: int, spot: Floats) -> LabelLayout:
        """Return the same with one more label."""
        order = np.argsort(np.append(self.labels, label), kind="stable")
        return LabelLayout(
            np.append(self.labels, label)[order],
            np.append(self.subset_of, subset)[order],
            np.vstack([self.coordinates, spot])[order],
        )

    def spot_for(self, vector: Floats | None, vectors: Vectors, subset: int) -> Floats:
        """Return where a new label stands: among the labels it resembles, else in the middle of its subset."""
        known = [place for place, label in enumerate(self.labels.tolist()) if label in vectors]
        if vector is None or not known:
            return np.asarray(self.coordinates[self.subset_of == subset].mean(axis=0))
        others = np.stack([vectors[int(self.labels[place])] for place in known])
        return np.asarray(drawn_between((others @ vector)[None, :], self.coordinates[known])[0])

    def least_alike(self, vector: Floats | None, vectors: Vectors, avoid: Collection[int] = ()) -> int:
        """Return the subset that a label joins: the least like it, as the article forms subsets; else the smallest."""
        numbers = np.unique(self.subset_of)
        open_ = [n for n in numbers.tolist() if n not in avoid] or numbers.tolist()

        def key(number: int) -> tuple[float, int]:
            own = [vectors[label] for label in self.members(number) if label in vectors]
            return float(np.mean(own, axis=0) @ vector) if own and vector is not None else 0.0, self.size(number)

        return int(min(open_, key=key))

    def alone(self) -> list[int]:
        """Return the labels that have a subset to themselves."""
        sizes = np.bincount(self.subset_of)
        return [int(label) for label in self.labels[sizes[self.subset_of] == 1]]

    def whole(self, vectors: Vectors) -> LabelLayout:
        """Return a valid partition: numbers without gaps, and no label alone where another subset can take it in.

        A subset of one label has no rivals to tell it from: its classifier would learn nothing but noise.
        """
        placed = self
        while len(np.unique(placed.subset_of)) > 1 and (lone := placed.alone()):
            rest = placed.without(lone[:1])
            placed = placed.moved({lone[0]: rest.least_alike(vectors.get(lone[0]), vectors)})
        _, closed = np.unique(placed.subset_of, return_inverse=True)
        return LabelLayout(placed.labels, np.asarray(closed, dtype=np.int64), placed.coordinates)


def taken_in(placed: LabelLayout, new: Iterable[int], vectors: Vectors) -> LabelLayout:
    """Return the same with new labels, each in the subset least like it; all others stay where they are."""
    for label in new:
        subset = placed.least_alike(vectors.get(label), vectors)
        placed = placed.joined(label, subset, placed.spot_for(vectors.get(label), vectors, subset))
    return placed


def restored(before: LabelLayout, current: LabelLayout, active: Collection[int], vectors: Vectors) -> LabelLayout:
    """Return places as they were before an edit; what was placed since stays beside those it is beside now."""
    placed = before.without([label for label in before.labels.tolist() if label not in active])
    for label in current.labels.tolist():
        if label in active and label not in set(placed.labels.tolist()):
            beside = [other for other in current.members(current.subset(label)) if other in placed.labels]
            subset = placed.subset(beside[0]) if beside else placed.least_alike(vectors.get(label), vectors)
            placed = placed.joined(label, subset, current.coordinates[np.searchsorted(current.labels, label)])
    return placed.whole(vectors)
