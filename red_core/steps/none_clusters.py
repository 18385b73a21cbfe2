"""Cluster the texts that fit no label: each cluster may be a missing label (novel class discovery).

HDBSCAN finds the cores. Then every text joins the nearest centroid, of a group or of an existing label, and groups
closer to each other than any two labels are merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from red_core.records import Booleans, Floats, Ints
from red_core.steps.lexical_features import CHARACTERS_READ
from red_core.steps.pool_scoring import blocks
from red_core.steps.unit_rows import unit_rows

DIMENSIONS = 50
"""Principal components used: density means little in hundreds of dimensions, and the others are mostly noise."""
MIN_SAMPLES = 5
"""HDBSCAN's smoothing of density, in neighbours, so that a single text between two groups does not join them."""
LARGEST = 8
"""Largest group, as a multiple of the smallest: a larger one would mix several labels, so it is split."""
ALIKE = 0.7
"""Quantile, over the labels, of the similarity to the nearest label. Groups more similar than that are merged."""
MOST_WORDS = 50_000
"""Size of the vocabulary for distinctive words."""


@dataclass(frozen=True)
class Group:
    """Texts that are more similar to one another than to any label.

    Attributes
    ----------
    rows : ndarray of shape (k,), int64
        Rows of the texts, the most central first.
    mean : ndarray of shape (d,)
        Unit vector.
    none_belief : float
        Their mean belief in *none of these*, in [0, 1].
    """

    rows: Ints
    mean: Floats
    none_belief: float


def none_clusters(
    vectors: Floats, none_belief: Floats, core: Booleans, label_means: Floats, *, smallest: int, most: int
) -> list[Group]:
    """Return the groups with the greatest sum of belief in *none of these*, best first.

    Parameters
    ----------
    vectors : ndarray of shape (n, d)
        Texts that may belong to no label.
    none_belief : ndarray of shape (n,), in [0, 1]
    core : ndarray of shape (n,), bool
        The texts that HDBSCAN clusters; the others may only join a group.
    label_means : ndarray of shape (L, d)
        Mean vector of the texts of each label.
    smallest : int
        Fewest texts of a core, 2 or more; a final group needs half as many.
    most : int
        Most groups to return.
    """
    unit, means = unit_rows(vectors), unit_rows(label_means)
    number = np.full(len(unit), -1, dtype=np.int64)
    if core.sum() >= 2 * smallest:  # HDBSCAN cannot find one dense group without others
        number[core] = dense_groups(unit[core], smallest)
    number = nearest_means(unit, number, means, smallest / 2)
    number = joined(unit, number, likeness_of_neighbours(means))
    number = nearest_means(unit, number, means, smallest / 2)
    groups = [_group(np.flatnonzero(number == each), unit, none_belief) for each in range(number.max(initial=-1) + 1)]
    return sorted(groups, key=lambda group: (-len(group.rows) * group.none_belief, int(group.rows.min())))[:most]


def dense_groups(unit: Floats, smallest: int) -> Ints:
    """Return the group of each text by HDBSCAN, numbered from 0; -1 for texts in no dense region.

    Parameters
    ----------
    unit : ndarray of shape (n, d)
        Unit vectors.
    smallest : int
        Fewest texts of a group.

    Returns
    -------
    ndarray of shape (n,), int64
    """
    from sklearn.cluster import HDBSCAN  # noqa: PLC0415  scikit-learn takes a second to import
    from sklearn.decomposition import PCA  # noqa: PLC0415  as above

    components = min(DIMENSIONS, *unit.shape)
    reduced = PCA(components, svd_solver="covariance_eigh").fit_transform(unit).astype(np.float64)
    search = HDBSCAN(
        min_cluster_size=smallest,
        max_cluster_size=LARGEST * smallest,
        min_samples=min(MIN_SAMPLES, smallest),
        copy=True,
    )
    groups = search.fit_predict(reduced)
    return np.asarray(np.maximum(groups, -1), dtype=np.int64)


def nearest_means(unit: Floats, number: Ints, label_means: Floats, fewest: float) -> Ints:
    """Return the groups after each text joined its nearest mean: a group's, or a label's, which means no group (-1).

    Parameters
    ----------
    unit : ndarray of shape (n, d)
        Unit vectors.
    number : ndarray of shape (n,), int64
        The group of each text, -1 for none.
    label_means : ndarray of shape (L, d)
        Unit vectors.
    fewest : float
        A group with fewer texts is dissolved.

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
        to_groups, to_labels = unit[block] @ means.T, unit[block] @ label_means.T
        joins = to_groups.max(axis=1) > to_labels.max(axis=1, initial=-1.0)
        moved[block] = np.where(joins, to_groups.argmax(axis=1), -1)
    large = np.flatnonzero(np.bincount(moved[moved >= 0], minlength=groups) >= fewest)
    new_number = np.full(groups + 1, -1, dtype=np.int64)  # index -1, the last, stays -1
    new_number[large] = np.arange(len(large))
    return new_number[moved]


def likeness_of_neighbours(label_means: Floats) -> float:
    """Return the cosine similarity above which two groups are too similar to be two labels.

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
    """Return the groups after merging the two most similar ones, again and again, while they exceed ``limit``.

    Parameters
    ----------
    unit : ndarray of shape (n, d)
        Unit vectors.
    number : ndarray of shape (n,), int64
        The group of each text, -1 for none.
    limit : float
        Cosine similarity of two means.

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
    """Return the mean of each group as a unit vector, shape (groups, d)."""
    sums = np.zeros((number.max() + 1, unit.shape[1]))
    np.add.at(sums, number[number >= 0], unit[number >= 0])
    return np.asarray(unit_rows(sums))


def _group(rows: Ints, unit: Floats, none_belief: Floats) -> Group:
    (mean,) = unit_rows(unit[rows].mean(axis=0, keepdims=True))
    order = np.argsort(-(unit[rows] @ mean), kind="stable")
    return Group(rows[order], mean, float(none_belief[rows].mean()))


def telling_words(groups: Sequence[Ints], texts: Sequence[str], count: int) -> list[tuple[str, ...]]:
    """Return the words and word pairs that distinguish each group from all texts, most distinctive first.

    The score is the mean TF-IDF in the group minus the mean over all texts. A pair that shares a word with an earlier
    one is left out.

    Parameters
    ----------
    groups : sequence of ndarray, int64
        Indices of ``texts``.
    texts : sequence of str
        All texts.
    count : int
        Most words of each group.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415  scikit-learn takes a second to import

    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, max_features=MOST_WORDS, token_pattern=r"(?u)\b[^\W\d_]\w+\b"
    )
    try:
        weights = vectorizer.fit_transform([text[:CHARACTERS_READ] for text in texts])
    except ValueError:  # no text has a word
        return [()] * len(groups)
    words, everywhere = vectorizer.get_feature_names_out(), np.asarray(weights.mean(axis=0)).ravel()
    distinctive = []
    for rows in groups:
        excess = np.asarray(weights[rows].mean(axis=0)).ravel() - everywhere
        distinctive.append(
            _first_apart(
                [str(words[column]) for column in np.argsort(-excess, kind="stable") if excess[column] > 0], count
            )
        )
    return distinctive


def _first_apart(words: Sequence[str], count: int) -> tuple[str, ...]:
    """Return the first ``count`` entries that share no word with an earlier one."""
    taken: list[str] = []
    for word in words:
        if len(taken) == count:
            break
        if not any(set(word.split()) & set(other.split()) for other in taken):
            taken.append(word)
    return tuple(taken)
