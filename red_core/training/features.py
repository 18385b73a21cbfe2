"""What the classifiers see of a text: its embedding, its words and characters, and what stands near it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from red_core.records import Floats, Ints, Progress, Project
from red_core.settings import Settings
from red_core.steps.lexical_features import LexicalModel, fit_lexical, lexical_vectors
from red_core.steps.neighbour_features import neighbour_means
from red_core.store.arrays import load_arrays, save_arrays
from red_core.store.texts import contents
from red_core.store.vectors import append_vectors, load_vectors, vector_models, with_vector, without_vector
from red_core.training.embeddings import encode, name_vectors

REFIT_GROWTH = 1.5
"""The words and characters are learned anew when the project holds this many times the texts they were learned on."""
TEXTS_PER_BLOCK = 8_192
_CODE = re.compile(r"[^\W\d_]{3,}")


def prepare_lexical(project: Project, settings: Settings, texts: Ints, report: Progress) -> str:
    """Make sure the lexical model and its vectors are there; return its name, '' if the settings want none."""
    if not settings.lexical_dimensions:
        return ""
    name = _fitted_name(project, settings, len(texts))
    if not name:
        name = f"lexical-{settings.lexical_dimensions}-{settings.random_state}-{len(texts)}"
        model = fit_lexical(contents(project, texts), settings.lexical_dimensions, random_state=settings.random_state)
        save_arrays(
            _file(project, name), seen=model.seen, idf=model.idf, components=model.components.astype(np.float16)
        )
    missing = without_vector(project, name)
    report(0, len(missing))
    if len(missing):
        model = load_lexical(project, name)
        for start in range(0, len(missing), TEXTS_PER_BLOCK):
            ids = missing[start : start + TEXTS_PER_BLOCK]
            append_vectors(project, name, ids, lexical_vectors(model, contents(project, ids)))
            report(start + len(ids), len(missing))
    return name


def _fitted_name(project: Project, settings: Settings, texts: int) -> str:
    """Return the newest lexical model that fits these settings and is not outgrown."""
    prefix = f"lexical-{settings.lexical_dimensions}-{settings.random_state}-"
    sizes = sorted(int(p.stem.removeprefix(prefix)) for p in project.folder.glob(f"{prefix}*.npz"))
    return f"{prefix}{sizes[-1]}" if sizes and texts <= REFIT_GROWTH * sizes[-1] else ""


def load_lexical(project: Project, name: str) -> LexicalModel:
    """Load a lexical model by its name."""
    kept = load_arrays(_file(project, name))
    return LexicalModel(kept["seen"], kept["idf"], kept["components"].astype(np.float32))


def prepare_neighbours(project: Project, settings: Settings, features: Features, texts: Ints, report: Progress) -> str:
    """Make sure that what stands near each text is there; return its name, '' if the settings want none.

    Texts that come later look among those there are then; all look anew when the project has outgrown it.
    """
    if not settings.neighbour_weights or max(settings.neighbour_weights) == 0.0:
        return ""
    prefix = f"near-{features.lexical or 'embedding'}-{features.lexical_weight:g}-"
    sizes = sorted(int(name.removeprefix(prefix)) for name in vector_models(project) if name.startswith(prefix))
    outgrown = not sizes or len(texts) > REFIT_GROWTH * sizes[-1]
    name = f"{prefix}{len(texts) if outgrown else sizes[-1]}"
    missing = np.intersect1d(without_vector(project, name), texts)
    report(0, len(missing))
    if len(missing):
        everything = features.own(project, texts)
        own = everything[np.searchsorted(texts, missing)]
        means = neighbour_means(own, everything, done=lambda done: report(done, len(missing)))
        append_vectors(project, name, missing, means)
    return name


@dataclass(frozen=True)
class Features:
    """Which features a model sees; the names are those of stored vectors.

    Attributes
    ----------
    embedding : str
    lexical : str
        '' for none.
    lexical_weight : float
        Their length beside the embedding's 1.
    near : str
        What stands near each text; '' for none.
    near_weight : float
        How much of it counts, at least 0.
    """

    embedding: str
    lexical: str
    lexical_weight: float
    near: str = ""
    near_weight: float = 0.0

    def of(self, project: Project, ids: Ints) -> Floats:
        """Return the features of stored texts, shape (n, d), float32."""
        own = self.own(project, ids)
        if not self.near:
            return own
        return np.hstack([own, np.float32(self.near_weight) * load_vectors(project, self.near, ids)])

    def own(self, project: Project, ids: Ints) -> Floats:
        """Return the features of stored texts without what stands near them."""
        embedded = load_vectors(project, self.embedding, ids)
        return self._beside(embedded, load_vectors(project, self.lexical, ids)) if self.lexical else embedded

    def of_names(self, project: Project, names: Sequence[str]) -> Floats:
        """Return the features of label names read as texts."""
        words = [spoken(name) for name in names]
        return self.of_new(project).beside(name_vectors(project, self.embedding, words), words)

    def of_new(self, project: Project) -> NewTexts:
        """Return what it takes to describe texts that are not in the project."""
        lexical = load_lexical(project, self.lexical) if self.lexical else None
        around = self.own(project, with_vector(project, self.near)) if self.near else None
        return NewTexts(self.embedding, lexical, self.lexical_weight, around, self.near_weight)

    def _beside(self, embedded: Floats, lexical: Floats) -> Floats:
        return np.hstack([embedded, np.float32(self.lexical_weight) * lexical]).astype(np.float32)


@dataclass(frozen=True)
class NewTexts:
    """What it takes to describe texts that are not in a project, apart from the project.

    Attributes
    ----------
    embedding : str
    lexical : LexicalModel or None
    lexical_weight : float
    around : ndarray of shape (m, d), float32, or None
        The project's texts a new one may stand near; None where that does not count.
    near_weight : float
    """

    embedding: str
    lexical: LexicalModel | None
    lexical_weight: float
    around: Floats | None
    near_weight: float

    def features(self, texts: Sequence[str]) -> Floats:
        """Return the features of texts, shape (n, d) or, with what stands near them, (n, 2 d), float32."""
        return self.beside(encode(self.embedding, texts), texts)

    def beside(self, embedded: Floats, texts: Sequence[str]) -> Floats:
        """Return the features of texts that are embedded already."""
        own = embedded
        if self.lexical is not None:
            words = np.float32(self.lexical_weight) * lexical_vectors(self.lexical, texts)
            own = np.hstack([embedded, words]).astype(np.float32)
        if self.around is None:
            return own
        near = neighbour_means(own, self.around)
        return np.hstack([own, np.float32(self.near_weight) * near]).astype(np.float32)


def spoken(name: str) -> str:
    """Return a label's name as words: card_not_working -> card not working."""
    return " ".join(re.sub(r"[_\-/.]+", " ", name).split()) or name


def says_something(name: str) -> bool:
    """Tell whether a label's name holds a word, and is not a bare code such as ``11-1011.00`` or ``Q7``."""
    return _CODE.search(name) is not None


def _file(project: Project, name: str) -> Path:
    return project.folder / f"{name}.npz"


def recipe(settings: Settings, features: Features) -> str:
    """Return, as JSON, everything besides the training rows that decides what a classifier becomes."""
    wanted = (
        "random_state", "subset_size", "label_names_as_seeds", "noise_factor", "noise_rows", "regularisation",
        "calibration_folds",
    )  # fmt: skip
    names = [features.embedding, features.lexical, features.lexical_weight, features.near]
    return json.dumps(
        [*names, settings.neighbour_weights, settings.alike_partitions, *(getattr(settings, name) for name in wanted)]
    )
