"""Do groups of labels help the classifiers? ``python -m benchmarks.groups onet_mixed.csv.gz arxiv_titles.csv.gz``.

The groups come from the codes of the labels: the major groups of O*NET (the first two digits), the archives of arXiv
(the part before the dot). No question is asked. For each way to use the groups, the script prints the accuracy
of the label and of its group, and the share of the texts whose label is wrong while its group is right:

- ``none``: the groups are not used;
- ``path in name``: the name of each label, which is one of its examples, begins with its group;
- ``siblings``: one hidden partition has the labels of a group together, instead of the labels that look alike;
- ``+ siblings``: such a partition comes in addition.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.quality import project_of
from benchmarks.trial import Draw, draw
from red_core.records import Ints, Project
from red_core.rounds.metrics import true_labels
from red_core.rounds.run import run_round
from red_core.settings import RECOMMENDED, Settings
from red_core.steps.greedy_subsets import greedy_subsets
from red_core.steps.label_map import label_vectors
from red_core.steps.subset_classifiers import TrainingSet
from red_core.store.labels import list_labels
from red_core.store.rounds import predicted_labels
from red_core.training import fit

WAYS = ("none", "path in name", "siblings", "+ siblings")
GROUP: Mapping[str, Callable[[str], str]] = {
    "onet_mixed": lambda code: code[:2],
    "arxiv_titles": lambda code: code.split(".")[0],
}
"""How the code of a label names its group."""
NAMES = {
    "11": "Management", "13": "Business and Financial Operations", "15": "Computer and Mathematical",
    "17": "Architecture and Engineering", "19": "Life, Physical, and Social Science",
    "21": "Community and Social Service",
    "23": "Legal", "25": "Educational Instruction and Library", "27": "Arts, Design, Entertainment, Sports, and Media",
    "29": "Healthcare Practitioners and Technical", "31": "Healthcare Support", "33": "Protective Service",
    "35": "Food Preparation and Serving", "37": "Building and Grounds Cleaning and Maintenance",
    "39": "Personal Care and Service", "41": "Sales", "43": "Office and Administrative Support",
    "45": "Farming, Fishing, and Forestry", "47": "Construction and Extraction",
    "49": "Installation, Maintenance, and Repair",
    "51": "Production", "53": "Transportation and Material Moving", "55": "Military",
}  # fmt: skip
"""The names of the major groups of O*NET, in short."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--least-texts", type=int, default=20)
    parser.add_argument("--most-texts", type=int, default=50)
    parser.add_argument("--pool", type=int, default=4000)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "red-vectors")
    options = parser.parse_args()
    options.oos = None
    print(f"{'data':14}{'way':14}{'seed':>5}{'labels':>8}{'groups':>8}{'label':>8}{'group':>8}{'only group':>12}")
    for path in options.data:
        for seed in options.seeds:
            drawn = draw(path, seed, options)
            group_of = groups_of(path, drawn.names)
            for way in options.ways:
                figures = measured(drawn, group_of, way)
                facts = f"{drawn.data:14}{way:14}{seed:5}{len(drawn.names):8}{len(set(group_of)):8}"
                leaf, group, only = figures
                print(f"{facts}{leaf:8.3f}{group:8.3f}{only:12.3f}", flush=True)


def groups_of(path: Path, names: Sequence[str]) -> list[str]:
    """Return the group of each label."""
    data = path.name.split(".")[0]
    frame = pd.read_csv(path, dtype=str).dropna(subset=["label", "code"]).drop_duplicates("label")
    codes = dict(zip(frame["label"], frame["code"].map(GROUP[data]), strict=True))
    return [NAMES.get(codes[name], codes[name]) for name in names]


def measured(drawn: Draw, group_of: Sequence[str], way: str) -> tuple[float, float, float]:
    """Return the accuracy of the label, that of its group, and the share of texts where only the group is right."""
    if way == "path in name":
        named = [f"{group}: {name}" for group, name in zip(group_of, drawn.names, strict=True)]
        drawn = replace(drawn, names=named)
    quiet = RECOMMENDED.model_copy(update={"most_questions": 0, "most_confirmations": 0})
    with tempfile.TemporaryDirectory() as folder:
        project = project_of(drawn, Path(folder))
        by_name = dict(zip(drawn.names, group_of, strict=True))
        group = {label.id: by_name[label.name] for label in list_labels(project)}
        with partitions(list(group.values()), way):
            done = run_round(project, quiet)
        return accuracies(project, done.id, group)


def accuracies(project: Project, round_id: int, group: Mapping[int, str]) -> tuple[float, float, float]:
    truth = true_labels(project)
    machine = dict(zip(*(column.tolist() for column in predicted_labels(project, round_id)), strict=True))
    pairs = [(machine[text], label) for text, label in truth.items() if text in machine]
    leaf = np.array([given == label for given, label in pairs])
    branch = np.array([group.get(given) == group[label] for given, label in pairs])
    return float(leaf.mean()), float(branch.mean()), float((branch & ~leaf).mean())


@contextmanager
def partitions(group_of: Sequence[str], way: str) -> Iterator[None]:
    """Let fits of this process use a hidden partition of siblings, as the way says."""
    product: Any = fit.hidden_partitions

    def with_siblings(training: TrainingSet, count: int, settings: Settings, kept: Sequence[Ints] = ()) -> list[Ints]:
        hidden = product(training, count, settings, kept)
        return [*(hidden if way == "+ siblings" else hidden[:-1]), siblings(training, count, settings, group_of)]

    if way in {"siblings", "+ siblings"}:
        fit.hidden_partitions = with_siblings
    try:
        yield
    finally:
        fit.hidden_partitions = product


def siblings(training: TrainingSet, count: int, settings: Settings, group_of: Sequence[str]) -> Ints:
    """Return subset numbers, shape (L,): the labels of a group, those that look alike together, then the next group."""
    vectors = label_vectors(training.features, training.labels, count)
    subset_of, first = np.zeros(count, dtype=np.int64), 0
    for group in dict.fromkeys(group_of):
        members = np.flatnonzero(np.array(group_of) == group)
        own = vectors[members] - vectors[members].mean(axis=0)
        size = max(2, settings.subset_size)
        parts = greedy_subsets(own, size, alike=True) if len(members) > size else np.zeros(len(members), dtype=np.int64)
        subset_of[members] = first + parts
        first += int(parts.max()) + 1
    return merged(subset_of, vectors)


def merged(subset_of: Ints, vectors: Any) -> Ints:
    """Return the partition without subsets of one label: each joins the subset most like it."""
    numbers, sizes = np.unique(subset_of, return_counts=True)
    for number in numbers[sizes == 1].tolist():
        others = [n for n in np.unique(subset_of).tolist() if n != number]
        own = vectors[subset_of == number].mean(axis=0)
        nearest = max(others, key=lambda n: float(vectors[subset_of == n].mean(axis=0) @ own))
        subset_of = np.where(subset_of == number, nearest, subset_of)
    return np.unique(subset_of, return_inverse=True)[1].astype(np.int64)


if __name__ == "__main__":
    sys.exit(main())
