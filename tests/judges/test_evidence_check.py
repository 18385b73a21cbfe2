from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from red_core.judges.evidence_check import (
    INVALID_UNDER,
    QUESTIONS_PER_GROUP,
    VALID_FROM,
    EvidenceCheck,
    fit_evidence_check,
    margins,
    outcome_of,
)
from red_core.records import JudgeRates, Label, Question
from red_core.training.samples import ValidSamples

LABEL_IDS = np.array([3, 7, 12, 40])  # ids are not places
RATES = JudgeRates({"valid": 1.0}, {"invalid": 1.0}, 1)


def units(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class World:
    """Texts around one centre per label. Text ids are 100 + row; the first rows are the valid samples."""

    def __init__(self, seed=0, *, labels=4, samples_each=6, others=200, spread=1.0, label_ids=LABEL_IDS):
        rng = np.random.default_rng(seed)
        self.truth = np.r_[np.repeat(np.arange(labels), samples_each), rng.integers(labels, size=others)]
        centres = rng.normal(size=(labels, 10))
        self.vectors = units(centres[self.truth] + spread * rng.normal(size=(len(self.truth), 10)))
        self.texts = 100 + np.arange(len(self.truth))
        self.count = labels * samples_each
        self.samples = ValidSamples(
            self.texts[: self.count],
            self.truth[: self.count],
            self.vectors[: self.count],
            tuple(f"text {text}" for text in self.texts[: self.count]),
            np.ones(self.count, dtype=bool),
            label_ids[:labels],
        )
        self.places = np.where(
            rng.random(len(self.truth)) < 0.6, self.truth, rng.integers(labels, size=len(self.truth))
        )
        self.right = self.places == self.truth

    def queries(self, texts):
        return self.vectors[texts - 100]

    def margin_by_hand(self, text, place):
        """The mean of the three nearest samples of the label, itself left out, less that of the best rival."""
        likeness = []
        for label in range(len(self.samples.label_ids)):
            own = sorted(
                (
                    float(self.vectors[text - 100].astype(float) @ self.vectors[other - 100].astype(float))
                    for other, of in zip(self.samples.texts, self.samples.labels, strict=True)
                    if of == label and other != text
                ),
                reverse=True,
            )[:3]
            likeness.append(sum(own) / len(own) if own else -1.0)
        return likeness[place] - max(v for label, v in enumerate(likeness) if label != place)

    def fitted(self, prior_logit=None, **changes):
        known = {"texts": self.texts, "label_index": self.places, "right": self.right} | changes
        prior = np.zeros(len(known["texts"])) if prior_logit is None else prior_logit
        return fit_evidence_check(self.samples, self.queries, prior_logit=prior, **known)

    def questions(self, rows):
        labels = [Label(int(i), f"label {i}") for i in self.samples.label_ids]
        return [
            Question(
                int(self.texts[row]), "text", labels[self.places[row]], labels[0], (), (), 0.5, 0.3, "value", 0.1
            )
            for row in rows
        ]  # fmt: skip

    def answers(self, check, rows):
        return dict(pair for group in check.answers(self.questions(rows)) for pair in group)


def check_with(world, **changes):
    chosen = {"slope": 20.0, "intercept": -1.0, "base": 0.5, "weight": 0.4, "rates": RATES} | changes
    return EvidenceCheck(world.samples, world.queries, **chosen)


@given(st.integers(0, 2**32), st.integers(2, 4), st.integers(1, 5))
@settings(deadline=None, max_examples=25)
def test_the_margin_is_the_nearness_to_the_label_less_that_to_its_best_rival(seed, labels, samples_each):
    world = World(seed, labels=labels, samples_each=samples_each, others=10)

    found = margins(world.samples, world.queries(world.texts), world.texts, world.places)

    by_hand = [world.margin_by_hand(text, place) for text, place in zip(world.texts, world.places, strict=True)]
    assert found == pytest.approx(by_hand, abs=1e-5)


def test_the_margin_of_a_text_that_is_a_sample_ignores_itself():
    world = World(labels=2, samples_each=1, others=0)

    found = margins(world.samples, world.queries(world.texts), world.texts, np.array([0, 1]))

    assert (found < 0).all()  # without itself each label has nothing to show


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=25)
def test_margins_lie_between_minus_two_and_two(seed):
    world = World(seed, others=30)

    found = margins(world.samples, world.queries(world.texts), world.texts, world.places)

    assert (np.abs(found) <= 2 + 1e-5).all()


