"""Strict reading of replies: only an exact answer is a verdict, everything else that was received is *unparseable*.

The openai package does not validate replies: HTML with status 200 arrives as a string, a probability of 1.7 as 1.7.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from red_core.errors import one_line
from red_core.judges.server import Api
from red_core.records import Outcome

QUESTION = "valid"
"""The name of the one question in a request that can hold several."""
LONGEST_NAME = 200


@dataclass(frozen=True)
class Reply:
    """What a server said.

    Attributes
    ----------
    outcome : Outcome
        Never *failed*: something was received.
    p_valid : float or None
        In [0, 1], where the wire gives a probability.
    model : str
        The model's name as the reply gives it; '' where it does not.
    tokens_in, tokens_out : int or None
        What the server counted; None where it does not say.
    """

    outcome: Outcome
    p_valid: float | None = None
    model: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None


@dataclass(frozen=True)
class Band:
    """A probability under ``low`` is invalid, from ``high`` on valid, in between unsure."""

    low: float = 0.4
    high: float = 0.6

    def outcome(self, probability: float) -> Outcome:
        """Return the outcome of a probability in [0, 1]."""
        return "valid" if probability >= self.high else "invalid" if probability < self.low else "unsure"


_Count = Annotated[int, Field(ge=0, le=2**31)]
_Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Loose(BaseModel):
    """What a server may add to."""

    model_config = ConfigDict(strict=True, extra="ignore")


class _Strict(BaseModel):
    """What must be exactly this."""

    model_config = ConfigDict(strict=True, extra="forbid")


class _Word(_Strict):
    verdict: Literal["valid", "invalid", "unsure"]


class _Message(_Loose):
    content: str | None = None
    refusal: str | None = None


class _Choice(_Loose):
    finish_reason: str | None = None
    message: _Message


class _ChatUsage(_Loose):
    prompt_tokens: _Count
    completion_tokens: _Count


class _Chat(_Loose):
    choices: Annotated[list[_Choice], Field(min_length=1, max_length=1)]


class _Usage(_Loose):
    input_tokens: _Count
    output_tokens: _Count


class _Noul(_Loose):
    noul: _Probability


class _SystemOne(_Loose):
    answers: dict[str, _Noul]


class _Predicate(_Loose):
    type: Literal["predicate", "refusal"]
    probability: _Probability | None = None


class _Decisions(_Loose):
    answers: Annotated[list[_Predicate], Field(min_length=1, max_length=1)]


def read_reply(wire: Api, raw: str, band: Band) -> Reply:
    """Return what the body of a reply says; *unparseable* for whatever is not exactly an answer."""
    try:
        body = strict_json(raw)
    except ValueError:
        return Reply("unparseable")
    tokens = _tokens(wire, body)
    try:
        outcome, probability, model = _READ[wire](body, band)
    except (ValidationError, ValueError):
        return Reply("unparseable", None, _model(body), *tokens)
    return Reply(outcome, probability, model, *tokens)


def strict_json(raw: str) -> Any:  # noqa: ANN401  whatever JSON holds
    """Return the value of a JSON text.

    Raises
    ------
    ValueError
        If it is no JSON, names a key twice, or holds a number JSON does not have (NaN, Infinity).
    """
    try:
        return json.loads(raw, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def content_of(body: Any) -> tuple[str | None, bool]:  # noqa: ANN401
    """Return the words of a chat reply, None where there are none or they were cut short, and whether it refused.

    Raises
    ------
    ValidationError
        If it is no chat reply.
    """
    choice = _Chat.model_validate(body).choices[0]
    if choice.finish_reason == "content_filter" or choice.message.refusal:
        return None, True
    return (choice.message.content if choice.finish_reason == "stop" else None), False


def _read_chat(body: Any, _band: Band) -> tuple[Outcome, float | None, str]:  # noqa: ANN401
    content, refused = content_of(body)
    if refused:
        return "refused", None, _model(body)
    word = _Word.model_validate(strict_json(content or ""))
    return word.verdict, None, _model(body)


def _read_systemone(body: Any, band: Band) -> tuple[Outcome, float | None, str]:  # noqa: ANN401
    found = _SystemOne.model_validate(body)
    if set(found.answers) != {QUESTION}:
        raise ValueError("another question was answered")
    probability = found.answers[QUESTION].noul
    return band.outcome(probability), probability, _model(body)


def _read_decisions(body: Any, band: Band) -> tuple[Outcome, float | None, str]:  # noqa: ANN401
    found = _Decisions.model_validate(body)
    answer = found.answers[0]
    if answer.type == "refusal":
        return "refused", None, _model(body)
    if answer.probability is None:
        raise ValueError("no probability")
    return band.outcome(answer.probability), answer.probability, _model(body)


_READ: dict[Api, Callable[[Any, Band], tuple[Outcome, float | None, str]]] = {
    "chat": _read_chat,
    "systemone": _read_systemone,
    "decisions": _read_decisions,
}


def _tokens(wire: Api, body: Any) -> tuple[int | None, int | None]:  # noqa: ANN401
    usage = body.get("usage") if isinstance(body, dict) else None
    try:
        if wire == "chat":
            chat = _ChatUsage.model_validate(usage)
            return chat.prompt_tokens, chat.completion_tokens
        other = _Usage.model_validate(usage)
    except ValidationError:
        return None, None
    return other.input_tokens, other.output_tokens


def _model(body: Any) -> str:  # noqa: ANN401
    name = body.get("model") if isinstance(body, dict) else None
    return one_line(name, LONGEST_NAME) if isinstance(name, str) else ""
