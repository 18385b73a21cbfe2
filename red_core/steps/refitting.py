"""Incremental fit: keep the classifiers of an earlier fit that are still valid, and fit the others.

A classifier is *touched* when its list of labels changed, or when a training sample (text, label, weight) of one of its
labels was added, removed or changed. Its noise does not count: it is a random sample of all other labels, which a few
texts hardly change. It is drawn again whenever the classifier is fitted.
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
    """Partitions that were fitted on the same training rows, with a fingerprint of those rows.

    Attributes
    ----------
    labels : ndarray of shape (L,), int64
        The id of each label, ascending.
    samples : ndarray of shape (L,), int64
        A fingerprint of the samples of each label, see :func:`label_samples`.
    partitions : tuple of Partition
    """

    labels: Ints
    samples: Ints
    partitions: tuple[Partition, ...]

    @property
    def classifiers(self) -> int:
        """The number of classifiers of all partitions."""
        return sum(len(np.unique(p.subset_of[p.subset_of >= 0])) for p in self.partitions)

    def arrays(self, name: str) -> dict[str, Any]:
        """Return the arrays to store, without ``labels``, under names that begin with ``name``."""
        parts = Partition.__dataclass_fields__
        stacked = {f"{name}_{part}": np.stack([getattr(p, part) for p in self.partitions]) for part in parts}
        return stacked | {f"{name}_samples": self.samples}

    @classmethod
    def of(cls, kept: Mapping[str, Any], name: str, labels: Ints) -> Fitted:
        """Return the value that :meth:`arrays` was called on, from the arrays it returned.

        Raises
        ------
        KeyError, ValueError
            If an array is missing, or has a shape that does not fit the labels.
        """
        parts = [kept[f"{name}_{part}"] for part in Partition.__dataclass_fields__]
        of_labels = [array.shape[1:] for array in parts]  # subset_of, weights, bias, correction; the partition is first
        fits = of_labels == [labels.shape, (*labels.shape, parts[1].shape[-1]), labels.shape, labels.shape]
        if labels.ndim != 1 or not fits or kept[f"{name}_samples"].shape != labels.shape:
            raise ValueError(f"the arrays of {name} have shapes that do not fit {labels.size} labels")
        return cls(labels, kept[f"{name}_samples"], tuple(Partition(*arrays) for arrays in zip(*parts, strict=True)))


def identities(keys: Iterable[str]) -> Ints:
    """Return a hash of each key that is the same in every process, shape (n,), int64."""
    return np.array(
        [int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big", signed=True) for key in keys],
        dtype=np.int64,
    )


def label_samples(training: TrainingSet, label_count: int) -> Ints:
    """Return a fingerprint of the samples of each label, independent of their order: shape (L,), int64.

    Raises
    ------
    ValueError
        If the training set has no ``identity``.
    """
    if training.identity is None:
        raise ValueError("a training set without identity cannot be compared with that of an earlier fit")
    fingerprints = np.zeros(label_count, dtype=np.int64)
    np.add.at(fingerprints, training.labels, training.identity)  # sums of hashes may overflow: they wrap around
    return fingerprints


def touched_subsets(before: Fitted, index: int, labels: Ints, samples: Ints, subset_of: Ints) -> set[int]:
    """Return the subset numbers of a partition whose classifiers have to be fitted.

    Parameters
    ----------
    before : Fitted
    index : int
        The index of the partition in ``before``.
    labels, samples, subset_of : ndarray of shape (L,)
        Ids, sample fingerprints and subset numbers of the labels now; -1 leaves a label out.
    """
    fitted = set(_contents(before.labels, before.samples, before.partitions[index].subset_of).values())
    return {number for number, content in _contents(labels, samples, subset_of).items() if content not in fitted}


def _contents(labels: Ints, samples: Ints, subset_of: Ints) -> dict[int, frozenset[tuple[int, int]]]:
    """Return subset number -> its labels, each with the fingerprint of its samples."""
    contents: dict[int, set[tuple[int, int]]] = {}
    for label, fingerprint, number in zip(labels.tolist(), samples.tolist(), subset_of.tolist(), strict=True):
        if number >= 0:
            contents.setdefault(number, set()).add((label, fingerprint))
    return {number: frozenset(pairs) for number, pairs in contents.items()}


def subsets_now(before: Fitted, index: int, labels: Ints) -> Ints:
    """Return the subset number that each label had in a partition, shape (L,), -1 for a new label."""
    subset_of: Ints = _reindexed(before.partitions[index].subset_of, before.labels, labels, -1)
    return subset_of


def _reindexed(values: Any, old_labels: Ints, labels: Ints, missing: int) -> Any:  # noqa: ANN401  arrays of any type
    """Return the rows of ``values``, one per old label, in the order of ``labels``; ``missing`` for new labels."""
    known = np.isin(labels, old_labels)
    reindexed = np.full((len(labels), *values.shape[1:]), missing, dtype=values.dtype)
    reindexed[known] = values[np.searchsorted(old_labels, labels[known])]
    return reindexed


# A step of the article takes its arrays and settings by name.
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
    """Return all partitions fitted; if there is an earlier fit, only the touched classifiers are fitted again.

    Parameters
    ----------
    training : TrainingSet
        With ``identity``.
    labels : ndarray of shape (L,), int64
    subsets : sequence of ndarray of shape (L,), int64
        The subset numbers of each partition, as many as ``before`` has partitions.
    before : Fitted or None
        An earlier fit with the same features, noise rule, regularisation and random state.
    """
    samples = label_samples(training, len(labels))
    partitions = []
    for index, subset_of in enumerate(subsets):
        previous = touched = None
        if before is not None:
            old = before.partitions[index]
            rows = (_reindexed(values, before.labels, labels, 0) for values in (old.weights, old.bias, old.correction))
            previous = Partition(subset_of, *rows)
            touched = touched_subsets(before, index, labels, samples, subset_of)
        partitions.append(
            fit_partition(
                training, subset_of, noise,
                regularisation=regularisation, random_state=random_state,
                previous=previous, touched=touched, workers=workers,
            )
        )  # fmt: skip
    return Fitted(labels, samples, tuple(partitions))
