"""Article step 4: when to stop. Every signal is a number; the recommendation is a sentence for the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from red_core.records import Floats, JudgeRates


@dataclass(frozen=True)
class RoundSignals:
    """The signals of one round for the decision to stop.

    Attributes
    ----------
    uncertain : int
        Texts whose best belief is too low to be certain.
    information_gain : float or None
        Mean KL divergence, in nats per text, between this round's beliefs and the last one's; None in round 1.
    worth_asking : int
        Texts for which the analyst's answer is still worth the setting; what a judge's answer is worth does not count.
    asked, failed : int
        Questions that the judge was asked in the round, and those that failed.
    complete : bool
        False if the round was stopped, or reached its limit of questions; such a round has not converged.
    useless : JudgeRates or None
        How often the judge gave each answer, if it cannot tell right from wrong labels; else None.
    """

    uncertain: int
    information_gain: float | None
    worth_asking: int
    asked: int
    failed: int
    complete: bool
    useless: JudgeRates | None = None


@dataclass(frozen=True)
class Recommendation:
    """Whether to stop, and the reason as a sentence for the user."""

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
    """Return whether the curve of uncertain texts has passed its inflection: twice in a row it fell less than before.

    This needs at least four rounds. A later rise, or a fall that is steeper again, makes it False again.
    """
    falls = -np.diff(np.asarray(uncertain, dtype=np.float64))
    for last in range(2, len(falls)):
        bent = falls[last - 2] > falls[last - 1] > falls[last] >= 0
        if bent and (falls[last:] >= 0).all() and (falls[last:] <= falls[last]).all():
            return True
    return False


def recommend(rounds: Sequence[RoundSignals], *, least_information: float) -> Recommendation:
    """Return whether to stop or to run another round, from the signals of all rounds.

    Parameters
    ----------
    rounds : sequence of RoundSignals, oldest first, at least one
    least_information : float
        A round with less information gain, in nats per text, changed nothing.
    """
    last = rounds[-1]
    if last.failed and last.failed == last.asked:
        return Recommendation(
            False, f"All {last.failed:,} questions failed. Check the judge's connection, then run the round again."
        )
    if not last.complete:
        return Recommendation(
            False, "The last round was stopped, or reached its limit of questions. Another round asks the rest."
        )
    if last.failed:
        return Recommendation(
            False, f"{last.failed:,} of {last.asked:,} questions failed. Another round asks them again."
        )
    if last.useless is not None:
        return Recommendation(not last.worth_asking, useless_judge(last.useless, last.worth_asking))
    if not last.worth_asking:
        return Recommendation(True, "No further question would improve the labels enough.")
    if last.information_gain is not None and last.information_gain < least_information:
        return Recommendation(
            True,
            f"The last round hardly changed the labels (change {last.information_gain:.4f}, limit "
            f"{least_information}). Another round would not help. You can still review the texts to decide.",
        )
    if past_inflection([r.uncertain for r in rounds]):
        return Recommendation(
            True,
            "The number of uncertain texts falls more slowly in each round. Further rounds will help less and less.",
        )
    return Recommendation(
        False,
        "Your answers still help: review the texts to decide, feed back, and run another round.",
    )


def useless_judge(rates: JudgeRates, worth_asking: int | None) -> str:
    """Return the sentences about a judge that is not asked, because it cannot tell right from wrong labels.

    ``worth_asking`` is the number of texts that are worth the analyst's answer; None before the first round.
    """
    left = "It is not asked."
    if worth_asking is not None:
        left = f"{worth_asking:,} {'text is' if worth_asking == 1 else 'texts are'} worth your answer."
    return f"This model cannot tell these labels apart ({_fault(rates)}). {left}"


def _fault(rates: JudgeRates) -> str:
    """Return the mistake that a judge makes most: it accepts wrong labels, rejects right ones, or does not decide."""
    valid = rates.passes or _shares(rates, "valid")
    invalid = rates.rejects or _shares(rates, "invalid")
    undecided = 1.0 - (sum(valid) + sum(invalid)) / 2
    faults = [
        (valid[1], f"it says valid to {valid[1]:.0%} of wrong ones"),
        (invalid[0], f"it says invalid to {invalid[0]:.0%} of right ones"),
        (undecided, f"it says neither valid nor invalid to {undecided:.0%} of them"),
    ]
    return max(faults, key=lambda fault: fault[0])[1]


def _shares(rates: JudgeRates, outcome: str) -> tuple[float, float]:
    return rates.right.get(outcome, 0.0), rates.wrong.get(outcome, 0.0)
