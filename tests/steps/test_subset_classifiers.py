from __future__ import annotations

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info, threadpool_limits

from red_core.steps import subset_classifiers
from red_core.steps.greedy_subsets import greedy_subsets
from red_core.steps.pool_scoring import label_log_odds
from red_core.steps.subset_classifiers import (
    NoiseRule,
    TrainingSet,
    _fit_on_one_core,
    fit_partition,
    fit_subset,
)

ALL_ROWS = NoiseRule(factor=2.0, rows=1000)
three_subsets = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])


def training_set(label_count=9, rows_each=6, *, seed=0, spread=0.5, weights=(0.3, 1.0)):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(label_count, 8))
    labels = np.repeat(np.arange(label_count), rows_each)
    features = centres[labels] + spread * rng.normal(size=(len(labels), 8))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return TrainingSet(features.astype(np.float32), labels, rng.uniform(*weights, size=len(labels)).astype(np.float32))


def queries(count=40, seed=99):
    features = np.random.default_rng(seed).normal(size=(count, 8))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def fitted(training, subset_of, noise=ALL_ROWS, **changes):
    return fit_partition(training, subset_of, noise, **({"regularisation": 30.0, "random_state": 0} | changes))


def odds_from_scikit_learn(training, inside, features, factor=2.0, c=30.0):
    """s(x, l) from predict_log_proba, with every foreign row as noise."""
    inside = list(inside)
    noise = len(inside)
    classes = np.array([inside.index(label) if label in inside else noise for label in training.labels])
    weights = training.weights.astype(float)
    noise_weight = factor * weights[classes != noise].sum() / len(inside)
    weights[classes == noise] = noise_weight / (classes == noise).sum()
    model = LogisticRegression(C=c, max_iter=300, tol=1e-4).fit(training.features, classes, sample_weight=weights)
    logs = model.predict_log_proba(features)
    corrections = [np.log(weights[classes == place].sum() / noise_weight) for place in range(noise)]
    return np.stack([logs[:, place] - logs[:, noise] - corrections[place] for place in range(noise)], axis=1)


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_odds_are_those_of_scikit_learns_probabilities_corrected_for_class_weights(factor):
    training = training_set()
    partition = fitted(training, three_subsets, NoiseRule(factor, 1000))

    found = label_log_odds(queries(), [partition])

    for number in range(3):
        inside = np.flatnonzero(three_subsets == number)
        wanted = odds_from_scikit_learn(training, inside, queries(), factor)
        assert found[:, inside] == pytest.approx(wanted, abs=2e-2)


@pytest.mark.parametrize("c", [0.05, 1.0, 4.0])
@pytest.mark.parametrize("subset_of", [three_subsets, np.array([0, 1, 1, 1, 1, 1, 1, 1, 1])])
def test_the_regularisation_is_the_c_of_scikit_learn(c, subset_of):
    training = training_set()
    found = label_log_odds(queries(), [fitted(training, subset_of, regularisation=c)])
    wanted = odds_from_scikit_learn(training, np.flatnonzero(subset_of == 0), queries(), c=c)
    assert found[:, subset_of == 0] == pytest.approx(wanted, abs=2e-3)


def test_a_single_label_against_noise_has_the_odds_of_scikit_learn():
    training = training_set(label_count=4)
    subset_of = np.array([0, 1, 1, 1])

    found = label_log_odds(queries(), [fitted(training, subset_of)])

    assert found[:, :1] == pytest.approx(odds_from_scikit_learn(training, [0], queries()), abs=2e-2)


def test_the_correction_is_the_log_of_label_weight_over_noise_weight():
    training = training_set()

    found = fitted(training, three_subsets, NoiseRule(3.0, 20)).correction

    class_weights = np.array([training.weights[training.labels == label].sum() for label in range(9)])
    for number in range(3):
        own = class_weights[three_subsets == number]
        assert found[three_subsets == number] == pytest.approx(np.log(own / (3.0 * own.mean())), abs=1e-4)


def test_the_order_of_the_labels_does_not_matter_to_the_odds():
    training = training_set()
    new_number = np.random.default_rng(1).permutation(9)
    renamed = TrainingSet(training.features, new_number[training.labels], training.weights)
    subset_of = np.empty(9, dtype=np.int64)
    subset_of[new_number] = three_subsets

    found = label_log_odds(queries(), [fitted(renamed, subset_of)])

    assert found[:, new_number] == pytest.approx(label_log_odds(queries(), [fitted(training, three_subsets)]), abs=2e-2)


def test_the_numbers_of_the_subsets_do_not_matter_to_the_odds():
    training = training_set()

    found = label_log_odds(queries(), [fitted(training, np.array([2, 0, 1])[three_subsets])])

    assert found == pytest.approx(label_log_odds(queries(), [fitted(training, three_subsets)]), abs=2e-2)


