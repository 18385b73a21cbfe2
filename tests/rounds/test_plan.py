from __future__ import annotations

import numpy as np
import pytest

from red_core.review.audits import set_target
from red_core.review.decisions import decide
from red_core.rounds.metrics import true_labels
from red_core.rounds.plan import LESS_WRONG, MORE_WRONG, band, plan
from red_core.rounds.run import run_round
from red_core.store.rounds import last_finished_round
from red_core.store.texts import pool
from tests.helpers.small_projects import FAST, reviewed_round


@pytest.fixture
def planned(project):
    run_round(project, FAST)
    set_target(project, 0.93)
    return project


def test_before_the_first_round_and_after_an_earlier_version_there_is_no_plan(project):
    assert plan(project) is None
    reviewed_round(project, dict.fromkeys(pool(project).tolist(), (1, 0.5)))  # its metrics have no forecast
    assert plan(project) is None


def test_the_plan_begins_at_the_estimate_of_the_round(planned):
    forecast, last = plan(planned), last_finished_round(planned)
    assert forecast.now == pytest.approx(last.metrics["expected_agreement"], abs=1e-3)
    assert (forecast.goal, forecast.assumed, forecast.reached) == (0.93, True, False)
    for way in (forecast.you, forecast.judge, forecast.both):
        assert way.curve[0] == (0.0, 0.0, forecast.now)
        counts = [questions + decisions for questions, decisions, _ in way.curve]
        assert counts == sorted(counts)
        assert way.reaches == max(accuracy for *_, accuracy in way.curve)
    assert all(questions == 0 for questions, *_ in forecast.you.curve)
    assert all(decisions == 0 for _, decisions, _ in forecast.judge.curve)
    assert forecast.both.reaches >= forecast.judge.reaches


def test_every_decision_shortens_the_way(planned):
    before = plan(planned)
    last = last_finished_round(planned)
    assert before.you.needed.decisions > 0
    for text, label in list(true_labels(planned).items())[:10]:
        decide(planned, text, "relabel", label=label)
    after = plan(planned)
    assert after.now > before.now
    assert after.you.needed.decisions < before.you.needed.decisions
    assert last_finished_round(planned).id == last.id


def test_a_goal_that_is_reached_takes_nothing_more_and_one_out_of_reach_says_how_far_it_goes(planned):
    set_target(planned, 0.5)
    forecast = plan(planned)
    assert forecast.reached
    assert forecast.you.needed == forecast.you.fewest == forecast.you.most == (0.0, 0.0)
    set_target(planned, 0.999)
    forecast = plan(planned)
    assert forecast.you.needed is None
    assert 0.9 < forecast.you.reaches < 0.999


def test_the_band_holds_the_estimate():
    assert band(0.9)[0] < 0.9 < band(0.9)[1] < 1.0
    assert band(0.0) == (0.0, 0.0)
    assert band(1.0) == (1.0, 1.0)
    assert band(0.5) == (pytest.approx(1 / (1 + MORE_WRONG)), pytest.approx(1 / (1 + LESS_WRONG)))


def test_the_band_of_a_forecast_is_what_it_takes_if_the_estimate_is_off(planned):
    for way in (plan(planned).you, plan(planned).both):
        assert sum(way.fewest) < sum(way.needed)
        assert way.most is None or sum(way.needed) < sum(way.most)
        low, high = (0.93 / (0.93 + 0.07 / factor) for factor in (LESS_WRONG, MORE_WRONG))
        for goal, answers in ((low, way.fewest), (0.93, way.needed), (high, way.most)):
            if answers not in {None, (0.0, 0.0)}:
                before, after = (np.array([sum(p[:2]) for p in way.curve]), [p[2] for p in way.curve])
                assert np.interp(sum(answers), before, after) == pytest.approx(goal, abs=1e-6)
