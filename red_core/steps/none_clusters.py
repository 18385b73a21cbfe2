"""Texts that no label explains, grouped: each dense group may be a label that is missing.

HDBSCAN finds where such texts lie densely. It cuts off the rim of a group and may cut it in two, so each text is then
given to the nearest mean, of a group or of a label there is (what a label explains leaves, what lay too thinly joins),
and groups that are as alike as no two labels are become one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import HDBSCAN
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from red_core.records import Booleans, Floats, Ints
from red_core.steps.pool_scoring import blocks

DIMENSIONS = 50
"""Principal components kept: density means little in hundreds of dimensions, and what is left out is mostly noise."""
MIN_SAMPLES = 5
"""HDBSCAN's smoothing of density: so many neighbours, and a single text between two groups does not join them."""
LARGEST = 8
"""A group of more than so many times the smallest is taken apart: it would swallow several labels."""
ALIKE = 0.7
"""Groups are joined that are more alike than this share of the labels is to its nearest label."""
LONGEST_TEXT = 2_000
"""Characters of a text that are read for telling words."""
MOST_WORDS = 50_000


@dataclass(frozen=True)
class Group:
    """Texts that are alike, and more like one another than like any label.

    Attributes
    ----------
    rows : ndarray of shape (k,), int64
        The most central first.
    mean : ndarray of shape (d,)
        Of length 1.
    none_belief : float
        Their mean belief in none of these.
    """

    rows: Ints
    mean: Floats
    none_belief: float


def none_clusters(
    vectors: Floats, none_belief: Floats, core: Booleans, label_means: Floats, *, smallest: int, most: int
) -> list[Group]:
    """Return the best groups, best first: those with the greatest sum of belief in none of these.

    Parameters
    ----------
    vectors : ndarray of shape (n, d)
        Texts that may belong to no label.
    none_belief : ndarray of shape (n,), in [0, 1]
    core : ndarray of shape (n,), bool
        Those among which dense groups are looked for.
    label_means : ndarray of shape (L, d)
        What the texts of each label look like.
    smallest : int
        Texts of a dense group at least, 2 or more; at the end half as many are enough.
    most : int
        Groups returned at most.
    """
    unit, means = normalize(vectors), normalize(label_means)
    number = np.full(len(unit), -1, dtype=np.int64)
    if core.sum() >= 2 * smallest:  # one group would be dense compared with nothing
        number[core] = dense_groups(unit[core], smallest)
    number = nearest_means(unit, number, means, smallest / 2)
    number = joined(unit, number, likeness_of_neighbours(means))
    number = nearest_means(unit, number, means, smallest / 2)
    groups = [_group(np.flatnonzero(number == each), unit, none_belief) for each in range(number.max(initial=-1) + 1)]
    return sorted(groups, key=lambda group: (-len(group.rows) * group.none_belief, int(group.rows.min())))[:most]


def dense_groups(unit: Floats, smallest: int) -> Ints:
    """Return the group of each text by HDBSCAN, numbered from 0; -1 where it lies too thinly.

    Parameters
    ----------
    unit : ndarray of shape (n, d)
        Unit vectors.
    smallest : int
        Texts of a group at least.

    Returns
    -------
    ndarray of shape (n,), int64
    """
    kept = min(DIMENSIONS, *unit.shape)
    reduced = PCA(kept, svd_solver="covariance_eigh").fit_transform(unit).astype(np.float64)
    search = HDBSCAN(
        min_cluster_size=smallest,
        max_cluster_size=LARGEST * smallest,
        min_samples=min(MIN_SAMPLES, smallest),
        copy=True,
    )
    found = search.fit_predict(reduced)
    return np.asarray(np.maximum(found, -1), dtype=np.int64)


