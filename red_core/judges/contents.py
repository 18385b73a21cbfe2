"""What the body of a chat reply holds: its answer, the probability at the answer's token, what went wrong.

The answer itself must be exact. What stands around it is taken off where it is complete and unambiguous: a leading
block of reasoning, one code fence around the whole, parts of text, white space. Reasoning that has no end, or prose
before the answer, makes the reply no answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import exp
from typing import Annotated, Any

from pydantic import Field, ValidationError

from red_core.errors import one_line
from red_core.judges.comparing import FIRST, SECOND
from red_core.judges.replies import Count, Lenient, strict_json

_CUT = ("length", "max_tokens", "max_output_tokens", "model_length", "max_length", "token_limit", "context_length")
_WAITS_FOR_A_TOOL = ("tool_calls", "tool_call", "tool_use", "function_call", "pause_turn", "malformed_function_call")
_BROKEN = ("error", "abort", "aborted", "cancelled", "timeout")
INCOMPLETE = frozenset(_CUT + _WAITS_FOR_A_TOOL + _BROKEN)
"""The ends (``finish_reason``, in small letters) after which more was to come. Every other end, and none, is an end."""
_FILTERED = ("content_filter", "content_filtered", "safety", "recitation", "blocklist", "prohibited_content", "spii")
REFUSED = frozenset((*_FILTERED, "refusal", "guardrail_intervened", "sensitive"))
"""The ends that say: the model, or a filter, will not answer."""
LONGEST_QUOTE = 80
"""Characters quoted of a reply that is no answer."""

_REASONING = frozenset(("thinking", "reasoning"))

_BLOCK = re.compile(r"<(think|thinking|thought|reasoning)>.*?</\1>|\[THINK\].*?\[/THINK\]", re.DOTALL | re.IGNORECASE)
_END_OF_BLOCK = "</think>"
_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]*(?:json[c5]?)?\s(.*?)\s*\1", re.DOTALL | re.IGNORECASE)
_BEFORE_WORD = re.compile(r'"verdict"\s*:\s*"\s*', re.IGNORECASE)


class _Top(Lenient):
    token: str
    logprob: Annotated[float, Field(le=1e-3, allow_inf_nan=False)]


class _Token(_Top):
    top_logprobs: list[_Top] = Field(default_factory=list)


class _Logprobs(Lenient):
    content: list[_Token] | None = None


class _Part(Lenient):
    type: str
    text: Any = None


class _Message(Lenient):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None


class _Choice(Lenient):
    finish_reason: str | None = None
    message: _Message
    logprobs: Any = None


class _Chat(Lenient):
    choices: Annotated[list[_Choice], Field(min_length=1, max_length=1)]


class Details(Lenient):
    """A part of a usage report."""

    cached_tokens: Count | None = None
    reasoning_tokens: Count | None = None


class ChatUsage(Lenient):
    """What a chat server says it counted."""

    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    prompt_cache_hit_tokens: Count | None = None

    @property
    def counts(self) -> tuple[int, int, int]:
        """Tokens read, tokens written with those of the reasoning, and tokens read from the server's cache.

        Some servers count the reasoning into ``total_tokens`` only.
        """
        reasoning = (self.completion_tokens_details or Details()).reasoning_tokens or 0
        out = max(self.completion_tokens, (self.total_tokens or 0) - self.prompt_tokens)
        if not self.total_tokens and reasoning > self.completion_tokens:
            out = self.completion_tokens + reasoning
        cached = (self.prompt_tokens_details or Details()).cached_tokens or self.prompt_cache_hit_tokens or 0
        return self.prompt_tokens, out, min(cached, self.prompt_tokens)


def content_of(body: Any) -> tuple[str | None, bool]:  # noqa: ANN401  whatever JSON holds
    """Return the words of a chat reply and whether the model refused; no words where they are incomplete.

    Raises
    ------
    ValueError
        If it is not a chat reply.
    """
    choice = _Chat.model_validate(body).choices[0]
    end = (choice.finish_reason or "").casefold()
    if end in REFUSED or choice.message.refusal:
        return None, True
    return (None if end in INCOMPLETE else unwrapped(_text(choice.message.content))), False


def _text(content: str | Sequence[_Part] | None) -> str:
    """Return the text of a message; parts that hold the reasoning are left out.

    Raises
    ------
    ValueError
        If a part is neither text nor reasoning.
    """
    if content is None or isinstance(content, str):
        return content or ""
    text = ""
    for part in content:
        if part.type in {"text", "output_text"} and isinstance(part.text, str):
            text += part.text
        elif part.type not in _REASONING:
            raise ValueError("a part of the reply is no text")
    return text


def unwrapped(text: str) -> str:
    """Return a reply without a leading block of reasoning, one fence around the rest, and white space.

    Some chat templates begin the block themselves, so that a reply holds only its end.
    """
    rest = text.strip()
    if block := _BLOCK.match(rest):
        rest = rest[block.end() :].strip()
    elif rest.count(_END_OF_BLOCK) == 1 and "<think>" not in rest:
        rest = rest.partition(_END_OF_BLOCK)[2].strip()
    fence = _FENCE.fullmatch(rest)
    return fence[2].strip() if fence and fence[1][0] * 3 not in fence[2] else rest


def verdict_in(words: str) -> dict[str, Any]:
    """Return the JSON object of an answer, its keys and words in small letters and without white space around them.

    Raises
    ------
    ValueError
        If it is not exactly a JSON object, or two keys differ in their case only.
    """
    value = strict_json(words)
    if not isinstance(value, dict):
        raise ValueError("it is no object")  # noqa: TRY004  callers catch one type for a bad reply
    small = {key.strip().casefold(): _small(inner) for key, inner in value.items()}
    if len(small) != len(value):
        raise ValueError("a key comes twice")
    return small


def _small(value: Any) -> Any:  # noqa: ANN401
    return value.strip().casefold() if isinstance(value, str) else value


def probability_of_valid(body: Any, words: Sequence[str] = ("valid", "invalid", "unsure")) -> float | None:  # noqa: ANN401
    """Return the probability of *valid*, read where the word of the verdict begins; None if the reply does not tell.

    It is P(valid) + P(unsure) / 2, of the words' tokens alone. A word that is not among the likeliest tokens gets half
    of the least likely one's chance.
    """
    try:
        choice = _Chat.model_validate(body).choices[0]
        tokens = _Logprobs.model_validate(choice.logprobs).content or []
    except ValidationError:
        return None
    place = _word_begins(tokens)
    if place is None:
        return None
    token, lead = place
    found = chances_at(token.top_logprobs or [token], lead, words)
    listed = min(exp(one.logprob) for one in token.top_logprobs or [token])
    if not found.get(words[0]) and not found.get(words[1]):
        return None
    valid, invalid = (found.get(word) or listed / 2 for word in words[:2])
    unsure = found.get(words[2], 0.0) if len(words) > 2 else 0.0
    return (valid + unsure / 2) / (valid + invalid + unsure)


def _word_begins(tokens: Sequence[_Token]) -> tuple[_Token, str] | None:
    """Return the token in which the verdict's word begins, and what stands in this token before it."""
    matches = list(_BEFORE_WORD.finditer("".join(token.token for token in tokens)))
    if not matches:
        return None
    begins, start = matches[-1].end(), 0
    for token in tokens:
        if start <= begins < start + len(token.token):
            return token, token.token[: begins - start]
        start += len(token.token)
    return None


