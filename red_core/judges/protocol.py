"""What every judge is to the rest of the program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from red_core.judges.correction import Corrected
from red_core.records import Answer, Example, JudgeRates, Label, Question

Candidates = Sequence[tuple[Label, tuple[Example, ...]]]
Corrector = Callable[[Sequence[tuple[str, Candidates]]], Iterator[list[tuple[int, Corrected]]]]
"""Texts with their candidate labels to groups of (place, choice); see :mod:`red_core.judges.correction`."""


class Judge(Protocol):
    """Validates proposals; never classifies.

    Attributes
    ----------
    name : str
        The wire, stored with every verdict; ``evidence`` is the evidence check.
    free : bool
        It costs nothing to ask, so it is also asked to confirm what the classifiers are sure of.
    rates : JudgeRates
        Measured before the judge is trusted; they decide which questions are worth asking.
    """

    @property
    def name(self) -> str:
        """The wire."""
        ...

    @property
    def free(self) -> bool:
        """Whether asking costs nothing."""
        ...

    @property
    def rates(self) -> JudgeRates:
        """The measured rates."""
        ...

    def answers(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """Yield answers in groups as they come, each with its question's place in ``questions``.

        Each group is stored before the next is asked for, so that a crash loses nothing that was yielded.
        """
        ...
