"""Article step 2 on a project: fit every subset classifier on the round's frozen training set, and calibrate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from red_core.choosing import Choice, choose, cores, fitter, weigh_near
from red_core.features import Features, recipe, says_something
from red_core.label_set import hidden_partitions
from red_core.records import Booleans, Floats, Ints, Label, Project
from red_core.settings import Settings
from red_core.steps.belief import Calibration, beliefs, candidates, fit_calibration
from red_core.steps.out_of_fold import HeldOut, held_out_odds
from red_core.steps.pool_scoring import label_odds
from red_core.steps.subset_classifiers import NoiseRule, Partition, TrainingSet, fit_partition
from red_core.store.arrays import load_arrays, save_arrays
from red_core.store.rounds import training_rows
from red_core.store.texts import seeds

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class KnownProposals:
    """What would have been proposed for each seed by classifiers that never saw it, and whether it is right.

    Attributes
    ----------
    texts : ndarray of shape (n,), int64
        Row ids of seeds.
    labels : ndarray of shape (n,), int64
        The best label of each, as a place in ``Model.label_ids``.
    right : ndarray of shape (n,), bool
    prior_logit : ndarray of shape (n,), float32
        The logit of the belief before any verdict.
    """

    texts: Ints
    labels: Ints
    right: Booleans
    prior_logit: Floats


@dataclass(frozen=True)
class Model:
    """What a round's training leaves: enough to score any text, stored or new.

    Attributes
    ----------
    label_ids : ndarray of shape (L,), int64
        The label of each column of the odds, ascending.
    partitions : tuple of Partition
        The shown one first, then the hidden ones.
    halves : tuple of two tuples of Partition, or ()
        Trained without the fed-back texts of even, and of odd, row id: they score those texts.
    fed_back : ndarray of int64
        Row ids of the texts in the training set that are not seeds, ascending.
    calibration : Calibration
    known : KnownProposals
    features : Features
        What it sees of a text.
    regularisation : float
    recipe : str
        What the classifiers depend on besides the training rows.
    """

    label_ids: Ints
    partitions: tuple[Partition, ...]
    halves: tuple[tuple[Partition, ...], ...]
    fed_back: Ints
    calibration: Calibration
    known: KnownProposals
    features: Features
    regularisation: float
    recipe: str

    def odds(self, ids: Ints, features: Floats) -> Floats:
        """Return odds of shape (n, L) for stored texts, each from classifiers that never saw it."""
        scored = label_odds(features, self.partitions)
        if self.halves:
            trained_on = np.isin(ids, self.fed_back)
            for half in (0, 1):
                rows = np.flatnonzero(trained_on & (ids % 2 == half))
                scored[rows] = label_odds(features[rows], self.halves[half])
        return scored


def model_file(project: Project, round_id: int) -> Path:
    """Return the file of a round's model."""
    return project.folder / "rounds" / f"{round_id}.npz"