def test_a_row_given_twice_at_half_weight_counts_once():
    training = training_set()
    doubled = TrainingSet(
        np.vstack([training.features] * 2), np.tile(training.labels, 2), np.tile(training.weights / 2, 2)
    )

    found = label_log_odds(queries(), [fitted(doubled, three_subsets)])

    assert found == pytest.approx(label_log_odds(queries(), [fitted(training, three_subsets)]), abs=2e-2)


def test_a_row_of_next_to_no_weight_does_not_count():
    training = training_set()
    with_stray = TrainingSet(
        np.vstack([training.features, -training.features[:1]]),
        np.r_[training.labels, 0],
        np.r_[training.weights, np.float32(1e-6)],
    )
    subset_of = np.zeros(9, dtype=np.int64)

    found = label_log_odds(queries(), [fitted(with_stray, subset_of)])

    assert found == pytest.approx(label_log_odds(queries(), [fitted(training, subset_of)]), abs=2e-2)


@pytest.mark.parametrize("noise", [ALL_ROWS, NoiseRule(2.0, 10), NoiseRule(2.0, None)])
def test_the_same_random_state_gives_the_same_bits_whatever_the_workers(noise):
    one, four = (fitted(training_set(), three_subsets, noise, workers=workers) for workers in (1, 4))

    assert (one.weights == four.weights).all()
    assert (one.bias == four.bias).all()
    assert (one.correction == four.correction).all()


@pytest.mark.parametrize("backend", ["threading", "sequential", pytest.param("loky", marks=pytest.mark.long)])
def test_whatever_backend_joblib_is_told_to_use_gives_the_same_bits(backend):
    training = training_set(rows_each=40)
    with joblib.parallel_config(backend):
        elsewhere = fitted(training, three_subsets)
    here = fitted(training, three_subsets)
    assert np.array_equal(elsewhere.weights, here.weights)
    assert np.array_equal(elsewhere.bias, here.bias)


def test_a_fit_uses_one_core_also_where_nothing_was_limited_before(monkeypatch):
    def threads():
        return {pool["num_threads"] for pool in threadpool_info()}

    used = []
    subset_classifiers._numerical_libraries.cache_clear()  # more may be loaded since
    monkeypatch.setattr(subset_classifiers, "fit_subset", lambda *_, **__: used.append(threads()))
    with threadpool_limits(2):
        before = threads()
        _fit_on_one_core(*(np.zeros(1),) * 3, None, np.zeros(1), 0, ALL_ROWS, 1.0, 0, None)
        assert threads() == before == {2}
    assert used == [{1}]


def test_another_random_state_draws_other_noise():
    one, other = (
        fitted(training_set(), three_subsets, NoiseRule(2.0, 10), random_state=state).weights for state in (0, 1)
    )

    assert np.abs(one - other).max() > 0.01


def more_rows_for(training, label):
    extra = training_set(seed=5)
    return TrainingSet(
        np.vstack([training.features, extra.features[extra.labels == label]]),
        np.r_[training.labels, np.full(6, label)],
        np.r_[training.weights, np.full(6, 0.9, dtype=np.float32)],
    )


@pytest.mark.parametrize("noise", [NoiseRule(2.0, 12), NoiseRule(2.0, None)])
def test_refitting_touched_subsets_gives_them_what_a_full_fit_would(noise):
    before = fitted(training_set(), three_subsets, noise)
    grown = more_rows_for(training_set(), 4)

    refitted = fitted(grown, three_subsets, noise, previous=before, touched=[1])
    full = fitted(grown, three_subsets, noise)

    touched = three_subsets == 1
    found, wanted = (label_log_odds(queries(), [one])[:, touched] for one in (refitted, full))
    assert found == pytest.approx(wanted, abs=0.1)  # both end within the solver's tolerance of the same optimum
    assert (refitted.correction[touched] == full.correction[touched]).all()
    assert np.abs(refitted.weights[touched] - before.weights[touched]).max() > 0.01


@pytest.mark.parametrize(
    "subset_of", [three_subsets, np.zeros(9, dtype=np.int64), np.array([0, 1, 1, 1, 2, 2, 2, 2, 2])]
)
def test_from_an_earlier_fit_it_takes_fewer_steps(subset_of, monkeypatch):
    steps = []
    real = LogisticRegression.fit

    def counted(self, *given, **how):
        real(self, *given, **how)
        steps.append(int(self.n_iter_.max()))
        return self

    monkeypatch.setattr(LogisticRegression, "fit", counted)
    before = fitted(training_set(), subset_of)
    first = sum(steps)
    steps.clear()
    fitted(training_set(), subset_of, previous=before, touched=range(3))
    assert sum(steps) < first / 2 or (len(steps) == 3 and sum(steps[1:]) <= 4)  # one label alone starts anew


