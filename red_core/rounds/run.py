"""One round from top to bottom, as in the article: fit, score, select, ask, compute beliefs.

The worker runs it. Everything is stored after each stage and each group of replies, so a round that was cancelled or
killed continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np

from red_core.errors import StateError
from red_core.judges import Judge, make_evidence_check, make_llm_judge
from red_core.judges.project import tried_again_if_changed
from red_core.judges.protocol import Corrector
from red_core.labels import draw_pool_map, form_subsets
from red_core.labels.kept_drift import keep_drift_if_any
from red_core.records import Ints, Progress, Project, Report, Round
from red_core.rounds.metrics import round_metrics
from red_core.rounds.plan import forecast_round
from red_core.rounds.query_strategies import STRATEGIES
from red_core.rounds.querying import Asking, Evidence
from red_core.rounds.scoring import predictions_of, score_pool
from red_core.settings import RECOMMENDED, Settings
from red_core.store.decisions import decided
from red_core.store.labels import list_labels
from red_core.store.rounds import finish_round, frozen_seeds, list_rounds, open_round, training_rows
from red_core.store.texts import pool, remembered
from red_core.training import Model, ValidSamples, embed_missing, load_model, model_file, train, valid_samples
from red_core.training.features import Features, forget_unused, prepare_lexical, prepare_neighbours
from red_core.training.model import save_model

JudgeMaker = Callable[[Project, Model, ValidSamples], Judge]


def prepare(project: Project, settings: Settings, progress: Report, who: str) -> Ints:
    """Embed all texts, form the subsets and place the labels on the map (article step 1); return subset numbers."""
    embedding = remembered(project, "embedding")
    embed_missing(project, embedding, _stage(progress, "embed"))
    progress("form subsets", 0, 2)
    subset_of = form_subsets(project, settings, embedding, who)
    progress("form subsets", 1, 2)
    with suppress(StateError):  # a label lost its last example since the round began: the fit has its frozen ones
        draw_pool_map(project, embedding)
    progress("form subsets", 2, 2)
    return subset_of


def run_round(
    project: Project,
    settings: Settings = RECOMMENDED,
    progress: Report = lambda _stage, _done, _total: None,
    who: str = "analyst",
    make_judge: JudgeMaker | None = None,
) -> Round:
    """Run one round, or continue the open one; it ends in the state *to review*.

    Parameters
    ----------
    project : Project
    settings : Settings
        An open round continues with the settings it began with.
    progress : callable(stage, done, total)
    who : str
    make_judge : callable, optional
        Makes the judge from the fitted model; by default the one named in the settings.

    Raises
    ------
    StateError
        If the last round is still to review, or the project has no unlabelled texts.
    Cancelled
        If ``progress`` raised it; everything stored so far stays.
    """
    texts = pool(project)
    if not len(texts):
        raise StateError(f"project {project.name} has no pool. `red import {project.name} --pool FILE` adds one.")
    subset_of = prepare(project, settings, progress, who)
    current = open_round(project, settings.model_dump_json(), settings.judge, who)
    settings = Settings.model_validate_json(current.settings)
    texts = np.setdiff1d(texts, frozen_seeds(project, current.id))  # a later decision may have put one there

    model = _fit(project, current, settings, subset_of, progress)
    scored = score_pool(
        project, model, texts,
        none_share=settings.none_share, with_entropy=STRATEGIES[settings.selection].needs_entropy,
        report=_stage(progress, "score"),
    )  # fmt: skip
    samples = valid_samples(project, model.features.embedding, model.label_ids)
    corrector: Corrector | None = None
    if make_judge is None and settings.judge == "llm":
        with tried_again_if_changed(project):
            judge, corrector = make_llm_judge(project, settings, current.id, samples, progress)
    else:
        judge = (make_judge or make_evidence_check)(project, model, samples)
    evidence = Evidence(model.features.embedding, list_labels(project), samples, settings.examples_shown)
    asking = Asking(project, current, scored, evidence, judge, corrector)
    with tried_again_if_changed(project):
        asked = asking.ask_all(_stage(progress, "ask"))

    progress("believe", 0, 1)
    metrics = round_metrics(project, current, scored, asked, judge) | {
        "encoder": model.features.embedding,
        "calibrated_on": len(model.known.texts),
        "training_rows": len(training_rows(project, current.id)),
        "forecast": forecast_round(
            scored, asking.not_for_the_judge(), list(decided(project)), None if judge.free else judge.rates, settings
        ),
    }
    finish_round(project, current.id, predictions_of(scored), metrics)
    keep_drift_if_any(project)
    forget_unused(project, model.features)
    progress("believe", 1, 1)
    return list_rounds(project)[-1]


def _fit(project: Project, current: Round, settings: Settings, subset_of: Ints, progress: Report) -> Model:
    path = model_file(project, current.id)
    if path.is_file():  # an interrupted round has passed this stage
        return load_model(path)
    everything = np.union1d(pool(project), [text for text, _, _ in training_rows(project, current.id)])
    lexical = prepare_lexical(project, settings, everything, _stage(progress, "words and characters"))
    features = Features(remembered(project, "embedding"), lexical, settings.lexical_weight)
    neighbours = prepare_neighbours(
        project, settings, features, everything, len(list_labels(project)), _stage(progress, "neighbours")
    )
    features = replace(features, neighbours=neighbours)
    model = train(project, current.id, settings, features, subset_of, _stage(progress, "fit"))
    save_model(path, model)
    return model


def _stage(progress: Report, stage: str) -> Progress:
    return lambda done, total: progress(stage, done, total)
