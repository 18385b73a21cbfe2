"""The plan: what it takes from here to the goal, for the analyst alone, for the judge alone, and for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from red_core.records import Booleans, Floats, JudgeRates, Project, Round
from red_core.review import summary
from red_core.rounds.accuracy import accuracy_now
from red_core.rounds.query_strategies import can_tell, judge_chances
from red_core.rounds.scoring import ScoredPool
from red_core.settings import Settings
from red_core.steps.belief import Candidates, beliefs
from red_core.steps.forecast import Curve, after_decisions, after_verdicts, learning_exponent, thinned, with_learning
from red_core.steps.judge_reliability import is_useful
from red_core.store.rounds import finished_rounds

TYPICAL_JUDGE = JudgeRates({"valid": 0.9, "invalid": 0.1}, {"valid": 0.1, "invalid": 0.9}, 0)
"""Assumed of an LLM judge before one was tested."""
POINTS = 40
"""Points stored of a curve."""
LESS_WRONG, MORE_WRONG = 0.6, 1.45
"""The band of an estimated accuracy, as factors of the odds that a label is wrong; set by trials (benchmarks/plan)."""


class Answers(NamedTuple):
    """Numbers of answers of the judge and of the analyst."""

    questions: float
    decisions: float


@dataclass(frozen=True)
class Way:
    """One way to the goal. ``None`` stands for a goal that this way does not reach.

    Attributes
    ----------
    needed : Answers or None
        What it takes from here.
    fewest, most : Answers or None
        The same if the estimated accuracy is as much too low, or too high, as its band allows.
    reaches : float
        The highest accuracy of the forecast, in [0, 1].
    curve : tuple of (questions, decisions, accuracy)
        The forecast from here.
    """

    needed: Answers | None
    fewest: Answers | None
    most: Answers | None
    reaches: float
    curve: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Plan:
    """What it takes to reach the goal.

    Attributes
    ----------
    goal : float
        The accuracy to reach, in (0, 1).
    now : float
        The estimated accuracy, decisions since the last round included.
    assumed : bool
        True if no LLM judge was tested, so that the judge is a typical one.
    you, judge, both : Way
        The analyst alone, the judge alone, and first the judge and then the analyst.
    """

    goal: float
    now: float
    assumed: bool
    you: Way
    judge: Way
    both: Way

    @property
    def reached(self) -> bool:
        """Whether the estimated accuracy has reached the goal."""
        return self.now >= self.goal

    @property
    def in_reach(self) -> bool:
        """Whether one of the ways reaches the goal."""
        return any(way.needed is not None for way in (self.you, self.judge, self.both))


def forecast_round(
    scored: ScoredPool, asked: Booleans, decided: Sequence[int], rates: JudgeRates | None, settings: Settings
) -> dict[str, Any]:
    """Return the forecasts from the end of a round, as they are stored with its metrics.

    Parameters
    ----------
    asked : ndarray of shape (n, M), bool
        The candidates that the judge is not asked about again.
    decided : sequence of int
        Texts that the analyst decided.
    rates : JudgeRates or None
        Of the LLM judge; None if none was tested.
    """
    fixed = np.isin(scored.texts, list(decided))
    open_rows = np.flatnonzero(~fixed)
    judge = rates or TYPICAL_JUDGE
    useless = not can_tell(judge, settings)  # such a judge is not asked
    if not useless and not is_useful(judge, settings.least_bits):  # it is only asked which of two labels is right
        judge = replace(judge, levels=judge.rival_levels)
    alone, after = after_verdicts(
        scored.kept, open_rows[:0] if useless else open_rows, asked, judge_chances(judge),
        least_gain=settings.least_gain, sure=settings.feed_back_belief, random_state=settings.random_state,
    )  # fmt: skip
    curves = {
        "you": after_decisions(_belief(scored.kept, fixed, settings), open_rows, settings.analyst_right),
        "judge": alone,
        "then_you": after_decisions(_belief(after, fixed, settings), open_rows, settings.analyst_right),
    }
    return {"assumed": rates is None, **{name: _stored(curve) for name, curve in curves.items()}}


def _belief(kept: Candidates, fixed: Booleans, settings: Settings) -> Floats:
    best = beliefs(kept)[:, :-1].max(axis=1)
    return np.asarray(np.where(fixed, np.maximum(best, settings.analyst_right), best))


def _stored(curve: Curve) -> dict[str, list[float]]:
    return {
        name: [round(float(n), 5) for n in values.tolist()] for name, values in asdict(thinned(curve, POINTS)).items()
    }


def plan(project: Project, now: float | None = None) -> Plan | None:
    """Return the plan from now; None before the first round, and after a round of an earlier version.

    Parameters
    ----------
    now : float, optional
        The estimated accuracy, if it is known; see :func:`red_core.rounds.accuracy.accuracy_now`.
    """
    done = finished_rounds(project)
    if not done or "forecast" not in done[-1].metrics:
        return None
    last, stored = done[-1], done[-1].metrics["forecast"]
    exponent = _exponent(done)
    rows = last.metrics["training_rows"]
    you, judge, then_you = (with_learning(_read(stored[name]), rows, exponent) for name in ("you", "judge", "then_you"))
    goal, now = summary(project).target, (accuracy_now(project)[0] or 0.0) if now is None else now
    return Plan(
        goal, now, bool(stored["assumed"]),
        _way(goal, now, [(you, "decisions")]),
        _way(goal, now, [(judge, "questions")]),
        _way(goal, now, [(judge, "questions"), (then_you, "decisions")]),
    )  # fmt: skip


def questions_needed(first: Round, target: float) -> tuple[float | None, float, float | None]:
    """Return the questions to the judge from the end of the first round to a target accuracy, and their band.

    None if it is out of reach.
    """
    metrics = first.metrics
    curve = with_learning(_read(metrics["forecast"]["judge"]), metrics["training_rows"], _exponent([first]))
    fewest, most = (curve.needed(_with_odds(target, 1.0 / factor)) for factor in (LESS_WRONG, MORE_WRONG))
    return curve.needed(target), fewest or 0.0, most


def band(accuracy: float) -> tuple[float, float]:
    """Return the range in which the true accuracy probably lies, for an estimated one; all in [0, 1]."""
    return _with_odds(accuracy, MORE_WRONG), _with_odds(accuracy, LESS_WRONG)


def _with_odds(accuracy: float, factor: float) -> float:
    """Return the accuracy whose odds of a wrong label are so many times those of this one."""
    return accuracy / (accuracy + factor * (1.0 - accuracy))


def _exponent(done: Sequence[Round]) -> float:
    """Return how fast the classifiers learn, from the errors of the classifiers alone in all rounds."""
    measured = [r.metrics for r in done if "training_rows" in r.metrics]
    return learning_exponent(
        np.array([m["training_rows"] for m in measured]), np.array([1.0 - m["expected_alone"] for m in measured])
    )


def _read(stored: Mapping[str, Sequence[float]]) -> Curve:
    return Curve(
        np.array(stored["answers"], dtype=np.int64), np.array(stored["accuracy"]),
        np.array(stored["taught"], dtype=np.int64),
    )  # fmt: skip


def _way(goal: float, now: float, parts: Sequence[tuple[Curve, str]]) -> Way:
    """Return a way that takes one kind of answers after the other, without the answers given since the round."""
    spent = dict.fromkeys(("questions", "decisions"), 0.0)
    points = [(0.0, 0.0, now)]
    for curve, kind in parts:
        given = curve.needed(points[-1][2])
        if given is None:
            continue
        for count, accuracy in zip(curve.answers.tolist(), curve.accuracy.tolist(), strict=True):
            if count > given:
                spent[kind] = count - given
                points.append((spent["questions"], spent["decisions"], accuracy))
    return Way(
        needed=_answers_to(goal, points),
        fewest=_answers_to(_with_odds(goal, 1.0 / LESS_WRONG), points),
        most=_answers_to(_with_odds(goal, 1.0 / MORE_WRONG), points),
        reaches=max(accuracy for _, _, accuracy in points),
        curve=tuple(points),
    )


def _answers_to(goal: float, points: Sequence[tuple[float, float, float]]) -> Answers | None:
    """Return the questions and the decisions to a goal, along the line through these points; None if out of reach."""
    if points[0][2] >= goal:
        return Answers(0.0, 0.0)
    for (questions, decisions, accuracy), after in pairwise(points):
        if after[2] >= goal:
            share = (goal - accuracy) / (after[2] - accuracy)
            return Answers(questions + share * (after[0] - questions), decisions + share * (after[1] - decisions))
    return None
