"""The vectors of a project's texts and label names: each is computed once by each encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from red_core.encoders import encode
from red_core.encoders.loading import refuse_another_length
from red_core.records import Floats, Ints, Progress, Project
from red_core.store.arrays import load_arrays, save_arrays
from red_core.store.texts import contents
from red_core.store.vectors import append_vectors, vector_dimensions, without_vector
from red_core.training.parts import Run, run_here

TEXTS_PER_BLOCK = 1_024
"""Texts embedded between two checkpoints: a few seconds of work on two cores."""


@dataclass(frozen=True)
class Block:
    """Some texts to embed: row ids of shape (n,), int64, and their n contents."""

    ids: Ints
    texts: tuple[str, ...]


def embed_missing(project: Project, model: str, report: Progress, run: Run = run_here) -> int:
    """Embed every text of the project that has no vector yet, in blocks; return their number.

    The vectors of a block are stored together or not at all. A crash loses the blocks that are not done, and the same
    call goes on with them.

    Parameters
    ----------
    report : callable(done, total)
        Called before the first block and after each.
    run : Run
        Where the texts are embedded: in this process or on a cluster.

    Raises
    ------
    EmbeddingError
        If the encoder cannot be loaded or used where the texts are embedded.
    """
    missing, done = without_vector(project, model), 0
    report(0, len(missing))
    blocks = (missing[start : start + TEXTS_PER_BLOCK] for start in range(0, len(missing), TEXTS_PER_BLOCK))
    for block, outcome in run(embed_block, model, (Block(ids, tuple(contents(project, ids))) for ids in blocks)):
        if isinstance(outcome, BaseException):
            raise outcome
        append_vectors(project, model, block.ids, outcome)
        done += len(block.ids)
        report(done, len(missing))
    return done


def embed_block(model: str, block: Block) -> Floats:
    """Return the unit vectors of a block, shape (n, d), float32."""
    return encode(model, block.texts)


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
        vectors = encode(model, fresh)
        refuse_another_length(model, vectors, vector_dimensions(project).get(model) or vectors.shape[1])
        known |= dict(zip(fresh, vectors, strict=True))
        save_arrays(path, model=np.array(model), names=np.array(list(known)), vectors=np.stack(list(known.values())))
    return np.stack([known[name] for name in names])
