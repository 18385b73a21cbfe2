import numpy as np
import pytest

from red_core.settings import RECOMMENDED
from red_core.steps.subset_classifiers import TrainingSet
from red_core.training.model_selection import Choice, choose, weigh_near

LABELS, EACH, DIMENSIONS = 6, 12, 8


def training(own_noise, near_noise, seed=0):
    """Rows whose first half, their own features, and second half, what stands near, tell the label so well."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(LABELS), EACH)
    centres = rng.normal(size=(LABELS, DIMENSIONS))
    halves = [centres[labels] + noise * rng.normal(size=(len(labels), DIMENSIONS)) for noise in (own_noise, near_noise)]
    return TrainingSet(np.hstack(halves).astype(np.float32), labels, np.ones(len(labels), dtype=np.float32))


def chosen(rows, **changes):
    settings = RECOMMENDED.model_copy(update={"subset_size": 3, "calibration_folds": 3, "noise_rows": 50} | changes)
    partitions = [np.arange(LABELS) % 2, np.arange(LABELS) // 3]
    steps = []
    eligible = np.arange(LABELS * EACH)
    return choose(rows, eligible, partitions, settings, True, lambda *at: steps.append(at)), steps


def test_what_stands_near_counts_where_it_tells_the_label():
    assert chosen(training(own_noise=3.0, near_noise=0.5))[0].near_weight == 1.0


def test_what_stands_near_does_not_count_where_it_misleads():
    assert chosen(training(own_noise=0.5, near_noise=8.0))[0].near_weight == 0.0


def test_noisy_seeds_are_regularised_more_than_clear_ones():
    noisy = chosen(training(3.0, 3.0), neighbour_weights=(1.0,), regularisation=(0.01, 0.1, 1.0, 10.0, 100.0))[0]
    clear = chosen(training(0.1, 0.1), neighbour_weights=(1.0,), regularisation=(0.01, 0.1, 1.0, 10.0, 100.0))[0]
    assert noisy.regularisation < clear.regularisation


def test_one_value_each_is_taken_without_a_fit():
    assert chosen(training(1, 1), neighbour_weights=(0.5,), regularisation=(7.0,)) == (Choice(7.0, 0.5), [])


def test_from_the_last_choice_the_walk_is_shorter_and_ends_at_the_same():
    changes = {"subset_size": 3, "calibration_folds": 3, "noise_rows": 50, "neighbour_weights": (1.0,)}
    settings = RECOMMENDED.model_copy(update=changes)
    rows, partitions = training(0.1, 0.1), [np.arange(LABELS) % 2, np.arange(LABELS) // 3]
    walks = []
    last = None
    for _ in range(2):
        steps = []
        last = choose(
            rows, np.arange(LABELS * EACH), partitions, settings, True, lambda *at, s=steps: s.append(at), last
        )
        walks.append((last, len(steps)))
    assert walks[0][0] == walks[1][0]
    assert walks[1][1] < walks[0][1]


def test_a_last_choice_that_is_no_choice_any_more_is_passed_over():
    settings = RECOMMENDED.model_copy(update={"subset_size": 3, "neighbour_weights": (1.0,), "regularisation": (3.0,)})
    rows = training(1.0, 1.0)
    assert choose(rows, np.arange(6), [np.arange(6)], settings, True, print, Choice(7.0, 0.2)) == Choice(3.0, 1.0)


def test_progress_never_passes_its_end():
    _, steps = chosen(training(1.0, 1.0))
    assert steps
    assert all(done <= total for done, total in steps)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_a_weight_scales_the_second_half_alone(weight):
    rows = training(1.0, 1.0)
    found = weigh_near(rows, True, weight).features
    assert found[:, :DIMENSIONS] == pytest.approx(rows.features[:, :DIMENSIONS])
    assert found[:, DIMENSIONS:] == pytest.approx(weight * rows.features[:, DIMENSIONS:])


def test_without_neighbours_rows_stay_as_they_are():
    rows = training(1.0, 1.0)
    assert weigh_near(rows, False, 0.5) is rows
