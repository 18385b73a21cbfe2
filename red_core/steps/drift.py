"""Do the newest texts of a label look like its earlier ones? Five tests a label, Benjamini-Hochberg over labels.

What is counted (its share of the import, of uncertain texts, of none of these) has a permutation distribution in closed
form, the hypergeometric. The distance between means and the spread are permuted. One test for each, not one of a
combined number: the smallest p-value names the reason, and an exact tail needs no million permutations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control, hypergeom

from red_core.records import Booleans, Floats, Ints

STATISTICS = ("share", "uncertain", "none", "distance", "spread")
"""The columns of ``Drift.p_values``."""
FEWEST_TEXTS = 10
"""Texts in both imports together under which nothing can be told of a label."""
FEWEST_OF_EACH, MOST_OF_EACH = 5, 500
"""Texts of a label in each import under which means and spreads are not compared, and of which a sample is: a change
that does not show in so many is nothing to act on."""
EXCEEDANCES = 10
"""Permutations at least as extreme after which no more are drawn (Besag and Clifford, 1991)."""
FIRST_PERMUTATIONS = 500
"""Permutations at most before it is known how many labels need more."""
FALSE_DISCOVERIES = 0.05
"""The q under which a label counts as drifted: the expected share of such labels that did not drift."""
SLACK = 4
"""Permutations drawn, in multiples of the fewest that can reach that q."""
ENTRIES_AT_ONCE = 2_000_000
ROUNDING = 1e-9


@dataclass(frozen=True)
class Assigned:
    """Texts of two imports as the classifiers assign them; n texts.

    Attributes
    ----------
    labels : ndarray of shape (n,), int64, in [0, L)
        The best label of each text, of one that is none of these as well.
    newer : ndarray of shape (n,), bool
        It comes with the newest import.
    none, uncertain : ndarray of shape (n,), bool
        Its best outcome is none of these; its best belief is too low to be certain.
    vectors : ndarray of shape (n, d)
    """

    labels: Ints
    newer: Booleans
    none: Booleans
    uncertain: Booleans
    vectors: Floats


@dataclass(frozen=True)
class Drift:
    """What is known of each label; L labels. Columns of ``counts`` and its like: earlier, newest.

    Attributes
    ----------
    counts : ndarray of shape (L, 2), int64
        Texts with this label.
    uncertain, none : ndarray of shape (L, 2), int64
        Of those, the uncertain ones; and texts that are none of these, this label being the best.
    distance : ndarray of shape (L,)
        Between the means of both imports, in spreads; nan where it was not compared.
    spread : ndarray of shape (L, 2)
        The root mean square distance of the texts to their import's mean; nan where it was not compared.
    p_values : ndarray of shape (L, 5)
        One for each of STATISTICS, 1 where it was not tested.
    p : ndarray of shape (L,)
        The smallest of them times 5 (Bonferroni), at most 1; nan where a label has too few texts.
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

    Tested are, of a label, a smaller share of the import, and a greater share of uncertain texts and of none of these
    around it, a greater distance between means and a greater spread than come of dealing the texts at random. A label
    that only has more texts of the same kind has not drifted.
    """
    kept = ~assigned.none
    counts = _counts(assigned, kept, label_count)
    uncertain = _counts(assigned, kept & assigned.uncertain, label_count)
    none = _counts(assigned, assigned.none, label_count)
    p_values = np.ones((label_count, len(STATISTICS)))
    imports = np.array([(~assigned.newer).sum(), assigned.newer.sum()])
    p_values[:, 0] = share_p_values(counts, imports)
    p_values[:, 1] = more_p_values(uncertain, counts)
    p_values[:, 2] = more_p_values(none, counts + none)
    distance, spread = np.full(label_count, np.nan), np.full((label_count, 2), np.nan)
    walks = {}
    for label, own in enumerate(_rows_of_labels(assigned, kept, counts)):
        if min(counts[label]) >= FEWEST_OF_EACH:
            rows = _sample(own, assigned.newer, rng)
            walks[label] = Walk(assigned.vectors[rows], assigned.newer[rows])
            distance[label], spread[label] = walks[label].distance, walks[label].spread
    tested = counts.sum(axis=1) + none.sum(axis=1) >= FEWEST_TEXTS
    for label, found in permuted_p_values(walks, len(tested), rng).items():
        p_values[label, 3:] = found
    p, q = np.full(label_count, np.nan), np.full(label_count, np.nan)
    p[tested] = np.minimum(p_values[tested].min(axis=1) * len(STATISTICS), 1.0)
    if tested.any():
        q[tested] = false_discovery_control(p[tested])
    return Drift(counts, uncertain, none, distance, spread, p_values, p, q)


def share_p_values(counts: Ints, imports: Ints) -> Floats:
    """Return the exact p-value of each label having so few of the newest import's texts or fewer, shape (L,).

    Parameters
    ----------
    counts : ndarray of shape (L, 2), int64
        Texts with the label: earlier, newest.
    imports : ndarray of shape (2,), int64
        All texts.
    """
    return np.asarray(hypergeom(imports.sum(), counts.sum(axis=1), imports[1]).cdf(counts[:, 1]))


def more_p_values(marked: Ints, texts: Ints) -> Floats:
    """Return the exact p-value of each label's newest texts holding so many marked ones or more, shape (L,).

    Parameters
    ----------
    marked, texts : ndarray of shape (L, 2), int64
        Marked and all texts of each label: earlier, newest.
    """
    dealt = hypergeom(np.maximum(texts.sum(axis=1), 1), marked.sum(axis=1), texts[:, 1])  # of none, none is marked
    return np.asarray(dealt.sf(marked[:, 1] - 1))


class Walk:
    """The permutations of one label's texts so far, and how many were at least as extreme as what was seen.

    Attributes
    ----------
    distance : float
        Between the means, in spreads.
    spread : (float, float)
        Earlier, newest.
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
        """Both statistics were exceeded often enough."""
        return bool(self._stopped_at.all())

    @property
    def p_values(self) -> Floats:
        """Of distance and spread: exact, whenever it is asked (Besag and Clifford's sequential Monte Carlo test)."""
        running = (self._extreme + 1) / (self._drawn + 1)
        return np.asarray(np.where(self._stopped_at > 0, EXCEEDANCES / np.maximum(self._stopped_at, 1), running))

    def go_on(self, until: int, rng: np.random.Generator) -> None:
        """Draw permutations until there are so many, or enough were extreme."""
        while self._drawn < until and not self.stopped:
            most = max(1, ENTRIES_AT_ONCE // self._rows)
            count = min(until - self._drawn, most, max(10 * EXCEEDANCES, self._drawn))
            self._count(self._statistics(_deals(count, self._rows, self._new, rng)))

    def _statistics(self, dealt: Floats) -> Floats:
        """Return the squared distance of the means and the growth of the squared spread of each deal, shape (B, 2)."""
        sums = dealt @ self._columns
        new, old = self._new, self._rows - self._new
        squared = (sums[:, :-1] ** 2).sum(axis=1)
        newest = sums[:, -1] / new - squared / new**2
        earlier = (self._whole - sums[:, -1]) / old - squared / old**2
        return np.asarray(np.c_[squared * (1 / new + 1 / old) ** 2, newest - earlier])

    def _count(self, found: Floats) -> None:
        extreme = found >= self._seen - ROUNDING * max(self._whole / self._rows, 1e-300)
        for which in range(2):
            if not self._stopped_at[which]:
                so_far = self._extreme[which] + np.cumsum(extreme[:, which])
                self._extreme[which] = so_far[-1]
                if so_far[-1] >= EXCEEDANCES:
                    self._stopped_at[which] = self._drawn + 1 + int(np.argmax(so_far >= EXCEEDANCES))
        self._drawn += len(found)


def permuted_p_values(walks: dict[int, Walk], label_count: int, rng: np.random.Generator) -> dict[int, Floats]:
    """Return the p-values of distance and spread of each label.

    Most labels stop after a few permutations. Those that do not are the likely discoveries, and the more there are, the
    fewer permutations each of them needs to pass Benjamini and Hochberg's line: the work does not grow with them.
    """
    running, until = list(walks.values()), FIRST_PERMUTATIONS
    while running:
        for walk in running:
            walk.go_on(until, rng)
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


def _deals(count: int, rows: int, new: int, rng: np.random.Generator) -> Floats:
    """Return ``count`` random choices of ``new`` of the rows as 0 and 1, shape (count, rows)."""
    chosen = np.argpartition(rng.random((count, rows)), new - 1, axis=1)[:, :new]
    dealt = np.zeros((count, rows))
    np.put_along_axis(dealt, chosen, 1.0, axis=1)
    return dealt
