"""The three wires: what is sent, and where to. Which one a server speaks is a setting, never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from red_core.judges.prompt import ANSWER, CRITERIA, INSTRUCTIONS, TASK, VERDICT_SCHEMA, Prompt
from red_core.judges.replies import QUESTION
from red_core.judges.server import Api, Format, JudgeServer

PATHS: Mapping[Api, str] = {"chat": "/chat/completions", "systemone": "/systemone", "decisions": "/decisions"}


def verdict_request(server: JudgeServer, form: Format, prompt: Prompt) -> tuple[str, dict[str, Any]]:
    """Return the path and the body that ask for a verdict.

    Parameters
    ----------
    form : Format
        With chat, how the reply is held to JSON; see :mod:`red_core.judges.connect`.
    """
    if server.wire == "chat":
        return chat_request(server, f"{TASK}\n\n{ANSWER}", prompt.message, form, VERDICT_SCHEMA)
    if server.wire == "systemone":
        asked: dict[str, Any] = {QUESTION: {"type": "noul", "instructions": INSTRUCTIONS, "criteria": CRITERIA}}
        return PATHS["systemone"], {"model": server.model, "state": prompt.state, "questions": asked, **server.extra}
    predicate = {"type": "predicate", "name": QUESTION, "instructions": INSTRUCTIONS}
    return PATHS["decisions"], {
        "model": server.model,
        "input": prompt.message,
        "questions": [predicate],
        **server.extra,
    }


def chat_request(
    server: JudgeServer, system: str, user: str, form: Format, schema: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return the path and the body of a chat whose reply is JSON of this schema, held to it as ``form`` says."""
    body: dict[str, Any] = {
        "model": server.model,
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
    }
    if form == "json_schema":
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "reply", "strict": True, "schema": dict(schema)},
        }
    elif form == "json_object":
        body["response_format"] = {"type": "json_object"}
    return PATHS["chat"], body | server.extra
