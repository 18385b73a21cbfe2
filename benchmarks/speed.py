"""Measure seconds and memory of each stage of a round: ``python -m benchmarks.speed [--labels 1000] [--pool 100000]``.

Vectors are random, around random centres, with the product's dimensions (384 + 256 of n-grams, and as many
nearest-neighbour features). Each stage runs in its own process, so its peak memory is measured alone. The two sides
of a ratio run in one process, one after the other. Processor seconds are printed beside seconds: a busy machine does
not make them longer.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import synthetic
from benchmarks.speed_files import embedding_stage, file_stage
from benchmarks.timing import Figures, timed
from red_core.data.tables import text_id
from red_core.records import Floats, Ints, Project
from red_core.results import export
from red_core.review import decide, feed_back, plan_feed_back
from red_core.rounds import run_round
from red_core.settings import Settings, make_settings
from red_core.steps.greedy_subsets import greedy_subsets
from red_core.steps.informative import most_uncertain
from red_core.steps.pool_scoring import SubsetPredictions, blocks, subset_predictions
from red_core.steps.refitting import identities, refit
from red_core.steps.subset_classifiers import NoiseRule, Partition, TrainingSet
from red_core.store.final_labels import results_page
from red_core.store.rounds import close_round, finish_round, list_rounds, open_round
from red_core.store.texts import SourceFile, SourceRow, add_sources, pool
from red_core.store.vectors import append_vectors, load_vectors, without_vector
from red_core.training import ValidSamples, train
from red_core.training.features import Features
from red_core.training.model import load_model, model_file, save_model

DIMENSIONS, EMBEDDING = 1280, 384
SEEDS_EACH, TOUCHED, SLICE = 30, 10, 1_000


def unit_vectors(classes: Ints, label_count: int, dimensions: int, spread: float = 2.0) -> Floats:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((label_count, dimensions), dtype=np.float32)
    vectors = centres[classes]
    for block in blocks(len(classes)):
        vectors[block] += np.float32(spread) * rng.standard_normal(vectors[block].shape, dtype=np.float32)
        vectors[block] /= np.linalg.norm(vectors[block], axis=1, keepdims=True)
    return vectors


def fit_stage(options: argparse.Namespace) -> Figures:
    """Fit one partition, 30 seeds per label: on one core, on two, and again after a feed-back to ten labels."""
    count = options.labels
    classes = np.repeat(np.arange(count), SEEDS_EACH)
    own = identities(str(row) for row in range(len(classes)))
    training = TrainingSet(unit_vectors(classes, count, DIMENSIONS), classes, np.ones(len(classes), np.float32), own)
    ids, subset_of = np.arange(count), np.arange(count) % max(1, count // 10)
    how = {"noise": NoiseRule(2.0, 1000), "regularisation": 30.0, "random_state": 0}
    figures: Figures = {"classifiers": float(len(np.unique(subset_of)))}
    with timed(figures, "full fit on one core"):
        refit(training, ids, [subset_of], None, workers=1, **how)
    with timed(figures, "full fit on two cores"):
        before = refit(training, ids, [subset_of], None, workers=2, **how)
    fresh = np.random.default_rng(1).choice(count, TOUCHED, replace=False)
    extra = np.repeat(fresh, 3)
    grown = TrainingSet(
        np.vstack([training.features, training.features[SEEDS_EACH * extra]]),
        np.append(classes, extra),
        np.append(training.weights, np.full(len(extra), 0.97, np.float32)),
        np.append(own, identities(f"new {row}" for row in range(len(extra)))),
    )
    with timed(figures, "incremental fit"):
        refit(grown, ids, [subset_of], before, workers=2, **how)
    figures["one core / two cores"] = figures["full fit on one core"] / figures["full fit on two cores"]
    figures["incremental / full"] = figures["incremental fit"] / figures["full fit on two cores"]
    key = "full fit on two cores, processor"
    figures["incremental / full, processor"] = figures["incremental fit, processor"] / figures[key]
    return figures


def label_stage(_: argparse.Namespace) -> Figures:
    """Add a label to 150 labels with 10 seeds each: all of training, with the calibration folds."""
    figures: Figures = {}
    synthetic.DIMENSIONS = DIMENSIONS  # in this process only: as many as the product's features
    with tempfile.TemporaryDirectory() as folder:
        project, settings = synthetic.synthetic_project(
            Path(folder), "speed", labels=150, seeds_per_label=10, texts=2_000
        )
        settings = settings.model_copy(update={"neighbour_weights": (), "regularisation": (30.0,)})
        shown = np.arange(150) % 15
        with timed(figures, "full training, 150 labels"):
            train_next(project, settings, shown)
        rows = [SourceRow(n, text_id(f"new {n}"), f"new {n}", "new label") for n in range(2, 12)]
        file = SourceFile("new.csv", "2" * 64, "labelled", "text", "label", ())
        add_sources(project, [(file, rows)], "benchmark")
        append_vectors(
            project, "synthetic", without_vector(project, "synthetic"),
            unit_vectors(np.zeros(10, dtype=np.int64), 1, DIMENSIONS),
        )  # fmt: skip
        with timed(figures, "training after a label was added"):
            figures["classifiers refitted"] = float(train_next(project, settings, np.append(shown, 0)))
    return figures


def train_next(project: Project, settings: Settings, shown: Ints, neighbours: str = "") -> int:
    """Train the next round, feed back to ten labels, and return how many classifiers were fitted."""
    current = open_round(project, settings.model_dump_json(), "evidence", "benchmark")
    seen = Features("synthetic", "", 0.0, neighbours)
    model = train(project, current.id, settings, seen, shown, lambda _done, _total: None)
    save_model(model_file(project, current.id), model)
    finish_round(project, current.id, [], {})
    if neighbours:
        feed_back_to_ten_labels(project)
    else:
        close_round(project)
    return model.extent.refitted


def score_stage(options: argparse.Namespace) -> Figures:
    """Score the pool with one partition, entropy and selection; compare with the bare matrix product in blocks."""
    count = options.labels
    rng = np.random.default_rng(0)
    texts = unit_vectors(rng.integers(count, size=options.pool), count, DIMENSIONS)
    subset_of = np.arange(count) % max(1, count // 10)
    weights = 8 * rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
    partition = Partition(subset_of, weights, np.zeros(count, np.float32), np.zeros(count, np.float32))
    figures: Figures = {}
    bare, product = [], []
    for _ in range(2):  # in turn, twice; the better one counts
        with timed(figures, "bare product"):
            for block in blocks(len(texts)):
                texts[block] @ weights.T
        bare.append(figures["bare product"])
        with timed(figures, "score and select"):
            predictions = [subset_predictions(texts[block], partition) for block in blocks(len(texts))]
            together = SubsetPredictions(
                np.concatenate([f.entropy for f in predictions]), np.concatenate([f.label for f in predictions])
            )
            most_uncertain(together, 20, set())
        product.append(figures["score and select"])
    figures["score and select / bare product"] = min(product) / min(bare)
    part = texts[:SLICE]
    with timed(figures, f"one text at a time, {SLICE} texts"):
        for row in range(len(part)):
            subset_predictions(part[row : row + 1], partition)
    each = figures[f"one text at a time, {SLICE} texts"] / SLICE
    figures["one text at a time, the pool (extrapolated)"] = each * options.pool
    return figures


def training_stage(options: argparse.Namespace) -> Figures:
    """Run all of training at full size, with model selection and folds; again after a feed-back to ten labels."""
    figures: Figures = {}
    synthetic.DIMENSIONS = DIMENSIONS // 2
    with tempfile.TemporaryDirectory() as folder:
        project, settings = synthetic.synthetic_project(
            Path(folder), "speed", labels=options.labels, seeds_per_label=SEEDS_EACH, texts=2_000
        )
        remember_near(project)
        shown = np.arange(options.labels) % max(1, options.labels // 10)
        for name in ("full training", "training after ten labels were fed back to"):
            with timed(figures, name):
                figures[f"{name}, classifiers"] = float(train_next(project, settings, shown, neighbours="near"))
    return figures


def remember_near(project: Project) -> None:
    """Store each text's own vector as its nearest-neighbour features: only their number matters here."""
    ids = without_vector(project, "near")
    append_vectors(project, "near", ids, load_vectors(project, "synthetic", ids))


