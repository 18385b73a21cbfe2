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

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError

from red_core.errors import one_line
from red_core.judges.comparing import FIRST, SECOND
from red_core.judges.replies import Count, Lenient, strict_json

_CUT = ("length", "maxtokens", "maxoutputtokens", "modellength", "maxlength", "tokenlimit", "contextlength")
_FULL = ("contextwindowexceeded", "modelcontextwindowexceeded", "contextlengthexceeded")
_WAITS_FOR_A_TOOL = ("toolcalls", "toolcall", "tooluse", "functioncall", "pauseturn", "malformedfunctioncall")
_BROKEN = ("error", "abort", "aborted", "cancelled", "timeout", "networkerror", "insufficientsystemresource")
INCOMPLETE = frozenset(_CUT + _FULL + _WAITS_FOR_A_TOOL + _BROKEN)
"""The ends (see :attr:`_Choice.end`) after which more was to come. Every other end, and none, is an end."""
_FILTERED = ("contentfilter", "contentfiltered", "safety", "recitation", "blocklist", "prohibitedcontent", "spii")
REFUSED = frozenset((*_FILTERED, "refusal", "guardrailintervened", "sensitive"))
"""The ends that say: the model, or a filter, will not answer."""
LONGEST_QUOTE = 80
"""Characters quoted of a reply that is no answer."""

_REASONING = frozenset(("thinking", "redacted_thinking", "reasoning", "reasoning_content", "reasoning_text"))

_NAMES = r"(?:\w+:)?(?:think|thinking|thoughts?|reasoning|analysis|reflection)"
_PAIRS = (
    (rf"<({_NAMES})>", r"</\1>"),
    (r"\[THINK\]", r"\[/THINK\]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
)
"""How models begin and end a block of reasoning."""
_BLOCK = re.compile("|".join(f"{begin}.*?{end}" for begin, end in _PAIRS), re.DOTALL | re.IGNORECASE)
_BEGINS_BLOCK = re.compile("|".join(begin for begin, _ in _PAIRS), re.IGNORECASE)
_END_OF_BLOCK = "</think>"
_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]*(?:json[c5]?)?\s(.*?)\1", re.DOTALL | re.IGNORECASE)
_BEFORE_WORD = re.compile(r'"verdict"\s*:\s*"\s*', re.IGNORECASE)


_MARKS = str.maketrans({"\u2581": " ", "\u0120": " ", "\u010a": "\n"})
"""How vocabularies write a space and a line break, where a server gives their tokens as they are."""


class _Top(Lenient):
    token: Annotated[str, AfterValidator(lambda token: token.translate(_MARKS))]
    logprob: Annotated[float, Field(le=1e-3, allow_inf_nan=False)] | None = None
    """None for a token that cannot come: JSON has no minus infinity."""

    @property
    def chance(self) -> float:
        """The probability of the token."""
        return 0.0 if self.logprob is None else exp(self.logprob)


class _Token(_Top):
    top_logprobs: list[_Top] | None = None

    @property
    def likeliest(self) -> list[_Top]:
        """The likeliest tokens that can come here; the token itself where no others are listed."""
        return [top for top in self.top_logprobs or [self] if top.chance]


def _unlisted(tops: Sequence[_Top]) -> float:
    """Return the chance of an answer that is not among the likeliest tokens.

    It is half of the least likely one's. Beside a single token that is the likeliest, it is what this one leaves.
    """
    least = min(top.chance for top in tops)
    return least / 2 if len(tops) > 1 else min(least, max(0.0, 1.0 - least))


class _Logprobs(Lenient):
    content: list[_Token] | None = None


class _Part(Lenient):
    type: str
    text: Any = None

    @property
    def refuses(self) -> bool:
        """Whether it holds the words of a refusal."""
        return self.type == "refusal"


class _Message(Lenient):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None


class _Choice(Lenient):
    finish_reason: str | None = None
    message: _Message
    logprobs: Any = None

    @property
    def end(self) -> str:
        """The end in small letters without signs: servers write max_tokens and MaxTokens, or name a reason after it."""
        return re.sub("[^a-z]", "", (self.finish_reason or "").partition(":")[0].casefold())

    @property
    def refused(self) -> bool:
        """Whether the model, or a filter, will not answer."""
        parts = self.message.content if isinstance(self.message.content, list) else []
        return bool(self.end in REFUSED or self.message.refusal or any(part.refuses for part in parts))


class _Chat(Lenient):
    choices: Annotated[list[_Choice], Field(min_length=1, max_length=1)]


def _or_none(shape: type[BaseModel] | Any) -> BeforeValidator:  # noqa: ANN401  any type of a field
    """Return what reads a value that only lowers the cost: what does not fit is left out."""
    adapter = TypeAdapter(shape)

    def read(value: object) -> object:
        try:
            return adapter.validate_python(value, strict=True)
        except ValidationError:
            return None

    return BeforeValidator(read)


Saved = Annotated[Count | None, _or_none(Count)]
"""Tokens from a cache; None where the report of them cannot be read."""


class Details(Lenient):
    """What a server says about the tokens that were written."""

    reasoning_tokens: Count | None = None


