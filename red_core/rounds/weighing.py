"""Add what a judge says to the beliefs. One judge's two answers about a label are not two witnesses."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from red_core.rounds.scoring import ScoredPool

Side = tuple[int, float]
"""A label, and what an answer adds to its logit."""


@dataclass
class Told:
    """What one judge said about one text.

    Attributes
    ----------
    about_one : dict of label to float
        What the answers to *is this label right?* add.
    compared : list of (Side, Side)
        What the answers to *rather this label than that?* add.
    """

    about_one: dict[int, float] = field(default_factory=dict)
    compared: list[tuple[Side, Side]] = field(default_factory=list)

    def sums(self, shares: tuple[float, float]) -> dict[int, float]:
        """Return what all answers add to each label; those of both forms about one label count by their shares."""
        sums: dict[int, float] = defaultdict(float)
        twice = self.about_one.keys() & {label for two in self.compared for label, _ in two}
        for label, ratio in self.about_one.items():
            sums[label] += ratio * (shares[0] if label in twice else 1.0)
        for two in self.compared:
            share = shares[1] if any(label in twice for label, _ in two) else 1.0
            for label, toward in two:
                sums[label] += share * toward
        return sums


class Weighing:
    """The answers of judges, and what they add to the beliefs in ``scored``.

    Parameters
    ----------
    shares : (float, float)
        See :class:`red_core.records.JudgeRates`. Those of the judge that is asked now count for earlier ones, too.
    """

    def __init__(self, scored: ScoredPool, shares: tuple[float, float]) -> None:
        self._scored, self._shares = scored, shares
        self._told: dict[tuple[str, int], Told] = defaultdict(Told)

    def add(self, judge: str, text: int, label: int, ratio: float) -> None:
        """Add an answer to *is this label right?*."""
        told = self._told[judge, text]
        before = told.sums(self._shares)
        told.about_one[label] = ratio
        self._move(text, before, told)

    def add_comparison(self, judge: str, text: int, label: Side, rival: Side) -> None:
        """Add an answer to *rather this label than that?*; the logits of all other labels stay."""
        told = self._told[judge, text]
        before = told.sums(self._shares)
        told.compared.append((label, rival))
        self._move(text, before, told)

    def _move(self, text: int, before: dict[int, float], told: Told) -> None:
        after = told.sums(self._shares)
        for label in after:
            self._scored.add(text, label, after[label] - before.get(label, 0.0))
