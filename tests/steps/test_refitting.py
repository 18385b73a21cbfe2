"""Which classifiers are touched, and that the others keep their weights to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from red_core.steps.refitting import Fitted, identities, label_samples, refit, subsets_now, touched_subsets
from red_core.steps.subset_classifiers import NoiseRule, TrainingSet, fit_partition

IDS = np.array([2, 3, 5, 7, 11, 13])
PAIRS = np.array([0, 0, 1, 1, 2, 2])
CROSSED = np.array([0, 1, 2, 0, 1, 2])
NOISE = NoiseRule(2.0, 20)


def rows_of(ids=IDS, changes=None, seed=0):
    """Four samples a label; ``changes`` is label -> the weight of its first sample, None leaves it out."""
    rng = np.random.default_rng(seed)
    found = []
    for label in range(1, 20):  # all are drawn, so that a label's vectors do not depend on the others there
        centre = rng.normal(size=6)
        samples = [(label, row, centre + 0.4 * rng.normal(size=6), 1.0) for row in range(4)]
        if changes and label in changes:
            first = [] if changes[label] is None else [(*samples[0][:3], changes[label])]
            samples = first + samples[1:]
        found += samples if label in ids else []
    labels = np.searchsorted(ids, [label for label, *_ in found])
    weights = np.array([weight for *_, weight in found], dtype=np.float32)
    identity = identities(f"{label}.{row}:{weight}" for label, row, _, weight in found)
    return TrainingSet(np.array([x for _, _, x, _ in found], dtype=np.float32), labels, weights, identity)


def fit(training, ids=IDS, subsets=(PAIRS, CROSSED), before=None):
    return refit(training, ids, subsets, before, NOISE, regularisation=10.0, random_state=0, workers=1)


def touched(before, training, subset_of, ids=IDS, place=0):
    return touched_subsets(before, place, ids, label_samples(training, len(ids)), subset_of)


def changed(before, after, ids=IDS):
    """Return per partition the ids whose weights, bias or correction are not those of before."""
    found = []
    for old, new in zip(before.partitions, after.partitions, strict=True):
        rows = np.searchsorted(before.labels, ids)
        same = (old.weights[rows] == new.weights[np.searchsorted(after.labels, ids)]).all(axis=1)
        found.append(set(ids[~same].tolist()))
    return found


def test_a_first_fit_is_that_of_each_partition():
    found = fit(rows_of())
    for partition, subset_of in zip(found.partitions, (PAIRS, CROSSED), strict=True):
        wanted = fit_partition(rows_of(), subset_of, NOISE, regularisation=10.0, random_state=0)
        assert (partition.weights == wanted.weights).all()


def test_nothing_changed_nothing_fitted(monkeypatch):
    before = fit(rows_of())
    monkeypatch.setattr("red_core.steps.subset_classifiers.fit_subset", None)  # any fit would fail
    after = fit(rows_of(), before=before)
    for old, new in zip(before.partitions, after.partitions, strict=True):
        for part in ("subset_of", "weights", "bias", "correction"):
            assert (getattr(old, part) == getattr(new, part)).all()


@pytest.mark.parametrize("weight", [None, 0.9])
def test_a_sample_that_goes_or_weighs_otherwise_touches_its_own_classifiers_alone(weight):
    before, grown = fit(rows_of()), rows_of(changes={7: weight})
    assert touched(before, grown, PAIRS) == {1}
    assert touched(before, grown, CROSSED, place=1) == {0}
    after = fit(grown, before=before)
    assert changed(before, after) == [{5, 7}, {2, 7}]


def test_a_touched_classifier_becomes_what_a_full_fit_would_make_of_it():
    grown = rows_of(changes={7: 0.5})
    after, full = fit(grown, before=fit(rows_of())), fit(grown)
    for new, wanted, own in zip(after.partitions, full.partitions, ([2, 3], [0, 3]), strict=True):
        assert new.weights[own] == pytest.approx(wanted.weights[own], abs=5e-2)
        assert (new.correction[own] == wanted.correction[own]).all()


def test_the_order_of_the_samples_touches_nothing():
    rows = rows_of()
    turned = TrainingSet(rows.features[::-1], rows.labels[::-1], rows.weights[::-1], rows.identity[::-1])
    assert touched(fit(rows), turned, PAIRS) == set()


def test_another_number_for_a_subset_touches_nothing():
    before = fit(rows_of())
    renamed = np.array([2, 0, 1])[PAIRS]
    assert touched(before, rows_of(), renamed) == set()
    after = fit(rows_of(), subsets=(renamed, CROSSED), before=before)
    assert (after.partitions[0].subset_of == renamed).all()
    assert changed(before, after) == [set(), set()]


def test_a_sample_that_moves_touches_the_classifiers_of_both_its_labels():
    rows = rows_of()
    labels = rows.labels.copy()
    labels[0] = 5  # the first sample of label 2 is one of label 13 now
    moved = TrainingSet(rows.features, labels, rows.weights, rows.identity)
    assert touched(fit(rows), moved, PAIRS) == {0, 2}


def test_a_label_that_changes_its_subset_touches_both_subsets():
    assert touched(fit(rows_of()), rows_of(), np.array([0, 0, 1, 2, 2, 2])) == {1, 2}


def test_an_added_label_touches_the_subset_it_joins():
    before = fit(rows_of())
    ids = np.array([2, 3, 5, 6, 7, 11, 13])
    subsets = np.array([0, 0, 1, 1, 1, 2, 2])
    assert touched(before, rows_of(ids), subsets, ids) == {1}
    crossed = np.array([0, 1, 2, 2, 0, 1, 2])
    after = fit(rows_of(ids), ids, (subsets, crossed), before)
    assert changed(before, after) == [{5, 7}, {5, 13}]
    assert np.abs(after.partitions[0].weights[3]).max() > 0.1


def test_a_removed_label_touches_the_subset_it_leaves():
    before = fit(rows_of())
    ids = np.array([2, 3, 5, 11, 13])
    kept = [np.delete(PAIRS, 3), np.delete(CROSSED, 3)]
    assert touched(before, rows_of(ids), kept[0], ids) == {1}
    after = fit(rows_of(ids), ids, kept, before)
    assert changed(before, after, ids) == [{5}, {2}]


def test_an_added_label_of_a_lower_id_moves_no_weights_to_another_label():
    before = fit(rows_of())
    ids = np.array([1, *IDS])
    after = fit(rows_of(ids), ids, (np.r_[3, PAIRS], np.r_[3, CROSSED]), before)
    assert changed(before, after) == [set(), set()]


def test_labels_left_out_are_no_part_of_a_subset():
    out = np.array([0, 0, -1, 1, 2, 2])
    without = rows_of().only(rows_of().labels != 2)
    before = fit(without, subsets=(out, out))
    assert touched(before, without, out) == set()
    assert touched(before, rows_of(), PAIRS) == {1}


def test_subsets_now_are_those_of_the_labels_that_were_there():
    ids = np.array([1, 2, 3, 7, 11, 13])
    assert subsets_now(fit(rows_of()), 0, ids).tolist() == [-1, 0, 0, 1, 2, 2]


def test_stored_and_read_again_it_is_the_same():
    before = fit(rows_of())
    kept = Fitted.of(before.arrays("x"), "x", before.labels)
    assert touched(kept, rows_of(), CROSSED, place=1) == set()
    assert changed(before, kept) == [set(), set()]
    assert kept.classifiers == 6


def test_rows_without_an_identity_are_refused():
    rows = rows_of()
    with pytest.raises(ValueError, match="identity"):
        fit(TrainingSet(rows.features, rows.labels, rows.weights))
