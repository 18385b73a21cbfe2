"""Later rounds refit only the touched classifiers, and no belief comes from a classifier that trained on its text."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from red_core.errors import Cancelled
from red_core.records import Label, Project
from red_core.steps.noise_oversampling import draw_noise
from red_core.training import fit, fit_rows
from red_core.training.features import Features
from red_core.training.model import load_model, model_file, save_model
from tests.helpers.small_projects import EMBEDDING, FAST

LABELS, SEEDS, POOL = 8, 4, 40
ALWAYS = FAST.model_copy(update={"regularisation": (10.0,), "neighbour_weights": (), "most_refitted": 1.0})
SEEN = Features(EMBEDDING, "", 0.0)


@dataclass
class World:
    """A project's facts as plain dictionaries, so that a test can change them between two rounds."""

    project: Project
    seeds: dict[int, int] = field(default_factory=dict)
    fed: dict[int, tuple[int, float]] = field(default_factory=dict)
    pool: set[int] = field(default_factory=set)
    shown: dict[int, int] = field(default_factory=dict)
    vectors: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    round_id: int = 0

    def rows(self, _project=None, _round=None):
        fed = {text: pair for text, pair in self.fed.items() if text not in self.seeds}
        return sorted([*((t, label, 1.0) for t, label in self.seeds.items()), *((t, *pair) for t, pair in fed.items())])

    def train(self, settings=ALWAYS, features=SEEN, report=lambda *_: None, *, save=True):
        """Train the next round; without ``save`` the next call trains the same round again."""
        subsets = np.array([self.shown[label] for label in sorted(self.shown)])
        model = fit.train(self.project, self.round_id + 1, settings, features, subsets, report)
        if save:
            self.round_id += 1
            save_model(model_file(self.project, self.round_id), model)
        return model

    def ids(self):
        return np.array(sorted(self.pool))

    def texts_of(self, label):
        return [text for text, own in self.seeds.items() if own == label]


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Eight labels (ids 1 to 8) of four seeds, a pool of forty texts, and texts to be added; vectors around centres."""
    world = World(Project(tmp_path, "small"))
    rng = np.random.default_rng(0)
    world.seeds = {text: 1 + text // SEEDS for text in range(LABELS * SEEDS)}
    world.pool = set(range(LABELS * SEEDS, LABELS * SEEDS + POOL))
    world.shown = {label: label % 4 for label in range(1, LABELS + 1)}
    centres = rng.normal(size=(LABELS + 4, 12))
    topics = np.r_[np.arange(LABELS * SEEDS) // SEEDS, rng.integers(LABELS, size=POOL), np.repeat(range(LABELS, 12), 5)]
    world.vectors = (centres[topics] + 0.6 * rng.normal(size=(len(topics), 12))).astype(np.float32)
    monkeypatch.setattr(fit, "list_labels", lambda _: [Label(id_, f"label {id_}") for id_ in sorted(world.shown)])
    monkeypatch.setattr("red_core.training.training_set.training_rows", world.rows)
    monkeypatch.setattr("red_core.training.training_set.pool", lambda _: world.ids())
    monkeypatch.setattr("red_core.training.training_set.frozen_seeds", lambda *_: np.array(sorted(world.seeds)))
    monkeypatch.setattr(Features, "of", lambda _self, _project, ids: world.vectors[ids])
    return world


NEW = LABELS * SEEDS + POOL
"""Texts from this id on are added later: five for each of four new labels."""


def changed(before, after):
    """Return, for each partition, the label ids whose classifiers differ."""
    ids = np.intersect1d(before.label_ids, after.label_ids)
    collected = []
    for old, new in zip(before.partitions, after.partitions, strict=True):
        rows, places = np.searchsorted(before.label_ids, ids), np.searchsorted(after.label_ids, ids)
        same = (old.weights[rows] == new.weights[places]).all(axis=1) & (old.bias[rows] == new.bias[places])
        collected.append(set(ids[~same].tolist()))
    return collected


def beside(model, *labels):
    """Return, for each partition, the ids of all labels in a subset with one of these."""
    collected = []
    for partition in model.partitions:
        subsets = partition.subset_of[np.searchsorted(model.label_ids, labels)]
        collected.append(set(model.label_ids[np.isin(partition.subset_of, subsets)].tolist()))
    return collected


# What is refitted


def test_the_first_fit_is_full(world):
    extent = world.train().extent
    assert (extent.fit, extent.refitted, extent.classifiers) == ("full", 8, 8)
    assert extent.reason == "there is no earlier fit"


def test_without_a_change_nothing_is_fitted_and_everything_is_the_same(world, monkeypatch):
    before = world.train()
    monkeypatch.setattr("red_core.steps.subset_classifiers.fit_subset", None)
    after = world.train()
    assert (after.extent.fit, after.extent.refitted, after.extent.reason) == ("incremental", 0, "")
    assert changed(before, after) == [set(), set()]
    assert after.calibration == before.calibration
    assert (after.known.belief_logit == before.known.belief_logit).all()


@pytest.mark.parametrize("label", [1, 6])
def test_a_text_fed_back_touches_one_classifier_of_each_partition(label, world):
    before = world.train()
    world.fed[40] = (label, 0.97)
    after = world.train()
    assert (after.extent.fit, after.extent.refitted) == ("incremental", 2)
    assert changed(before, after) == beside(before, label)
    assert [p.subset_of.tolist() for p in after.partitions] == [p.subset_of.tolist() for p in before.partitions]


def test_of_the_halves_only_that_which_may_see_the_text_is_refitted(world):
    before = world.train()
    world.fed[41] = (1, 0.97)
    first = world.train()
    assert changed(before, replace(before, fitted=first.halves[1])) == [set(), set()]
    assert changed(before, replace(before, fitted=first.halves[0])) == beside(before, 1)
    world.fed[44] = (2, 0.97)
    second = world.train()
    of = [[replace(model, fitted=half) for half in model.halves] for model in (first, second)]
    assert changed(of[0][0], of[1][0]) == [set(), set()]
    assert changed(of[0][1], of[1][1]) == beside(before, 2)


@pytest.mark.parametrize("change", [lambda fed: fed.pop(40), lambda fed: fed.update({40: (3, 0.96)})])
def test_a_text_rolled_back_or_weighed_anew_touches_its_label_again(change, world):
    world.train()
    world.fed[40] = (3, 0.97)
    before = world.train()
    change(world.fed)
    assert changed(before, world.train()) == beside(before, 3)


def test_an_added_label_is_fitted_once_in_each_partition(world):
    before = world.train()
    world.seeds |= dict.fromkeys(range(NEW, NEW + 5), 9)
    world.shown[9] = 2
    after = world.train()
    assert (after.extent.fit, after.extent.refitted) == ("incremental", 2)
    assert changed(before, after) == [others - {9} for others in beside(after, 9)]
    assert (after.partitions[1].subset_of[:-1] == before.partitions[1].subset_of).all()
    assert after.log_odds(world.ids(), world.vectors[world.ids()]).shape == (POOL, 9)
    assert after.log_odds(np.array([NEW]), world.vectors[[NEW]]).argmax() == 8


def test_an_added_label_joins_the_hidden_subset_of_those_it_looks_like(world):
    before = world.train()
    for label in (1, 5, 8):
        world.vectors[NEW : NEW + 5] = world.vectors[world.texts_of(label)].mean(axis=0)
        seeds_before = dict(world.seeds)
        world.seeds |= dict.fromkeys(range(NEW, NEW + 5), 9)
        world.shown[9] = 0
        hidden = world.train(save=False).partitions[1].subset_of
        assert hidden[-1] == before.partitions[1].subset_of[label - 1]
        world.seeds = seeds_before
        del world.shown[9]


def test_a_removed_label_touches_those_it_leaves_behind(world):
    before = world.train()
    mates = beside(before, 3)
    for text in world.texts_of(3):
        del world.seeds[text]  # it is in neither seeds nor pool now
    del world.shown[3]
    after = world.train()
    assert changed(before, after) == [others - {3} for others in mates]
    assert after.extent.refitted == 2
    assert after.label_ids.tolist() == [1, 2, 4, 5, 6, 7, 8]


def test_labels_merged_touch_the_subsets_of_both(world):
    before = world.train()
    mates = [one | other for one, other in zip(beside(before, 3), beside(before, 4), strict=True)]
    for text in world.texts_of(3):
        world.seeds[text] = 4
    del world.shown[3]
    assert changed(before, world.train()) == [others - {3} for others in mates]


def test_a_label_moved_to_another_shown_subset_touches_the_shown_ones_alone(world):
    before = world.train()
    world.shown[3] = 0
    after = world.train()
    assert changed(before, after) == [{3, 7, 4, 8}, set()]
    assert after.extent.refitted == 2


def test_the_choice_stays_until_a_full_fit(world, monkeypatch):
    chosen = []
    real = fit.select_model
    monkeypatch.setattr(fit, "select_model", lambda *given: chosen.append(1) or real(*given))
    settings = ALWAYS.model_copy(update={"regularisation": (1.0, 10.0), "most_refitted": 0.5})
    before = world.train(settings)
    world.fed[40] = (1, 0.9)
    assert world.train(settings).regularisation == before.regularisation
    assert chosen == [1]
    world.fed |= {text: (1 + text % LABELS, 0.9) for text in range(41, 60)}
    assert world.train(settings).extent.fit == "full"
    assert chosen == [1, 1]


# Full fits


@pytest.mark.parametrize(
    ("settings", "features"),
    [
        ({"noise_factor": 3.0}, SEEN),
        ({"regularisation": (3.0,)}, SEEN),
        ({"random_state": 1}, SEEN),
        ({"subset_size": 3}, SEEN),
        ({"calibration_folds": 3}, SEEN),
        ({}, replace(SEEN, lexical="lexical-2")),
        ({}, replace(SEEN, lexical_weight=0.7)),
        ({}, replace(SEEN, embedding="another")),
    ],
)
def test_other_settings_or_features_fit_everything(settings, features, world):
    world.train()
    extent = world.train(ALWAYS.model_copy(update=settings), features).extent
    assert (extent.fit, extent.refitted, extent.reason) == ("full", extent.classifiers, "other settings or features")


@pytest.mark.parametrize("settings", [{"most_questions": 3}, {"none_share": 0.1}, {"feed_back_belief": 0.5}])
def test_irrelevant_settings_cause_no_fit(settings, world):
    world.train()
    assert world.train(ALWAYS.model_copy(update=settings)).extent.refitted == 0


@pytest.mark.parametrize(("share", "expected"), [(0.24, "full"), (0.25, "incremental")])
def test_more_than_a_share_touched_fits_everything(share, expected, world):
    world.train()
    world.fed[40] = (1, 0.9)
    extent = world.train(ALWAYS.model_copy(update={"most_refitted": share})).extent
    assert (extent.fit, extent.reason) == (expected, "2 of 8 classifiers were touched" if expected == "full" else "")


def test_a_full_fit_forms_the_hidden_partitions_and_draws_noise_as_the_first_one_does(world):
    world.train()
    world.seeds |= dict.fromkeys(range(NEW, NEW + 5), 9)
    world.shown[9] = 2
    world.train()
    again = world.train(ALWAYS.model_copy(update={"most_refitted": 0.0}))
    assert again.extent.refitted == 0  # nothing was touched, so the limit of 0 is not exceeded
    world.fed[40] = (1, 0.9)
    again = world.train(ALWAYS.model_copy(update={"most_refitted": 0.0}))
    world.round_id = 0
    model_file(world.project, 1).rename(world.project.folder / "away")
    first = world.train()
    assert changed(first, again) == [set(), set()]
    assert (first.partitions[1].subset_of == again.partitions[1].subset_of).all()
    assert first.calibration == again.calibration


def test_seeds_that_went_into_the_pool_fit_everything(world):
    world.train()
    world.pool.add(0)
    del world.seeds[0]
    extent = world.train().extent
    assert (extent.fit, extent.reason) == ("full", "texts that were seeds are in the pool")


def test_fewer_labels_than_a_subset_holds_fit_everything(world):
    settings = ALWAYS.model_copy(update={"subset_size": 7})
    world.train(settings)
    for label in (7, 8):
        for text in world.texts_of(label):
            del world.seeds[text]
        del world.shown[label]
    extent = world.train(settings).extent
    assert (extent.fit, extent.classifiers) == ("full", 4)


def test_a_damaged_model_fits_everything(world):
    world.train()
    model_file(world.project, 1).write_bytes(b"no zip")
    assert world.train().extent.fit == "full"


def test_a_round_without_a_model_is_skipped(world):
    before = world.train()
    world.round_id = 4
    assert changed(before, world.train()) == [set(), set()]


def test_the_extent_is_stored_with_the_model(world):
    world.train()
    world.fed[40] = (1, 0.9)
    model = world.train()
    assert load_model(model_file(world.project, 2)).extent == model.extent


# Interrupted rounds


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_a_fit_killed_on_its_way_ends_as_if_nothing_had_happened(steps, world):
    world.train()
    world.fed |= {40: (1, 0.97), 43: (5, 0.99)}
    wanted = world.train(save=False)

    seen = []

    def stop(done, total):
        seen.append((done, total))
        if len(seen) > steps:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        world.train(report=stop)
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {100}
    again = world.train()
    assert changed(wanted, again) == [set(), set()]
    assert again.calibration == wanted.calibration
    assert again.extent == wanted.extent


def test_a_full_fit_killed_before_its_model_was_stored_is_made_again(world):
    world.train()
    other = ALWAYS.model_copy(update={"noise_factor": 3.0})
    wanted = world.train(other, save=False)
    again = world.train(other)
    assert changed(wanted, again) == [set(), set()]
    assert again.calibration == wanted.calibration


def test_without_the_folds_of_the_round_before_they_are_fitted_anew(world):
    before = world.train()
    (world.project.folder / "rounds" / "held-out" / "models.npz").unlink()
    after = world.train()
    assert after.extent.refitted == 0
    assert after.calibration == before.calibration


# No belief comes from a classifier that saw the text


def seen_by(training, inside, noise, *, rng, **_how):
    """Fit nothing: a classifier's weights mark the texts it saw, as samples or as noise."""
    rows, _ = draw_noise(training.labels, training.weights, inside, factor=noise.factor, rows=noise.rows, rng=rng)
    inside_rows = np.flatnonzero(np.isin(training.labels, inside))
    assert set(training.labels[inside_rows].tolist()) == set(inside.tolist())  # each label has a row
    seen = training.features[np.r_[inside_rows, rows]].max(axis=0)
    empty = np.zeros(len(inside), dtype=np.float32)
    return np.tile(seen, (len(inside), 1)), empty, empty


