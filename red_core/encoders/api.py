"""An encoder behind an OpenAI-compatible ``/embeddings`` address. Only the operator names it: in the environment.

A reply counts if it has one vector for each text, all of the same length and finite. Otherwise nothing of it is used.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from red_core.access.server_variables import from_json, wrong_address, wrong_headers, wrong_key
from red_core.encoders.spec import API
from red_core.errors import BudgetSpent, EmbeddingError, RedError
from red_core.records import Floats

WHERE = "Set RED_EMBEDDING_URL (up to and with /v1), RED_EMBEDDING_MODEL and, if needed, RED_EMBEDDING_KEY."
TRIES = 5
WAITS = {408, 409, 425, 429, 500, 502, 503, 504}
"""Answers after which trying again can help."""
LONGEST_WAIT = 60.0
LONGEST_REPLY = 64_000_000
"""Bytes: 64 vectors of 4,096 numbers, as text, are 6 MB."""
BYTES_OF_A_TOKEN = 4
"""About so in every script: in UTF-8, a letter outside ASCII has more bytes, and makes more tokens."""


class EmbeddingServer(BaseSettings):
    """Every setting of the server; the environment variables have the prefix ``RED_EMBEDDING_``."""

    refusal: ClassVar[type[RedError]] = EmbeddingError
    allowed_by: ClassVar[str] = "RED_EMBEDDING_PRIVATE_ADDRESSES"
    model_config = SettingsConfigDict(
        env_prefix="RED_EMBEDDING_", extra="ignore", frozen=True, env_ignore_empty=True, str_strip_whitespace=True
    )

    base_url: Annotated[str, Field(validation_alias="RED_EMBEDDING_URL")]
    api_key: Annotated[SecretStr, Field(validation_alias="RED_EMBEDDING_KEY")] = SecretStr("")
    model: Annotated[str, Field(min_length=1, max_length=200)]
    headers: Annotated[dict[str, SecretStr], NoDecode, BeforeValidator(from_json)] = {}
    dimensions: Annotated[int | None, Field(ge=1, le=65_536)] = None
    batch: Annotated[int, Field(ge=1, le=2_048)] = 64
    at_once: Annotated[int, Field(ge=1, le=64)] = 4
    timeout: Annotated[float, Field(gt=0, le=600)] = 60.0
    most_tokens: Annotated[int | None, Field(ge=1)] = None
    price: Annotated[float | None, Field(ge=0)] = None
    private_addresses: bool = True
    redirects: bool = False

    @property
    def name(self) -> str:
        """The name of the encoder."""
        return f"{API}{self.model}@{self.base_url}"

    @property
    def host(self) -> str:
        """The address without its path."""
        return urlsplit(self.base_url).netloc

    @property
    def query(self) -> dict[str, str]:
        """The query of the address."""
        return dict(parse_qsl(urlsplit(self.base_url).query))

    def cost(self, texts: int, size: float) -> str:
        """Return in words what so many texts of so many bytes each, on average, cost; '' without a price."""
        if self.price is None:
            return ""
        tokens = max(texts, round(texts * size / BYTES_OF_A_TOKEN))
        return f"About {tokens:,} tokens, {tokens * self.price / 1e6:.2f} in the currency of the price."


def embedding_server() -> EmbeddingServer | None:
    """Return the server that the operator named; None if there is none.

    Raises
    ------
    EmbeddingError
        If a setting is out of its range.
    """
    try:
        server = EmbeddingServer()  # type: ignore[call-arg]  # from the environment
    except ValidationError as error:
        wrong = error.errors(include_input=False)
        if {str(each["loc"][0]) for each in wrong if each["type"] == "missing"} & {"RED_EMBEDDING_URL", "model"}:
            return None
        raise _wrong_setting(str(wrong[0]["loc"][0]), wrong[0]["msg"]) from None
    for name, fault in (
        ("URL", wrong_address(server.base_url, "RED_EMBEDDING_KEY")),
        ("KEY", wrong_key(server.api_key)),
        ("HEADERS", wrong_headers(server.headers)),
    ):
        if fault:
            raise _wrong_setting(name, fault)
    return server


def _wrong_setting(name: str, wrong: str) -> EmbeddingError:
    variable = f"RED_EMBEDDING_{name.removeprefix('RED_EMBEDDING_').upper()}"
    return EmbeddingError(f"embedding setting {variable}: {wrong}. {WHERE}")


class ApiEncoder:
    """Sends texts in batches, some at once; tries again where that can help.

    Raises
    ------
    EmbeddingError
        If the operator has not named this very server and model.
    """

    def __init__(self, name: str) -> None:
        server = embedding_server()
        if server is None or server.name != name:
            raise EmbeddingError(f"the server of the encoder {name!r} is not set here. {WHERE}")
        self._server, self._name, self._tokens = server, name, 0

    @property
    def dimensions(self) -> int:
        """Numbers of a vector; asks for one if the operator does not name them.

        What one reply had is not remembered: a wrong one would make all right ones wrong.
        """
        return self._server.dimensions or self.encode(["How long is a vector?"]).shape[1]

    def weights_sha256(self) -> str:
        """Return the SHA-256 of the encoder's name: nobody sees its weights."""
        return hashlib.sha256(self._name.encode()).hexdigest()

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return unit vectors of shape (n, d), float32.

        Raises
        ------
        EmbeddingError
            If the server cannot be reached, refuses, or replies with anything but one finite vector for each text.
        BudgetSpent
            If the next batch could exceed the limit of tokens.
        """
        return asyncio.run(self._encode(list(texts)))

    async def _encode(self, texts: list[str]) -> Floats:
        from red_core.access.bounded_http import connection_to  # noqa: PLC0415  its client takes a second to load

        size = self._server.batch
        batches = [texts[start : start + size] for start in range(0, len(texts), size)]
        turn = asyncio.Semaphore(self._server.at_once)
        async with connection_to(self._server, self._server.timeout, longest=LONGEST_REPLY) as client:

            async def one(batch: list[str]) -> Floats:
                async with turn:
                    return await self._vectors(client, batch)

            tasks = [asyncio.ensure_future(one(batch)) for batch in batches]
            try:
                rows = await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
        if len({row.shape[1] for row in rows}) > 1:
            raise self._failed("sent vectors of different lengths")
        return np.vstack(rows) if rows else np.zeros((0, self._server.dimensions or 0), dtype=np.float32)

    async def _vectors(self, client: Any, batch: list[str]) -> Floats:  # noqa: ANN401  of the library
        most = sum(len(text.encode()) + 2 for text in batch)  # no tokenizer makes more tokens than bytes
        if self._server.most_tokens is not None and self._tokens + most > self._server.most_tokens:
            raise BudgetSpent(
                f"the next texts could exceed the limit of {self._server.most_tokens:,} tokens of the encoder. What is "
                "embedded stays. Raise RED_EMBEDDING_MOST_TOKENS and go on."
            )
        self._tokens += most
        reply = await self._answered(client, batch)
        vectors, used = self._read(reply, len(batch))
        self._tokens += used - most if used is not None else 0
        return vectors

    async def _answered(self, client: Any, batch: list[str]) -> str:  # noqa: ANN401
        import openai  # noqa: PLC0415

        from red_core.access.bounded_http import retry_after  # noqa: PLC0415  as above

        sized = {"dimensions": self._server.dimensions} if self._server.dimensions else {}
        wait = 1.0
        for left in reversed(range(TRIES)):
            try:
                raw = await client.embeddings.with_raw_response.create(
                    model=self._server.model, input=batch, encoding_format="float", **sized
                )
                return str(raw.text)
            except openai.APIStatusError as error:
                if error.status_code not in WAITS or not left:
                    raise self._failed(f"answered {error.status_code}") from None
                stated = retry_after(error.response.headers)
                wait = wait if stated is None else min(stated, LONGEST_WAIT)
            except openai.APIConnectionError as error:
                if not left:
                    raise self._failed(f"cannot be reached ({type(error).__name__})") from None
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        raise self._failed("did not answer")

    def _read(self, reply: str, count: int) -> tuple[Floats, int | None]:
        """Return the vectors in the order of the texts, and the tokens that the server counted."""
        try:
            facts = json.loads(reply)
            rows = {entry["index"]: entry["embedding"] for entry in facts["data"]}
            if len(facts["data"]) != count or sorted(rows) != list(range(count)):
                raise self._failed(f"sent {len(rows)} vectors for {count} texts")
            with np.errstate(over="ignore"):  # such a number becomes infinite, and is refused below
                vectors = np.array([rows[index] for index in range(count)], dtype=np.float32)
                lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
            used = (facts.get("usage") or {}).get("total_tokens")
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            raise self._failed("sent something that is no list of vectors of one length") from None
        if vectors.ndim != 2 or not np.isfinite(lengths).all() or not lengths.all():
            raise self._failed("sent vectors that are no vectors of finite numbers other than zero")
        expected = self._server.dimensions or vectors.shape[1]
        if vectors.shape[1] != expected:
            raise self._failed(f"sent vectors of {vectors.shape[1]} numbers instead of {expected}")
        valid = isinstance(used, int) and not isinstance(used, bool) and used >= 0
        return np.asarray(vectors / lengths, dtype=np.float32), used if valid else None

    def _failed(self, what: str) -> EmbeddingError:
        return EmbeddingError(
            f"the encoder {self._server.model} at {self._server.host} {what}. What is embedded stays; try again, or "
            "check the server."
        )