def train(
    project: Project,
    round_id: int,
    labels: Sequence[Label],
    settings: Settings,
    features: Features,
    shown: Ints,
    report: Report,
) -> Model:
    """Fit and calibrate all classifiers of a round; only those whose training rows changed since ``round_id - 1``.

    How strongly to regularise, and how much of what stands near a text counts, is chosen on held-out seeds in the
    first round and kept while nothing else about the features changes.

    Parameters
    ----------
    features : Features
        Its ``near_weight`` is chosen here.
    labels : sequence of L Label, by id
    shown : ndarray of shape (L,), int64
        The subset numbers of the partition that is shown and edited.
    """
    training, texts = _training_set(project, round_id, labels, settings, replace(features, near_weight=1.0))
    seed_texts, _ = seeds(project)
    is_seed = np.isin(texts, seed_texts)
    # From seeds and names alone, so that feeding back never moves a label.
    partitions = [shown, *hidden_partitions(training.only(is_seed | (texts < 0)), len(labels), settings)]
    fed_back = texts[(texts >= 0) & ~is_seed]
    made_by = recipe(settings, features)
    before = _before(project, round_id, labels, partitions, made_by)
    if before is None:
        chosen = choose(training, np.flatnonzero(is_seed), partitions, settings, bool(features.near), report)
    else:
        chosen = Choice(before.regularisation, before.features.near_weight)
    features = replace(features, near_weight=chosen.near_weight)
    training = weigh_near(training, bool(features.near), chosen.near_weight)
    steps = _Steps(report, 1 + settings.calibration_folds + (2 if len(fed_back) else 0))
    fit = fitter(settings, chosen.regularisation)
    if before is None:
        fitted = fit(training, partitions)
    else:
        fitted = _refit_touched(project, before, round_id, labels, training, settings)
    steps.one_done()
    halves = (
        tuple(_half(training, texts, fed_back, half, partitions, fit, steps) for half in (0, 1))
        if len(fed_back)
        else ()
    )
    held = held_out_odds(
        training, np.flatnonzero(is_seed), partitions, fit,
        folds=settings.calibration_folds, rng=np.random.default_rng(settings.random_state),
        done=lambda _: steps.one_done(),
    )  # fmt: skip
    calibration = fit_calibration(
        held.odds, training.labels[held.rows], held.foreign_odds, none_share=settings.none_share
    )
    known = _known_proposals(held, training.labels[held.rows], texts[held.rows], calibration)
    ids = np.array([label.id for label in labels], dtype=np.int64)
    return Model(ids, fitted, halves, fed_back, calibration, known, features, chosen.regularisation, made_by)


def _training_set(
    project: Project, round_id: int, labels: Sequence[Label], settings: Settings, features: Features
) -> tuple[TrainingSet, Ints]:
    """Return the training rows and their text row ids; a label's own name is a row with text -1."""
    place = {label.id: number for number, label in enumerate(labels)}
    rows = training_rows(project, round_id)
    texts = np.array([text for text, _, _ in rows], dtype=np.int64)
    classes = np.array([place[label] for _, label, _ in rows], dtype=np.int64)
    weights = np.array([weight for _, _, weight in rows], dtype=np.float32)
    seen = features.of(project, texts)
    named = [label for label in labels if says_something(label.name)] if settings.label_names_as_seeds else []
    if named:
        seen = np.vstack([seen, features.of_names(project, [n.name for n in named])])
        classes = np.r_[classes, [place[n.id] for n in named]]
        weights = np.r_[weights, np.ones(len(named), dtype=np.float32)]
        texts = np.r_[texts, np.full(len(named), -1)]
    return TrainingSet(seen, classes, weights), texts


class _Steps:
    """Counts finished fits of all partitions for the progress bar."""

    def __init__(self, report: Report, total: int) -> None:
        self._report, self._done, self._total = report, 0, total
        report(0, total)

    def one_done(self) -> None:
        self._done += 1
        self._report(self._done, self._total)


def _half(
    training: TrainingSet,
    texts: Ints,
    fed_back: Ints,
    half: int,
    partitions: Sequence[Ints],
    fit: Callable[[TrainingSet, Sequence[Ints]], tuple[Partition, ...]],
    steps: _Steps,
) -> tuple[Partition, ...]:
    """Fit without the fed-back texts whose row id is ``half`` modulo 2."""
    kept = ~(np.isin(texts, fed_back) & (texts % 2 == half))
    fitted = fit(training.only(kept), partitions)
    steps.one_done()
    return fitted


def _before(
    project: Project, round_id: int, labels: Sequence[Label], partitions: Sequence[Ints], made_by: str
) -> Model | None:
    """Return the last round's model if this round's differs from it in the training rows alone."""
    path = model_file(project, round_id - 1)
    if round_id == 1 or not path.is_file():
        return None
    before = load_model(path)
    same_labels = before.label_ids.tolist() == [label.id for label in labels]
    if before.recipe != made_by or not same_labels or len(before.partitions) != len(partitions):
        return None
    if any((old.subset_of != new).any() for old, new in zip(before.partitions, partitions, strict=True)):
        return None
    return before


