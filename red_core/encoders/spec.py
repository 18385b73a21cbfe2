"""Which encoder a project uses, as one line of text: ``NAME`` or ``NAME?revision=...&prefix=...&precision=...``.

The line names the vectors of a project, so vectors of two encoders, revisions, prefixes or precisions never mix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import parse_qsl, urlencode

from red_core.errors import EmbeddingError

API = "api:"
"""The name of an encoder behind an address is ``api:MODEL@ADDRESS``, so another address is another encoder."""
Precision = Literal["float32", "bfloat16", "int8"]
_PARAMETERS = ("revision", "prefix", "precision")


@dataclass(frozen=True)
class EncoderSpec:
    """An encoder and how it is used.

    Attributes
    ----------
    name : str
        A name of the catalogue, a folder, or a model of the hub such as ``intfloat/multilingual-e5-small``.
    revision : str
        The commit of the hub; '' where there is none.
    prefix : str
        What is put before every text. Some models were trained with one, such as ``query: ``.
    precision : {"float32", "bfloat16", "int8"}
        The numbers the model computes with; int8 needs the extra `fast`.
    """

    name: str
    revision: str = ""
    prefix: str = ""
    precision: Precision = "float32"

    def __str__(self) -> str:
        """Return the line that :func:`parse_spec` reads."""
        given = {name: getattr(self, name) for name in _PARAMETERS}
        given = {name: value for name, value in given.items() if value not in ("", "float32")}
        return f"{self.name}?{urlencode(given)}" if given else self.name


def parse_spec(line: str) -> EncoderSpec:
    """Return the encoder that a line names.

    Raises
    ------
    EmbeddingError
        If the name is empty or a parameter has a value that is not allowed.
    """
    name, mark, query = line.strip().rpartition("?")
    given = dict(parse_qsl(query))
    if not mark or not given or set(given) - set(_PARAMETERS):  # a question mark can be part of a folder's name
        name, given = line.strip(), {}
    if not name:
        raise EmbeddingError("the encoder has no name. Give a name of `red encoders`, a folder, or a model of the hub.")
    precision = given.get("precision", "float32")
    for known in get_args(Precision):
        if precision == known:
            return EncoderSpec(name, given.get("revision", ""), given.get("prefix", ""), known)
    allowed = " or ".join(get_args(Precision))
    raise EmbeddingError(f"the encoder's precision is {precision!r}. It can be {allowed}.")
