"""Create a project of any size without an embedding model: unit vectors around random label centres."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from red_core.data.tables import text_id
from red_core.records import Floats, Project
from red_core.settings import Settings, make_settings
from red_core.steps.pool_scoring import blocks
from red_core.store.database import create_project
from red_core.store.texts import SourceFile, SourceRow, add_sources, pool, remember, seeds
from red_core.store.vectors import append_vectors
from red_core.training.features import NewTexts

DIMENSIONS = 384
WORDS = [
    "river",
    "stone",
    "lamp",
    "cloud",
    "paper",
    "green",
    "window",
    "table",
    "winter",
    "silver",
    "garden",
    "bridge",
    "copper",
    "letter",
    "quiet",
    "morning",
]
SETTINGS = {"lexical_dimensions": 0, "label_names_as_seeds": False}
"""No text features: the texts have no meaning."""


def synthetic_project(
    workspace: Path, name: str, *, labels: int, seeds_per_label: int, texts: int, spread: float = 3.0
) -> tuple[Project, Settings]:
    """Create a project with vectors; ``spread`` is the distance of texts from their label's centre."""
    rng = np.random.default_rng(0)
    project = create_project(workspace, name)
    remember(project, "embedding", "synthetic")
    words = rng.choice(WORDS, (labels * seeds_per_label + texts, 9))
    rows = _rows(words, labels, seeds_per_label)
    split = labels * seeds_per_label
    add_sources(
        project,
        [
            (SourceFile("seeds.csv", "0" * 64, "labelled", "text", "label", ()), [next(rows) for _ in range(split)]),
            (SourceFile("pool.csv", "1" * 64, "pool", "text", None, ()), list(rows)),
        ],
        "benchmark",
    )
    centres = rng.standard_normal((labels, DIMENSIONS))
    seed_texts, seed_labels = seeds(project)
    for ids, classes in ((seed_texts, seed_labels - 1), (pool(project), rng.integers(labels, size=texts))):
        for block in blocks(len(ids)):
            vectors = centres[classes[block]] + rng.standard_normal((len(ids[block]), DIMENSIONS)) * spread
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            append_vectors(project, "synthetic", ids[block], vectors.astype(np.float32))
    return project, make_settings("recommended", SETTINGS)


def _rows(words: np.ndarray, labels: int, seeds_per_label: int) -> Iterator[SourceRow]:
    for number, chosen in enumerate(words):
        content = f"{' '.join(chosen)} number {number}"
        label = f"label {number % labels:04d}" if number < labels * seeds_per_label else None
        yield SourceRow(number + 2, text_id(content), content, label)


def synthetic_texts(start: int, count: int) -> list[str]:
    """Return texts of nine words and a unique number."""
    words = np.random.default_rng(start).choice(WORDS, (count, 9))
    return [f"{' '.join(chosen)} number {start + number}" for number, chosen in enumerate(words)]


@dataclass(frozen=True, kw_only=True)
class LookedUpTexts(NewTexts):
    """The product's features, except for the embedding: a text's checksum picks one of some unit vectors."""

    vectors: Floats

    def features(self, texts: Sequence[str]) -> Floats:
        rows = [zlib.crc32(text.encode()) % len(self.vectors) for text in texts]
        return self.beside(self.vectors[rows], texts)
