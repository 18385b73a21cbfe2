"""The models that a judge's server lists: what to name where it does not know the one that was asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import httpx2
from openai import APIConnectionError, APIStatusError

from red_core.access.bounded_http import connection_to
from red_core.errors import JudgeError, one_line
from red_core.judges.faults import described
from red_core.judges.server_settings import JudgeServer
from red_core.text import listed

SECONDS = 5.0
"""How long to wait for the list of models."""
MODELS_SHOWN = 8


def other_models(server: JudgeServer) -> str:
    """Return the sentence that names the models a server lists, if the one asked for is not among them."""
    try:
        models = listed_models(server)
    except JudgeError:
        return ""
    if not models or is_listed(server.model, models):
        return ""
    shown = listed([one_line(name, 60) for name in models], MODELS_SHOWN)
    return f" The server does not list {server.model}. It lists: {server.scrubbed(shown)}."


def is_listed(model: str, models: Sequence[str]) -> bool:
    """Return whether a list names a model: some servers list ``models/NAME`` or ``NAME:latest`` and take NAME."""
    return any(model in (name, name.removesuffix(":latest")) or name.endswith(f"/{model}") for name in models)


async def _models(server: JudgeServer) -> httpx2.Response:
    async with asyncio.timeout(SECONDS), connection_to(server, SECONDS) as connection:
        return await connection.get("/models", cast_to=httpx2.Response)


def listed_models(server: JudgeServer) -> list[str]:
    """Return the names of the models that a server lists; empty if it answers without such a list.

    Raises
    ------
    JudgeError
        If it does not answer, or refuses the key.
    """
    try:
        received = asyncio.run(_models(server))
    except APIStatusError as error:
        if error.status_code in {401, 403}:
            raise JudgeError(f"{server.host} refuses the key ({error.status_code}). Check OPENAI_API_KEY.") from None
        return []
    except TimeoutError:
        raise JudgeError(
            f"{server.host} does not answer within {SECONDS:g} s. Start it, or check OPENAI_BASE_URL."
        ) from None
    except APIConnectionError as error:
        why = one_line(described(error, server), 120)
        raise JudgeError(f"{server.host} does not answer ({why}). Start it, or check OPENAI_BASE_URL.") from None
    try:
        body = json.loads(received.text)
    except (ValueError, RecursionError):
        return []
    listed = body.get("data") if isinstance(body, dict) else body  # some servers send the list alone
    models = listed if isinstance(listed, list) else []
    return [model["id"] for model in models if isinstance(model, dict) and isinstance(model.get("id"), str)]