@pytest.fixture
def watched(world, monkeypatch):
    """The world with each text in a dimension of its own: log-odds above 0 come from a classifier that saw the text."""
    world.vectors = np.eye(len(world.vectors), dtype=np.float32)
    monkeypatch.setattr("red_core.steps.subset_classifiers.fit_subset", seen_by)
    held = []
    real = fit_rows.fit_calibration

    def note(known, labels, foreign, *, none_share):
        held.append((known, foreign))
        return real(known, labels, foreign, none_share=none_share)

    monkeypatch.setattr(fit_rows, "fit_calibration", note)
    return world, held


def check_honest(world, held, model):
    pool = world.ids()
    assert model.log_odds(pool, world.vectors[pool]).max() == 0
    for scored in held[-1]:
        assert not len(scored) or scored.max() == 0


def test_the_watched_classifiers_show_which_texts_they_saw(watched):
    world, held = watched
    model = world.train()
    check_honest(world, held, model)
    seeds = np.array(sorted(world.seeds))
    assert (model.log_odds(seeds, world.vectors[seeds]).max(axis=1) > 0).all()
    world.fed[40] = (1, 0.97)
    fed = world.train()
    assert replace(fed, halves=()).log_odds(np.array([40]), world.vectors[[40]]).max() > 0


# Events between two rounds: each takes the world, a pool text, a label, a seed that its label can lose (or None), and
# a random generator.


