"""The vectors of a project's texts and label names: each is computed once by each encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from red_core.encoders import encode
from red_core.records import Floats, Progress, Project
from red_core.store.arrays import load_arrays, save_arrays
from red_core.store.texts import contents
from red_core.store.vectors import append_vectors, without_vector

TEXTS_PER_BLOCK = 1_024
"""Texts embedded between two checkpoints: a few seconds of work on two cores."""


def embed_missing(project: Project, model: str, report: Progress) -> None:
    """Embed every text of the project that has no vector yet, in blocks; a crash loses at most one block.

    ``report(done, total)`` is called before the first block and after each.
    """
    missing = without_vector(project, model)
    report(0, len(missing))
    for start in range(0, len(missing), TEXTS_PER_BLOCK):
        ids = missing[start : start + TEXTS_PER_BLOCK]
        append_vectors(project, model, ids, encode(model, contents(project, ids)))
        report(start + len(ids), len(missing))


def name_vectors(project: Project, model: str, names: Sequence[str]) -> Floats:
    """Return unit vectors of label names and other texts that are none of the project, shape (n, d), float32.

    Those of earlier rounds come from a file.
    """
    path = project.folder / "label-names.npz"
    stored = load_arrays(path) if path.is_file() else {}
    known: dict[str, Floats] = {}
    if stored and str(stored["model"]) == model:
        known = dict(zip(stored["names"].tolist(), stored["vectors"], strict=True))
    fresh = [name for name in dict.fromkeys(names) if name not in known]
    if fresh:
        known |= dict(zip(fresh, encode(model, fresh), strict=True))
        save_arrays(path, model=np.array(model), names=np.array(list(known)), vectors=np.stack(list(known.values())))
    return np.stack([known[name] for name in names])
