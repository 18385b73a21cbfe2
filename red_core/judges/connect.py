"""Try a judge's server on one valid and one invalid pair, and report in words what works.

A server that accepts a parameter may still ignore it, or answer 500. So only a reply that obeys counts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

import httpx2
from openai import APIConnectionError, APIStatusError

from red_core.errors import JudgeError, one_line
from red_core.judges.apis import APIS
from red_core.judges.bounded_http import connection_to
from red_core.judges.client import Endpoint, Reserve, all_of
from red_core.judges.llm_judge import LlmJudge
from red_core.judges.server_settings import Format, JudgeServer
from red_core.records import Answer, Attempt, Question
from red_core.steps.judge_reliability import judge_rates

SECONDS = 5.0
"""How long to wait for the list of models."""
READ = ("valid", "invalid", "unsure")
_TRIED = {
    "json_schema": "Asking for JSON with a schema",
    "json_object": "Asking for a JSON object",
    "plain": "Asking for JSON in the instructions only",
}


@dataclass(frozen=True)
class Connection:
    """The result of a trial.

    Attributes
    ----------
    form : Format or None
        The first form that was obeyed; None if none was.
    sentences : tuple of str
        What was tried, and the result, in words.
    attempts : tuple of Attempt
    model : str
        The model's name as the server gives it.
    """

    form: Format | None
    sentences: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    model: str


def connect(server: JudgeServer, reserve: Reserve, right: Question, wrong: Question) -> Connection:
    """Ask about both pairs, in one JSON form after the other until one is obeyed.

    Raises
    ------
    JudgeError
        If no request can succeed; the message says what to do.
    """
    sentences: list[str] = []
    attempts: tuple[Attempt, ...] = ()
    known = APIS[server.wire].forms
    several = len(known) > 1
    for form in known if server.response_format == "auto" or not several else (server.response_format,):
        answers = _tried(Endpoint(server, form, reserve), [right, wrong])
        attempts += tuple(attempt for answer in answers for attempt in answer.attempts)
        way = f"{_TRIED[form]}: " if several else ""
        obeyed = all(answer.outcome in READ for answer in answers)
        sentences.append(way + (_well(answers) if obeyed else _badly(answers)))
        if obeyed:
            return Connection(form, tuple(sentences), attempts, answers[0].model)
    return Connection(None, tuple(sentences), attempts, "")


def _tried(endpoint: Endpoint, pairs: Sequence[Question]) -> list[Answer]:
    judge = LlmJudge(endpoint, judge_rates({}, {}))
    answers = {index: answer for group in all_of(endpoint, pairs, judge.answer) for index, answer in group}
    if len(answers) < len(pairs):
        raise JudgeError(
            "the judge was not tried: the project's cap of tokens is reached. Raise it with the next round."
        )
    return [answers[index] for index in range(len(pairs))]


def _well(answers: Sequence[Answer]) -> str:
    right, wrong = (
        answer.outcome + ("" if answer.p_valid is None else f" (p {answer.p_valid:.2f})") for answer in answers
    )
    message = f"works. It called a right label {right} and a wrong one {wrong}."
    if answers[0].outcome != "valid" or answers[1].outcome != "invalid":
        message += " Two answers prove little. The self-test measures how accurate the judge is."
    return message


def _badly(answers: Sequence[Answer]) -> str:
    bad = next(answer for answer in answers if answer.outcome not in READ)
    if bad.outcome == "failed":
        return f"it did not work, {bad.raw}."
    if bad.outcome == "refused":
        return "the model refused to answer."
    return "the server replied, but not with the answer that was asked for."


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
        why = one_line(server.scrubbed(str(error.__cause__ or error)), 120)
        raise JudgeError(f"{server.host} does not answer ({why}). Start it, or check OPENAI_BASE_URL.") from None
    try:
        body = json.loads(received.text)
    except (ValueError, RecursionError):
        return []
    listed = body.get("data") if isinstance(body, dict) else None
    models = listed if isinstance(listed, list) else []
    return [str(model["id"]) for model in models if isinstance(model, dict) and "id" in model]
