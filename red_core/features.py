"""What the classifiers see of a text: its embedding and, beside it, its words and characters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from red_core.embeddings import encode, name_vectors
from red_core.records import Floats, Ints, Project
from red_core.settings import Settings
from red_core.steps.lexical_features import LexicalModel, fit_lexical, lexical_vectors
from red_core.store.arrays import load_arrays, save_arrays
from red_core.store.texts import contents
from red_core.store.vectors import append_vectors, load_vectors, without_vector

REFIT_GROWTH = 1.5
"""The words and characters are learned anew when the project holds this many times the texts they were learned on."""
TEXTS_PER_BLOCK = 8_192
_CODE = re.compile(r"[^\W\d_]{3,}")


def prepare_lexical(project: Project, settings: Settings, texts: Ints, report: Callable[[int, int], None]) -> str:
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


def stored_features(project: Project, model: str, lexical: str, weight: float, ids: Ints) -> Floats:
    """Return the features of stored texts, shape (n, d + k), float32: the embedding, then ``weight`` x lexical."""
    embedded = load_vectors(project, model, ids)
    return _beside(embedded, load_vectors(project, lexical, ids), weight) if lexical else embedded


def new_features(project: Project, model: str, lexical: str, weight: float, texts: Sequence[str]) -> Floats:
    """Return the features of texts that are not in the project."""
    embedded = encode(model, texts)
    return _beside(embedded, lexical_vectors(load_lexical(project, lexical), texts), weight) if lexical else embedded


def name_features(project: Project, model: str, lexical: str, weight: float, names: Sequence[str]) -> Floats:
    """Return the features of label names read as texts."""
    words = [spoken(name) for name in names]
    embedded = name_vectors(project, model, words)
    return _beside(embedded, lexical_vectors(load_lexical(project, lexical), words), weight) if lexical else embedded


def spoken(name: str) -> str:
    """Return a label's name as words: card_not_working -> card not working."""
    return " ".join(re.sub(r"[_\-/.]+", " ", name).split()) or name


def says_something(name: str) -> bool:
    """Tell whether a label's name holds a word, and is not a bare code such as ``11-1011.00`` or ``Q7``."""
    return _CODE.search(name) is not None


def _beside(embedded: Floats, lexical: Floats, weight: float) -> Floats:
    return np.hstack([embedded, np.float32(weight) * lexical]).astype(np.float32)


def _file(project: Project, name: str) -> Path:
    return project.folder / f"{name}.npz"


def recipe(settings: Settings, model: str, lexical: str) -> str:
    """Return, as JSON, everything besides the training rows that decides what a classifier becomes."""
    wanted = ("random_state", "lexical_weight", "label_names_as_seeds", "noise_factor", "noise_rows", "regularisation")
    return json.dumps([model, lexical, settings.alike_partitions, *(getattr(settings, name) for name in wanted)])
