"""Which classifiers of an earlier fit still hold, and the fit of the others.

A classifier is *touched* when its list of labels changed, or when a sample (text, label, weight) of one of its own
labels came, went or changed. Its noise does not touch it: noise is a sample of all the other labels, which a few texts
more or less do not change; it is drawn anew whenever the classifier is fitted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from red_core.records import Ints
from red_core.steps.subset_classifiers import NoiseRule, Partition, TrainingSet, fit_partition


@dataclass(frozen=True)
class Fitted:
    """Partitions fitted on the same training rows, and which rows those were.

    Attributes
    ----------
    labels : ndarray of shape (L,), int64
        The id of each label, ascending.
    samples : ndarray of shape (L,), int64
        One number for all samples of each label, see :func:`label_samples`.
    partitions : tuple of Partition
    """

    labels: Ints
    samples: Ints
    partitions: tuple[Partition, ...]

    @property
    def classifiers(self) -> int:
        """How many classifiers all partitions have together."""
        return sum(len(np.unique(p.subset_of[p.subset_of >= 0])) for p in self.partitions)

    def arrays(self, name: str) -> dict[str, Any]:
        """Return what is stored of it, but for ``labels``, under names that begin with ``name``."""
        parts = Partition.__dataclass_fields__
        stacked = {f"{name}_{part}": np.stack([getattr(p, part) for p in self.partitions]) for part in parts}
        return stacked | {f"{name}_samples": self.samples}

    @classmethod
    def of(cls, kept: Mapping[str, Any], name: str, labels: Ints) -> Fitted:
        """Return the value that :meth:`arrays` was called on, from the arrays it returned."""
        parts = [kept[f"{name}_{part}"] for part in Partition.__dataclass_fields__]
        return cls(labels, kept[f"{name}_samples"], tuple(Partition(*arrays) for arrays in zip(*parts, strict=True)))


def identities(keys: Iterable[str]) -> Ints:
    """Return a number for each row, the same in every process: shape (n,), int64."""
    return np.array(
        [int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big", signed=True) for key in keys],
        dtype=np.int64,
    )


def label_samples(training: TrainingSet, label_count: int) -> Ints:
    """Return one number for all samples of each label, whatever their order: shape (L,), int64.

    Raises
    ------
    ValueError
        If the rows carry no identity.
    """
    if training.identity is None:
        raise ValueError("rows without an identity cannot be compared with those of an earlier fit")
    found = np.zeros(label_count, dtype=np.int64)
    np.add.at(found, training.labels, training.identity)  # wraps around, as it should
    return found


def touched_subsets(before: Fitted, place: int, labels: Ints, samples: Ints, subset_of: Ints) -> set[int]:
    """Return the subset numbers of a partition whose classifiers have to be fitted.

    Parameters
    ----------
    before : Fitted
    place : int
        Which of its partitions.
    labels, samples, subset_of : ndarray of shape (L,)
        The labels, their samples and their subsets as they are now; -1 leaves a label out.
    """
    there = set(_contents(before.labels, before.samples, before.partitions[place].subset_of).values())
    return {number for number, held in _contents(labels, samples, subset_of).items() if held not in there}


def _contents(labels: Ints, samples: Ints, subset_of: Ints) -> dict[int, frozenset[tuple[int, int]]]:
    """Return subset number -> its labels, each with its samples."""
    found: dict[int, set[tuple[int, int]]] = {}
    for label, held, number in zip(labels.tolist(), samples.tolist(), subset_of.tolist(), strict=True):
        if number >= 0:
            found.setdefault(number, set()).add((label, held))
    return {number: frozenset(pairs) for number, pairs in found.items()}


def subsets_now(before: Fitted, place: int, labels: Ints) -> Ints:
    """Return the subset number each label had in a partition, shape (L,), -1 for a label that was not there."""
    found: Ints = _placed(before.partitions[place].subset_of, before.labels, labels, -1)
    return found


def _placed(values: Any, old_labels: Ints, labels: Ints, missing: int) -> Any:  # noqa: ANN401  arrays of any type
    """Return rows that stand in the order of some labels in that of others."""
    known = np.isin(labels, old_labels)
    placed = np.full((len(labels), *values.shape[1:]), missing, dtype=values.dtype)
    placed[known] = values[np.searchsorted(old_labels, labels[known])]
    return placed


def refit(
    training: TrainingSet,
    labels: Ints,
    subsets: Sequence[Ints],
    before: Fitted | None,
    noise: NoiseRule,
    *,
    regularisation: float,
    random_state: int,
    workers: int,
) -> Fitted:
    """Fit all partitions; where there is an earlier fit, only the classifiers that are touched.

    Parameters
    ----------
    training : TrainingSet
        Its rows carry their identity.
    labels : ndarray of shape (L,), int64
    subsets : sequence of ndarray of shape (L,), int64
        The subset numbers of each partition, as many as ``before`` has partitions.
    before : Fitted or None
        Of the same features, noise rule, regularisation and random state.
    """
    samples = label_samples(training, len(labels))
    partitions = []
    for place, subset_of in enumerate(subsets):
        previous = touched = None
        if before is not None:
            old = before.partitions[place]
            rows = (_placed(values, before.labels, labels, 0) for values in (old.weights, old.bias, old.correction))
            previous = Partition(subset_of, *rows)
            touched = touched_subsets(before, place, labels, samples, subset_of)
        partitions.append(
            fit_partition(
                training, subset_of, noise,
                regularisation=regularisation, random_state=random_state,
                previous=previous, touched=touched, workers=workers,
            )
        )  # fmt: skip
    return Fitted(labels, samples, tuple(partitions))