def feed_back_to_ten_labels(project: Project) -> None:
    for index, text in enumerate(pool(project)[:30].tolist()):
        decide(project, text, "accept", label=1 + index % TOUCHED)
    feed_back(project, plan_feed_back(project))


def round_stage(options: argparse.Namespace) -> Figures:
    """Run two rounds of the recommended preset without questions: one full, one after a feed-back to ten labels."""
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        project, _ = synthetic.synthetic_project(
            Path(folder), "speed", labels=options.labels, seeds_per_label=SEEDS_EACH, texts=options.pool
        )
        settings = make_settings(changes={"label_names_as_seeds": False, "most_questions": 0, "most_confirmations": 0})
        for name in ("full round", "incremental round"):
            with timed(figures, name):
                run_round(project, settings, stage_times(figures, name))
            feed_back_to_ten_labels(project)
            last = list_rounds(project)[-1].id
            figures[f"{name}, classifiers fitted"] = float(load_model(model_file(project, last)).extent.refitted)
    return figures


def growth_stage(options: argparse.Namespace, size: int) -> Figures:
    """Create a project of ``size`` texts, run a full round without questions, search and export it."""
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        with timed(figures, "stored, without reading a file"):
            project, _ = synthetic.synthetic_project(
                Path(folder), "speed", labels=options.labels, seeds_per_label=10, texts=size
            )
        settings = make_settings(changes={"label_names_as_seeds": False, "most_questions": 0, "most_confirmations": 0})
        with timed(figures, "round"):
            run_round(project, settings)
        figures["peak GB, round"] = peak_gigabytes()
        round_id = list_rounds(project)[-1].id
        figures["weight of the neighbours"] = load_model(model_file(project, round_id)).features.neighbour_weight
        for words in ("number 77", "river stone lamp cloud", "no text has this"):
            with timed(figures, f"search for {words}"):
                results_page(project, round_id, search=words)
        with timed(figures, "the least certain texts first"):
            results_page(project, round_id, lowest_first=True)
        with timed(figures, "export"):
            export(project, Path(folder) / "labels.csv")
        figures["MB on disk"] = sum(file.stat().st_size for file in project.folder.rglob("*") if file.is_file()) / 1e6
    return figures


