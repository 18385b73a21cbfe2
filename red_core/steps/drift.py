"""Drift of labels between two imports: five tests for each label, Benjamini-Hochberg over the labels.

Three tests are about counts: the label's share of the import, its uncertain texts, and *none of these* around it. Their
permutation distribution is the hypergeometric, so they are exact. The distance of the means and the spread use random
permutations. The tests stay separate, because the smallest p-value names the reason of the drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from red_core.records import Booleans, Floats, Ints

STATISTICS = ("share", "uncertain", "none", "distance", "spread")
"""The columns of ``Drift.p_values``."""
FEWEST_TEXTS = 10
"""A label with fewer texts in both imports together is not tested."""
FEWEST_OF_EACH, MOST_OF_EACH = 5, 500
"""Means and spreads are compared if a label has at least FEWEST_OF_EACH texts in each import, on a random sample of at
most MOST_OF_EACH. A change that does not show in so many texts is too small to act on."""
EXCEEDANCES = 10
"""Draw no more permutations after this many were at least as extreme (Besag and Clifford, 1991)."""
FIRST_PERMUTATIONS = 500
"""Permutations in the first pass; after it, it is known how many labels need more."""
FALSE_DISCOVERIES = 0.05
"""A label with q below this counts as drifted: the expected share of false discoveries among them."""
SLACK = 4
"""Permutations to draw, as a multiple of the fewest that can reach that q."""
ENTRIES_AT_ONCE = 2_000_000
"""Most entries of the matrix of permutations drawn at once: 16 MB."""
ROUNDING = 1e-9
"""Differences below this are rounding errors, relative to the mean squared distance."""


@dataclass(frozen=True)
class Assigned:
    """Texts of two imports with the labels that the classifiers assign; n texts.

    Attributes
    ----------
    labels : ndarray of shape (n,), int64, in [0, L)
        The best label of each text, even if *none of these* is more probable.
    newer : ndarray of shape (n,), bool
        True for texts of the newest import.
    none, uncertain : ndarray of shape (n,), bool
        Its best outcome is *none of these*; its best belief is too low to be certain.
    vectors : ndarray of shape (n, d)
    """

    labels: Ints
    newer: Booleans
    none: Booleans
    uncertain: Booleans
    vectors: Floats


@dataclass(frozen=True)
class Drift:
    """The results for L labels. The columns of two-column arrays are: earlier, newest.

    Attributes
    ----------
    counts : ndarray of shape (L, 2), int64
        Texts with this label.
    uncertain, none : ndarray of shape (L, 2), int64
        Uncertain texts among them; texts that are *none of these* and have this best label.
    distance : ndarray of shape (L,)
        Distance between the means of both imports, in units of the spread; nan if not compared.
    spread : ndarray of shape (L, 2)
        Root mean square distance of the texts to their import's mean; nan if not compared.
    p_values : ndarray of shape (L, 5)
        One for each of STATISTICS, 1 if not tested.
    p : ndarray of shape (L,)
        The smallest of them times 5 (Bonferroni), at most 1; nan if a label has too few texts.
    q : ndarray of shape (L,)
        Benjamini-Hochberg adjusted over the labels that have enough texts; nan for the others.
    """

    counts: Ints
    uncertain: Ints
    none: Ints
    distance: Floats
    spread: Floats
    p_values: Floats
    p: Floats
    q: Floats


def drift_of_labels(assigned: Assigned, label_count: int, rng: np.random.Generator) -> Drift:
    """Compare the newest import with the earlier ones, label by label.

    A label drifted if it has a smaller share of the import, more uncertain texts, more *none of these* around it, a
    greater distance between the means, or a greater spread than a random split of its texts would have. A label that
    only has more texts of the same kind has not drifted.
    """
    labelled = ~assigned.none
    counts = _counts(assigned, labelled, label_count)
    uncertain = _counts(assigned, labelled & assigned.uncertain, label_count)
    none = _counts(assigned, assigned.none, label_count)
    p_values = np.ones((label_count, len(STATISTICS)))
    imports = np.array([(~assigned.newer).sum(), assigned.newer.sum()])
    p_values[:, 0] = share_p_values(counts, imports)
    p_values[:, 1] = more_p_values(uncertain, counts)
    p_values[:, 2] = more_p_values(none, counts + none)
    distance, spread = np.full(label_count, np.nan), np.full((label_count, 2), np.nan)
    walks = {}
    for label, all_rows in enumerate(_rows_of_labels(assigned, labelled, counts)):
        if min(counts[label]) >= FEWEST_OF_EACH:
            rows = _sample(all_rows, assigned.newer, rng)
            walks[label] = Walk(assigned.vectors[rows], assigned.newer[rows])
            distance[label], spread[label] = walks[label].distance, walks[label].spread
    tested = counts.sum(axis=1) + none.sum(axis=1) >= FEWEST_TEXTS
    for label, pair in permuted_p_values(walks, len(tested), rng).items():
        p_values[label, 3:] = pair
    p, q = np.full(label_count, np.nan), np.full(label_count, np.nan)
    p[tested] = np.minimum(p_values[tested].min(axis=1) * len(STATISTICS), 1.0)
    if tested.any():
        from scipy.stats import false_discovery_control  # noqa: PLC0415  scipy.stats takes half a second to import

        q[tested] = false_discovery_control(p[tested])
    return Drift(counts, uncertain, none, distance, spread, p_values, p, q)


def share_p_values(counts: Ints, imports: Ints) -> Floats:
    """Return the exact p-value that a label has this few texts of the newest import or fewer, shape (L,).

    Parameters
    ----------
    counts : ndarray of shape (L, 2), int64
        Texts with the label: earlier, newest.
    imports : ndarray of shape (2,), int64
        Texts of each import.
    """
    from scipy.stats import hypergeom  # noqa: PLC0415  scipy.stats takes half a second to import

    return np.asarray(hypergeom(imports.sum(), counts.sum(axis=1), imports[1]).cdf(counts[:, 1]))


def more_p_values(marked: Ints, texts: Ints) -> Floats:
    """Return the exact p-value that a label's newest texts have this many marked ones or more, shape (L,).

    Parameters
    ----------
    marked, texts : ndarray of shape (L, 2), int64
        Marked and all texts of each label: earlier, newest.
    """
    from scipy.stats import hypergeom  # noqa: PLC0415  scipy.stats takes half a second to import

    draw = hypergeom(np.maximum(texts.sum(axis=1), 1), marked.sum(axis=1), texts[:, 1])  # at least 1, for empty labels
    return np.asarray(draw.sf(marked[:, 1] - 1))


class Walk:
    """The permutations of one label's texts so far, and how many were at least as extreme as the real split.

    Attributes
    ----------
    distance : float
        Distance between the means, in units of the spread.
    spread : (float, float)
        Spread of the earlier and of the newest texts.
    """

    def __init__(self, vectors: Floats, newer: Booleans) -> None:
        centred = vectors - vectors.mean(axis=0, dtype=np.float64)
        self._new, self._rows = int(newer.sum()), len(newer)
        self._columns = np.c_[centred, (centred**2).sum(axis=1)]
        self._whole = float(self._columns[:, -1].sum())
        self._seen = self._statistics(newer[None, :].astype(np.float64))[0]
        self._drawn, self._extreme = 0, np.zeros(2, dtype=np.int64)
        self._stopped_at = np.zeros(2, dtype=np.int64)
        earlier, newest = (vectors[~newer].astype(np.float64), vectors[newer].astype(np.float64))
        self.spread = (float(np.sqrt(earlier.var(axis=0).sum())), float(np.sqrt(newest.var(axis=0).sum())))
        within = (len(earlier) * self.spread[0] ** 2 + len(newest) * self.spread[1] ** 2) / self._rows
        between = np.linalg.norm(newest.mean(axis=0) - earlier.mean(axis=0))
        self.distance = float(between / np.sqrt(max(within, 1e-12)))

    @property
    def stopped(self) -> bool:
        """Whether both statistics were exceeded EXCEEDANCES times."""
        return bool(self._stopped_at.all())

    @property
    def p_values(self) -> Floats:
        """The p-values of distance and spread, exact after any number of permutations (Besag and Clifford, 1991)."""
        running = (self._extreme + 1) / (self._drawn + 1)
        return np.asarray(np.where(self._stopped_at > 0, EXCEEDANCES / np.maximum(self._stopped_at, 1), running))

    def draw_until(self, until: int, rng: np.random.Generator) -> None:
        """Draw permutations until there are ``until`` of them, or enough were extreme."""
        while self._drawn < until and not self.stopped:
            most = max(1, ENTRIES_AT_ONCE // self._rows)
            count = min(until - self._drawn, most, max(10 * EXCEEDANCES, self._drawn))
            self._count(self._statistics(_permutations(count, self._rows, self._new, rng)))

    def _statistics(self, chosen: Floats) -> Floats:
        """Return squared distance of the means and growth of the squared spread for B permutations, shape (B, 2)."""
        sums = chosen @ self._columns
        new, old = self._new, self._rows - self._new
        squared = (sums[:, :-1] ** 2).sum(axis=1)
        newest = sums[:, -1] / new - squared / new**2
        earlier = (self._whole - sums[:, -1]) / old - squared / old**2
        return np.asarray(np.c_[squared * (1 / new + 1 / old) ** 2, newest - earlier])

    def _count(self, statistics: Floats) -> None:
        extreme = statistics >= self._seen - ROUNDING * max(self._whole / self._rows, 1e-300)
        for which in range(2):
            if not self._stopped_at[which]:
                so_far = self._extreme[which] + np.cumsum(extreme[:, which])
                self._extreme[which] = so_far[-1]
                if so_far[-1] >= EXCEEDANCES:
                    self._stopped_at[which] = self._drawn + 1 + int(np.argmax(so_far >= EXCEEDANCES))
        self._drawn += len(statistics)


def permuted_p_values(walks: dict[int, Walk], label_count: int, rng: np.random.Generator) -> dict[int, Floats]:
    """Return the p-values of distance and spread of each label.

    Most labels stop after a few permutations. The others probably drifted. The more of them there are, the fewer
    permutations each one needs to pass the Benjamini-Hochberg threshold, so the total work stays about the same.
    """
    running, until = list(walks.values()), FIRST_PERMUTATIONS
    while running:
        for walk in running:
            walk.draw_until(until, rng)
        running = [walk for walk in running if not walk.stopped]
        needed = SLACK * len(STATISTICS) * label_count / (FALSE_DISCOVERIES * max(len(running), 1))
        if needed <= until:
            break
        until = int(np.ceil(needed))
    return {label: walk.p_values for label, walk in walks.items()}


def _counts(assigned: Assigned, rows: Booleans, label_count: int) -> Ints:
    sides = [
        np.bincount(assigned.labels[rows & side], minlength=label_count) for side in (~assigned.newer, assigned.newer)
    ]
    return np.stack(sides, axis=1).astype(np.int64)


def _rows_of_labels(assigned: Assigned, kept: Booleans, counts: Ints) -> list[Ints]:
    """Return the rows of the texts that have each label."""
    rows = np.flatnonzero(kept)
    ordered = rows[np.argsort(assigned.labels[rows], kind="stable")]
    return list(np.split(ordered, np.cumsum(counts.sum(axis=1))[:-1]))


def _sample(rows: Ints, newer: Booleans, rng: np.random.Generator) -> Ints:
    """Return at most MOST_OF_EACH rows of each import."""
    sides = (rows[~newer[rows]], rows[newer[rows]])
    return np.concatenate(
        [side if len(side) <= MOST_OF_EACH else rng.choice(side, MOST_OF_EACH, replace=False) for side in sides]
    )


def _permutations(count: int, rows: int, new: int, rng: np.random.Generator) -> Floats:
    """Return ``count`` random choices of ``new`` rows, as 0 and 1, shape (count, rows)."""
    chosen = np.argpartition(rng.random((count, rows)), new - 1, axis=1)[:, :new]
    is_newer = np.zeros((count, rows))
    np.put_along_axis(is_newer, chosen, 1.0, axis=1)
    return is_newer
