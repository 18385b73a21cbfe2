from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from red_core.records import JudgeRates
from red_core.steps.judge_reliability import judge_rates
from red_core.steps.stopping import RoundSignals, information_gain, past_inflection, recommend

FLOOR = 0.01
TEACHING = RoundSignals(uncertain=400, information_gain=0.2, worth_asking=50, asked=100, failed=0, complete=True)


def curve(uncertain, gains=None, worth=50):
    gains = gains if gains is not None else [None] + [0.2] * (len(uncertain) - 1)
    return [
        replace(TEACHING, uncertain=count, information_gain=gain, worth_asking=worth)
        for count, gain in zip(uncertain, gains, strict=True)
    ]


def advice(rounds):
    return recommend(rounds, least_information=FLOOR)


def stops_at(rounds):
    """The first round after which it says stop, counted from 1; None if it never does."""
    return next((n for n in range(1, len(rounds) + 1) if advice(rounds[:n]).stop), None)


def test_the_first_round_that_still_has_questions_is_not_the_last():
    assert not advice([replace(TEACHING, information_gain=None)]).stop


def test_a_converging_curve_stops_where_information_falls_under_the_floor():
    gains = [None, *(0.3 * 0.4**n for n in range(8))]
    uncertain = [1000 - 100 * n for n in range(9)]

    assert stops_at(curve(uncertain, gains)) == next(n for n, g in enumerate(gains, 1) if g and g < FLOOR)


def test_a_gain_that_reaches_the_floor_exactly_does_not_stop():
    assert not advice(curve([400, 300], [None, FLOOR])).stop


def test_a_round_that_taught_nothing_is_named_with_its_gain():
    assert "0.0031" in advice(curve([400, 399], [None, 0.0031])).reason


def test_an_oscillating_curve_never_stops():
    assert stops_at(curve([500, 300, 450, 280, 430, 290, 440, 300, 420, 310])) is None


def test_a_steady_fall_never_stops():
    assert stops_at(curve([1000, 900, 800, 700, 600, 500])) is None


def test_a_fall_that_slows_twice_in_a_row_stops():
    uncertain = [1000, 950, 800, 500, 330, 250, 215]  # falls of 50, 150, 300, then 170, 80, 35

    assert stops_at(curve(uncertain)) == 6


def test_the_reason_for_a_slowing_fall_names_the_inflection():
    assert "more slowly" in advice(curve([1000, 500, 300, 250])).reason


def test_no_question_worth_its_cost_stops():
    found = advice([replace(TEACHING, worth_asking=0)])

    assert found.stop
    assert "No further question" in found.reason


def test_without_a_stop_the_reason_names_the_next_step_and_no_number_that_the_desk_would_contradict():
    reason = advice([TEACHING]).reason
    assert "review the texts to decide" in reason
    assert not any(letter.isdigit() for letter in reason)


def test_a_round_whose_every_question_failed_is_never_converged():
    converged = curve([1000, 500, 300, 299], [None, 0.1, 0.1, 0.0001], worth=0)

    found = advice([*converged[:-1], replace(converged[-1], asked=7, failed=7)])

    assert not found.stop
    assert "All 7" in found.reason


def test_a_round_with_one_failed_question_is_never_converged():
    converged = curve([1000, 500, 300, 299], [None, 0.1, 0.1, 0.0001], worth=0)

    found = advice([*converged[:-1], replace(converged[-1], asked=7, failed=1)])

    assert not found.stop
    assert "1 of 7" in found.reason


def test_a_round_that_was_cancelled_or_hit_its_cap_is_never_converged():
    converged = curve([1000, 500, 300, 299], [None, 0.1, 0.1, 0.0001], worth=0)

    found = advice([*converged[:-1], replace(converged[-1], complete=False)])

    assert not found.stop
    assert "reached its limit of questions" in found.reason
    assert found.reason.endswith("Another round asks the rest.")  # beside "Review them", no second command


def test_where_every_question_failed_the_judge_is_to_blame_rather_than_the_cancellation():
    assert "Check the judge's connection" in advice([replace(TEACHING, asked=3, failed=3, complete=False)]).reason


def test_an_earlier_failed_round_does_not_hold_up_a_later_stop():
    failed = replace(TEACHING, asked=5, failed=5)

    assert advice([failed, replace(TEACHING, worth_asking=0)]).stop


