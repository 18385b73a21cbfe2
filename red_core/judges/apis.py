"""The APIs a judge's server may speak: what is sent, and what a reply of each says.

Which API a server speaks is a setting (``RED_JUDGE_WIRE``), never guessed. To add one: write its :class:`Api` here, and
add its name to ``ApiName`` in ``server_settings.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from red_core.judges import comparing
from red_core.judges.contents import ChatUsage, chance_of_first, content_of, probability_of_valid, verdict_in
from red_core.judges.dialect import REASONING_TOKENS, Dialect
from red_core.judges.prompt import ANSWER, CRITERIA, INSTRUCTIONS, TASK, VERDICT_SCHEMA, Prompt
from red_core.judges.replies import Band, Count, Lenient, Probability, Reply, Strict, model_of, strict_json
from red_core.judges.server_settings import ApiName, Format, JudgeServer
from red_core.records import Outcome

QUESTION = "valid"
"""The name of the one question, in requests that could hold several."""
Said = tuple[Outcome, float | None]
"""The outcome, and the probability of *valid* in [0, 1] where the API gives one."""


class _Usage(Lenient):
    input_tokens: Count
    output_tokens: Count

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.input_tokens, self.output_tokens, 0


@dataclass(frozen=True)
class Api:
    """One API.

    Attributes
    ----------
    path : str
        Follows the server's address.
    body : callable(server, dialect, prompt)
        Returns the JSON body of a request for a verdict.
    read : callable(body, band)
        Returns what a reply says; raises ValueError (pydantic's errors included) if it is not exactly an answer.
    compare : callable(body) or None
        As ``read``, of a comparison: *valid* and the probability are those of the label that is shown first. None if
        the API cannot compare.
    usage : type
        Reads the tokens that the server counted.
    forms : tuple of Format
        The ways to hold a reply to JSON, the best first.
    """

    path: str
    body: Callable[[JudgeServer, Dialect, Prompt], dict[str, Any]]
    read: Callable[[Any, Band], Said]
    usage: type[_Usage | ChatUsage]
    forms: tuple[Format, ...] = ("plain",)
    compare: Callable[[Any], Said] | None = None


def verdict_request(server: JudgeServer, dialect: Dialect, prompt: Prompt) -> tuple[str, dict[str, Any]]:
    """Return the path and the JSON body of a request for a verdict."""
    api = APIS[server.wire]
    return api.path, with_extra(api.body(server, dialect, prompt), server)


def with_extra(body: dict[str, Any], server: JudgeServer) -> dict[str, Any]:
    """Return a body with the parameters of ``RED_JUDGE_EXTRA``; one that is null there is not sent."""
    return {name: value for name, value in (body | server.extra).items() if value is not None}


def can_compare(server: JudgeServer, dialect: Dialect) -> bool:
    """Tell whether a server can be asked to compare: it gives probabilities and does not reason first."""
    return APIS[server.wire].compare is not None and dialect.logprobs and dialect.most_out < REASONING_TOKENS


def read_reply(name: ApiName, raw: str, band: Band, *, compares: bool = False) -> Reply:
    """Return what the body of a reply says; *unparseable* for everything that is not exactly an answer."""
    try:
        body = strict_json(raw)
    except ValueError:
        return Reply("unparseable")
    api = APIS[name]
    tokens = _tokens(api, body)
    try:
        outcome, probability = api.compare(body) if compares and api.compare else api.read(body, band)
    except ValueError:
        return Reply("unparseable", None, model_of(body), *tokens)
    return Reply(outcome, probability, model_of(body), *tokens)


def _tokens(api: Api, body: Any) -> tuple[int | None, int | None, int | None]:  # noqa: ANN401  whatever JSON holds
    try:
        counts = api.usage.model_validate(body.get("usage") if isinstance(body, dict) else None).counts
    except ValidationError:
        return None, None, None
    return counts if counts[0] + counts[1] else (None, None, None)  # no request takes nothing: it was not counted


# chat: /chat/completions of every OpenAI-compatible server


class _Word(Strict):
    verdict: Literal["valid", "invalid", "unsure"]


def chat_request(
    server: JudgeServer, system: str, user: str, dialect: Dialect, schema: Mapping[str, Any], most_out: int
) -> tuple[str, dict[str, Any]]:
    """Return the path and the JSON body of a chat in which the model writes JSON of this schema."""
    body = _chat_body(server, system, user, dialect, schema) | dialect.parameters(most_out=most_out, judging=False)
    return APIS["chat"].path, with_extra(body, server)


def _messages(server: JudgeServer, system: str, user: str, dialect: Dialect) -> dict[str, Any]:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    if not dialect.system:
        messages = [{"role": "user", "content": f"{system}\n\n{user}"}]
    return {"model": server.model, "messages": messages}


def _chat_body(
    server: JudgeServer, system: str, user: str, dialect: Dialect, schema: Mapping[str, Any]
) -> dict[str, Any]:
    body = _messages(server, system, user, dialect)
    if dialect.form == "json_schema":
        json_schema = {"name": "reply", "strict": True, "schema": dict(schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
    elif dialect.form == "json_object":
        body["response_format"] = {"type": "json_object"}
    return body


def _ask_chat(server: JudgeServer, dialect: Dialect, prompt: Prompt) -> dict[str, Any]:
    if prompt.compares:
        limit = {dialect.limit: comparing.LETTER_TOKENS} if dialect.limit else {}
        return _messages(server, comparing.TASK, prompt.message, dialect) | dialect.parameters() | limit
    body = _chat_body(server, f"{TASK}\n\n{ANSWER}", prompt.message, dialect, VERDICT_SCHEMA)
    return body | dialect.parameters()


def _read_chat(body: Any, _band: Band) -> Said:  # noqa: ANN401
    content, refused = content_of(body)
    if refused:
        return "refused", None
    verdict = _Word.model_validate(verdict_in(content or "")).verdict
    return verdict, probability_of_valid(body, verdict)


def _compare_chat(body: Any) -> Said:  # noqa: ANN401
    first = chance_of_first(body)
    if first is None:
        return "refused", None
    return ("valid" if first >= 0.5 else "invalid"), first


# systemone and decisions: a probability instead of a word


class _Noul(Lenient):
    noul: Probability


class _SystemOne(Lenient):
    answers: dict[str, _Noul]


class _Predicate(Lenient):
    type: Literal["predicate", "refusal"]
    probability: Probability | None = None


class _Decisions(Lenient):
    answers: Annotated[list[_Predicate], Field(min_length=1, max_length=1)]


def _ask_systemone(server: JudgeServer, _dialect: Dialect, prompt: Prompt) -> dict[str, Any]:
    question = {"type": "noul", "instructions": INSTRUCTIONS, "criteria": CRITERIA}
    return {"model": server.model, "state": prompt.state, "questions": {QUESTION: question}}


def _read_systemone(body: Any, band: Band) -> Said:  # noqa: ANN401
    answers = _SystemOne.model_validate(body).answers
    if set(answers) != {QUESTION}:
        raise ValueError("another question was answered")
    probability = answers[QUESTION].noul
    return band.outcome(probability), probability


def _ask_decisions(server: JudgeServer, _dialect: Dialect, prompt: Prompt) -> dict[str, Any]:
    predicate = {"type": "predicate", "name": QUESTION, "instructions": INSTRUCTIONS}
    return {"model": server.model, "input": prompt.message, "questions": [predicate]}


def _read_decisions(body: Any, band: Band) -> Said:  # noqa: ANN401
    answer = _Decisions.model_validate(body).answers[0]
    if answer.type == "refusal":
        return "refused", None
    if answer.probability is None:
        raise ValueError("no probability")
    return band.outcome(answer.probability), answer.probability


APIS: Mapping[ApiName, Api] = {
    "chat": Api(
        "/chat/completions", _ask_chat, _read_chat, ChatUsage, ("json_schema", "json_object", "plain"), _compare_chat
    ),
    "systemone": Api("/systemone", _ask_systemone, _read_systemone, _Usage),
    "decisions": Api("/decisions", _ask_decisions, _read_decisions, _Usage),
}
