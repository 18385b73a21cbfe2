"""Article step 3: which predictions to put before the judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from red_core.records import Floats, Ints
from red_core.steps.belief import Candidates, beliefs

if TYPE_CHECKING:
    from red_core.steps.pool_scoring import SubsetPredictions


@dataclass(frozen=True)
class Questions:
    """Pairs to ask about, the most informative first.

    Attributes
    ----------
    rows, labels : ndarray of shape (q,), int64
    gains : ndarray of shape (q,), float32
        What selected the pair: normalised entropy, or expected gain in P(right), both in [0, 1].
    reasons : tuple of q str
        Which rule selected it.
    """

    rows: Ints
    labels: Ints
    gains: Floats
    reasons: tuple[str, ...]

    def only(self, places: Ints) -> Questions:
        """Return the questions at these places, in that order."""
        reasons = tuple(self.reasons[place] for place in places.tolist())
        return Questions(self.rows[places], self.labels[places], self.gains[places], reasons)


def most_uncertain(predictions: SubsetPredictions, per_subset: int, asked: set[tuple[int, int]]) -> Questions:
    """Take from each classifier its ``per_subset`` texts of highest entropy (the article's rule).

    A text whose most probable class is noise is no proposal. A pair in ``asked`` is not asked again.
    """
    rows: list[int] = []
    labels: list[int] = []
    gains: list[float] = []
    for number in range(predictions.label.shape[1]):
        order = np.argsort(-predictions.entropy[:, number], kind="stable")
        order = order[predictions.label[order, number] >= 0]
        fresh = (int(r) for r in order if (int(r), int(predictions.label[r, number])) not in asked)
        for row, _ in zip(fresh, range(per_subset), strict=False):
            rows.append(row)
            labels.append(int(predictions.label[row, number]))
            gains.append(float(predictions.entropy[row, number]))
    found = Questions(
        np.asarray(rows, dtype=np.int64),
        np.asarray(labels, dtype=np.int64),
        np.asarray(gains, dtype=np.float32),
        ("entropy",) * len(rows),
    )
    return found.only(np.argsort(-found.gains, kind="stable"))


def value_of_question(proposed: Floats, best_other: Floats, right: Floats, wrong: Floats) -> Floats:
    """Return the expected gain in P(right) of one verdict.

    sum over outcomes o of max(p P(o | right), a P(o | wrong)) - max(p, a): after each verdict one answers with the
    likelier of the two. With the outcomes *valid* and *invalid* alone this is
    max(p tpr, a (1-tnr)) + max(p (1-tpr), a tnr) - max(p, a).

    Parameters
    ----------
    proposed, best_other : ndarray of shape (n,)
        Belief in the proposed label, and in the best other outcome.
    right, wrong : ndarray of shape (K,)
        How often the judge gives each outcome to right and to wrong pairs; each sums to 1.

    Returns
    -------
    ndarray of shape (n,), in [0, 0.5]
    """
    after = np.maximum(np.outer(proposed, right), np.outer(best_other, wrong)).sum(axis=1)
    return np.asarray(np.maximum(after - np.maximum(proposed, best_other), 0.0))


def value_with_follow_up(proposed: Floats, best_other: Floats, right: Floats, wrong: Floats, rejected: int) -> Floats:
    """Return the expected gain in P(right) per question, where after a rejection the best other label may be asked.

    One verdict cannot change a confident answer, so its own gain is nothing; a rejection and the answer to the next
    question can. Both gains together, over the expected number of questions.

    Parameters
    ----------
    proposed, best_other, right, wrong
        See :func:`value_of_question`.
    rejected : int
        Which of the K outcomes opens the next question.

    Returns
    -------
    ndarray of shape (n,), in [0, 0.5]
    """
    first = value_of_question(proposed, best_other, right, wrong)
    # Not normalised: what is left of both beliefs when the proposal is rejected. The gain scales with them.
    kept, rival = proposed * right[rejected], best_other * wrong[rejected]
    second = value_of_question(rival, kept, right, wrong)
    again = np.where(second > 0.0, kept + (1.0 - proposed) * wrong[rejected], 0.0)
    return np.asarray(np.maximum(first, (first + second) / (1.0 + again)))


def most_valuable(
    kept: Candidates,
    askable: Ints,
    right: Floats,
    wrong: Floats,
    *,
    least_gain: float,
    most: int,
    asked: set[tuple[int, int]],
    rejected: int | None = None,
) -> Questions:
    """Take the questions whose verdict is worth most, at most one per text, while each gains ``least_gain``.

    For each text the question is about its best label that was not yet asked about, so that a text whose first
    proposal was rejected is asked about its next.

    Parameters
    ----------
    kept : Candidates
    askable : ndarray of int64
        The rows that may be asked about.
    right, wrong : ndarray of shape (K,)
        See :func:`value_of_question`.
    rejected : int, optional
        See :func:`value_with_follow_up`; None looks no further than one verdict.
    """
    place = _first_not_asked(kept.labels, asked)
    rows = askable[place[askable] >= 0]
    place = place[rows]
    belief = beliefs(kept)[rows]
    proposed = belief[np.arange(len(rows)), place]
    others = belief[:, :-1].copy()  # the remainder is many labels: it is never one answer
    others[np.arange(len(rows)), place] = 0.0
    best_other = others.max(axis=1, initial=0.0)
    if rejected is None:
        gains = value_of_question(proposed, best_other, right, wrong)
    else:
        gains = value_with_follow_up(proposed, best_other, right, wrong, rejected)
    order = np.argsort(-gains, kind="stable")[:most]
    order = order[gains[order] >= least_gain]
    return Questions(
        rows[order], kept.labels[rows[order], place[order]], gains[order].astype(np.float32), ("value",) * len(order)
    )


def _first_not_asked(labels: Ints, asked: set[tuple[int, int]]) -> Ints:
    """Return, per text, the place of its best candidate not yet asked about; -1 if all were."""
    place = np.zeros(len(labels), dtype=np.int64)
    of_row: dict[int, set[int]] = {}
    for row, label in asked:
        of_row.setdefault(row, set()).add(label)
    for row, gone in of_row.items():
        left = [i for i, label in enumerate(labels[row].tolist()) if label not in gone]
        place[row] = left[0] if left else -1
    return place