def test_of_two_labels_one_margin_is_the_others_negative():
    world = World(labels=2, others=20)
    texts = world.texts[world.count :]

    one, other = (margins(world.samples, world.queries(texts), texts, np.full(20, place)) for place in (0, 1))

    assert one == pytest.approx(-other, abs=1e-6)


def test_samples_are_left_as_they_were():
    world = World()
    before = world.samples.vectors.copy()

    margins(world.samples, world.queries(world.texts), world.texts, world.places)

    assert (world.samples.vectors == before).all()


@given(st.floats(-8, 8), st.floats(-8, 8))
def test_the_outcome_follows_its_two_rules(ratio, base):
    found = outcome_of(ratio, base)

    if 1 / (1 + np.exp(-(base + ratio))) < INVALID_UNDER:
        assert found == "invalid"
    elif 1 / (1 + np.exp(-ratio)) >= VALID_FROM:
        assert found == "valid"
    else:
        assert found == "unsure"


def test_a_likely_proposal_that_the_margin_does_not_favour_is_unsure():
    assert outcome_of(0.0, 3.0) == "unsure"


def test_favour_that_does_not_outweigh_the_base_rate_is_invalid():
    assert outcome_of(1.0, -2.0) == "invalid"


def test_an_answer_is_made_of_the_margin_as_the_check_was_fitted():
    world = World()
    check = check_with(world)

    answer = world.answers(check, [50])[0]

    ratio = -1.0 + 20.0 * world.margin_by_hand(150, world.places[50])
    assert answer.p_valid == pytest.approx(expit(0.5 + ratio), abs=1e-4)
    assert answer.log_likelihood_ratio == pytest.approx(0.4 * np.clip(ratio, -6, 6), abs=1e-4)
    assert answer.outcome == outcome_of(ratio, 0.5)
    assert answer.raw == f"margin {world.margin_by_hand(150, world.places[50]):.4f}"


def test_evidence_is_cut_at_six_before_it_is_weighted():
    world = World()
    check = check_with(world, slope=1000.0, intercept=0.0, weight=0.5)

    found = [answer.log_likelihood_ratio for answer in world.answers(check, range(100)).values()]

    assert (min(found), max(found)) == (-3.0, 3.0)


def test_every_question_is_answered_once_in_its_place():
    world = World(others=2 * QUESTIONS_PER_GROUP)
    rows = np.random.default_rng(0).permutation(2 * QUESTIONS_PER_GROUP + 3).tolist()

    groups = list(check_with(world).answers(world.questions(rows)))

    places = [place for group in groups for place, _ in group]
    assert places == list(range(len(rows)))
    for place, answer in (pair for group in groups for pair in group):
        row = rows[place]
        assert answer.raw == f"margin {world.margin_by_hand(100 + row, world.places[row]):.4f}"


def test_answers_come_in_groups_so_that_a_crash_loses_little():
    world = World(others=2 * QUESTIONS_PER_GROUP)

    groups = list(check_with(world).answers(world.questions(range(2 * QUESTIONS_PER_GROUP + 3))))

    assert [len(group) for group in groups] == [QUESTIONS_PER_GROUP, QUESTIONS_PER_GROUP, 3]


def test_without_questions_there_are_no_answers():
    assert list(check_with(World()).answers([])) == []


def test_it_costs_nothing_and_says_what_it_is():
    check = check_with(World())

    assert check.free
    assert check.name == "evidence"


def test_the_fitted_probability_is_right_as_often_as_it_says():
    world = World(others=1500)
    check = world.fitted()

    answers = world.answers(check, range(len(world.texts)))

    p_valid = np.array([answers[row].p_valid for row in range(len(world.texts))])
    for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0)):
        chosen = (p_valid >= low) & (p_valid <= high)
        assert chosen.sum() > 50
        assert world.right[chosen].mean() == pytest.approx(p_valid[chosen].mean(), abs=0.12)


