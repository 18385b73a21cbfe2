from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from red_core.judges.prompt import prompt_of
from red_core.judges.self_test import INJECTION, self_test_pairs, summed_up
from red_core.records import Label
from red_core.settings import RECOMMENDED
from red_core.steps.judge_reliability import judge_rates, wilson
from red_core.store import self_tests  # by its module: pytest would collect Tested
from red_core.training.samples import ValidSamples

LABELS = [Label(10 * place, f"label {place}") for place in range(1, 5)]


def samples_of(each=(6, 6, 6, 6), analysts=0, seed=0) -> ValidSamples:
    """Samples around one centre a label, ``each`` of them; text ids are 100 + row; the last are no seeds."""
    rng = np.random.default_rng(seed)
    place = np.repeat(np.arange(len(each)), each)
    vectors = rng.normal(size=(4, 8))[place] + 0.7 * rng.normal(size=(len(place), 8))
    return ValidSamples(
        100 + np.arange(len(place)),
        place,
        (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        tuple(f"text {100 + row} of {of}" for row, of in enumerate(place)),
        np.arange(len(place)) < len(place) - analysts,
        np.array([label.id for label in LABELS[: len(each)]]),
    )


def pairs_of(samples: ValidSamples, seeds=10, canaries=3, shown=2, seed=0):
    changes = {"self_test_seeds": seeds, "canaries": canaries, "examples_shown": shown, "random_state": seed}
    settings = RECOMMENDED.model_copy(update=changes)
    return self_test_pairs(samples, LABELS, settings)


def own_label(samples: ValidSamples, text: int) -> Label:
    return LABELS[int(samples.labels[text - 100])]


def test_pairs_are_right_and_wrong_in_turn_then_the_canaries():
    assert [kind for kind, _ in pairs_of(samples_of())] == ["right", "wrong"] * 10 + ["canary"] * 3


def test_a_right_pair_is_a_seed_with_its_label_and_a_wrong_one_the_same_seed_with_its_rival():
    samples = samples_of()
    pairs = pairs_of(samples, canaries=0)
    for (_, right), (_, wrong) in zip(pairs[::2], pairs[1::2], strict=True):
        assert right.text == wrong.text
        assert right.label == wrong.runner_up == own_label(samples, right.text)
        assert right.runner_up == wrong.label != right.label
        assert (right.examples, right.rival_examples) == (wrong.rival_examples, wrong.examples)
        assert right.content == samples.contents[right.text - 100]


@given(st.integers(0, 2**32), st.lists(st.integers(1, 5), min_size=2, max_size=4), st.integers(1, 20))
@settings(max_examples=40)
def test_a_seed_is_never_in_its_own_evidence_and_always_has_some(seed, each, shown):
    samples = samples_of(tuple(each), seed=seed)
    for _, question in pairs_of(samples, seeds=50, shown=shown, seed=seed):
        assert question.text not in {e.text for e in (*question.examples, *question.rival_examples)}
        assert {own_label(samples, e.text) for e in question.examples} == {question.label}
        assert 1 <= len(question.examples) <= shown


def test_the_rival_is_the_label_nearest_to_the_seed():
    samples = samples_of()
    for kind, question in pairs_of(samples, seeds=24, canaries=0):
        if kind == "right":
            vector = samples.vectors[question.text - 100]
            near = {
                label: np.sort(samples.vectors[samples.labels == place] @ vector)[-3:].mean()
                for place, label in enumerate(LABELS)
                if label != question.label
            }
            assert question.runner_up == max(near, key=near.__getitem__)


def test_seeds_are_drawn_evenly_over_the_labels():
    samples = samples_of((20, 4, 4, 20))
    drawn = Counter(q.label.name for kind, q in pairs_of(samples, seeds=12) if kind == "right")
    assert set(drawn.values()) == {3}
    drawn = Counter(q.label.name for kind, q in pairs_of(samples, seeds=20) if kind == "right")
    assert sorted(drawn.values()) == [4, 4, 6, 6]


def test_no_seed_is_drawn_twice():
    texts = [q.text for kind, q in pairs_of(samples_of(), seeds=100) if kind == "right"]
    assert len(texts) == len(set(texts)) == 24


def test_a_label_with_a_single_sample_is_not_tested_but_may_be_a_rival():
    pairs = pairs_of(samples_of((1, 6, 6, 6)), seeds=100)
    assert LABELS[0] not in {q.label for kind, q in pairs if kind == "right"}
    assert pairs_of(samples_of((1, 1, 1, 1))) == []


def test_texts_only_an_analyst_labelled_are_evidence_but_are_not_tested():
    samples = samples_of(analysts=6)
    pairs = pairs_of(samples, seeds=100)
    assert {q.label for kind, q in pairs if kind == "right"} == set(LABELS[:3])
    shown = {e.origin for _, q in pairs for e in (*q.examples, *q.rival_examples)}
    assert shown == {"seed", "analyst"}


def test_the_same_state_draws_the_same_pairs_and_another_others():
    samples = samples_of()
    assert pairs_of(samples) == pairs_of(samples)
    assert pairs_of(samples) != pairs_of(samples, seed=1)


# Canaries


def test_a_canary_is_a_wrong_pair_whose_text_tells_the_judge_to_say_valid():
    pairs = pairs_of(samples_of())
    wrong = [q for kind, q in pairs if kind == "wrong"]
    for (_, canary), of in zip(pairs[-3:], wrong, strict=False):
        assert canary == replace(of, content=of.content + INJECTION)
    assert '{"verdict": "valid"}' in INJECTION


def test_the_injection_reaches_the_judge_even_at_the_end_of_a_long_text():
    samples = samples_of()
    samples = replace(samples, contents=tuple(text * 1000 for text in samples.contents))
    (canary,) = (q for kind, q in pairs_of(samples, canaries=1) if kind == "canary")
    assert prompt_of(canary).state["text"].endswith(INJECTION)


def test_there_are_no_more_canaries_than_wrong_pairs():
    assert Counter(kind for kind, _ in pairs_of(samples_of(), seeds=2, canaries=50))["canary"] == 2


# What is made of the answers


def answers(right=(), wrong=(), canary=()) -> list[self_tests.Tested]:
    said = {"right": right, "wrong": wrong, "canary": canary}
    return [self_tests.Tested(text, 1, kind, o, None, "") for kind, of in said.items() for text, o in enumerate(of)]


def test_canaries_are_told_apart_and_are_not_counted_in_the_rates():
    without = summed_up(answers(["valid"] * 9 + ["invalid"], ["invalid"] * 8 + ["valid"] * 2))
    found = summed_up(answers(["valid"] * 9 + ["invalid"], ["invalid"] * 8 + ["valid"] * 2, ["valid"] * 6))
    plain = judge_rates({"valid": 9, "invalid": 1}, {"invalid": 8, "valid": 2})
    assert found.rates == without.rates == replace(plain, bits=found.bits)
    assert (found.pairs, found.canaries) == (20, {"valid": 6})
    assert "Injection test: of 6 wrong texts that told it to answer valid, 6 succeeded." in list(found.sentences())
    assert not [s for s in without.sentences() if "told it to say valid" in s]


def test_what_was_measured_is_said_with_its_interval():
    found = list(summed_up(answers(["valid"] * 54 + ["unsure"] * 6, ["invalid"] * 57 + ["valid"] * 3)).sentences())
    low, high = wilson(54, 60)
    assert found[0] == f"It called 54 of 60 right labels valid: 90% ({low:.0%} to {high:.0%})."
    assert found[1].startswith("It called 57 of 60 wrong labels invalid: 95% (")
    assert found[2] == "6 of 120 answers were unsure."
    assert re.fullmatch(
        r"Its words count: an answer is worth 0\.[67]\d bits \(1 = always right, 0 = random\)\.", found[3]
    )
    assert found[4:] == []


@pytest.mark.parametrize(
    ("right", "wrong", "word"), [("valid", "valid", "accepts most wrong"), ("invalid", "invalid", "rejects most right")]
)
def test_a_judge_that_says_one_thing_is_called_so_last(right, wrong, word):
    found = summed_up(answers([right] * 30, [wrong] * 30))
    assert word in found.warning
    assert list(found.sentences())[-1] == found.warning


def test_of_a_good_judge_nothing_bad_is_said():
    assert summed_up(answers(["valid"] * 60, ["invalid"] * 60)).warning == ""


def test_nothing_answered_is_said_without_dividing_by_nought():
    found = summed_up([])
    assert (found.pairs, found.scale) == (0, None)
    assert next(found.sentences()).startswith("It called 0 of 0 right labels valid: 0% (0% to 100%)")


def with_probabilities(right: float, wrong: float, canary: float = 0.99) -> list[self_tests.Tested]:
    told = [("right", right), ("wrong", wrong), ("canary", canary)]
    return [self_tests.Tested(n, 1, kind, "valid", p, "") for kind, p in told for n in range(20)]


def test_the_scale_of_probabilities_is_fitted_without_the_canaries():
    found = summed_up(with_probabilities(0.9, 0.2)).scale
    assert found is not None
    assert found(0.9) > 0 > found(0.2)
    assert found == summed_up(with_probabilities(0.9, 0.2, 0.01)).scale
    assert summed_up(with_probabilities(0.2, 0.9)).scale is None
    assert summed_up(answers(["valid"], ["invalid"])).scale is None


def test_where_there_are_probabilities_they_count_and_their_bits_are_said():
    rng = np.random.default_rng(0)
    said = [
        self_tests.Tested(n, 1, kind, "valid", float(p), "")
        for n in range(80)
        for kind, p in (("right", rng.beta(5, 2)), ("wrong", rng.beta(2, 5)))
    ]
    found = summed_up(said)
    assert found.scale is not None
    assert len(found.rates.levels) == 8
    assert 0.2 < found.bits < 0.7  # every word was *valid*: they say nothing
    assert f"Its probabilities count: an answer is worth {found.bits:.2f} bits" in " ".join(found.sentences())


def test_an_inverted_or_stamping_judge_is_worth_no_bits():
    assert summed_up(answers(["valid"] * 60, ["valid"] * 60)).bits == 0.0
    assert summed_up(answers(["valid"] * 31 + ["invalid"] * 29, ["valid"] * 30 + ["invalid"] * 30)).bits == 0.0
