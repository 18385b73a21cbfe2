"""Measure missing labels and drift: ``python -m benchmarks.growth DATA.csv[.gz] ...``, with columns text,label.

*New labels*: some labels are removed from the seeds but stay in the pool. After one round, clusters are proposed. A
label is found if 80% of a cluster are texts of the label and the cluster contains half of the label's texts. *Drift*: a
second import without a change, and one where the texts of one label are replaced by texts of another label; each is
followed by a round.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.quality import project_of
from benchmarks.trial import Draw, embedded
from red_core.data.tables import text_id
from red_core.labels import measure_drift
from red_core.labels.new_labels import propose_clusters
from red_core.records import Floats, Ints, Project
from red_core.rounds import run_round
from red_core.settings import DEFAULT_MODEL
from red_core.store.rounds import close_round
from red_core.store.texts import SourceFile, SourceRow, add_sources, contents, truths
from red_core.store.vectors import append_vectors, without_vector

PURITY, COVERAGE = 0.8, 0.5


@dataclass(frozen=True)
class DataSet:
    """A labelled data set with the vectors of all its texts."""

    name: str
    names: list[str]
    texts: list[str]
    labels: Ints
    vectors: Floats

    def draw(self, seed: int, seeds: Ints, pool: Ints) -> Draw:
        """Return a draw with these rows as seeds and pool."""
        return Draw(
            self.name, seed, self.names, [self.texts[row] for row in seeds], self.labels[seeds],
            [self.texts[row] for row in pool], self.labels[pool], self.vectors[seeds], self.vectors[pool],
        )  # fmt: skip


def data_set(path: Path, cache: Path) -> DataSet:
    """Read a data set; a text with two labels keeps the first."""
    frame = pd.read_csv(path, dtype=str).dropna(subset=["text", "label"])
    frame = frame[~frame["text"].map(text_id).duplicated()]
    names, texts = sorted(frame["label"].unique()), frame["text"].tolist()
    label = frame["label"].map({name: number for number, name in enumerate(names)})
    return DataSet(path.name.split(".")[0], names, texts, label.to_numpy(dtype=np.int64), embedded(texts, cache))


def shuffled(data: DataSet, seed: int, shots: int) -> tuple[Ints, Ints]:
    """Return the rows of the seeds, ``shots`` per label, and the other rows, both in random order."""
    order = np.random.default_rng(seed).permutation(len(data.texts))
    turn = pd.Series(data.labels[order]).groupby(data.labels[order]).cumcount().to_numpy()
    return order[turn < shots], order[turn >= shots]


@dataclass(frozen=True)
class FoundLabels:
    """How many of the held-out labels were found as clusters, at which ranks, among how many clusters."""

    held_out: int
    ranks: list[int]
    clusters: int
    seconds: float


def found_labels(data: DataSet, seed: int, options: argparse.Namespace, workspace: Path) -> FoundLabels:
    """Remove labels from the seeds, run a round, and count the labels that are found as clusters."""
    seeds, rest = shuffled(data, seed, options.shots)
    held_out = np.random.default_rng(seed).choice(len(data.names), options.held_out, replace=False)
    out = np.isin(data.labels[seeds], held_out)
    pool = np.concatenate([rest[: options.pool], seeds[out]])
    project = project_of(data.draw(seed, seeds[~out], pool), workspace)
    run_round(project)
    begun = time.perf_counter()
    clusters = propose_clusters(project)
    seconds = time.perf_counter() - begun
    truth = truths(project)
    sizes = Counter(truth.values())
    ranks: dict[str, int] = {}
    for rank, cluster in enumerate(clusters, start=1):
        (name, count), *_ = Counter(truth[text] for text in cluster.texts).most_common(1)
        missing = name in {data.names[label] for label in held_out}
        if missing and count >= PURITY * cluster.size and count >= COVERAGE * sizes[name]:
            ranks.setdefault(name, rank)
    return FoundLabels(options.held_out, sorted(ranks.values()), len(clusters), seconds)


@dataclass(frozen=True)
class DriftReport:
    """The drift after a second import: how many labels drifted, and the rank of the replaced label."""

    change: str
    raised: int
    labels: int
    rank: int
    q: float
    why: str
    seconds: float


def drift_reports(data: DataSet, seed: int, options: argparse.Namespace, workspace: Path) -> list[DriftReport]:
    """Import twice: without a change, and with the texts of one label replaced by those of another."""
    seeds, rest = shuffled(data, seed, options.shots)
    first, second = rest[: options.pool], rest[options.pool : options.pool + options.newer]
    spare = rest[options.pool + options.newer :]
    project = project_of(data.draw(seed, seeds, first), workspace)
    run_round(project)
    close_round(project)
    reports = [after(project, data, second, "no change", "")]
    rng = np.random.default_rng(seed)
    for _ in range(options.replaced):
        gone, instead = rng.choice(len(data.names), 2, replace=False)
        taken_out = data.labels[second] == gone
        others = spare[data.labels[spare] == instead][: taken_out.sum()]
        rows = np.concatenate([second[~taken_out], others])
        reports.append(after(project, data, rows, f"{data.names[gone]} -> {data.names[instead]}", data.names[gone]))
    return reports


def after(project: Project, data: DataSet, rows: Ints, change: str, gone: str) -> DriftReport:
    """Import rows into a copy of the project, run a round, and report what drifted."""
    copy = Project(project.workspace, f"{project.name}-2")
    shutil.rmtree(copy.folder, ignore_errors=True)
    shutil.copytree(project.folder, copy.folder)
    file = SourceFile("second.csv", "2" * 64, "pool", "text", None, ())
    texts = [data.texts[row] for row in rows]
    add_sources(copy, [(file, [SourceRow(n, text_id(t), t) for n, t in enumerate(texts, start=2)])], "benchmark")
    known = {text_id(text): data.vectors[row] for text, row in zip(texts, rows, strict=True)}
    ids = without_vector(copy, DEFAULT_MODEL)
    append_vectors(copy, DEFAULT_MODEL, ids, np.stack([known[text_id(text)] for text in contents(copy, ids)]))
    run_round(copy)
    begun = time.perf_counter()
    labels = measure_drift(copy)
    seconds = time.perf_counter() - begun
    rank = next((rank for rank, each in enumerate(labels, start=1) if each.label.name == gone), 0)
    q = labels[rank - 1].q if rank else None
    why = "; ".join(labels[rank - 1].reasons) if rank else ""
    return DriftReport(
        change, sum(each.drifted for each in labels), len(labels), rank, 1.0 if q is None else q, why, seconds
    )


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--held-out", type=int, default=15, help="labels removed from the seeds; 0 skips this part")
    parser.add_argument("--pool", type=int, default=8000, help="texts of the first import")
    parser.add_argument("--newer", type=int, default=4000, help="texts of the second import")
    parser.add_argument("--replaced", type=int, default=3, help="labels replaced, one at a time; 0 skips drift")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "red-benchmarks")
    return parser.parse_args(arguments)


def main() -> None:
    options = options_of()
    for path in options.data:
        data = data_set(path, options.cache)
        for seed in options.seeds:
            with tempfile.TemporaryDirectory() as folder:
                if options.held_out:
                    labels = found_labels(data, seed, options, Path(folder) / "new-labels")
                    print(
                        f"{data.name:10} {seed:4} found {len(labels.ranks):2} of {labels.held_out}, among "
                        f"{labels.clusters:2} clusters, at ranks {labels.ranks}; {labels.seconds:.1f} s",
                        flush=True,
                    )
                if options.replaced:
                    for report in drift_reports(data, seed, options, Path(folder) / "drift"):
                        suffix = f"; rank {report.rank}, q {report.q:.1g} {report.why}" if report.rank else ""
                        print(
                            f"{data.name:10} {seed:4} {report.change}: {report.raised} of {report.labels} labels "
                            f"drifted{suffix}; {report.seconds:.1f} s",
                            flush=True,
                        )


if __name__ == "__main__":
    main()
