"""How accurate the labels will be after more answers: what it takes to reach a goal.

The forecast takes the beliefs at their word. A judge's answers are simulated: the true label of each text is drawn from
its belief, the judge answers by its measured rates, and questions are chosen as a round chooses them. A person's
answers need no simulation: each settles one text.

Answers about some texts also teach the classifiers about the others. The error that is left falls with the number of
training rows as a power law (Hestness et al. 2017, arXiv:1712.00409); its exponent is measured on earlier rounds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from red_core.records import Booleans, Floats, Ints
from red_core.steps.belief import Candidates, beliefs
from red_core.steps.informative import AnswerChances, best_pairs

FEWEST_AT_ONCE, SHARE_AT_ONCE = 20, 0.01
"""Questions of one step of the simulation: a share of the texts, and at least so many."""


@dataclass(frozen=True)
class Curve:
    """A forecast: the accuracy after a number of answers.

    Attributes
    ----------
    answers : ndarray of shape (m,), int64
        Ascending, from 0.
    accuracy : ndarray of shape (m,), float64
        The expected share of texts whose label is right, in [0, 1].
    taught : ndarray of shape (m,), int64
        Texts that these answers add to the training data.
    """

    answers: Ints
    accuracy: Floats
    taught: Ints

    def needed(self, target: float) -> float | None:
        """Return the answers after which the accuracy is at least ``target``; None if it never is."""
        reached = np.flatnonzero(self.accuracy >= target)
        if not len(reached):
            return None
        last = int(reached[0])
        if last == 0:
            return 0.0
        low, high = self.accuracy[last - 1], self.accuracy[last]
        share = (target - low) / (high - low)
        return float(self.answers[last - 1] + share * (self.answers[last] - self.answers[last - 1]))


def after_decisions(belief: Floats, open_rows: Ints, analyst_right: float, points: int = 100) -> Curve:
    """Return the forecast for a person who decides the most uncertain texts first.

    Parameters
    ----------
    belief : ndarray of shape (n,)
        Belief in each text's label.
    open_rows : ndarray of int64
        The texts that are not decided yet.
    analyst_right : float
        How often a decision is right, in (0, 1].
    points : int
        Most points of the curve.
    """
    gains = np.sort(analyst_right - belief[open_rows])[::-1]
    gains = gains[gains > 0.0]
    answers = np.unique(np.linspace(0, len(gains), min(points, len(gains) + 1)).round().astype(np.int64))
    total = np.concatenate([[0.0], np.cumsum(gains)])
    return Curve(answers, belief.mean() + total[answers] / max(1, len(belief)), answers)


# A step takes its arrays and settings by name.
def after_verdicts(
    kept: Candidates,
    askable: Ints,
    asked: Booleans,
    chances: AnswerChances,
    *,
    least_gain: float,
    sure: float,
    random_state: int,
) -> tuple[Curve, Candidates]:
    """Simulate a judge until no question is worth it; return the forecast, and the candidates at its end.

    Parameters
    ----------
    kept : Candidates
        Now, with all evidence.
    askable : ndarray of int64
        The rows that may be asked about.
    asked : ndarray of shape (n, M), bool
        The candidates that were asked about.
    chances : AnswerChances
        Of the judge's answers; none is 0.
    least_gain : float
        The smallest gain that is worth a question.
    sure : float
        Belief from which a text joins the training data.
    """
    rng = np.random.default_rng(random_state)
    kept, asked = replace(kept, logits=kept.logits.copy()), asked.copy()
    belief = beliefs(kept)
    truth = (belief.cumsum(axis=1) < rng.random((len(belief), 1))).sum(axis=1)  # M: none of these, M + 1: another label
    right, wrong = chances.right, chances.wrong
    evidence = np.log(right) - np.log(wrong)
    at_once = max(FEWEST_AT_ONCE, round(SHARE_AT_ONCE * len(askable)))
    touched = np.zeros(len(belief), dtype=np.bool_)
    best = _best(belief)
    answers, accuracy, taught = [0], [float(best.mean())], [0]
    gains, columns = np.full(len(belief), -np.inf), np.zeros(len(belief), dtype=np.int64)
    rows = askable
    while True:
        pairs = best_pairs(kept, rows, asked, chances)  # an answer changes its own text only
        gains[rows] = -np.inf
        gains[pairs.rows], columns[pairs.rows] = pairs.gains, pairs.columns
        rows = np.argsort(-gains, kind="stable")[:at_once]
        rows = rows[gains[rows] >= least_gain]
        if not len(rows):
            return Curve(np.array(answers), np.array(accuracy), np.array(taught)), kept
        shares = np.where((truth[rows] == columns[rows])[:, None], right, wrong)
        outcome = (shares.cumsum(axis=1) < rng.random((len(rows), 1))).sum(axis=1).clip(max=len(right) - 1)
        kept.logits[rows, columns[rows]] += evidence[outcome]
        asked[rows, columns[rows]] = True
        touched[rows] = True
        best[rows] = _best(beliefs(kept.only(rows)))
        answers.append(answers[-1] + len(rows))
        accuracy.append(float(best.mean()))
        taught.append(int((touched & (best >= sure)).sum()))


def with_learning(curve: Curve, training_rows: int, exponent: float) -> Curve:
    """Return the curve with what the classifiers learn from the answers about the other texts.

    Parameters
    ----------
    training_rows : int
        Rows of the training data now.
    exponent : float, at least 0
        The error falls with the training rows to this power.
    """
    shrinks = (training_rows / (training_rows + curve.taught)) ** exponent
    return replace(curve, accuracy=1.0 - (1.0 - curve.accuracy) * shrinks)


PRIOR_EXPONENT, PRIOR_WEIGHT = 0.15, 1.0
"""How fast classifiers learn before it was measured, and the weight of this value: as of a doubled training set."""


def learning_exponent(training_rows: Ints, errors: Floats) -> float:
    """Return the exponent by which the error falls with the training rows, fitted to earlier rounds.

    It is a least-squares slope of log errors over log rows through the first round, drawn towards PRIOR_EXPONENT.

    Parameters
    ----------
    training_rows : ndarray of shape (r,), at least 1
        Rows of the training data of each round, oldest first.
    errors : ndarray of shape (r,), in [0, 1]
        Expected error of the classifiers alone in each round.

    Returns
    -------
    float, at least 0
    """
    rows, fall = np.log(training_rows / training_rows[0]), -np.log(np.maximum(errors, 1e-4) / max(errors[0], 1e-4))
    weight = PRIOR_WEIGHT * np.log(2.0) ** 2
    return max(0.0, float((rows @ fall + weight * PRIOR_EXPONENT) / (rows @ rows + weight)))


def thinned(curve: Curve, points: int) -> Curve:
    """Return at most so many points of a curve, the first and the last among them."""
    chosen = np.unique(np.linspace(0, len(curve.answers) - 1, points).round().astype(np.int64))
    return Curve(curve.answers[chosen], curve.accuracy[chosen], curve.taught[chosen])


def _best(belief: Floats) -> Floats:
    """Return the belief in each text's label; the remainder is many labels, never one."""
    return np.asarray(belief[:, :-1].max(axis=1))
