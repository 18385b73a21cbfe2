from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from red_core.steps.belief import Calibration, Candidates, add_evidence, beliefs, candidates
from red_core.steps.informative import (
    AnswerChances,
    Questions,
    most_uncertain,
    most_valuable,
    value_of_question,
    value_with_follow_up,
    values_of,
)
from red_core.steps.pool_scoring import SubsetPredictions

RIGHT = np.array([0.9, 0.1])
WRONG = np.array([0.2, 0.8])
NO_FOLLOW_UP = AnswerChances(RIGHT, WRONG, np.array([False, False]))


def chances(right, wrong, *rejects: int) -> AnswerChances:
    return AnswerChances(right, wrong, np.isin(np.arange(len(right)), rejects))


seeds = st.integers(0, 2**32)


def pairs(questions):
    return list(zip(questions.rows.tolist(), questions.labels.tolist(), strict=True))


@given(seeds, st.integers(2, 6))
@settings(deadline=None)
def test_the_value_of_a_question_is_what_answering_after_each_outcome_gains(seed, outcome_count):
    rng = np.random.default_rng(seed)
    right, wrong = rng.dirichlet(np.ones(outcome_count)), rng.dirichlet(np.ones(outcome_count))
    proposed, other, _ = rng.dirichlet(np.ones(3), size=5).T

    found = value_of_question(proposed, other, right, wrong)

    for p, a, gain in zip(proposed, other, found, strict=True):
        # Enumerate the verdict and the truth: after each verdict, answer with whichever truth is likelier.
        right_in_the_end = 0.0
        for outcome in range(outcome_count):
            joint = {"proposed": p * right[outcome], "other": a * wrong[outcome]}
            right_in_the_end += joint[max(joint, key=joint.get)]
        assert gain == pytest.approx(max(right_in_the_end - max(p, a), 0.0), abs=1e-12)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_with_two_outcomes_the_value_is_the_known_formula(share, a_share, tpr, tnr):
    p, a = share, (1 - share) * a_share

    found = value_of_question(np.array([p]), np.array([a]), np.array([tpr, 1 - tpr]), np.array([1 - tnr, tnr]))

    formula = max(p * tpr, a * (1 - tnr)) + max(p * (1 - tpr), a * tnr) - max(p, a)
    assert found[0] == pytest.approx(formula, abs=1e-12)


@given(seeds, st.integers(2, 5))
@settings(deadline=None)
def test_the_value_lies_between_nothing_and_one_half(seed, outcome_count):
    rng = np.random.default_rng(seed)
    right, wrong = rng.dirichlet(np.ones(outcome_count)), rng.dirichlet(np.ones(outcome_count))
    proposed, other, _ = rng.dirichlet(np.full(3, 0.5), size=20).T

    found = value_of_question(proposed, other, right, wrong)

    assert (found >= 0).all()
    assert (found <= 0.5).all()


def test_a_perfect_judge_is_worth_the_belief_in_the_other_answer():
    found = value_of_question(np.array([0.6, 0.5]), np.array([0.3, 0.5]), np.array([1.0, 0.0]), np.array([0.0, 1.0]))

    assert found == pytest.approx([0.3, 0.5])


def test_a_judge_that_answers_at_random_is_worth_nothing():
    same = np.array([0.7, 0.3])

    assert value_of_question(np.array([0.5]), np.array([0.5]), same, same)[0] == pytest.approx(0.0)


def by_enumeration(kept, askable, right, wrong, least_gain, most, asked):
    """Every askable text, its best label not asked about, its gain; the best first."""
    belief = beliefs(kept)
    found = []
    for row in askable:
        open_labels = [n for n, label in enumerate(kept.labels[row].tolist()) if (row, label) not in asked]
        if not open_labels:
            continue
        place = open_labels[0]
        outcomes = [b for n, b in enumerate(belief[row, :-1]) if n != place]
        p, a = belief[row, place], max(outcomes)
        gain = sum(max(p * r, a * w) for r, w in zip(right, wrong, strict=True)) - max(p, a)
        if gain >= least_gain:
            found.append((gain, row, int(kept.labels[row, place])))
    return sorted(found, key=lambda item: -item[0])[:most]


@given(seeds, st.integers(0, 30), st.floats(0.001, 0.2), st.integers(2, 5))
@settings(deadline=None)
def test_the_most_valuable_questions_are_those_of_an_enumeration(seed, most, least_gain, keep):
    rng = np.random.default_rng(seed)
    kept = candidates(rng.normal(size=(25, 6)).astype(np.float32), Calibration(1.5, 0.5), keep)
    askable = np.flatnonzero(rng.random(25) < 0.7)
    asked = {(int(r), int(c)) for r, c in zip(rng.integers(25, size=40), rng.integers(6, size=40), strict=True)}

    found = most_valuable(kept, askable, NO_FOLLOW_UP, least_gain=least_gain, most=most, asked=asked)

    wanted = by_enumeration(kept, askable.tolist(), RIGHT, WRONG, least_gain, most, asked)
    assert pairs(found) == [(row, label) for _, row, label in wanted]
    assert found.gains == pytest.approx([gain for gain, _, _ in wanted], abs=1e-6)


