"""Small projects without an embedding model: the vector of a text is computed from its words.

The first word, usually a label's name, gives the direction; the whole text adds noise. Stored texts, label names and
new texts therefore have vectors of the same kind, and the right label can be learned.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from red_core.data.importing import import_files
from red_core.records import Label, Project, Question
from red_core.settings import Settings
from red_core.store.database import connection, open_project, renew_id
from red_core.store.labels import list_labels
from red_core.store.rounds import Prediction, finish_round, open_round
from red_core.store.texts import contents
from red_core.store.vectors import append_vectors, without_vector

EMBEDDING = "fake"
DIMENSIONS = 24
NOISE = 1.4
"""Length of the noise beside the topic of length 1. Some texts become uncertain and some wrong."""
LABELS = ("refund", "delivery", "warranty", "repair")
"""Fewer than five labels, so that no test waits for UMAP."""

FAST = Settings(
    preset="recommended",
    subset_size=2,
    alike_partitions=1,
    lexical_dimensions=0,
    label_names_as_seeds=False,
    noise_rows=50,
    background_labels=0,
    calibration_folds=2,
    questions_at_once=5,
)


def fake_encode(_model: str, texts: Sequence[str]) -> np.ndarray[Any, Any]:
    """Return unit vectors, shape (n, DIMENSIONS), float32; replaces ``red_core.training.embeddings.encode``."""
    vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float64)
    for row, text in enumerate(texts):
        topic = next((word for word in text.casefold().split() if word.isalpha()), "")
        vectors[row] = _noise(topic) + NOISE * _noise(text)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _noise(text: str) -> np.ndarray[Any, Any]:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(DIMENSIONS)


def embed(project: Project) -> Project:
    """Store the vectors of all texts, so that ``embed_missing`` has nothing to do; return the project."""
    ids = without_vector(project, EMBEDDING)
    if len(ids):
        append_vectors(project, EMBEDDING, ids, fake_encode(EMBEDDING, contents(project, ids)))
    return project


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """Write a CSV file, create its folder if needed, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def seed_rows(names: Sequence[str] = LABELS, each: int = 4) -> list[tuple[str, str]]:
    """Return (text, label) of ``each`` seeds per label."""
    return [(f"{name} please, case number {number}", name) for name in names for number in range(each)]


def pool_rows(names: Sequence[str] = LABELS, each: int = 10) -> list[tuple[str, str]]:
    """Return (text, true label) of ``each`` pool texts per label."""
    return [(f"{name} is what I ask for, message {number}", name) for number in range(each) for name in names]


def small_project(
    workspace: Path,
    *,
    name: str = "small",
    seeds: Sequence[tuple[str, str]] | None = None,
    pool: Sequence[tuple[str, str]] | None = None,
    often: bool = False,
) -> Project:
    """Create a trial from seeds and a pool whose true labels are known, and store all vectors.

    The trial that most tests begin with, and one that is asked for ``often``, is imported once in a process. Each test
    gets a copy with its own id.
    """
    often = often or (seeds is None and pool is None)
    seeds, pool = seed_rows() if seeds is None else seeds, pool_rows() if pool is None else pool
    if not often or (workspace / name).exists():
        return _imported(workspace, name, seeds, pool)
    made = Path(_made_once(name, tuple(seeds), tuple(pool), NOISE).name)
    shutil.copytree(made / "w", workspace, dirs_exist_ok=True)
    shutil.copytree(made / "w-files", workspace.with_name(f"{workspace.name}-files"), dirs_exist_ok=True)
    project = open_project(workspace, name)
    renew_id(project)
    return open_project(workspace, name)


@cache
def _made_once(
    name: str, seeds: Sequence[tuple[str, str]], pool: Sequence[tuple[str, str]], _noise: float
) -> TemporaryDirectory[str]:
    """Return a folder with this trial in a workspace "w", and its files; it is removed at the end."""
    folder = TemporaryDirectory()
    _imported(Path(folder.name) / "w", name, seeds, pool)
    return folder


def _imported(workspace: Path, name: str, seeds: Sequence[tuple[str, str]], pool: Sequence[tuple[str, str]]) -> Project:
    files = workspace.parent / f"{workspace.name}-files"
    import_files(
        workspace,
        name,
        write_csv(files / f"{name}-seeds.csv", ["text", "label"], seeds),
        write_csv(files / f"{name}-pool.csv", ["text"], [[text] for text, _ in pool]),
        truth=dict(pool),
        embedding=EMBEDDING,
        who="tester",
    )
    return embed(open_project(workspace, name))


def label_ids(project: Project) -> dict[str, int]:
    """Return the id of every label by its name."""
    return {label.name: label.id for label in list_labels(project)}


def text_ids(project: Project) -> dict[str, int]:
    """Return the row id of every text by its content."""
    with connection(project) as db:
        return {str(content): int(id_) for id_, content in db.execute("SELECT id, content FROM text")}


def count(project: Project, query: str) -> int:
    """Return the number that a query returns in its first row."""
    with connection(project) as db:
        return int(db.execute(query).fetchone()[0])


def question(text: int, label: int, rival: int, belief: float = 0.9) -> Question:
    """Return a question about a pair, without evidence."""
    return Question(text, "", Label(label, ""), Label(rival, ""), (), (), belief, 1 - belief, "value", 0.1)


def reviewed_round(
    project: Project,
    believed: Mapping[int, tuple[int, float]],
    settings: Settings = FAST,
    judge: str = "evidence",
    metrics: Mapping[str, Any] | None = None,
) -> int:
    """Open a round and finish it with these beliefs (text -> label and belief), without computing; return its id."""
    last = open_round(project, settings.model_dump_json(), judge, "tester")
    rival = max(label_ids(project).values())
    finish_round(
        project, last.id, [_prediction(t, *b, rival) for t, b in sorted(believed.items())], METRICS | (metrics or {})
    )
    return last.id


METRICS = {
    "pool": 1, "uncertain": 0, "none_of_these": 0, "questions": 0, "failed": 0, "worth_asking": 0, "complete": True,
    "outcomes": {}, "information_gain": None, "expected_agreement": 0.9, "expected_alone": 0.9,
    "true_agreement": None, "true_alone": None, "decided": 0,
    "judge_rates": {"right": {"valid": 0.9}, "wrong": {"valid": 0.1}, "pairs": 20, "passes": None},
}  # fmt: skip
"""The metrics of a finished round."""


def _prediction(text: int, label: int, belief: float, rival: int) -> Prediction:
    return text, label, belief, rival, 1 - belief, 0.0, belief, f"[[{label}, {belief}], [{rival}, {1 - belief}]]"