def peak_gigabytes() -> float:
    """Return the most memory that this process has used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def print_growth(options: argparse.Namespace, figures: dict[str, Figures]) -> None:
    """Run the growth stage for each size, alone in a process; print what one more text takes between two sizes."""
    before: tuple[int, Figures] | None = None
    for size in sorted(options.sizes):
        now = figures[f"growth, {size} texts"] = alone(growth_stage, options, size)
        print_figures(f"growth, {size:,} texts", now)
        if before is not None:
            for clock in ("round", "round, processor"):
                more = 1000 * (now[clock] - before[1][clock]) / (size - before[0])
                print(f"  one more text, ms, {clock:36} {more:10.3f}")
        before = size, now


def stage_times(figures: Figures, name: str) -> Callable[[str, int, int], None]:
    """Return a progress callback that sums the seconds of each stage."""
    last = [time.perf_counter()]

    def note(stage: str, _done: int, _total: int) -> None:
        now = time.perf_counter()
        key = f"{name}: up to a step of {stage}"
        figures[key] = figures.get(key, 0.0) + now - last[0]
        last[0] = now

    return note


def subset_stage(_: argparse.Namespace) -> Figures:
    """Form subsets of 10,000 labels in 16 dimensions (as after UMAP): the article's greedy ones, and similar labels."""
    figures: Figures = {}
    vectors = np.random.default_rng(0).standard_normal((10_000, 16)).astype(np.float32)
    with timed(figures, "greedy subsets of 10,000 labels"):
        greedy_subsets(vectors, 10)
    return figures


def example_stage(options: argparse.Namespace) -> Figures:
    """Find the nearest valid samples of 1,000 proposals."""
    classes = np.repeat(np.arange(options.labels), SEEDS_EACH)
    vectors = unit_vectors(classes, options.labels, EMBEDDING)
    count = len(classes)
    samples = ValidSamples(
        np.arange(count), classes, vectors, ("",) * count, np.ones(count, np.bool_), np.arange(options.labels)
    )
    places = np.random.default_rng(0).integers(options.labels, size=1_000)
    figures: Figures = {}
    with timed(figures, "nearest examples of 1,000 proposals"):
        for row, label in enumerate(places.tolist()):
            samples.nearest(count + row, vectors[row], label, 3)
    return figures


STAGES: dict[str, Callable[[argparse.Namespace], Figures]] = {
    "fit": fit_stage, "add a label": label_stage, "score": score_stage, "subsets": subset_stage,
    "examples": example_stage, "files": file_stage, "embedding": embedding_stage, "training": training_stage,
    "round": round_stage,
}  # fmt: skip
LONG = ("training", "round")


def alone(stage: Callable[..., Figures], *parameters: object) -> Figures:
    """Run a stage in a process which runs nothing else; return its figures with the peak memory."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(_measured, (stage, *parameters))


def _measured(stage: Callable[..., Figures], *parameters: object) -> Figures:
    return stage(*parameters) | {"peak GB": peak_gigabytes()}


def print_figures(name: str, figures: Figures) -> None:
    print(f"\n{name}")
    for figure, value in figures.items():
        print(f"  {figure:55} {value:10.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--pool", type=int, default=100_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 30_000, 100_000, 300_000], help="of growth")
    parser.add_argument(
        "--stages", nargs="+", choices=[*STAGES, "growth"], default=[s for s in STAGES if s not in LONG]
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = {"load": {"processes waiting or running before": os.getloadavg()[0], "cores": float(os.cpu_count() or 1)}}
    print(json.dumps(figures))
    for name in options.stages:
        if name == "growth":
            print_growth(options, figures)
        else:
            figures[name] = alone(STAGES[name], options)
            print_figures(name, figures[name])
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