def feed(world, text, label, _spare, _rng):
    world.fed[text] = (label, 0.97)


def roll_back(world, _text, _label, _spare, rng):
    if world.fed:
        world.fed.pop(int(rng.choice(sorted(world.fed))))


def weigh_anew(world, _text, _label, _spare, rng):
    if world.fed:
        chosen = int(rng.choice(sorted(world.fed)))
        world.fed[chosen] = (world.fed[chosen][0], float(rng.uniform(0.9, 1.0)))


def import_with_a_label(world, text, label, _spare, _rng):
    world.pool.discard(text)
    world.fed.pop(text, None)
    world.seeds[text] = label


def relabel(world, _text, _label, spare, rng):
    if spare is not None:
        world.seeds[spare] = int(rng.choice(sorted(world.shown)))


def contradict(world, _text, label, spare, rng):
    """Let a decision contradict a seed; in half the cases the text is fed back with the other label."""
    if spare is not None:
        del world.seeds[spare]
        if rng.random() < 0.5:
            world.fed[spare] = (label, 1.0)


def undo_a_contradiction(world, _text, label, _spare, _rng):
    for gone in sorted(set(range(LABELS * SEEDS)) - world.seeds.keys() - world.pool)[:1]:
        world.seeds[gone] = label


def add_a_label(world, _text, _label, _spare, rng):
    new = [t for t in range(NEW, len(world.vectors)) if t not in world.seeds and t not in world.pool]
    if len(new) >= 3:
        world.shown[max(world.shown) + 1] = int(rng.integers(4))
        world.seeds |= dict.fromkeys(new[:3], max(world.shown))