def two_rivals(count=4):
    log_odds = np.tile(np.array([[2.0, 1.9, -5.0]], dtype=np.float32), (count, 1))
    return candidates(log_odds, Calibration(1.0, -5.0), 3)


def ask(kept, **changes):
    chosen = {"least_gain": 0.005, "most": 100, "asked": set()} | changes
    return most_valuable(kept, np.arange(len(kept.labels)), NO_FOLLOW_UP, **chosen)


def test_a_text_is_asked_about_once_at_most():
    found = ask(two_rivals())

    assert sorted(found.rows.tolist()) == [0, 1, 2, 3]


def test_a_text_whose_proposal_was_rejected_is_asked_about_its_next_label():
    kept = two_rivals(1)
    add_evidence(kept, 0, 0, -1.5)

    assert pairs(ask(kept, asked={(0, 0)})) == [(0, 1)]


def test_a_text_asked_about_all_its_candidates_is_left_alone():
    assert pairs(ask(two_rivals(1), asked={(0, 0), (0, 1), (0, 2)})) == []


def test_a_question_that_gains_exactly_the_least_gain_is_asked():
    kept = two_rivals(1)
    (belief,) = beliefs(kept)
    (gain,) = value_of_question(belief[:1], belief[1:2], RIGHT, WRONG)

    assert pairs(ask(kept, least_gain=gain)) == [(0, 0)]
    assert pairs(ask(kept, least_gain=np.nextafter(gain, 1.0))) == []


def test_texts_that_may_not_be_asked_about_are_left_alone():
    found = most_valuable(two_rivals(), np.array([2, 1]), NO_FOLLOW_UP, least_gain=0.005, most=100, asked=set())

    assert sorted(found.rows.tolist()) == [1, 2]


def test_a_sure_text_is_not_worth_a_question():
    kept = candidates(np.array([[9.0, -9.0, -9.0]], dtype=np.float32), Calibration(1.0, -9.0), 3)

    assert pairs(ask(kept)) == []


def test_none_of_these_is_an_answer_a_question_can_lead_to():
    kept = candidates(np.array([[2.0, -9.0, -9.0]], dtype=np.float32), Calibration(1.0, 2.0), 3)

    assert pairs(ask(kept)) == [(0, 0)]


def test_the_many_remaining_labels_are_never_one_answer():
    kept = Candidates(np.array([[0]]), np.array([[0.0]], dtype=np.float32), np.array([0.0], dtype=np.float32), -30.0)

    assert pairs(ask(kept)) == []


def test_valuable_questions_say_what_selected_them():
    assert set(ask(two_rivals()).reasons) == {"value"}


def test_without_askable_texts_there_are_no_questions():
    found = most_valuable(two_rivals(), np.zeros(0, dtype=np.int64), NO_FOLLOW_UP, least_gain=0.0, most=10, asked=set())

    assert pairs(found) == []


def some_predictions(seed, texts=20, subsets=3):
    """Subset k holds the labels 4k .. 4k + 3; -1 is noise."""
    rng = np.random.default_rng(seed)
    label = rng.integers(-1, 4, size=(texts, subsets))
    return SubsetPredictions(
        rng.random((texts, subsets)).astype(np.float32), np.where(label < 0, -1, label + 4 * np.arange(subsets))
    )


@given(seeds, st.integers(0, 8))
@settings(deadline=None)
def test_the_most_uncertain_texts_are_each_classifiers_k_of_highest_entropy(seed, k):
    predictions = some_predictions(seed)
    rng = np.random.default_rng(seed)
    asked = {(int(r), int(c)) for r, c in zip(rng.integers(20, size=60), rng.integers(12, size=60), strict=True)}

    found = most_uncertain(predictions, k, asked)

    wanted = set()
    for number in range(3):
        mine = [
            (float(predictions.entropy[row, number]), row, int(predictions.label[row, number]))
            for row in range(20)
            if predictions.label[row, number] != -1 and (row, int(predictions.label[row, number])) not in asked
        ]
        wanted |= {(row, label) for _, row, label in sorted(mine, reverse=True)[:k]}
    assert set(pairs(found)) == wanted
    assert len(pairs(found)) == len(wanted)