def chances_at(tops: Sequence[_Top], lead: str, words: Sequence[str]) -> dict[str, float]:
    """Return word -> the summed chance of the tokens with which only this word can begin.

    Parameters
    ----------
    lead : str
        What the token holds before the word begins; other tokens count if they hold the same.
    """
    found: dict[str, float] = {}
    for top in tops:
        begins = top.token[len(lead) :].strip().casefold() if top.token.startswith(lead) else ""
        fitting = [word for word in words if begins and (word.startswith(begins) or begins.startswith(word))]
        if len(fitting) == 1:
            found[fitting[0]] = found.get(fitting[0], 0.0) + exp(top.logprob)
    return found


def chance_of_first(body: Any) -> float | None:  # noqa: ANN401
    """Return the probability of the first letter of a comparison, at the first token; None if the model refused.

    The letter is the whole token. One that is not among the likeliest tokens gets half of the least likely chance.

    Raises
    ------
    ValueError
        If the reply is no chat, or has no letter among the likeliest first tokens.
    """
    choice = _Chat.model_validate(body).choices[0]
    if (choice.finish_reason or "").casefold() in REFUSED or choice.message.refusal:
        return None
    tokens = _Logprobs.model_validate(choice.logprobs or {}).content or []
    tops = (tokens[0].top_logprobs or [tokens[0]]) if tokens else []
    found = dict.fromkeys((FIRST, SECOND), 0.0)
    for top in tops:
        if (letter := top.token.strip().upper()) in found:
            found[letter] += exp(top.logprob)
    if not any(found.values()):
        raise ValueError("no letter")
    least = min(exp(top.logprob) for top in tops) / 2
    first, second = (found[letter] or least for letter in (FIRST, SECOND))
    return first / (first + second)