def test_a_round_without_questions_is_no_failed_round():
    assert advice([replace(TEACHING, asked=0, failed=0, worth_asking=0)]).stop


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ({"valid": 20}, {"valid": 20}, "says valid to 100% of wrong ones"),
        ({"invalid": 20}, {"invalid": 20}, "says invalid to 100% of right ones"),
        ({"unsure": 15, "refused": 3, "valid": 2}, {"unsure": 20}, "says neither valid nor invalid to 95% of them"),
        ({"valid": 10, "invalid": 10}, {"valid": 11, "invalid": 9}, "says valid to 55% of wrong ones"),
        ({"valid": 9, "invalid": 11}, {"valid": 10, "invalid": 10}, "says invalid to 55% of right ones"),
    ],
)
def test_a_judge_that_cannot_tell_labels_apart_is_blamed_for_what_it_does(right, wrong, fault):
    found = advice([replace(TEACHING, useless=judge_rates(right, wrong))])

    assert found.reason == f"This model cannot tell these labels apart (it {fault}). 50 texts are worth your answer."
    assert not found.stop


def test_a_useless_judge_of_an_earlier_version_is_blamed_by_its_smoothed_rates():
    rates = JudgeRates({"valid": 0.02, "invalid": 0.9}, {"valid": 0.02, "invalid": 0.9}, 40, (0.0, 0.0))

    assert "says invalid to 90% of right ones" in advice([replace(TEACHING, useless=rates)]).reason


@given(
    st.lists(
        st.builds(
            RoundSignals,
            uncertain=st.integers(0, 1000),
            information_gain=st.none() | st.floats(0, 1),
            worth_asking=st.integers(0, 3),
            asked=st.integers(5, 9),
            failed=st.integers(0, 5),
            complete=st.booleans(),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_stop_is_only_ever_recommended_after_a_round_without_failure_that_ran_to_its_end(rounds):
    found = advice(rounds)

    assert not found.stop or (rounds[-1].complete and not rounds[-1].failed)
    assert found.reason.endswith(".")


@pytest.mark.parametrize(
    ("uncertain", "past"),
    [
        ([], False),
        ([900], False),
        ([900, 500, 400], False),  # three rounds show one bend only
        ([900, 500, 400, 350], True),
        ([900, 500, 400, 400], True),
        ([900, 500, 400, 410], False),  # a rise
        ([900, 850, 700, 400], False),  # falls ever faster
        ([900, 500, 400, 300], False),  # the fall no longer slows
        ([1000, 600, 200, 100], False),  # it fell as much as before, then less: one bend
        ([900, 500, 400, 350, 300], True),  # after two bends it falls on as slowly
        ([900, 800, 600, 550], False),  # one bend after a faster fall
        ([400, 400, 400, 400], False),
    ],
)
def test_the_inflection_is_passed_where_the_fall_slowed_twice(uncertain, past):
    assert past_inflection(uncertain) is past


@given(st.lists(st.integers(0, 10_000), min_size=4, max_size=12))
def test_a_rise_is_never_past_the_inflection(uncertain):
    assert not (past_inflection(uncertain) and uncertain[-1] > uncertain[-2])


def distributions(seed, rows, columns):
    return np.random.default_rng(seed).dirichlet(np.full(columns, 0.3), size=rows)


seeds = st.integers(0, 2**32)


@given(seeds, seeds, st.integers(1, 6), st.integers(2, 12))
@settings(deadline=None)
def test_information_gain_is_the_relative_entropy_of_each_row(seed, other, rows, columns):
    before, after = distributions(seed, rows, columns), distributions(other, rows, columns)
    before = np.maximum(before, 1e-9) / np.maximum(before, 1e-9).sum(axis=1, keepdims=True)

    assert information_gain(before, after) == pytest.approx(entropy(after, before, axis=1), abs=1e-6)


@given(seeds, seeds, st.integers(1, 6), st.integers(2, 12), st.sampled_from([np.float32, np.float64]))
@settings(deadline=None)
def test_information_gain_is_never_negative(seed, other, rows, columns, kind):
    before, after = distributions(seed, rows, columns).astype(kind), distributions(other, rows, columns).astype(kind)

    assert (information_gain(before, after) >= 0).all()


@given(seeds, st.integers(1, 6), st.integers(2, 12))
@settings(deadline=None)
def test_beliefs_that_did_not_change_gained_nothing(seed, rows, columns):
    beliefs = distributions(seed, rows, columns)

    assert (information_gain(beliefs, beliefs) == 0).all()


def test_information_gain_measures_from_the_older_beliefs():
    before, after = np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]])

    assert information_gain(before, after)[0] == pytest.approx(np.log(2))


def test_a_label_once_thought_impossible_gives_a_finite_gain():
    found = information_gain(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))

    assert np.isfinite(found).all()
    assert found[0] > 1