def test_the_base_is_the_logit_of_the_share_of_right_proposals():
    world = World()

    assert world.fitted().base == pytest.approx(logit((world.right.sum() + 1) / (len(world.right) + 2)))


def test_the_likelihood_ratio_does_not_count_the_base_rate():
    world = World(others=3000)
    few_right = np.flatnonzero(~world.right | (np.random.default_rng(1).random(len(world.right)) < 0.2))

    all_of_them = world.fitted()
    mostly_wrong = world.fitted(texts=world.texts[few_right], label_index=world.places[few_right],
                                right=world.right[few_right])  # fmt: skip

    assert all_of_them.base - mostly_wrong.base > 1
    assert mostly_wrong.slope == pytest.approx(all_of_them.slope, rel=0.15)
    assert mostly_wrong.intercept == pytest.approx(all_of_them.intercept, abs=0.4)


@given(st.integers(0, 2**32), st.sampled_from([0.0, 1.0, 2.0]))
@settings(deadline=None, max_examples=10)
def test_the_weight_is_the_likeliest_in_0_to_1(seed, noise):
    world = World(seed)
    found = np.array([world.margin_by_hand(t, p) for t, p in zip(world.texts, world.places, strict=True)])
    prior = 4 * found + noise * np.random.default_rng(seed).normal(size=len(found))
    check = world.fitted(prior_logit=prior)
    ratios = np.clip(check.intercept + check.slope * found, -6, 6)

    def likelihood(weight):
        p = expit(prior + weight * ratios)
        return np.log(np.where(world.right, p, 1 - p)).mean()

    assert 0.0 <= check.weight <= 1.0
    assert likelihood(check.weight) >= max(likelihood(w) for w in np.linspace(0, 1, 101)) - 1e-6


def test_what_the_classifiers_already_know_weighs_nothing():
    world = World()
    first = world.fitted()
    found = margins(world.samples, world.queries(world.texts), world.texts, world.places)

    check = world.fitted(prior_logit=first.base + first.intercept + first.slope * found)

    assert check.weight == pytest.approx(0.0, abs=0.05)


def test_where_the_classifiers_know_only_the_base_rate_the_check_weighs_fully():
    world = World()

    check = world.fitted(prior_logit=np.full(len(world.texts), world.fitted().base))

    assert check.weight == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("right", [True, False])
def test_where_all_proposals_are_right_or_all_wrong_the_margin_says_nothing(right):
    world = World(others=20)

    check = world.fitted(right=np.full(len(world.texts), right))

    answers = world.answers(check, range(30)).values()
    assert {answer.log_likelihood_ratio for answer in answers} == {0.0}
    assert {answer.outcome for answer in answers} == {"unsure" if right else "invalid"}


def test_each_side_of_the_rates_sums_to_one():
    rates = World().fitted().rates

    assert sum(rates.right.values()) == pytest.approx(1.0)
    assert sum(rates.wrong.values()) == pytest.approx(1.0)


def test_the_rates_are_the_smoothed_shares_of_what_it_says_of_the_known_proposals():
    world = World(others=400)
    check = world.fitted()
    said = world.answers(check, range(len(world.texts)))

    for rates, rows in ((check.rates.right, world.right), (check.rates.wrong, ~world.right)):
        outcomes = [said[row].outcome for row in np.flatnonzero(rows)]
        for kind in ("valid", "invalid", "unsure"):
            assert rates[kind] == pytest.approx((outcomes.count(kind) + 1) / (len(outcomes) + 3))


def test_the_rates_count_their_pairs():
    world = World()

    assert world.fitted().rates.pairs == len(world.texts)


def test_valid_is_said_more_often_of_right_proposals():
    rates = World(others=1000).fitted().rates

    assert rates.right["valid"] > rates.wrong["valid"] + 0.3


def test_a_check_fitted_twice_is_the_same():
    one, again = World().fitted(), World().fitted()

    assert (one.slope, one.intercept, one.base, one.weight) == (again.slope, again.intercept, again.base, again.weight)


@pytest.mark.parametrize("labels", [2, 3])
def test_few_labels_can_be_checked(labels):
    world = World(labels=labels, samples_each=2)

    answers = world.answers(world.fitted(), range(len(world.texts))).values()

    assert all(0 <= answer.p_valid <= 1 for answer in answers)
