"""Article step 3: the c nearest guaranteed-valid samples of a label, which judge and analyst see as evidence."""

from __future__ import annotations

import numpy as np

from red_core.records import Floats, Ints


def nearest_examples(query: Floats, examples: Floats, count: int) -> tuple[Ints, Floats]:
    """Return the ``count`` nearest examples of each query by cosine similarity, nearest first.

    Parameters
    ----------
    query : ndarray of shape (q, d), float32, unit vectors
    examples : ndarray of shape (n, d), float32, unit vectors

    Returns
    -------
    rows : ndarray of shape (q, min(count, n)), int64
    similarities : ndarray of the same shape, float32, in [-1, 1]
    """
    similarity = np.clip(query @ examples.T, -1.0, 1.0)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
    return order.astype(np.int64), np.take_along_axis(similarity, order, axis=1)


def label_similarities(similarity: Floats, labels: Ints, label_count: int, nearest: int = 3) -> Floats:
    """Return each query's similarity to each label: the mean over its ``nearest`` most similar examples.

    Parameters
    ----------
    similarity : ndarray of shape (q, n), float32
        Similarity of each query to each example; -inf leaves the example out.
    labels : ndarray of shape (n,), int64
        The label of each example.

    Returns
    -------
    ndarray of shape (q, label_count), float32; -1 for a label without examples
    """
    result = np.full((len(similarity), label_count), -1.0, dtype=np.float32)
    for label in np.unique(labels):
        columns = similarity[:, labels == label]
        count = min(nearest, columns.shape[1])
        best = np.partition(columns, columns.shape[1] - count, axis=1)[:, -count:]
        counted = np.isfinite(best)
        sums = np.where(counted, best, 0.0).sum(axis=1)
        result[:, label] = np.where(counted.any(axis=1), sums / np.maximum(counted.sum(axis=1), 1), -1.0)
    return result
