"""Article step 2 on a project: fit the subset classifiers on the round's frozen training set, and calibrate.

After the first round only those whose labels or samples changed are fitted, unless most of them are; see
:mod:`red_core.steps.refitting`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
from joblib import parallel_config

from red_core.errors import SettingsError, StoreError, one_line
from red_core.records import Ints, Label, Progress, Project
from red_core.settings import Settings
from red_core.steps.belief import Calibration, beliefs, candidates, fit_calibration
from red_core.steps.greedy_subsets import greedy_subsets, join_most_alike
from red_core.steps.label_map import label_vectors
from red_core.steps.out_of_fold import HeldOut
from red_core.steps.refitting import Fitted, label_samples, refit, subsets_now, touched_subsets
from red_core.steps.subset_classifiers import NoiseRule, TrainingSet
from red_core.training.cross_fitting import cross_fit, load_cross_fit, save_cross_fit
from red_core.training.features import Features, recipe
from red_core.training.model import Extent, KnownProposals, Model, load_model, model_file, save_model
from red_core.training.model_selection import Choice, choose, cores, weigh_near
from red_core.training.training_set import FrozenRows, frozen_rows

__all__ = ["Model", "fitting_on", "load_model", "model_file", "save_model", "train"]

SECONDS_FOR_A_WORKER = 60


def train(
    project: Project,
    round_id: int,
    labels: Sequence[Label],
    settings: Settings,
    features: Features,
    shown: Ints,
    report: Progress,
) -> Model:
    """Fit and calibrate the classifiers of a round: those that are touched, or all of them in a full fit.

    A full fit chooses anew, on held-out seeds, how strongly to regularise and how much of what stands near a text
    counts, forms the hidden partitions anew and draws all noise anew. Temperature and the score of *none of these* are
    fitted in every round.

    Parameters
    ----------
    features : Features
        Its ``near_weight`` is chosen here.
    labels : sequence of L Label, by id
    shown : ndarray of shape (L,), int64
        The subset numbers of the partition that is shown and edited.
    """
    rows = frozen_rows(project, round_id, labels, settings, features)
    made_by = recipe(settings, features)
    earlier = _newest_before(project, round_id)
    chosen = Choice(earlier.regularisation, earlier.features.near_weight) if earlier else None
    before, partitions, extent = _what_holds(earlier, rows, shown, settings, made_by)
    if before is None or chosen is None:
        eligible = np.flatnonzero(rows.is_seed)
        chosen = choose(rows.training, eligible, partitions, settings, bool(features.near), report, chosen)
    training = weigh_near(rows.training, bool(features.near), chosen.near_weight)
    fit = partial(
        refit, labels=rows.label_ids, noise=NoiseRule(settings.noise_factor, settings.noise_rows),
        regularisation=chosen.regularisation, random_state=settings.random_state, workers=cores(),
    )  # fmt: skip
    seeds, fed_back = rows.texts[rows.is_seed], rows.texts[rows.is_fed_back]
    if before is not None:  # kept classifiers may hold as noise what has left the training set since
        seeds, fed_back = np.union1d(before.seeds, seeds), np.union1d(before.fed_back, fed_back)
    steps = _Steps(report, 1 + settings.calibration_folds + (2 if len(fed_back) else 0))
    fitted = fit(training, subsets=partitions, before=before.fitted if before else None)
    steps.one_done()
    halves = []
    for half in (0, 1) if len(fed_back) else ():
        kept = training.only(~(rows.is_fed_back & (rows.texts % 2 == half)))
        halves.append(fit(kept, subsets=partitions, before=_half_before(before, half)))
        steps.one_done()
    way = json.dumps([made_by, chosen.regularisation, chosen.near_weight])
    held, models = cross_fit(
        rows, training, partitions, lambda kept, subsets, earlier: fit(kept, subsets=subsets, before=earlier),
        load_cross_fit(project, way, len(partitions)) if before else None,
        folds=settings.calibration_folds, random_state=settings.random_state, made_by=way,
        done=lambda _: steps.one_done(),
    )  # fmt: skip
    save_cross_fit(project, models)
    own = training.labels[held.rows]
    calibration = fit_calibration(held.log_odds, own, held.foreign_log_odds, none_share=settings.none_share)
    return Model(
        fitted, tuple(halves), fed_back, seeds, calibration,
        _known_proposals(held, own, rows.texts[held.rows], calibration),
        replace(features, near_weight=chosen.near_weight), chosen.regularisation, made_by, extent,
    )  # fmt: skip


@contextmanager
def fitting_on(backend: str) -> Iterator[None]:
    """Have subset classifiers fitted by a joblib backend, see ``Settings.fit_backend``; the fits are the same.

    Raises
    ------
    SettingsError
        If there is no such backend, or it cannot be reached.
    """
    name, _, address = backend.partition(":")
    if not name:
        yield
        return
    if address and name != "dask":
        raise SettingsError(f"setting fit_backend: only dask takes an address; got {backend!r}.")
    try:
        where = {"scheduler_host": address, "wait_for_workers_timeout": SECONDS_FOR_A_WORKER} if address else {}
        with parallel_config(name, **where) as held, ExitStack() as stack:
            if address:
                stack.callback(held["backend"].client.close)
                held["backend"].effective_n_jobs(-1)  # waits for the first worker
            ready = stack.pop_all()
    except (ValueError, OSError) as error:
        told = f"setting fit_backend: {error or type(error).__name__}; got {backend!r}."
        raise SettingsError(one_line(told)) from error
    with ready, parallel_config(held["backend"]):
        yield


class _Steps:
    """Counts finished fits of all partitions for the progress bar."""

    def __init__(self, report: Progress, total: int) -> None:
        self._report, self._done, self._total = report, 0, total
        report(0, total)

    def one_done(self) -> None:
        self._done += 1
        self._report(self._done, self._total)


def _newest_before(project: Project, round_id: int) -> Model | None:
    """Return the model of the newest round before this one that has a whole one."""
    for number in range(round_id - 1, 0, -1):
        if model_file(project, number).is_file():
            try:
                return load_model(model_file(project, number))
            except StoreError:
                return None  # what is damaged, a full fit replaces
    return None


def _half_before(before: Model | None, half: int) -> Fitted | None:
    """Return the earlier fit of a half; before anything was fed back, it is that of all rows."""
    if before is None:
        return None
    return before.halves[half] if before.halves else before.fitted


def _what_holds(
    before: Model | None, rows: FrozenRows, shown: Ints, settings: Settings, made_by: str
) -> tuple[Model | None, list[Ints], Extent]:
    """Return the earlier model if it can be used again, the partitions, and how much is to be fitted."""
    # From seeds and names alone, so that feeding back never moves a label.
    known, count = rows.training.only(~rows.is_fed_back), len(rows.label_ids)
    reason = _why_all(before, rows, made_by)
    if before is not None and not reason:
        kept = [subsets_now(before.fitted, place, rows.label_ids) for place in range(1, len(before.partitions))]
        partitions = [shown, *hidden_partitions(known, count, settings, kept)]
        touched, classifiers = _count_touched(before.fitted, rows, partitions), _count(partitions)
        if len(partitions) == len(before.partitions) and touched <= settings.most_refitted * classifiers:
            return before, partitions, Extent("incremental", touched, classifiers)
        reason = f"{touched} of {classifiers} classifiers were touched"
    partitions = [shown, *hidden_partitions(known, count, settings)]
    return None, partitions, Extent("full", _count(partitions), _count(partitions), reason)


def _why_all(before: Model | None, rows: FrozenRows, made_by: str) -> str:
    """Return why nothing of the earlier model can be used again, '' if something can."""
    if before is None:
        return "there is no earlier fit"
    if before.recipe != made_by:
        return "other settings or features"
    if np.isin(before.seeds, rows.pool).any():  # every classifier may have seen them, if only as noise
        return "texts that were seeds are in the pool"
    return ""


def _count(partitions: Sequence[Ints]) -> int:
    """Return how many classifiers these partitions have."""
    return sum(len(np.unique(subset_of)) for subset_of in partitions)


def _count_touched(before: Fitted, rows: FrozenRows, partitions: Sequence[Ints]) -> int:
    """Return how many classifiers are touched; all of them where the number of partitions is another."""
    if len(partitions) != len(before.partitions):
        return _count(partitions)
    ids, samples = rows.label_ids, label_samples(rows.training, len(rows.label_ids))
    return sum(len(touched_subsets(before, place, ids, samples, own)) for place, own in enumerate(partitions))


def _known_proposals(held: HeldOut, labels: Ints, texts: Ints, calibration: Calibration) -> KnownProposals:
    best = beliefs(candidates(held.log_odds, calibration, 1))[:, 0]
    proposed = held.log_odds.argmax(axis=1)
    clipped = np.clip(best, 1e-4, 1 - 1e-4)
    prior_logit = np.log(clipped / (1 - clipped)).astype(np.float32)
    return KnownProposals(texts, proposed.astype(np.int64), proposed == labels, prior_logit)


def hidden_partitions(
    training: TrainingSet, label_count: int, settings: Settings, kept: Sequence[Ints] = ()
) -> list[Ints]:
    """Return the hidden partitions that group labels which look alike, so that rivals are told apart.

    Parameters
    ----------
    kept : sequence of ndarray of shape (L,), int64
        Those of an earlier fit, -1 where a label is new: they stay, and a new label joins the labels it looks like.
    """
    if label_count <= settings.subset_size:
        return []  # one subset holds them all anyway
    if kept and all((subset_of >= 0).all() for subset_of in kept):
        return list(kept)
    vectors = label_vectors(training.features, training.labels, label_count)
    centred = vectors - vectors.mean(axis=0)
    if kept:
        return [join_most_alike(centred, subset_of) for subset_of in kept]
    starts = [round(number * label_count / settings.alike_partitions) for number in range(settings.alike_partitions)]
    return [greedy_subsets(centred, settings.subset_size, alike=True, start=start) for start in starts]
