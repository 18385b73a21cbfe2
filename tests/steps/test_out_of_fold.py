from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from red_core.steps.out_of_fold import out_of_fold_log_odds
from red_core.steps.pool_scoring import label_log_odds
from red_core.steps.subset_classifiers import NoiseRule, Partition, TrainingSet, fit_partition

CALL = 10_000.0


@dataclass
class Case:
    """Each row's feature is its own number, so that what was trained on and what was scored can be told."""

    labels: np.ndarray
    eligible: np.ndarray
    subset_of: np.ndarray
    folds: int
    seed: int
    trained_on: list[set[int]] = field(default_factory=list)
    subsets_fitted: list[np.ndarray] = field(default_factory=list)

    def fit(self, training, subsets):
        """Return classifiers whose odds are the row's number + CALL x the number of the fold that scored it."""
        assert (self.labels[training.features[:, 0].astype(int)] == training.labels).all()
        bias = np.full(self.label_count, CALL * len(self.trained_on), dtype=np.float32)
        self.trained_on.append(set(training.features[:, 0].astype(int).tolist()))
        self.subsets_fitted.append(subsets[0])
        weights = np.ones((self.label_count, 1), dtype=np.float32)
        return [Partition(of, weights, bias, np.zeros_like(bias)) for of in subsets]

    @property
    def label_count(self):
        return len(self.subset_of)

    def run(self, done=None):
        self.trained_on, self.subsets_fitted = [], []
        numbers = np.arange(len(self.labels), dtype=np.float32)[:, None]
        training = TrainingSet(numbers, self.labels, np.ones(len(self.labels), dtype=np.float32))
        return out_of_fold_log_odds(
            training, self.eligible, [self.subset_of, self.subset_of], self.fit,
            folds=self.folds, rng=np.random.default_rng(self.seed), done=done,
        )  # fmt: skip


