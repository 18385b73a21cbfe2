"""Encoders: texts to unit vectors, which encoder, what it knows, and which language texts are in."""

from red_core.encoders.catalogue import CATALOGUE, known_encoder, pinned
from red_core.encoders.languages import language_names, languages_of
from red_core.encoders.loading import encode
from red_core.encoders.spec import EncoderSpec, parse_spec

__all__ = [
    "CATALOGUE",
    "EncoderSpec",
    "encode",
    "known_encoder",
    "language_names",
    "languages_of",
    "parse_spec",
    "pinned",
]