def test_refitting_leaves_untouched_subsets_as_they_were_to_the_bit():
    before = fitted(training_set(), three_subsets)

    refitted = fitted(more_rows_for(training_set(), 4), three_subsets, previous=before, touched=[1])

    untouched = three_subsets != 1
    assert (refitted.weights[untouched] == before.weights[untouched]).all()
    assert (refitted.bias[untouched] == before.bias[untouched]).all()
    assert (refitted.correction[untouched] == before.correction[untouched]).all()


def test_refitting_does_not_change_the_previous_partition():
    before = fitted(training_set(), three_subsets)
    weights = before.weights.copy()

    fitted(more_rows_for(training_set(), 4), three_subsets, previous=before, touched=[1])

    assert (before.weights == weights).all()


def test_refitting_nothing_keeps_everything():
    before = fitted(training_set(), three_subsets)

    assert (fitted(training_set(seed=7), three_subsets, previous=before, touched=[]).weights == before.weights).all()


def test_progress_is_told_after_each_subset():
    told = []

    fitted(training_set(), three_subsets, fitted=lambda done, total: told.append((done, total)))

    assert told == [(1, 3), (2, 3), (3, 3)]


def test_progress_counts_only_the_subsets_that_are_refitted():
    told = []
    before = fitted(training_set(), three_subsets)

    fitted(
        training_set(), three_subsets, previous=before, touched={0, 2}, fitted=lambda *progress: told.append(progress)
    )

    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize("size", [2, 3, 10])
@pytest.mark.parametrize("label_count", [2, 3, 4, 5])
def test_few_labels_are_told_apart_whatever_the_size(label_count, size):
    training = training_set(label_count, spread=0.05)
    centres = training.features[::6]

    found = label_log_odds(training.features, [fitted(training, greedy_subsets(centres, size))])

    assert np.isfinite(found).all()
    assert (found.argmax(axis=1) == training.labels).all()


@pytest.mark.parametrize("label_count", [2, 3, 5])
def test_a_subset_of_all_labels_has_the_log_ratios_of_scikit_learn_between_its_labels(label_count):
    training = training_set(label_count)
    model = LogisticRegression(C=30.0, max_iter=300, tol=1e-4)
    model.fit(training.features, training.labels, sample_weight=training.weights)
    logs = model.predict_log_proba(queries())
    logs -= np.log([training.weights[training.labels == label].sum() for label in range(label_count)])

    found = label_log_odds(queries(), [fitted(training, np.zeros(label_count, dtype=np.int64))])

    assert found - found[:, :1] == pytest.approx(logs - logs[:, :1], abs=2e-2)


@pytest.mark.parametrize("label_count", [2, 3, 9])
def test_in_a_subset_of_all_labels_the_reference_is_the_mean_logit(label_count):
    partition = fitted(training_set(label_count), np.zeros(label_count, dtype=np.int64))

    assert partition.weights.sum(axis=0) == pytest.approx(0.0, abs=1e-4)
    assert partition.bias.sum() == pytest.approx(0.0, abs=1e-4)


def test_a_label_left_out_has_no_classifier():
    training = training_set()
    without = training.only(training.labels != 4)
    subset_of = np.where(np.arange(9) == 4, -1, three_subsets)

    found = fitted(without, subset_of)

    assert not found.weights[4].any()
    assert found.weights[np.arange(9) != 4].any(axis=1).all()


def test_the_other_labels_have_the_odds_they_would_have_if_it_did_not_exist():
    training = training_set()
    without = training.only(training.labels != 8)

    left_out = label_log_odds(queries(), [fitted(without, np.where(np.arange(9) == 8, -1, three_subsets))])
    not_there = label_log_odds(queries(), [fitted(without, three_subsets[:8])])

    assert (left_out[:, :8] == not_there).all()


def test_a_subset_is_fitted_in_the_order_of_its_labels():
    training = training_set()

    one_way, other_way = (
        fit_subset(training, np.array(inside), ALL_ROWS, regularisation=30.0, rng=np.random.default_rng(0))
        for inside in ([1, 4, 7], [7, 1, 4])
    )

    for first, second in zip(one_way, other_way, strict=True):
        assert second == pytest.approx(first[[2, 0, 1]], abs=2e-2)


def test_stronger_regularisation_makes_smaller_weights():
    strong, weak = (fitted(training_set(), three_subsets, regularisation=c).weights for c in (0.1, 100.0))

    assert np.abs(strong).max() < np.abs(weak).max()


def test_rows_are_taken_with_their_labels_and_weights():
    training = training_set()
    rows = training.labels == 3

    found = training.only(rows)

    assert (found.features == training.features[rows]).all()
    assert found.labels.tolist() == [3] * 6
    assert (found.weights == training.weights[rows]).all()
