"""The encoder of a model folder: what identifies it, and the check that the same one is used again.

The only file of this room that knows how encoders are named and loaded.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from red_core.encoders import EncoderSpec, known_encoder, parse_spec, pinned
from red_core.encoders.loading import loaded_encoder
from red_core.encoders.spec import Precision
from red_core.errors import EmbeddingError

_COMMIT = re.compile("[0-9a-f]{40}")
_PUBLIC_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


class EncoderFacts(BaseModel):
    """What identifies an encoder.

    ``name`` is one of the catalogue or of the hub; '' if the model was a folder of a machine. ``revision`` is its
    commit or the version of its package, '' if unknown. ``sha256`` is that of all weights. ``prefix`` is put before
    every text. ``precision`` is what the vectors were computed with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(max_length=200)]
    revision: Annotated[str, Field(max_length=200)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    prefix: Annotated[str, Field(max_length=1_000)]
    precision: Precision = "float32"
    dimensions: Annotated[int, Field(ge=1, le=65_536)]


def encoder_facts(encoder: str) -> EncoderFacts:
    """Return what identifies an encoder.

    Raises
    ------
    EmbeddingError
        If it cannot be loaded.
    """
    spec = pinned(parse_spec(encoder))
    loaded = loaded_encoder(spec)
    public = not Path(spec.name).is_dir() and _PUBLIC_NAME.fullmatch(spec.name)
    return EncoderFacts(
        name=spec.name if public else "", revision=spec.revision or _package(spec), prefix=spec.prefix,
        precision=spec.precision, sha256=loaded.weights_sha256(), dimensions=loaded.dimensions,
    )  # fmt: skip


def same_encoder(facts: EncoderFacts, encoder: str | None) -> str:
    """Return the encoder to use: ``encoder``, or else the one of the facts, after comparing its weights.

    Raises
    ------
    EmbeddingError
        If it has to be named, cannot be loaded, or is another one.
    """
    name = encoder or facts.name
    if not name:
        raise EmbeddingError(
            "the model was made with an encoder from a folder. Name that folder: encoder=..., or --encoder."
        )
    if encoder is None and not _PUBLIC_NAME.fullmatch(name):
        raise EmbeddingError(f"{name!r} is not the name of an encoder. Name one: encoder=..., or --encoder.")
    revision = facts.revision if encoder is None and _COMMIT.fullmatch(facts.revision) else ""
    spec = EncoderSpec(parse_spec(name).name, revision, facts.prefix, facts.precision)
    found = encoder_facts(str(spec))
    if (found.sha256, found.dimensions) != (facts.sha256, facts.dimensions):
        raise EmbeddingError(
            f"the encoder {name!r} has other weights than the one that the classifiers were trained with "
            f"(SHA-256 {facts.sha256[:12]}…). Name the right one: encoder=..., or --encoder."
        )
    return str(spec)


def _package(spec: EncoderSpec) -> str:
    """Return the package that holds the weights, and its version; '' for other encoders."""
    known = known_encoder(spec.name)
    distribution = "" if known is None else known.distribution
    try:
        return f"{distribution} {version(distribution)}" if distribution else ""
    except PackageNotFoundError:
        return ""
