from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression

from red_core.steps.pool_scoring import (
    BLOCK_ROWS,
    blocks,
    label_log_odds,
    normalised_entropy,
    subset_predictions,
)
from red_core.steps.subset_classifiers import NoiseRule, Partition, TrainingSet, fit_partition

subsets_of_five = np.array([0, 1, 0, 1, 1])


def partition(seed=0, subset_of=subsets_of_five, dimensions=6, scale=1.0):
    rng = np.random.default_rng(seed)
    shape = len(subset_of), dimensions
    return Partition(
        subset_of,
        (scale * rng.normal(size=shape)).astype(np.float32),
        (scale * rng.normal(size=shape[0])).astype(np.float32),
        rng.normal(size=shape[0]).astype(np.float32),
    )


def texts(count=30, dimensions=6, seed=7):
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


@given(st.integers(0, 20_000))
def test_blocks_cover_every_row_once_and_in_order(row_count):
    covered = [row for block in blocks(row_count) for row in range(row_count)[block]]

    assert covered == list(range(row_count))


@given(st.integers(1, 20_000))
def test_no_block_is_empty_or_larger_than_its_limit(row_count):
    assert all(0 < block.stop - block.start <= BLOCK_ROWS for block in blocks(row_count))


def test_odds_are_logits_less_the_correction():
    one = partition()

    found = label_log_odds(texts(), [one])

    for row, x in enumerate(texts()):
        for label in range(5):
            logit = sum(float(a) * float(b) for a, b in zip(x, one.weights[label], strict=True)) + one.bias[label]
            assert found[row, label] == pytest.approx(float(logit - one.correction[label]), abs=1e-4)


@given(st.integers(1, 5), st.integers(0, 1000))
@settings(deadline=None, max_examples=25)
def test_odds_of_several_partitions_are_averaged(partition_count, seed):
    several = [partition(seed + number) for number in range(partition_count)]

    single = [label_log_odds(texts(), [one]) for one in several]

    assert label_log_odds(texts(), several) == pytest.approx(sum(single) / partition_count, abs=1e-4)


def test_scoring_in_blocks_gives_what_scoring_at_once_gives():
    pool = texts(2 * BLOCK_ROWS + 5)

    in_blocks = np.concatenate([label_log_odds(pool[block], [partition()]) for block in blocks(len(pool))])

    assert in_blocks == pytest.approx(label_log_odds(pool, [partition()]), abs=1e-5)


def classified(number):
    """A fitted partition of five labels, and scikit-learn's classifier of one of its subsets."""
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(5), 8)
    features = (rng.normal(size=(5, 6))[labels] + rng.normal(size=(40, 6))).astype(np.float32)
    training = TrainingSet(features, labels, np.ones(40, dtype=np.float32))
    inside = np.flatnonzero(subsets_of_five == number)
    classes = np.where(np.isin(labels, inside), labels, 99)
    weights = np.where(classes == 99, 16 / (classes == 99).sum(), 1.0)
    model = LogisticRegression(C=1.0, max_iter=300, tol=1e-4).fit(features, classes, sample_weight=weights)
    return fit_partition(training, subsets_of_five, NoiseRule(2.0, 1000), regularisation=1.0, random_state=0), model


@pytest.mark.parametrize("number", [0, 1])
def test_the_entropy_is_that_of_the_classifiers_probabilities_over_the_log_of_its_classes(number):
    fitted, model = classified(number)
    probabilities = model.predict_proba(texts())

    found = subset_predictions(texts(), fitted).entropy[:, number]

    assert found == pytest.approx(entropy(probabilities, axis=1) / np.log(probabilities.shape[1]), abs=2e-3)


@pytest.mark.parametrize("number", [0, 1])
def test_the_label_is_the_one_the_classifier_predicts_and_noise_is_minus_one(number):
    fitted, model = classified(number)
    predicted = np.where(model.predict(texts(200)) == 99, -1, model.predict(texts(200)))

    found = subset_predictions(texts(200), fitted).label[:, number]

    assert {-1} < set(predicted.tolist())
    assert (found == predicted).mean() > 0.99


@given(st.integers(0, 1000), st.floats(0, 20))
@settings(deadline=None, max_examples=40)
def test_entropies_lie_between_0_and_1_and_labels_within_their_subset(seed, scale):
    found = subset_predictions(texts(), partition(seed, scale=scale))

    assert (found.entropy >= 0).all()
    assert (found.entropy <= 1).all()
    assert set(found.label[:, 0].tolist()) <= {-1, 0, 2}
    assert set(found.label[:, 1].tolist()) <= {-1, 1, 3, 4}


def test_total_doubt_has_entropy_1_in_subsets_of_any_size():
    nothing_known = Partition(
        subsets_of_five,
        np.zeros((5, 6), dtype=np.float32),
        np.zeros(5, dtype=np.float32),
        np.zeros(5, dtype=np.float32),
    )

    assert subset_predictions(texts(), nothing_known).entropy == pytest.approx(1.0, abs=1e-6)


def test_the_correction_for_class_sizes_is_no_part_of_a_classifiers_own_entropy():
    one = partition()
    other = Partition(one.subset_of, one.weights, one.bias, one.correction + 3)

    assert (subset_predictions(texts(), one).entropy == subset_predictions(texts(), other).entropy).all()


def test_a_subset_of_all_labels_has_the_entropy_of_its_labels_alone():
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(3), 8)
    features = (rng.normal(size=(3, 6))[labels] + rng.normal(size=(24, 6))).astype(np.float32)
    training = TrainingSet(features, labels, np.ones(24, dtype=np.float32))
    one_subset = np.zeros(3, dtype=np.int64)
    fitted = fit_partition(training, one_subset, NoiseRule(2.0, 1000), regularisation=1.0, random_state=0)
    model = LogisticRegression(C=1.0, max_iter=300, tol=1e-4).fit(features, labels)

    found = subset_predictions(texts(), fitted).entropy[:, 0]

    assert found == pytest.approx(entropy(model.predict_proba(texts()), axis=1) / np.log(3), abs=2e-3)


some_logits = st.builds(
    lambda seed, rows, columns, scale: scale * np.random.default_rng(seed).normal(size=(rows, columns)),
    st.integers(0, 2**32),
    st.integers(1, 6),
    st.integers(2, 9),
    st.floats(0, 500),
)


@given(some_logits, st.sampled_from([np.float32, np.float64]))
@settings(deadline=None)
def test_normalised_entropy_lies_between_0_and_1(logits, kind):
    found = normalised_entropy(softmax(logits.astype(kind), axis=1))

    assert (found >= 0).all()
    assert (found <= 1).all()


@given(some_logits)
@settings(deadline=None)
def test_normalised_entropy_is_shannons_over_the_log_of_the_classes(logits):
    probabilities = softmax(logits, axis=1)

    wanted = entropy(probabilities, axis=1) / np.log(probabilities.shape[1])
    assert normalised_entropy(probabilities) == pytest.approx(wanted, abs=1e-6)


def test_a_certain_prediction_has_no_entropy():
    assert normalised_entropy(np.array([[0.0, 1.0, 0.0]]))[0] == pytest.approx(0.0)
