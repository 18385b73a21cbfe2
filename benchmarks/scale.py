"""Label folders of 1e5, 3e5 and 1e6 texts, in this process and on Dask workers: ``python -m benchmarks.scale``.

Only the embedding is not the product's: vectors are looked up. Texts have ten words; features have 384 + 256 dimensions
and as many nearest-neighbour features; Parquet parts have 10,000 texts. Every process has one BLAS thread, so a worker
uses one core. Each run has its own client process, so its peak memory is measured alone. One worker and two workers run
in turn. The processor seconds of the busiest worker are printed too, because a busy machine makes seconds longer.
``--embedding`` measures the core seconds of MiniLM instead.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from benchmarks.synthetic import LookedUpTexts, synthetic_texts
from red_core.data.tables import read_table
from red_core.encoders import encode
from red_core.records import Floats
from red_core.results.predict_folder import label_folder
from red_core.results.predictor import Predictor
from red_core.settings import DEFAULT_MODEL
from red_core.steps.belief import Calibration
from red_core.steps.lexical_features import fit_lexical, lexical_vectors
from red_core.steps.neighbour_features import Neighbourhood
from red_core.steps.subset_classifiers import Partition
from red_core.training.parts import run_here
from red_core.training.text_model import TextModel

PART, EMBEDDING, LEXICAL = 10_000, 384, 256
MEGABYTE = 1024  # ru_maxrss counts kilobytes
Figures = dict[str, float]


def unit_vectors(count: int, dimensions: int) -> Floats:
    vectors = np.random.default_rng(count).standard_normal((count, dimensions), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_synthetic_predictor(labels: int, around: int) -> Predictor:
    lexical = fit_lexical(synthetic_texts(0, 5_000), LEXICAL, random_state=0)
    own = EMBEDDING + LEXICAL
    texts = LookedUpTexts(
        "looked up", lexical, 0.5, unit_vectors(around, own), 1.0, vectors=unit_vectors(8_192, EMBEDDING)
    )
    flat = np.zeros(labels, dtype=np.float32)
    classifiers = Partition(np.zeros(labels, dtype=np.int64), 8 * unit_vectors(labels, 2 * own), flat, flat)
    ids = np.arange(1, labels + 1)
    names = {number: f"label {number}" for number in ids.tolist()} | {-1: ""}
    is_now = {number: number for number in ids.tolist()}
    model = TextModel(texts, classifiers, Calibration(1.0, 1.0), (0.05, 0.05))
    return Predictor(model, ids, is_now, names, "synthetic", "0")


def write_folder(folder: Path, texts: int) -> Path:
    folder.mkdir()
    for start in range(0, texts, PART):
        table = pa.table({"text": synthetic_texts(start, PART), "number": pa.array(range(start, start + PART))})
        pq.write_table(table, folder / f"{start:09}.parquet")
    return folder


def client(source: str, target: str, options: dict[str, int], address: str | None) -> Figures:
    """Label a folder; return the figures of this process, which runs nothing else."""
    predictor = make_synthetic_predictor(options["labels"], options["around"])
    run = run_here
    if address is not None:
        from red_core.results.dask_cluster import on_cluster  # noqa: PLC0415  a local client must not import Dask

        run = on_cluster(address)
    begun, worked = time.perf_counter(), time.process_time()
    with threadpool_limits(1):  # workers set this limit themselves
        done = label_folder(predictor, source, target, text_column="text", report=lambda *_: None, run=run)
    assert not done.failed, done.failed[:1]
    seconds = time.perf_counter() - begun
    return {
        "rows": done.rows,
        "seconds": seconds,
        "seconds per million": seconds / done.rows * 1e6,
        "client, processor": time.process_time() - worked,
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE,
    }


def alone(call: Callable[[], Figures]) -> Figures:
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(call)


def show(where: str, figures: Figures) -> None:
    columns = "  ".join(f"{name} {value:,.1f}" for name, value in figures.items())
    print(f"{where:12} {columns}  (load {os.getloadavg()[0]:.1f})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--around", type=int, default=2_000, help="pool texts that are searched for neighbours")
    parser.add_argument("--ratio", type=int, default=100_000, help="number of texts for one worker against two")
    parser.add_argument("--repeats", type=int, default=3, help="repetitions of one worker against two")
    parser.add_argument("--embedding", type=Path, metavar="FILE", help="a table of texts")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.embedding:
        with threadpool_limits(1):
            measure_one_core(options.embedding)
        return
    figures = measure_folders(options)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


def measure_folders(options: argparse.Namespace) -> dict[str, list[Figures]]:
    from distributed import LocalCluster  # noqa: PLC0415  --embedding runs without Dask

    shape = {"labels": options.labels, "around": options.around}
    runs: dict[str, list[Figures]] = {"one": [], "two": [], "here": [], "two workers": []}
    workers = partial(LocalCluster, threads_per_worker=1, dashboard_address="127.0.0.1:0", memory_limit=None)
    with tempfile.TemporaryDirectory() as name, workers(n_workers=1) as one, workers(n_workers=2) as two:
        folder = Path(name)
        whole = sorted(write_folder(folder / "all", max(options.sizes)).iterdir())
        runs = count()

        def measured(size: int, address: str | None) -> Figures:
            number = next(runs)
            source, target = folder / f"in-{number}", folder / f"out-{number}"
            source.mkdir()
            for part in whole[: size // PART]:
                (source / part.name).hardlink_to(part)
            before = busy(address)
            figures = alone(partial(client, str(source), str(target), shape, address))
            spent = [seconds - before[worker] for worker, seconds in busy(address).items()]
            return figures | ({"busiest worker, processor": max(spent)} if spent else {})

        for cluster in (one, two):
            measured(2 * PART, cluster.scheduler_address)  # so that their imports are done before the measurement
        plan = [("one", options.ratio, one), ("two", options.ratio, two)] * options.repeats
        plan += [(where, size, at) for size in options.sizes for where, at in (("here", None), ("two workers", two))]
        for where, size, cluster in plan:
            runs[where].append(measured(size, cluster and cluster.scheduler_address))
            show(where, runs[where][-1])
    for name in ("seconds", "processor"):
        ratios = [taken(a, name) / taken(b, name) for a, b in zip(runs["one"], runs["two"], strict=True)]
        print(
            f"two workers against one, {name}: {statistics.median(ratios):.2f}", [round(ratio, 2) for ratio in ratios]
        )
    for where in ("here", "two workers"):
        peaks = [figures["peak MB"] for figures in runs[where]]
        print(f"peak memory of the client, {where}: largest over smallest {max(peaks) / min(peaks):.2f}")
    return runs


def busy(address: str | None) -> dict[str, float]:
    """Return the processor seconds of each worker so far, as address -> seconds."""
    if address is None:
        return {}
    from distributed import Client  # noqa: PLC0415

    with Client(address, set_as_default=False) as client:
        seconds: dict[str, float] = client.run(time.process_time)
    return seconds


def taken(figures: Figures, name: str) -> float:
    """Return the seconds of a run. Processor seconds are a lower bound for a machine with idle cores."""
    if name == "seconds":
        return figures["seconds"]
    return figures["busiest worker, processor"] + figures["client, processor"]


def measure_one_core(file: Path) -> None:
    """Print the processor seconds of each step per million texts, on one core."""
    texts = [text for text in read_table(file).frame["text"].tolist() if text]
    rng = np.random.default_rng(0)
    short = [texts[row] for row in rng.choice(len(texts), 4_096)]
    long = [" ".join(texts[row] for row in rng.choice(len(texts), 9)) for _ in range(512)]
    lexical = fit_lexical(short, LEXICAL, random_state=0)
    own = unit_vectors(2_048, EMBEDDING + LEXICAL)
    encode(DEFAULT_MODEL, short[:64])
    steps: dict[str, tuple[Callable[[], object], int]] = {
        f"embed, {words(short):.0f} words": (lambda: encode(DEFAULT_MODEL, short), len(short)),
        f"embed, {words(long):.0f} words": (lambda: encode(DEFAULT_MODEL, long), len(long)),
        "words and characters": (lambda: lexical_vectors(lexical, short), len(short)),
    }
    for around in (10_000, 100_000):
        everything = unit_vectors(around, own.shape[1])
        steps[f"neighbours among {around:,}"] = (partial(Neighbourhood(everything).means, own), len(own))
    for name, (step, texts_done) in steps.items():
        begun = time.process_time()
        step()
        print(f"{name:30} {(time.process_time() - begun) / texts_done * 1e6:10.0f} s per million", flush=True)


def words(texts: list[str]) -> float:
    return statistics.mean(len(text.split()) for text in texts)


if __name__ == "__main__":
    main()
