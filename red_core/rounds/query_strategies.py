"""Query strategies: which predictions the judge is asked about (article step 3).

To add one: write its function here, register it in ``STRATEGIES``, and add its name to ``Settings.selection``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from red_core.records import Ints, JudgeRates
from red_core.rounds.scoring import ScoredPool
from red_core.settings import Settings
from red_core.steps.belief import beliefs
from red_core.steps.informative import AnswerChances, Comparisons, Questions, most_uncertain, most_valuable
from red_core.steps.judge_reliability import compares_better, is_useful

Pairs = set[tuple[int, int]]
"""Pairs of (row in the pool, index of a label)."""


@dataclass(frozen=True)
class Query:
    """What a strategy chooses from.

    Attributes
    ----------
    scored : ScoredPool
    settings : Settings
    chances : AnswerChances or None
        Of whoever will answer; None if no question about one label is worth it.
    decided : ndarray of int64
        Row ids of texts whose label a person fixed; no question is about them.
    asked : set of (int, int)
        Pairs that must not be asked about.
    comparisons : Comparisons or None
        Questions which of two labels is right; None if none is worth it.
    """

    scored: ScoredPool
    settings: Settings
    chances: AnswerChances | None
    decided: Ints
    asked: Pairs
    comparisons: Comparisons | None = None

    @property
    def open_rows(self) -> Ints:
        """Rows of the pool that are not decided, ascending."""
        return np.flatnonzero(~np.isin(self.scored.texts, self.decided))


@dataclass(frozen=True)
class Strategy:
    """A way to choose questions.

    Attributes
    ----------
    choose : callable(query, most)
        Returns at most so many questions, the best first.
    needs_entropy : bool
        Whether the pool must be scored with the entropy of each classifier.
    once : bool
        Whether it chooses only once a round, not until nothing is left.
    """

    choose: Callable[[Query, int], Questions]
    needs_entropy: bool = False
    once: bool = False


def by_value(query: Query, most: int) -> Questions:
    """Choose the questions with the largest expected gain in P(right), while it is at least ``least_gain``."""
    return most_valuable(
        query.scored.kept,
        query.open_rows,
        query.chances,
        least_gain=query.settings.least_gain,
        most=most,
        asked=query.asked,
        comparisons=query.comparisons,
    )


def comparisons_worth_asking(
    rates: JudgeRates, settings: Settings, asked: set[tuple[int, int, int]]
) -> Comparisons | None:
    """Return the judge's comparisons; None if its self-test does not show that they are worth it.

    Parameters
    ----------
    asked : set of (row, label, label)
        Those that were asked, the smaller index first.
    """
    if settings.selection != "value" or not compares_better(rates, settings.least_bits):
        return None
    label, rival = np.array(rates.rival_levels).T
    neither = np.sqrt(label * rival)
    return Comparisons(label, rival, neither / neither.sum(), rates.rival_price, asked)


def can_tell(rates: JudgeRates, settings: Settings) -> bool:
    """Tell whether any question to the judge is worth asking."""
    return is_useful(rates, settings.least_bits) or comparisons_worth_asking(rates, settings, set()) is not None


def judge_chances(rates: JudgeRates) -> AnswerChances:
    """Return the chances of a judge's answers: of its levels if it gives probabilities, else of its outcomes."""
    if rates.levels:
        right, wrong = np.array(rates.levels).T
        return AnswerChances(right, wrong, right < wrong)
    kinds = sorted({*rates.right, *rates.wrong})
    right, wrong = (np.array([shares.get(kind, 0.0) for kind in kinds]) for shares in (rates.right, rates.wrong))
    return AnswerChances(right, wrong, np.array([kind == "invalid" for kind in kinds], dtype=bool))


def analyst_chances(settings: Settings) -> AnswerChances:
    """Return the chances of an analyst's two answers, valid and invalid; they are right with ``analyst_right``."""
    right = np.array([settings.analyst_right, 1 - settings.analyst_right])
    return AnswerChances(right, right[::-1].copy(), np.array([False, True]))


def by_entropy(query: Query, most: int) -> Questions:
    """Choose each classifier's k texts of highest normalised entropy, as the article does."""
    if query.scored.predictions is None:
        raise ValueError("selection by entropy needs the pool scored with entropy")
    chosen = most_uncertain(query.scored.predictions, query.settings.questions_per_subset, query.asked)
    return chosen.only(np.flatnonzero(np.isin(chosen.rows, query.open_rows))[:most])


def confirmations(query: Query, most: int) -> Questions:
    """Choose the best labels of texts that are sure enough to feed back, the least sure first."""
    belief, labels = beliefs(query.scored.kept)[:, 0], query.scored.kept.labels[:, 0]
    rows = query.open_rows[belief[query.open_rows] >= query.settings.confirmed_belief]
    rows = rows[np.argsort(belief[rows], kind="stable")]
    fresh = [row for row in rows.tolist() if (row, int(labels[row])) not in query.asked][:most]
    chosen = np.array(fresh, dtype=np.int64)
    return Questions(chosen, labels[chosen], np.zeros(len(chosen), dtype=np.float32), ("confirm",) * len(chosen))


STRATEGIES: Mapping[str, Strategy] = {
    "value": Strategy(by_value),
    "entropy": Strategy(by_entropy, needs_entropy=True, once=True),
}
"""The strategies by the name that ``Settings.selection`` gives them."""
