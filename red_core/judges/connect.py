"""Try a judge's server on a pair known to be valid and one known to be invalid, and say in words what works.

That a server takes a parameter proves nothing: some ignore it, some answer 500. So the reply has to obey.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import httpx2
from openai import APIConnectionError, APIStatusError, OpenAI

from red_core.errors import JudgeError, one_line
from red_core.judges.client import Reserve, all_of
from red_core.judges.llm import LlmJudge
from red_core.judges.replies import Band
from red_core.judges.server import Format, JudgeServer
from red_core.records import Answer, Attempt, Question
from red_core.steps.judge_reliability import judge_rates

SECONDS = 5.0
"""How long to wait for the list."""


FORMS: tuple[Format, ...] = ("json_schema", "json_object", "plain")
READ = ("valid", "invalid", "unsure")
_TOLD = {
    "json_schema": "Holding the reply to a JSON schema",
    "json_object": "Asking for a JSON object",
    "plain": "Asking for JSON in words alone",
}


@dataclass(frozen=True)
class Connection:
    """What was found.

    Attributes
    ----------
    form : Format or None
        The first form that was obeyed; None where none was.
    sentences : tuple of str
        What was tried and what came of it, for people.
    attempts : tuple of Attempt
    model : str
        The model's name as the server gives it.
    """

    form: Format | None
    sentences: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    model: str


def connect(server: JudgeServer, reserve: Reserve, right: Question, wrong: Question) -> Connection:
    """Ask about both pairs, with chat in each form until one is obeyed.

    Raises
    ------
    JudgeError
        If no request can succeed: the text says what to do.
    """
    sentences: list[str] = []
    attempts: tuple[Attempt, ...] = ()
    forms: Sequence[Format] = ("plain",)
    if server.wire == "chat":
        forms = FORMS if server.response_format == "auto" else (server.response_format,)
    for form in forms:
        answers = _tried(server, form, reserve, [right, wrong])
        attempts += tuple(attempt for answer in answers for attempt in answer.attempts)
        way = f"{_TOLD[form]}: " if server.wire == "chat" else ""
        obeyed = all(answer.outcome in READ for answer in answers)
        sentences.append(way + (_well(answers) if obeyed else _badly(answers)))
        if obeyed:
            return Connection(form, tuple(sentences), attempts, answers[0].model)
    return Connection(None, tuple(sentences), attempts, "")


def _tried(server: JudgeServer, form: Format, reserve: Reserve, pairs: Sequence[Question]) -> list[Answer]:
    judge = LlmJudge(server, form, Band(), reserve, judge_rates({}, {}))
    came = {place: answer for group in all_of(server, reserve, pairs, judge.answer) for place, answer in group}
    if len(came) < len(pairs):
        raise JudgeError(
            "the judge was not tried: the project's cap of tokens is reached. Raise it with the next round."
        )
    return [came[place] for place in range(len(pairs))]


def _well(answers: Sequence[Answer]) -> str:
    right, wrong = (
        answer.outcome + ("" if answer.p_valid is None else f" (p {answer.p_valid:.2f})") for answer in answers
    )
    told = f"works. It called a right pair {right} and a wrong one {wrong}."
    if answers[0].outcome != "valid" or answers[1].outcome != "invalid":
        told += " One pair proves little: the self-test says how far it can be trusted."
    return told


def _badly(answers: Sequence[Answer]) -> str:
    bad = next(answer for answer in answers if answer.outcome not in READ)
    if bad.outcome == "failed":
        return f"it did not work, {bad.raw}."
    if bad.outcome == "refused":
        return "the model refused to answer."
    return "a reply came, but not the answer that was asked for."


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