def merge(world, _text, label, _spare, rng):
    if len(world.shown) > 6:
        other = int(rng.choice([own for own in world.shown if own != label]))
        world.seeds |= dict.fromkeys(world.texts_of(label), other)
        world.fed = {t: (other if own == label else own, weight) for t, (own, weight) in world.fed.items()}
        del world.shown[label]


def take_a_seed_for_the_pool(world, _text, _label, spare, rng):
    if spare is not None and rng.random() < 0.5:
        del world.seeds[spare]
        world.pool.add(spare)


EVENTS = (
    feed, feed, roll_back, weigh_anew, import_with_a_label, relabel, contradict, undo_a_contradiction, add_a_label,
    merge, take_a_seed_for_the_pool,
)  # fmt: skip


def something_happens(world, rng):
    label = int(rng.choice(sorted(world.shown)))
    mine = world.texts_of(label)
    event = EVENTS[rng.integers(len(EVENTS))]
    event(world, int(rng.choice(world.ids())), label, mine[0] if len(mine) > 2 else None, rng)


@pytest.mark.parametrize("seed", range(8))
def test_no_text_is_scored_by_a_classifier_that_saw_it_after_any_events(seed, watched):
    world, held = watched
    rng = np.random.default_rng(seed)
    fits = set()
    for _ in range(10):
        model = world.train()
        check_honest(world, held, model)
        fits.add(model.extent.fit)
        for _ in range(rng.integers(1, 5)):
            something_happens(world, rng)
    assert fits == {"full", "incremental"}


