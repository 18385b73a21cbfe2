"""Is the judge's server there? Its list of models is asked for: no question is sent, and nothing is spent."""

from __future__ import annotations

import json

import httpx2
from openai import APIConnectionError, APIStatusError, OpenAI

from red_core.errors import JudgeError, one_line
from red_core.judges.server import JudgeServer

SECONDS = 5.0
"""How long to wait for the list."""


def listed_models(server: JudgeServer) -> list[str]:
    """Return the names of the models a server lists; none where it answers without such a list.

    Raises
    ------
    JudgeError
        If it does not answer, or refuses the key.
    """
    key = server.api_key.get_secret_value() or "none"  # the package insists on one
    try:
        with OpenAI(base_url=server.base_url, api_key=key, max_retries=0, timeout=SECONDS) as client:
            received = client.get("/models", cast_to=httpx2.Response)
    except APIStatusError as error:
        if error.status_code in {401, 403}:
            raise JudgeError(f"{server.host} refuses the key ({error.status_code}). Check OPENAI_API_KEY.") from None
        return []
    except APIConnectionError as error:
        why = one_line(server.scrubbed(str(error.__cause__ or error)), 120)
        raise JudgeError(f"{server.host} does not answer ({why}). Start it, or check OPENAI_BASE_URL.") from None
    try:
        told = json.loads(received.text)
    except (ValueError, RecursionError):
        return []
    listed = told.get("data") if isinstance(told, dict) else None
    return (
        [str(one["id"]) for one in listed if isinstance(one, dict) and "id" in one] if isinstance(listed, list) else []
    )