class _Read(Lenient):
    cached_tokens: Saved = None


class ChatUsage(Lenient):
    """What a chat server says it counted. Servers name the tokens from their caches in several ways."""

    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count | None = None
    prompt_tokens_details: Annotated[_Read | None, _or_none(_Read)] = None
    completion_tokens_details: Details | None = None
    prompt_cache_hit_tokens: Saved = None
    cache_read_input_tokens: Saved = None
    cached_tokens: Saved = None

    @property
    def counts(self) -> tuple[int, int, int]:
        """Tokens read, tokens written with those of the reasoning, and tokens read from the server's cache.

        Some servers count the reasoning into ``total_tokens`` only.
        """
        reasoning = (self.completion_tokens_details or Details()).reasoning_tokens or 0
        out = max(self.completion_tokens, (self.total_tokens or 0) - self.prompt_tokens)
        if not self.total_tokens and reasoning > self.completion_tokens:
            out = self.completion_tokens + reasoning
        details = (self.prompt_tokens_details or _Read()).cached_tokens
        cached = details or self.prompt_cache_hit_tokens or self.cache_read_input_tokens or self.cached_tokens or 0
        return self.prompt_tokens, out, min(cached, self.prompt_tokens)


def content_of(body: Any) -> tuple[str | None, bool]:  # noqa: ANN401  whatever JSON holds
    """Return the words of a chat reply and whether the model refused; no words where they are incomplete.

    Raises
    ------
    ValueError
        If it is not a chat reply.
    """
    choice = _Chat.model_validate(body).choices[0]
    if choice.refused:
        return None, True
    return (None if choice.end in INCOMPLETE else unwrapped(_text(choice.message.content))), False


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


def probability_of_valid(
    body: Any,  # noqa: ANN401
    said: str = "",
    words: Sequence[str] = ("valid", "invalid", "unsure"),
) -> float | None:
    """Return the probability of *valid*, read where the word of the verdict begins; None if the reply does not tell.

    It is P(valid) + P(unsure) / 2, of the words' tokens alone. A word that is not among the likeliest tokens gets the
    chance of :func:`_unlisted`.

    Parameters
    ----------
    said : str
        The word that was answered. If another one stands among the tokens, they are not those of the answer.
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
    begins = token.token[len(lead) :].strip().casefold()
    if not (said.startswith(begins) or begins.startswith(said)):
        return None
    tops = token.likeliest
    found = chances_at(tops, lead, words)
    if not found.get(words[0]) and not found.get(words[1]):
        return None
    valid, invalid = (found.get(word) or _unlisted(tops) for word in words[:2])
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
            found[fitting[0]] = found.get(fitting[0], 0.0) + top.chance
    return found


def chance_of_first(body: Any) -> float | None:  # noqa: ANN401
    """Return the probability of the first letter of a comparison, at the first token; None if the model refused.

    The letter is the whole token. One that is not among the likeliest tokens gets the chance of :func:`_unlisted`.

    Raises
    ------
    ValueError
        If the reply is no chat, or has no letter among the likeliest first tokens.
    """
    choice = _Chat.model_validate(body).choices[0]
    if choice.refused:
        return None
    tokens = _Logprobs.model_validate(choice.logprobs or {}).content or []
    tops = tokens[0].likeliest if tokens else []
    found = dict.fromkeys((FIRST, SECOND), 0.0)
    for top in tops:
        if (letter := top.token.strip().upper()) in found:
            found[letter] += top.chance
    if not any(found.values()):
        raise ValueError("no letter")
    first, second = (found[letter] or _unlisted(tops) for letter in (FIRST, SECOND))
    return first / (first + second)


def thinks(body: Any) -> bool:  # noqa: ANN401
    """Tell whether a chat reply holds reasoning, or was cut before its first word. An empty block holds none."""
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
    cut_before_a_word = choice.end in INCOMPLETE and not text.strip() and not parts
    inside = any(part.type in _REASONING for part in parts)
    beside = any(map(_has_words, (message.reasoning_content, message.reasoning)))
    return bool(reasoned or beside or _has_words(_in_block(text)) or inside or cut_before_a_word)


def _has_words(value: Any) -> bool:  # noqa: ANN401  whatever JSON holds
    return bool(value.strip() if isinstance(value, str) else value)


def _in_block(text: str) -> str:
    """Return the reasoning in the block with which a text begins, '' where it is empty or there is none."""
    rest = text.strip()
    begins, block = _BEGINS_BLOCK.match(rest), _BLOCK.match(rest)
    if begins and block:
        inside = block[0][begins.end() :]
        return inside[: max(map(inside.rfind, "<[\u25c1"))]
    return rest[begins.end() :] + "..." if begins else rest.rpartition(_END_OF_BLOCK)[0]


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
    if choice.end in INCOMPLETE:
        return f"the answer was cut ({one_line(choice.finish_reason or '', 20)}): {one_line(content, LONGEST_QUOTE)!r}."
    return (
        f"the server replied, but not with the answer that was asked for: {one_line(content, LONGEST_QUOTE)!r}. Try "
        "another RED_JUDGE_FORMAT or another model."
    )