def test_a_text_rolled_back_is_still_scored_by_the_half_that_never_saw_it(watched):
    world, held = watched
    world.train()
    world.fed |= dict.fromkeys((40, 41), (1, 0.97))
    world.train()
    world.fed.clear()
    model = world.train()
    assert model.fed_back.tolist() == [40, 41]
    check_honest(world, held, model)


def test_a_seed_that_came_later_only_trains_until_a_full_fit(world):
    world.train()
    world.seeds |= dict.fromkeys(range(NEW, NEW + 3), 1)
    moved = world.texts_of(2)[0]
    world.seeds[moved] = 1
    assert not np.isin(world.train().known.texts, [moved, *range(NEW, NEW + 3)]).any()
    full = world.train(ALWAYS.model_copy(update={"noise_factor": 3.0}))
    assert np.isin([moved, *range(NEW, NEW + 3)], full.known.texts).any()


def test_of_very_many_seeds_equally_many_of_each_label_calibrate(world, monkeypatch):
    monkeypatch.setattr("red_core.training.cross_fitting.SEEDS_HELD_OUT", 2 * LABELS)
    held = []
    real = fit_rows.cross_fit
    monkeypatch.setattr(fit_rows, "cross_fit", lambda *given, **how: held.append(real(*given, **how)) or held[-1])
    for _ in range(2):
        world.train()
        models = held.pop()[1]
        assert np.bincount(models.labels).tolist() == [0, *[2] * LABELS]


@pytest.mark.parametrize(("moved", "anew"), [(2, False), (3, True)])
def test_if_most_seeds_came_later_the_folds_are_drawn_anew(moved, anew, world):
    world.train()
    relabelled = [text for text in range(LABELS * SEEDS) if text % SEEDS < moved]
    world.seeds |= {text: 1 + (text // SEEDS + 1) % LABELS for text in relabelled}
    assert bool(np.isin(world.train().known.texts, relabelled).any()) == anew


def test_a_fold_refits_only_what_its_own_samples_touch(world, monkeypatch):
    world.train()
    fitted = []
    real = fit_rows.refit

    def note(training, labels, subsets, before, noise, **how):
        found = real(training, labels, subsets, before, noise, **how)
        fitted.append([int((old.weights != new.weights).any(axis=1).sum()) for old, new in zip(
            before.partitions, found.partitions, strict=True)])  # fmt: skip
        return found

    monkeypatch.setattr(fit_rows, "refit", note)
    world.seeds[NEW] = 1
    world.train()
    main, *folds = fitted
    assert main == [2, 2]
    assert len(folds) == ALWAYS.calibration_folds
    assert all(max(refitted) <= 2 for refitted in folds)
