"""Few labels and many foreign texts: ``python -m benchmarks.few_labels DATA [DATA ...] --labels 3 6 12 24``.

Some labels of a data set are drawn. A fifth of the pool belongs to other labels, which the project does not have: they
are *none of these*. With --uneven, one label has 20 times the texts of the others. No question is asked. The script
prints the expected and the true accuracy, and how well the confidence in *none of these* separates the foreign texts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.trial import NOTHING, embedded
from red_core.data.importing import import_files
from red_core.records import Project
from red_core.rounds.run import run_round
from red_core.settings import DEFAULT_MODEL, RECOMMENDED
from red_core.store.database import open_project
from red_core.store.growth import scored_texts
from red_core.store.texts import contents
from red_core.store.vectors import append_vectors, without_vector

FOREIGN_SHARE = 0.2
UNEVEN = 20
"""The largest label has so many times the texts of the others, in a pool of about the same size."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--labels", nargs="+", type=int, default=[3, 6, 12, 24])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--pool", type=int, default=400)
    parser.add_argument("--uneven", action="store_true")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "red-vectors")
    options = parser.parse_args()
    print("data labels seed expected true gap auroc said-none")
    for path in options.data:
        for labels in options.labels:
            for seed in options.seeds:
                print(path.name.split(".")[0], labels, seed, *measured(path, labels, seed, options), flush=True)


def measured(path: Path, labels: int, seed: int, options: argparse.Namespace) -> list[str]:
    """Return the figures of one draw."""
    seeds, pool = drawn(path, labels, seed, options)
    with tempfile.TemporaryDirectory() as folder:
        project = project_of(Path(folder), seeds, pool, options)
        done = run_round(project, RECOMMENDED.model_copy(update={"most_questions": 0, "most_confirmations": 0}))
        expected, true = done.metrics["expected_alone"], done.metrics["true_alone"]
        scored = scored_texts(project, done.id)
        truth_of = dict(zip(pool["text"], pool["label"], strict=True))
        foreign = [truth_of[text] == NOTHING for text in contents(project, scored.texts)]
    return [
        f"{expected:.3f}", f"{true:.3f}", f"{expected - true:+.3f}", f"{roc_auc_score(foreign, scored.none):.3f}",
        f"{np.mean(scored.none > 0.5):.2f}", str(done.metrics.get("can_tell_none", "")),
    ]  # fmt: skip


def drawn(path: Path, labels: int, seed: int, options: argparse.Namespace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the labelled examples, and the pool with its true labels."""
    frame = pd.read_csv(path, dtype=str).dropna(subset=["text", "label"]).drop_duplicates("text")
    rng = np.random.default_rng(seed)
    frame = frame.iloc[rng.permutation(len(frame))]
    names = rng.permutation(sorted(frame["label"].unique()))[:labels]
    inside = frame[frame["label"].isin(names)]
    turn = inside.groupby("label").cumcount()
    seeds, rest = inside[turn < options.shots], inside[turn >= options.shots]
    known = round(options.pool * (1 - FOREIGN_SHARE))
    if options.uneven:
        small = rest[rest["label"] != names[0]].groupby("label").head(max(1, known // (UNEVEN * labels)))
        rest = pd.concat([small, rest[rest["label"] == names[0]]])
    rest = rest.iloc[:known] if not options.uneven else rest.head(known)
    outside = frame[~frame["label"].isin(names)].head(round(len(rest) * FOREIGN_SHARE / (1 - FOREIGN_SHARE)))
    return seeds, pd.concat([rest, outside.assign(label=NOTHING)])


def project_of(workspace: Path, seeds: pd.DataFrame, pool: pd.DataFrame, options: argparse.Namespace) -> Project:
    """Import the draw and store its vectors, which are computed once for all draws."""
    seeds[["text", "label"]].to_csv(workspace / "seeds.csv", index=False)
    pool[["text"]].to_csv(workspace / "pool.csv", index=False)
    truth = dict(zip(pool["text"], pool["label"], strict=True))
    import_files(workspace / "w", "few", workspace / "seeds.csv", workspace / "pool.csv", truth=truth)
    project = open_project(workspace / "w", "few")
    ids = without_vector(project, DEFAULT_MODEL)
    append_vectors(project, DEFAULT_MODEL, ids, embedded(contents(project, ids), options.cache))
    return project


if __name__ == "__main__":
    sys.exit(main())
