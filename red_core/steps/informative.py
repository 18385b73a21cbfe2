"""Article step 3: select the predictions that the judge is asked about (query strategies)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from red_core.records import Booleans, Floats, Ints
from red_core.steps.belief import Candidates, beliefs

if TYPE_CHECKING:
    from red_core.steps.pool_scoring import SubsetPredictions


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


def value_with_follow_up(proposed: Floats, best_other: Floats, right: Floats, wrong: Floats, rejected: int) -> Floats:
    """Return the expected gain in P(right) per question if a rejection is followed by a question about the next label.

    One verdict alone cannot change a confident answer, so its gain is 0. A rejection and the answer to the next
    question can. The result is the sum of both gains divided by the expected number of questions.

    Parameters
    ----------
    proposed, best_other, right, wrong
        See :func:`value_of_question`.
    rejected : int
        The index of the outcome, among the K, that leads to the next question.

    Returns
    -------
    ndarray of shape (n,), in [0, 0.5]
    """
    first = value_of_question(proposed, best_other, right, wrong)
    # Both beliefs after a rejection, not normalised: the gain is proportional to them.
    proposal, rival = proposed * right[rejected], best_other * wrong[rejected]
    second = value_of_question(rival, proposal, right, wrong)
    again = np.where(second > 0.0, proposal + (1.0 - proposed) * wrong[rejected], 0.0)
    return np.asarray(np.maximum(first, (first + second) / (1.0 + again)))


# A step of the article takes its arrays and settings by name.
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
    """Return the questions of highest expected gain, at most one per text, each at least ``least_gain``.

    The question about a text is about its best label that was not asked about yet. So a text whose first suggested
    label was rejected is asked about its next one.

    Parameters
    ----------
    kept : Candidates
    askable : ndarray of int64
        The rows that may be asked about.
    right, wrong : ndarray of shape (K,)
        See :func:`value_of_question`.
    rejected : int, optional
        See :func:`value_with_follow_up`; None counts the gain of one verdict only.
    """
    pairs = best_pairs(kept, askable, asked_columns(kept.labels, asked), right, wrong, rejected)
    order = np.argsort(-pairs.gains, kind="stable")[:most]
    order = order[pairs.gains[order] >= least_gain]
    rows = pairs.rows[order]
    return Questions(
        rows, kept.labels[rows, pairs.columns[order]], pairs.gains[order].astype(np.float32), ("value",) * len(order)
    )


@dataclass(frozen=True)
class Pairs:
    """The best pair of each text: its row, the column of its label among the candidates, and the expected gain."""

    rows: Ints
    columns: Ints
    gains: Floats


# A step takes its arrays by name.
def best_pairs(
    kept: Candidates, askable: Ints, asked: Booleans, right: Floats, wrong: Floats, rejected: int | None
) -> Pairs:
    """Return for each askable text its best candidate that was not asked about yet, with the gain of a question.

    Parameters
    ----------
    asked : ndarray of shape (n, M), bool
        The candidates that were asked about.
    right, wrong, rejected
        See :func:`most_valuable`.

    Returns
    -------
    Pairs
        Without the texts whose candidates were all asked about.
    """
    rows = askable[~asked[askable].all(axis=1)]
    columns = np.asarray(asked[rows].argmin(axis=1), dtype=np.int64)
    belief = beliefs(kept.only(rows))
    each = np.arange(len(rows))
    proposed = belief[each, columns]
    others = belief[:, :-1].copy()  # without the remainder: it is many labels, never one answer
    others[each, columns] = 0.0
    best_other = others.max(axis=1, initial=0.0)
    if rejected is None:
        return Pairs(rows, columns, value_of_question(proposed, best_other, right, wrong))
    return Pairs(rows, columns, value_with_follow_up(proposed, best_other, right, wrong, rejected))


def asked_columns(labels: Ints, asked: set[tuple[int, int]]) -> Booleans:
    """Return which candidates are among the pairs (row, label) that were asked about, shape (n, M)."""
    mask = np.zeros(labels.shape, dtype=np.bool_)
    if asked:
        rows, asked_labels = np.array(sorted(asked), dtype=np.int64).T
        np.logical_or.at(mask, rows, labels[rows] == asked_labels[:, None])
    return mask