def _refit_touched(
    project: Project, before: Model, round_id: int, labels: Sequence[Label], training: TrainingSet, settings: Settings
) -> tuple[Partition, ...]:
    """Refit only the classifiers with a label whose training rows changed since the last round."""
    changed = set(training_rows(project, round_id)) ^ set(training_rows(project, round_id - 1))
    touched_labels = [number for number, label in enumerate(labels) if any(label.id == c for _, c, _ in changed)]
    return tuple(
        fit_partition(
            training, old.subset_of, NoiseRule(settings.noise_factor, settings.noise_rows),
            regularisation=before.regularisation, random_state=settings.random_state,
            previous=old, touched=set(old.subset_of[touched_labels].tolist()), workers=cores(),
        )
        for old in before.partitions
    )  # fmt: skip


def _known_proposals(held: HeldOut, labels: Ints, texts: Ints, calibration: Calibration) -> KnownProposals:
    best = beliefs(candidates(held.odds, calibration, 1))[:, 0]
    proposed = held.odds.argmax(axis=1)
    clipped = np.clip(best, 1e-4, 1 - 1e-4)
    prior_logit = np.log(clipped / (1 - clipped)).astype(np.float32)
    return KnownProposals(texts, proposed.astype(np.int64), proposed == labels, prior_logit)


def save_model(path: Path, model: Model) -> None:
    """Write a model to ``path``, arrays only."""
    stacks = {"partitions": model.partitions} | {f"half{i}": half for i, half in enumerate(model.halves)}
    arrays = {
        f"{name}_{part}": np.stack([getattr(p, part) for p in stack])
        for name, stack in stacks.items()
        for part in Partition.__dataclass_fields__
    }
    save_arrays(
        path,
        **arrays,
        label_ids=model.label_ids,
        fed_back=model.fed_back,
        calibration=np.array([model.calibration.beta, model.calibration.none_score]),
        known_texts=model.known.texts,
        known_labels=model.known.labels,
        known_right=model.known.right,
        known_prior_logit=model.known.prior_logit,
        words=np.array([model.features.embedding, model.features.lexical, model.features.near, model.recipe]),
        numbers=np.array([model.features.lexical_weight, model.features.near_weight, model.regularisation]),
    )


def load_model(path: Path) -> Model:
    """Read a model.

    Raises
    ------
    StoreError
        If the file is missing or damaged.
    """
    kept = load_arrays(path)

    def stack(name: str) -> tuple[Partition, ...]:
        parts = [kept[f"{name}_{part}"] for part in Partition.__dataclass_fields__]
        return tuple(Partition(*arrays) for arrays in zip(*parts, strict=True))

    embedding, lexical, *near, made_by = (str(word) for word in kept["words"])
    if "numbers" in kept:
        lexical_weight, near_weight, regularisation = (float(number) for number in kept["numbers"])
    else:  # version 0.1.0 looked at nothing near, and did not keep what it took for granted
        lexical_weight, near_weight, regularisation = float(kept["lexical_weight"]), 0.0, 30.0
    return Model(
        label_ids=kept["label_ids"],
        partitions=stack("partitions"),
        halves=(stack("half0"), stack("half1")) if "half0_weights" in kept else (),
        fed_back=kept["fed_back"],
        calibration=Calibration(*(float(value) for value in kept["calibration"])),
        known=KnownProposals(kept["known_texts"], kept["known_labels"], kept["known_right"], kept["known_prior_logit"]),
        features=Features(embedding, lexical, lexical_weight, "".join(near), near_weight),
        regularisation=regularisation,
        recipe=made_by,
    )