def scored_by(log_odds):
    """Return (row, fold) of each row of odds, and which labels it left out."""
    known = log_odds.max(axis=1)
    return list(zip((known % CALL).astype(int).tolist(), (known // CALL).astype(int).tolist(), strict=True)), np.isinf(
        log_odds
    )


FEW_OR_MANY = st.integers(2, 24)


@st.composite
def cases(draw, label_count=FEW_OR_MANY):
    labels_there = draw(label_count)
    folds = draw(st.integers(2, 6))
    seed = draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    labels = np.r_[np.repeat(np.arange(labels_there), 2), rng.integers(labels_there, size=draw(st.integers(0, 30)))]
    labels = rng.permutation(labels)
    only_train = rng.random(len(labels)) < draw(st.sampled_from([0.0, 0.3]))
    subset_of = rng.permutation(np.arange(labels_there) % max(1, labels_there // 2))
    return Case(labels, np.flatnonzero(~only_train), subset_of, folds, seed)


@given(cases())
@settings(deadline=None)
def test_no_row_is_scored_by_classifiers_trained_on_it(case):
    held = case.run()

    both = scored_by(held.log_odds)[0] + scored_by(held.foreign_log_odds)[0]
    assert all(row not in case.trained_on[fold] for row, fold in both)


@given(cases())
@settings(deadline=None)
def test_the_rows_named_are_the_rows_scored(case):
    held = case.run()

    assert held.rows.tolist() == [row for row, _ in scored_by(held.log_odds)[0]]


@given(cases())
@settings(deadline=None)
def test_no_row_is_scored_twice_as_known(case):
    held = case.run()

    assert len(set(held.rows.tolist())) == len(held.rows)


@given(cases())
@settings(deadline=None)
def test_only_eligible_rows_are_scored(case):
    held = case.run()

    scored = set(held.rows.tolist()) | {row for row, _ in scored_by(held.foreign_log_odds)[0]}
    assert scored <= set(case.eligible.tolist())


@given(cases())
@settings(deadline=None)
def test_classifiers_that_score_a_row_as_known_were_trained_on_its_label(case):
    held = case.run()

    for row, fold in scored_by(held.log_odds)[0]:
        assert case.labels[row] in case.labels[list(case.trained_on[fold])]


@given(cases())
@settings(deadline=None)
def test_classifiers_that_score_a_row_as_foreign_never_saw_its_label(case):
    held = case.run()

    for row, fold in scored_by(held.foreign_log_odds)[0]:
        assert case.labels[row] not in case.labels[list(case.trained_on[fold])]


@given(cases())
@settings(deadline=None)
def test_a_labels_odds_are_missing_just_where_it_was_left_out(case):
    held = case.run()

    for log_odds in (held.log_odds, held.foreign_log_odds):
        pairs, missing = scored_by(log_odds)
        for (_, fold), gone in zip(pairs, missing, strict=True):
            assert gone.tolist() == (case.subsets_fitted[fold] == -1).tolist()


@given(cases())
@settings(deadline=None)
def test_a_known_rows_own_label_always_has_odds(case):
    held = case.run()

    assert np.isfinite(held.log_odds[np.arange(len(held.rows)), case.labels[held.rows]]).all()


@given(cases())
@settings(deadline=None)
def test_labels_left_out_are_left_out_of_the_subsets_and_no_other_label_moves(case):
    case.run()

    for trained, subset_of in zip(case.trained_on, case.subsets_fitted, strict=True):
        assert not (subset_of[case.labels[list(trained)]] == -1).any()
        assert set(np.flatnonzero(subset_of != case.subset_of).tolist()) == set(np.flatnonzero(subset_of == -1))


@given(cases())
@settings(deadline=None)
def test_where_labels_are_many_each_is_left_out_of_one_fold(case):
    case.run()

    times_left_out = sum((subset_of == -1).astype(int) for subset_of in case.subsets_fitted)
    assert set(times_left_out.tolist()) == ({1} if case.label_count >= 2 * case.folds else {0})


@given(cases())
@settings(deadline=None)
def test_every_fold_leaves_out_about_as_many_labels(case):
    case.run()

    left_out = [int((subset_of == -1).sum()) for subset_of in case.subsets_fitted]
    assert max(left_out) - min(left_out) <= 1


@given(cases())
@settings(deadline=None)
def test_where_labels_are_many_every_eligible_row_is_foreign_once(case):
    held = case.run()

    foreign = sorted(row for row, _ in scored_by(held.foreign_log_odds)[0])
    assert foreign == (case.eligible.tolist() if case.label_count >= 2 * case.folds else [])


@given(cases())
@settings(deadline=None)
def test_a_row_goes_unscored_only_where_its_own_fold_leaves_its_label_out(case):
    held = case.run()

    for row in set(case.eligible.tolist()) - set(held.rows.tolist()):
        left_out_in = next(n for n, of in enumerate(case.subsets_fitted) if of[case.labels[row]] == -1)
        others = set(range(case.folds)) - {left_out_in}
        assert all(row in case.trained_on[fold] for fold in others)


@given(cases(label_count=st.integers(2, 3)))
@settings(deadline=None)
def test_where_labels_are_few_every_eligible_row_is_scored(case):
    held = case.run()

    assert sorted(held.rows.tolist()) == case.eligible.tolist()


@given(cases())
@settings(deadline=None)
def test_rows_that_are_not_eligible_train_in_every_fold_that_knows_their_label(case):
    case.run()

    for trained, subset_of in zip(case.trained_on, case.subsets_fitted, strict=True):
        only_train = set(range(len(case.labels))) - set(case.eligible.tolist())
        assert all((row in trained) == (subset_of[case.labels[row]] != -1) for row in only_train)


@given(cases())
@settings(deadline=None)
def test_a_label_with_two_rows_or_more_keeps_one_in_every_fold_that_knows_it(case):
    case.run()

    for trained, subset_of in zip(case.trained_on, case.subsets_fitted, strict=True):
        assert set(case.labels[list(trained)].tolist()) == set(np.flatnonzero(subset_of >= 0).tolist())


@given(cases())
@settings(deadline=None)
def test_a_labels_rows_are_dealt_evenly_over_the_folds(case):
    case.run()

    for label in range(case.label_count):
        own = set(case.eligible[case.labels[case.eligible] == label].tolist())
        held_back = [
            len(own - trained)
            for trained, of in zip(case.trained_on, case.subsets_fitted, strict=True)
            if of[label] != -1
        ]
        assert max(held_back) - min(held_back) <= 1


@given(cases())
@settings(deadline=None, max_examples=30)
def test_the_same_seed_gives_the_same_folds(case):
    first, again = case.run(), case.run()

    assert (first.rows == again.rows).all()
    assert (first.log_odds == again.log_odds).all()
    assert (first.foreign_log_odds == again.foreign_log_odds).all()


def test_progress_is_told_after_each_fold():
    told = []

    Case(np.repeat(np.arange(4), 5), np.arange(20), np.array([0, 0, 1, 1]), folds=5, seed=0).run(done=told.append)

    assert told == [1, 2, 3, 4, 5]


def real_rows(label_count, rows_each, spread):
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(label_count), rows_each)
    features = rng.normal(size=(label_count, 12))[labels] + spread * rng.normal(size=(len(labels), 12))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return TrainingSet(features.astype(np.float32), labels, np.ones(len(labels), dtype=np.float32))


def real_fit(training, subsets):
    return [fit_partition(training, of, NoiseRule(2.0, 100), regularisation=30.0, random_state=0) for of in subsets]


def test_held_out_odds_do_not_flatter_labels_without_meaning():
    rng = np.random.default_rng(4)
    labels = np.repeat(np.arange(6), 10)
    meaningless = TrainingSet(rng.normal(size=(60, 40)).astype(np.float32), labels, np.ones(60, dtype=np.float32))
    subset_of = np.arange(6) % 2

    held = out_of_fold_log_odds(
        meaningless, np.arange(60), [subset_of], real_fit, folds=5, rng=np.random.default_rng(0)
    )

    trained_on = label_log_odds(meaningless.features, real_fit(meaningless, [subset_of]))
    assert (trained_on.argmax(axis=1) == labels).mean() > 0.95
    assert (held.log_odds.argmax(axis=1) == labels[held.rows]).mean() < 0.4


def test_known_rows_have_higher_best_odds_than_foreign_ones():
    training = real_rows(12, 8, spread=0.2)

    held = out_of_fold_log_odds(
        training, np.arange(96), [np.arange(12) % 3], real_fit, folds=4, rng=np.random.default_rng(0)
    )

    assert np.median(held.log_odds.max(axis=1)) > np.median(held.foreign_log_odds.max(axis=1)) + 1


@pytest.mark.parametrize("label_count", [2, 3, 4, 5])
def test_few_labels_are_recognised_out_of_fold(label_count):
    training = real_rows(label_count, 6, spread=0.05)

    held = out_of_fold_log_odds(
        training, np.arange(len(training.labels)), [np.arange(label_count) % max(1, label_count // 2)], real_fit,
        folds=2, rng=np.random.default_rng(0),
    )  # fmt: skip

    assert (held.log_odds.argmax(axis=1) == training.labels[held.rows]).all()


@pytest.mark.parametrize(("spread", "rows_each"), [(0.3, 20), (0.3, 80), (0.6, 20), (0.6, 80)])
def test_held_out_odds_are_as_large_as_those_of_the_classifiers_that_score_the_pool(spread, rows_each):
    rows = real_rows(8, rows_each, spread)
    is_seed = np.arange(8 * rows_each) % 4 == 0
    seeds, pool, subset_of = rows.only(is_seed), rows.only(~is_seed), np.arange(8) % 2

    held = out_of_fold_log_odds(
        seeds, np.arange(len(seeds.labels)), [subset_of], real_fit, folds=2, rng=np.random.default_rng(0)
    )

    of_the_pool = label_log_odds(pool.features, real_fit(seeds, [subset_of]))
    assert held.log_odds.max(axis=1).mean() == pytest.approx(of_the_pool.max(axis=1).mean(), rel=0.08)
