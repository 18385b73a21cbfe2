"""Article step 3: select the predictions that the judge is asked about (query strategies)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from red_core.records import Booleans, Floats, Ints
from red_core.steps.belief import Candidates, beliefs

if TYPE_CHECKING:
    from red_core.steps.pool_scoring import SubsetPredictions


RIVALS = "rivals"
"""The reason of a question that compares two labels."""


@dataclass(frozen=True)
class Questions:
    """Pairs of a text and a label to ask about, the most informative first.

    Attributes
    ----------
    rows, labels : ndarray of shape (q,), int64
    gains : ndarray of shape (q,), float32
        The score of the pair: normalised entropy, or expected gain in P(right), both in [0, 1].
    reasons : tuple of q str
        The rule that selected it.
    """

    rows: Ints
    labels: Ints
    gains: Floats
    reasons: tuple[str, ...]

    def only(self, indices: Ints) -> Questions:
        """Return the questions at these indices, in that order."""
        reasons = tuple(self.reasons[index] for index in indices.tolist())
        return Questions(self.rows[indices], self.labels[indices], self.gains[indices], reasons)


def most_uncertain(predictions: SubsetPredictions, per_subset: int, asked: set[tuple[int, int]]) -> Questions:
    """Return the ``per_subset`` texts of highest entropy of each classifier (entropy sampling, as in the article).

    Texts whose most probable class is noise are left out, and so are the pairs in ``asked``.
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
    questions = Questions(
        np.asarray(rows, dtype=np.int64),
        np.asarray(labels, dtype=np.int64),
        np.asarray(gains, dtype=np.float32),
        ("entropy",) * len(rows),
    )
    return questions.only(np.argsort(-questions.gains, kind="stable"))


