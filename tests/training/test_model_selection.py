import numpy as np
import pytest

from red_core.settings import RECOMMENDED
from red_core.steps.subset_classifiers import TrainingSet
from red_core.training.model_selection import Choice, select_model
from red_core.training.training_set import FrozenRows

LABELS, EACH, DIMENSIONS = 6, 12, 8


def frozen(own_noise, neighbour_noise, seed=0, *, has_neighbours=True):
    """Rows of seeds; less noise in a half of the features (the second is the kNN features) tells the label better."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(LABELS), EACH)
    centres = rng.normal(size=(LABELS, DIMENSIONS))
    noises = (own_noise, neighbour_noise)
    halves = [centres[labels] + noise * rng.normal(size=(len(labels), DIMENSIONS)) for noise in noises]
    training = TrainingSet(np.hstack(halves).astype(np.float32), labels, np.ones(len(labels), dtype=np.float32))
    texts, is_seed = np.arange(len(labels)), np.ones(len(labels), dtype=np.bool_)
    return FrozenRows(np.arange(LABELS), training, texts, is_seed, np.zeros(0, dtype=np.int64), has_neighbours)


def chosen(rows, **changes):
    settings = RECOMMENDED.model_copy(update={"subset_size": 3, "calibration_folds": 3, "noise_rows": 50} | changes)
    partitions = [np.arange(LABELS) % 2, np.arange(LABELS) // 3]
    steps = []
    return select_model(rows, partitions, settings, lambda *at: steps.append(at)), steps


def test_neighbours_get_weight_if_they_tell_the_label():
    assert chosen(frozen(own_noise=3.0, neighbour_noise=0.5))[0].neighbour_weight == 1.0


def test_neighbours_get_no_weight_if_they_mislead():
    assert chosen(frozen(own_noise=0.5, neighbour_noise=8.0))[0].neighbour_weight == 0.0


def test_noisy_seeds_are_regularised_more_than_clear_ones():
    noisy = chosen(frozen(3.0, 3.0), neighbour_weights=(1.0,), regularisation=(0.01, 0.1, 1.0, 10.0, 100.0))[0]
    clear = chosen(frozen(0.1, 0.1), neighbour_weights=(1.0,), regularisation=(0.01, 0.1, 1.0, 10.0, 100.0))[0]
    assert noisy.regularisation < clear.regularisation


def test_a_single_value_is_taken_without_a_fit():
    assert chosen(frozen(1, 1), neighbour_weights=(0.5,), regularisation=(7.0,)) == (Choice(7.0, 0.5), [])


def test_a_search_from_the_last_choice_is_shorter_and_ends_at_the_same_choice():
    changes = {"subset_size": 3, "calibration_folds": 3, "noise_rows": 50, "neighbour_weights": (1.0,)}
    settings = RECOMMENDED.model_copy(update=changes)
    rows, partitions = frozen(0.1, 0.1), [np.arange(LABELS) % 2, np.arange(LABELS) // 3]
    searches = []
    last = None
    for _ in range(2):
        steps = []
        last = select_model(rows, partitions, settings, lambda *at, s=steps: s.append(at), last)
        searches.append((last, len(steps)))
    assert searches[0][0] == searches[1][0]
    assert searches[1][1] < searches[0][1]


def test_a_last_choice_that_is_no_longer_offered_is_ignored():
    settings = RECOMMENDED.model_copy(update={"subset_size": 3, "neighbour_weights": (1.0,), "regularisation": (3.0,)})
    rows = frozen(1.0, 1.0)
    assert select_model(rows, [np.arange(6)], settings, print, Choice(7.0, 0.2)) == Choice(3.0, 1.0)


def test_progress_never_passes_its_total():
    _, steps = chosen(frozen(1.0, 1.0))
    assert steps
    assert all(done <= total for done, total in steps)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_a_weight_scales_the_second_half_only(weight):
    rows = frozen(1.0, 1.0)
    before = rows.training.features.copy()
    scaled = rows.weighted(weight).features
    assert scaled[:, :DIMENSIONS] == pytest.approx(before[:, :DIMENSIONS])
    assert scaled[:, DIMENSIONS:] == pytest.approx(weight * before[:, DIMENSIONS:])
    assert (rows.training.features == before).all()


def test_without_neighbours_rows_stay_as_they_are():
    rows = frozen(1.0, 1.0, has_neighbours=False)
    assert rows.weighted(0.5) is rows.training
