"""What the rest of the program knows of a judge, and of what corrects after *invalid*."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from red_core.records import Answer, Attempt, Example, JudgeRates, Label, Question

Candidates = Sequence[tuple[Label, tuple[Example, ...]]]
"""Labels, each with its valid samples that are nearest to the text."""


class Judge(Protocol):
    """Validates suggested labels; never classifies.

    Attributes
    ----------
    name : str
        Stored with every verdict: the API and the model, or ``evidence`` for the similarity check.
    free : bool
        Whether a question costs nothing. Such a judge is also asked to confirm what the classifiers are sure of.
    rates : JudgeRates
        Measured before the judge is used; they decide which questions are worth asking.
    """

    @property
    def name(self) -> str:
        """The judge's name."""
        ...

    @property
    def free(self) -> bool:
        """Whether a question costs nothing."""
        ...

    @property
    def rates(self) -> JudgeRates:
        """The measured rates."""
        ...

    def answers(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """Yield answers in groups as they come, each with the index of its question.

        The caller stores each group before it asks for the next, so a crash loses nothing that was yielded.
        """
        ...


@dataclass(frozen=True)
class Correction:
    """The index of the chosen candidate; None where none fits or the reply could not be read."""

    chosen: int | None
    attempts: tuple[Attempt, ...]


class Corrector(Protocol):
    """Chooses the next suggestion for texts whose last suggested label was found invalid."""

    def corrections(self, items: Sequence[tuple[str, Candidates]]) -> Iterator[list[tuple[int, Correction]]]:
        """Yield groups of (index, correction) for texts with their candidates, at least one each."""
        ...