def value_of_question(proposed: Floats, best_other: Floats, right: Floats, wrong: Floats) -> Floats:
    """Return the expected gain in P(right) of one verdict.

    It is the sum over outcomes o of max(p P(o | right), a P(o | wrong)), minus max(p, a): after the verdict the more
    probable of the two is taken. With the outcomes *valid* and *invalid* alone this is
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


@dataclass(frozen=True)
class AnswerChances:
    """How often somebody gives each answer.

    Attributes
    ----------
    right, wrong : ndarray of shape (K,)
        The chance of each answer for right and for wrong pairs; each sums to 1.
    rejects : ndarray of shape (K,), bool
        The answers that lead to a question about the text's next label.
    """

    right: Floats
    wrong: Floats
    rejects: Booleans


def value_with_follow_up(proposed: Floats, best_other: Floats, chances: AnswerChances) -> Floats:
    """Return the expected gain in P(right) per question if a rejection is followed by a question about the next label.

    One verdict alone cannot change a confident answer, so its gain is 0. A rejection and the answer to the next
    question can. The result is the sum of both gains divided by the expected number of questions. Where no answer
    rejects, it is the gain of one verdict.

    Parameters
    ----------
    proposed, best_other : ndarray of shape (n,)
        See :func:`value_of_question`.
    chances : AnswerChances

    Returns
    -------
    ndarray of shape (n,), in [0, 0.5]
    """
    right, wrong = chances.right, chances.wrong
    first = value_of_question(proposed, best_other, right, wrong)
    gains, questions = first.copy(), np.ones_like(first)
    for rejected in np.flatnonzero(chances.rejects):
        # Both beliefs after a rejection, not normalised: the gain is proportional to them.
        proposal, rival = proposed * right[rejected], best_other * wrong[rejected]
        second = value_of_question(rival, proposal, right, wrong)
        gains += second
        questions += np.where(second > 0.0, proposal + (1.0 - proposed) * wrong[rejected], 0.0)
    return np.asarray(np.maximum(first, gains / questions))


@dataclass(frozen=True)
class Comparisons:
    """Questions whether it is rather one label than another: what an answer says, its price, and which were asked.

    Attributes
    ----------
    label, rival, neither : ndarray of shape (K,)
        The chance of each answer if the label is right, if its rival is, and if neither is; each sums to 1.
    price : float
        The cost of such a question, in questions about one label.
    asked : set of (row, label, label)
        Those that were asked, the smaller label first.
    """

    label: Floats
    rival: Floats
    neither: Floats
    price: float
    asked: set[tuple[int, int, int]]

    def values(self, kept: Candidates, rows: Ints) -> tuple[Ints, Floats]:
        """Return the column of each row's most probable label, and the gain in P(right) for each unit of the price.

        The question is about that label and the second most probable one. One that was asked gains nothing, and so
        does a text with one label.
        """
        belief = beliefs(kept.only(rows))[:, :-1]  # without the remainder: it is many labels, never one answer
        count = belief.shape[1] - 1
        best = np.argsort(-belief[:, :count], axis=1, kind="stable")[:, :2]
        if count < 2 or not len(rows):
            return np.zeros(len(rows), dtype=np.int64), np.full(len(rows), -np.inf)
        two = np.take_along_axis(belief, best, axis=1)
        np.put_along_axis(belief, best, 0.0, axis=1)
        other = belief.max(axis=1)
        after = np.zeros(len(rows))
        for label, rival, neither in zip(self.label, self.rival, self.neither, strict=True):
            after += np.maximum(np.maximum(two[:, 0] * label, two[:, 1] * rival), other * neither)
        gains = np.maximum(after - np.maximum(two[:, 0], other), 0.0) / self.price
        labels = np.sort(np.take_along_axis(kept.labels[rows], best, axis=1), axis=1)
        place = {row: number for number, row in enumerate(rows.tolist())} if self.asked else {}
        for row, first, second in self.asked:
            if row in place and labels[place[row]].tolist() == [first, second]:
                gains[place[row]] = -np.inf
        return best[:, 0], gains


# Each parameter is one limit of the choice.
def most_valuable(
    kept: Candidates,
    askable: Ints,
    chances: AnswerChances | None,
    *,
    least_gain: float,
    most: int,
    asked: set[tuple[int, int]],
    comparisons: Comparisons | None = None,
) -> Questions:
    """Return the questions of highest expected gain, at most one per text, each at least ``least_gain``.

    The question about a text is about its best label that was not asked about yet. So a text whose first suggested
    label was rejected is asked about its next one. Where it gains more for its price, the question compares the two
    most probable labels; its reason is ``rivals``.

    Parameters
    ----------
    kept : Candidates
    askable : ndarray of int64
        The rows that may be asked about.
    chances : AnswerChances or None
        Of whoever answers; None if no question about one label is worth it.
    comparisons : Comparisons, optional
        By default no question compares.
    """
    unsaid = chances or AnswerChances(np.ones(1), np.ones(1), np.zeros(1, dtype=bool))
    pairs = best_pairs(kept, askable, asked_columns(kept.labels, asked), unsaid)
    columns, gains = pairs.columns, pairs.gains if chances is not None else np.full(len(pairs.rows), -np.inf)
    reasons = np.full(len(pairs.rows), "value", dtype=object)
    if comparisons is not None:
        first, compared = comparisons.values(kept, pairs.rows)
        better = compared > gains
        columns, gains = np.where(better, first, columns), np.where(better, compared, gains)
        reasons[better] = RIVALS
    order = np.argsort(-gains, kind="stable")[:most]
    order = order[gains[order] >= least_gain]
    rows = pairs.rows[order]
    return Questions(
        rows, kept.labels[rows, columns[order]], gains[order].astype(np.float32), tuple(reasons[order].tolist())
    )


def values_of(kept: Candidates, rows: Ints, labels: Ints, chances: AnswerChances) -> Floats:
    """Return the expected gain of asking about these pairs, shape (n,); a label outside the candidates gains nothing.

    Parameters
    ----------
    rows, labels : ndarray of shape (n,), int64
        Rows of ``kept``, and the label asked about in each.
    """
    belief = beliefs(kept.only(rows))[:, :-1]  # without the remainder: it is many labels, never one answer
    own = np.c_[kept.labels[rows] == labels[:, None], np.zeros(len(rows), dtype=bool)]
    proposed = np.where(own, belief, 0.0).sum(axis=1)
    best_other = np.where(own, 0.0, belief).max(axis=1, initial=0.0)
    return value_with_follow_up(proposed, best_other, chances)


@dataclass(frozen=True)
class Pairs:
    """The best pair of each text: its row, the column of its label among the candidates, and the expected gain."""

    rows: Ints
    columns: Ints
    gains: Floats


def best_pairs(kept: Candidates, askable: Ints, asked: Booleans, chances: AnswerChances) -> Pairs:
    """Return for each askable text its best candidate that was not asked about yet, with the gain of a question.

    Parameters
    ----------
    asked : ndarray of shape (n, M), bool
        The candidates that were asked about.
    chances : AnswerChances
        Of whoever answers.

    Returns
    -------
    Pairs
        Without the texts whose candidates were all asked about.
    """
    rows = askable[~asked[askable].all(axis=1)]
    columns = np.asarray(asked[rows].argmin(axis=1), dtype=np.int64)
    return Pairs(rows, columns, values_of(kept, rows, kept.labels[rows, columns], chances))


def asked_columns(labels: Ints, asked: set[tuple[int, int]]) -> Booleans:
    """Return which candidates are among the pairs (row, label) that were asked about, shape (n, M)."""
    mask = np.zeros(labels.shape, dtype=np.bool_)
    if asked:
        rows, asked_labels = np.array(sorted(asked), dtype=np.int64).T
        np.logical_or.at(mask, rows, labels[rows] == asked_labels[:, None])
    return mask
