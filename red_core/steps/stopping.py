"""Article step 4: when another round teaches nothing. Every signal is a number; the recommendation is a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from red_core.records import Floats


@dataclass(frozen=True)
class RoundSignals:
    """What one round says about stopping.

    Attributes
    ----------
    uncertain : int
        Texts whose best belief is too low to be certain.
    information_gain : float or None
        Mean KL divergence, in nats per text, between this round's beliefs and the last one's; None in round 1.
    worth_asking : int
        Questions left whose expected gain reaches the setting; 0 says no question is worth its cost.
    asked, failed : int
        Questions put to the judge in the round, and those without an answer.
    complete : bool
        False if the round hit its cap of questions: it is never converged. (A cancelled round stays open.)
    """

    uncertain: int
    information_gain: float | None
    worth_asking: int
    asked: int
    failed: int
    complete: bool


@dataclass(frozen=True)
class Recommendation:
    """Whether to stop, and why, in a sentence for people."""

    stop: bool
    reason: str


def information_gain(before: Floats, after: Floats) -> Floats:
    """Return KL(after || before) of each row, in nats, at least 0 (the article's delta of information).

    Parameters
    ----------
    before, after : ndarray of shape (n, K), rows summing to 1
    """
    tiny = 1e-12
    ratio = np.log(np.maximum(after, tiny)) - np.log(np.maximum(before, tiny))
    return np.asarray(np.maximum((after * ratio).sum(axis=1), 0.0))


def past_inflection(uncertain: Sequence[int]) -> bool:
    """Tell whether the curve of uncertain texts has passed its inflection: twice in a row it fell less than before.

    At least four rounds are needed to see that; a later fall that is steeper again, or a rise, takes it back.
    """
    falls = -np.diff(np.asarray(uncertain, dtype=np.float64))
    for last in range(2, len(falls)):
        bent = falls[last - 2] > falls[last - 1] > falls[last] >= 0
        if bent and (falls[last:] >= 0).all() and (falls[last:] <= falls[last]).all():
            return True
    return False


def recommend(rounds: Sequence[RoundSignals], *, least_information: float) -> Recommendation:
    """Recommend another round or a stop from all signals.

    Parameters
    ----------
    rounds : sequence of RoundSignals, oldest first, at least one
    least_information : float
        The information gain, in nats per text, under which a round taught nothing.
    """
    last = rounds[-1]
    if last.failed and last.failed == last.asked:
        told = f"All {last.failed:,} questions failed: mend the judge, then run the round again."
        return Recommendation(False, told)
    if not last.complete:
        return Recommendation(
            False, "The last round used up its cap of questions, so it cannot tell whether asking more is worth it."
        )
    if last.failed:
        return Recommendation(
            False, f"{last.failed:,} of {last.asked:,} questions failed: run another round to ask them."
        )
    if not last.worth_asking:
        return Recommendation(True, "No question is worth its cost any more.")
    if last.information_gain is not None and last.information_gain < least_information:
        told = f"The last round changed the beliefs by {last.information_gain:.4f} nats per text, "
        told += f"under the floor of {least_information}: another by itself teaches nothing."
        more = f" {last.worth_asking:,} predictions are still worth an answer." if last.worth_asking else ""
        return Recommendation(True, told + more)
    if past_inflection([r.uncertain for r in rounds]):
        return Recommendation(
            True, "The count of uncertain texts falls more slowly each round: it is past its inflection."
        )
    worth = f"{last.worth_asking:,} predictions are still worth an answer"
    return Recommendation(False, f"{worth}: review them, feed back, and run another round.")
