"""Strict reading of replies: only an exact answer is a verdict, everything else is *unparseable*.

The openai package does not validate replies: HTML with status 200 arrives as a string, a probability of 1.7 as 1.7.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from red_core.errors import one_line
from red_core.records import Attempt, Outcome

LONGEST_NAME = 200
"""Characters kept of a model's name."""
Count = Annotated[int, Field(ge=0, le=2**31)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


@dataclass(frozen=True)
class Reply:
    """What a server replied.

    Attributes
    ----------
    outcome : Outcome
        Never *failed*: a reply was received.
    p_valid : float or None
        In [0, 1], where the API gives a probability.
    model : str
        The model's name as the reply gives it; '' where it does not.
    tokens_in, tokens_out, tokens_cached : int or None
        Tokens as the server counted them; None where it did not. ``tokens_cached`` are those of ``tokens_in`` that came
        from its cache.
    """

    outcome: Outcome
    p_valid: float | None = None
    model: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None

    def settled(self, attempt: Attempt) -> Attempt:
        """Return the attempt with the tokens of this reply; without them, its reserve counts."""
        return Attempt(attempt.id, self.tokens_in, self.tokens_out, self.tokens_cached)


@dataclass(frozen=True)
class Band:
    """A probability under ``low`` means invalid, from ``high`` on valid, between them unsure."""

    low: float = 0.4
    high: float = 0.6

    def outcome(self, probability: float) -> Outcome:
        """Return the outcome of a probability in [0, 1]."""
        return "valid" if probability >= self.high else "invalid" if probability < self.low else "unsure"


class Lenient(BaseModel):
    """Part of a reply to which a server may add fields of its own."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Strict(BaseModel):
    """Part of a reply that must have exactly these fields."""

    model_config = ConfigDict(strict=True, extra="forbid")


def strict_json(raw: str) -> Any:  # noqa: ANN401  whatever JSON holds
    """Return the value of a JSON text.

    Raises
    ------
    ValueError
        If it is not JSON, names a key twice, or holds a number that JSON does not have (NaN, Infinity).
    """
    try:
        return json.loads(raw, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items = dict(pairs)
    if len(items) != len(pairs):
        raise ValueError("a key comes twice")
    return items


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number in JSON")


def model_of(body: Any) -> str:  # noqa: ANN401
    """Return the model's name in a reply, on one line; '' where there is none."""
    name = body.get("model") if isinstance(body, dict) else None
    return one_line(name, LONGEST_NAME) if isinstance(name, str) else ""