@given(seeds)
@settings(deadline=None)
def test_the_most_uncertain_come_first_whatever_their_classifier(seed):
    predictions = some_predictions(seed)

    found = most_uncertain(predictions, 5, set())

    assert found.gains.tolist() == sorted(found.gains.tolist(), reverse=True)
    assert found.gains.tolist() == [predictions.entropy[row, label // 4] for row, label in pairs(found)]


def test_noise_is_no_proposal():
    predictions = SubsetPredictions(np.array([[1.0], [0.2]], dtype=np.float32), np.array([[-1], [0]]))

    assert pairs(most_uncertain(predictions, 5, set())) == [(1, 0)]


def test_a_pair_asked_about_makes_room_for_the_next_uncertain_text():
    predictions = SubsetPredictions(np.array([[0.9], [0.8], [0.7]], dtype=np.float32), np.array([[0], [1], [0]]))

    assert pairs(most_uncertain(predictions, 1, {(0, 0)})) == [(1, 1)]


def test_uncertain_questions_say_what_selected_them():
    assert set(most_uncertain(some_predictions(0), 5, set()).reasons) == {"entropy"}


def test_questions_can_be_taken_in_another_order():
    questions = Questions(
        np.array([4, 5, 6]), np.array([0, 1, 2]), np.array([0.3, 0.2, 0.1], dtype=np.float32), ("a", "b", "c")
    )

    found = questions.only(np.array([2, 0]))

    assert pairs(found) == [(6, 2), (4, 0)]
    assert found.reasons == ("c", "a")
    assert found.gains == pytest.approx([0.1, 0.3])


@given(seeds)
def test_with_a_follow_up_the_gain_is_that_of_all_ways_it_can_go(seed):
    rng = np.random.default_rng(seed)
    right, wrong = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3))
    p, a, _ = rng.dirichlet(np.ones(3))

    found = value_with_follow_up(np.array([p]), np.array([a]), chances(right, wrong, 0))[0]

    def best(proposed, other):  # unnormalised
        return max(proposed, other)

    one = sum(best(p * right[o], a * wrong[o]) for o in range(3)) - best(p, a)
    rest_p, rest_a = p * right[0], a * wrong[0]
    two = sum(best(rest_a * right[o], rest_p * wrong[o]) for o in range(3)) - best(rest_a, rest_p)
    again = (p * right[0] + (1 - p) * wrong[0]) if two > 1e-15 else 0.0
    assert found == pytest.approx(max(one, (one + two) / (1 + again)), abs=1e-9)


def test_a_confident_answer_is_worth_a_second_look_where_one_verdict_could_not_change_it():
    proposed, other = np.array([0.95]), np.array([0.03])
    assert value_of_question(proposed, other, RIGHT, WRONG)[0] == 0.0
    assert value_with_follow_up(proposed, other, chances(RIGHT, WRONG, 1))[0] > 0.0


@given(st.floats(0, 1), st.floats(0, 1))
def test_looking_further_is_never_worth_less(share, a_share):
    proposed, other = np.array([share]), np.array([(1 - share) * a_share])
    assert (
        value_with_follow_up(proposed, other, chances(RIGHT, WRONG, 1))[0]
        >= value_of_question(proposed, other, RIGHT, WRONG)[0] - 1e-12
    )


def test_a_judge_who_says_nothing_is_worth_no_question_and_no_follow_up():
    same = np.array([0.5, 0.5])
    assert value_with_follow_up(np.array([0.6]), np.array([0.3]), chances(same, same, 1))[0] == pytest.approx(0.0)


@given(seeds, st.integers(3, 8))
def test_levels_that_reject_are_worth_what_one_rejecting_answer_is(seed, count):
    """A level split in two with the same ratio changes nothing: levels are answers."""
    rng = np.random.default_rng(seed)
    right, wrong = rng.dirichlet(np.ones(count)), rng.dirichlet(np.ones(count))
    p, a, _ = rng.dirichlet(np.ones(3))
    whole = value_with_follow_up(np.array([p]), np.array([a]), chances(right, wrong, 0))
    split = [np.r_[shares[0] / 2, shares[0] / 2, shares[1:]] for shares in (right, wrong)]
    # The answer to the follow-up is split too, so both second questions are worth half.
    parts = value_with_follow_up(np.array([p]), np.array([a]), chances(*split, 0, 1))
    assert parts[0] == pytest.approx(whole[0], abs=1e-9)


def test_the_value_of_a_pair_is_that_of_its_label_among_the_candidates():
    kept = two_rivals()
    rows, labels = np.arange(len(kept.labels)), kept.labels[:, 1]
    belief = beliefs(kept)
    expected = value_of_question(belief[:, 1], np.maximum(belief[:, 0], belief[:, 2]), RIGHT, WRONG)
    assert values_of(kept, rows, labels, NO_FOLLOW_UP) == pytest.approx(expected)
    assert values_of(kept, rows[:1], np.array([99]), NO_FOLLOW_UP)[0] == 0.0