def nearest_means(unit: Floats, number: Ints, label_means: Floats, fewest: float) -> Ints:
    """Return the groups after each text went to the nearest mean: of a group, or of a label, which is none (-1).

    Parameters
    ----------
    unit : ndarray of shape (n, d)
        Unit vectors.
    number : ndarray of shape (n,), int64
        The group of each text, -1 for none.
    label_means : ndarray of shape (L, d)
        Unit vectors.
    fewest : float
        A group with fewer texts is given up.

    Returns
    -------
    ndarray of shape (n,), int64, numbered from 0
    """
    groups = number.max(initial=-1) + 1
    if not groups:
        return number
    means = _means(unit, number)
    moved = np.empty_like(number)
    for block in blocks(len(unit)):
        own, rival = unit[block] @ means.T, unit[block] @ label_means.T
        moved[block] = np.where(own.max(axis=1) > rival.max(axis=1, initial=-1.0), own.argmax(axis=1), -1)
    kept = np.flatnonzero(np.bincount(moved[moved >= 0], minlength=groups) >= fewest)
    new_number = np.full(groups + 1, -1, dtype=np.int64)  # the last place is that of -1
    new_number[kept] = np.arange(len(kept))
    return new_number[moved]


def likeness_of_neighbours(label_means: Floats) -> float:
    """Return the cosine similarity above which two groups are too alike to be two labels.

    Parameters
    ----------
    label_means : ndarray of shape (L, d)
        Unit vectors.
    """
    if len(label_means) < 2:
        return 1.0
    alike = label_means @ label_means.T
    np.fill_diagonal(alike, -1.0)
    return float(np.quantile(alike.max(axis=1), ALIKE))


def joined(unit: Floats, number: Ints, limit: float) -> Ints:
    """Return the groups after the most similar two were joined as long as any two are more alike than ``limit``.

    Parameters
    ----------
    unit : ndarray of shape (n, d)
        Unit vectors.
    number : ndarray of shape (n,), int64
        The group of each text, -1 for none.
    limit : float
        Cosine similarity of their means.

    Returns
    -------
    ndarray of shape (n,), int64, numbered from 0
    """
    number = number.copy()
    while number.max(initial=-1) > 0:
        alike = (means := _means(unit, number)) @ means.T
        np.fill_diagonal(alike, -1.0)
        first, second = sorted(divmod(int(alike.argmax()), len(alike)))
        if alike[first, second] <= limit:
            break
        number[number == second] = first
        number[number > second] -= 1
    return number


def _means(unit: Floats, number: Ints) -> Floats:
    """Return the mean of each group, of length 1."""
    sums = np.zeros((number.max() + 1, unit.shape[1]))
    np.add.at(sums, number[number >= 0], unit[number >= 0])
    return np.asarray(normalize(sums))


def _group(rows: Ints, unit: Floats, none_belief: Floats) -> Group:
    (mean,) = normalize(unit[rows].mean(axis=0, keepdims=True))
    order = np.argsort(-(unit[rows] @ mean), kind="stable")
    return Group(rows[order], mean, float(none_belief[rows].mean()))


def telling_words(groups: Sequence[Ints], texts: Sequence[str], count: int) -> list[tuple[str, ...]]:
    """Return the words and pairs of words that tell each group from all texts, most telling first.

    By the mean TF-IDF within the group less that over all texts; what is part of a word already taken is left out.

    Parameters
    ----------
    groups : sequence of ndarray, int64
        Places in ``texts``.
    texts : sequence of str
        All texts.
    count : int
        Words of each group, at most.
    """
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, max_features=MOST_WORDS, token_pattern=r"(?u)\b[^\W\d_]\w+\b"
    )
    try:
        weights = vectorizer.fit_transform([text[:LONGEST_TEXT] for text in texts])
    except ValueError:  # there is no word in any text
        return [()] * len(groups)
    words, everywhere = vectorizer.get_feature_names_out(), np.asarray(weights.mean(axis=0)).ravel()
    told = []
    for rows in groups:
        excess = np.asarray(weights[rows].mean(axis=0)).ravel() - everywhere
        told.append(
            _first_apart([str(words[at]) for at in np.argsort(-excess, kind="stable") if excess[at] > 0], count)
        )
    return told


def _first_apart(words: Sequence[str], count: int) -> tuple[str, ...]:
    """Return the first words none of which shares a word with another."""
    taken: list[str] = []
    for word in words:
        if len(taken) == count:
            break
        if not any(set(word.split()) & set(other.split()) for other in taken):
            taken.append(word)
    return tuple(taken)
