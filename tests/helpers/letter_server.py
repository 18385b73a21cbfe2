"""Replies of a server with log-probabilities that is asked about one label, or to compare two."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from math import log
from typing import Any

from tests.helpers.fault_server import Heard, Said, chat

ABOUT_ONE, COMPARISON = (290, 6), (160, 1)
"""Tokens read and written, as the server counts them."""


def compares(heard: Heard) -> bool:
    """Tell whether a request asks which of two labels is right."""
    return heard.body["messages"][-1]["content"].rpartition("\n")[2].startswith("Which label")


@dataclass(frozen=True)
class Compared:
    """What a comparison shows: the labels under A and B, and the text."""

    first: str
    second: str
    text: str

    @classmethod
    def of(cls, heard: Heard) -> Compared:
        """Read it from a request."""
        content = heard.body["messages"][-1]["content"]
        quoted = [re.search(rf'^{letter}: ("(?:[^"\\]|\\.)*")', content, re.MULTILINE) for letter in "AB"]
        text = re.search(r"^New text: (.*)$", content, re.MULTILINE)
        first, second = (json.loads(found[1]) for found in quoted if found)
        return cls(first, second, json.loads(text[1]) if text else "")


def _logprobs(*tokens: dict[str, float]) -> dict[str, Any]:
    listed = [[{"token": word, "logprob": log(p)} for word, p in tops.items()] for tops in tokens]
    return {"content": [tops[0] | {"top_logprobs": tops} for tops in listed]}


def _said(content: str, logprobs: dict[str, Any], tokens: tuple[int, int], finish: str) -> Said:
    said = chat(content, finish=finish, usage={"prompt_tokens": tokens[0], "completion_tokens": tokens[1]})
    assert isinstance(said.body, dict)
    said.body["choices"][0]["logprobs"] = logprobs
    return said


def verdict(p_valid: float) -> Said:
    """Return a verdict about one label, with the probability at its word."""
    word = "valid" if p_valid >= 0.5 else "invalid"
    tops = {"valid": p_valid, "invalid": 1 - p_valid}
    ordered = {word: tops[word]} | tops
    logprobs = _logprobs({'{"verdict": "': 1.0}, ordered, {'"}': 1.0})
    return _said(json.dumps({"verdict": word}), logprobs, ABOUT_ONE, "stop")


def letter(p_first: float) -> Said:
    """Return the letter of a comparison, with the probabilities at its token; the limit cuts after it."""
    tops = {"A": p_first, "B": 1 - p_first} if p_first >= 0.5 else {"B": 1 - p_first, "A": p_first}
    return _said(next(iter(tops)), _logprobs(tops), COMPARISON, "length")


def coin(words: str) -> float:
    """Return a number in [0, 1) that belongs to these words."""
    return hashlib.sha256(words.encode()).digest()[0] / 256


@dataclass(frozen=True)
class Letters:
    """A judge of small projects: a text belongs to the label that it begins with.

    Attributes
    ----------
    about_one, comparing : float
        How far its probabilities stand from .5, towards the truth; 0 says nothing.
    lean : float
        How far those of the first letter are raised.
    """

    about_one: float = 0.02
    comparing: float = 0.2
    lean: float = 0.15

    def __call__(self, heard: Heard) -> Said:
        """Answer a request."""
        if not compares(heard):
            right = heard.text.startswith(heard.state["proposed"]["label"])
            return verdict(0.5 + (self.about_one if right else -self.about_one) + 0.1 * (coin(heard.text) - 0.5))
        asked = Compared.of(heard)
        toward = self.comparing * (asked.text.startswith(asked.first) - asked.text.startswith(asked.second))
        return letter(0.5 + self.lean + toward + 0.1 * (coin(asked.text) - 0.5))