def thinks(body: Any) -> bool:  # noqa: ANN401
    """Tell whether a chat reply holds reasoning, or was cut before its first word."""
    try:
        choice = _Chat.model_validate(body).choices[0]
        usage = ChatUsage.model_validate(body.get("usage"))
        reasoned = (usage.completion_tokens_details or Details()).reasoning_tokens or 0
    except ValidationError:
        try:
            choice, reasoned = _Chat.model_validate(body).choices[0], 0
        except ValidationError:
            return False
    message = choice.message
    parts = message.content if isinstance(message.content, list) else []
    text = message.content if isinstance(message.content, str) else ""
    blocks = "<think" in text or _END_OF_BLOCK in text or "[THINK]" in text
    cut_before_a_word = (choice.finish_reason or "").casefold() in INCOMPLETE and not text.strip() and not parts
    inside = any(part.type in _REASONING for part in parts)
    return bool(reasoned or message.reasoning_content or message.reasoning or blocks or inside or cut_before_a_word)


SWITCH = 'RED_JUDGE_EXTRA, such as {"reasoning_effort": "none"} or {"chat_template_kwargs": {"enable_thinking": false}}'
"""How a person switches the reasoning off."""


def what_came(raw: str) -> str:
    """Return, in a sentence, what a reply holds that is no answer, and what to do."""
    start = one_line(raw, LONGEST_QUOTE)
    if re.match(r"\s*(<!doctype|<html|<head|<body)", raw, re.IGNORECASE):
        return "the address sends a web page. Check OPENAI_BASE_URL: it usually ends in /v1."
    if not raw.strip():
        return "the reply is empty. Check OPENAI_BASE_URL and the server's log."
    try:
        body = strict_json(raw)
        choice = _Chat.model_validate(body).choices[0]
        content = _text(choice.message.content)
    except ValueError:
        return f"the reply is none of this API: {start!r}. Check OPENAI_BASE_URL and the API."
    if thinks(body):
        return f"the model reasons and does not come to its answer. Switch this off with {SWITCH}."
    if (choice.finish_reason or "").casefold() in INCOMPLETE:
        return f"the answer was cut ({one_line(choice.finish_reason or '', 20)}): {one_line(content, LONGEST_QUOTE)!r}."
    return (
        f"the server replied, but not with the answer that was asked for: {one_line(content, LONGEST_QUOTE)!r}. Try "
        "another RED_JUDGE_FORMAT or another model."
    )
