"""After *invalid*: the judge may choose the next suggestion among the likeliest labels, or none of them.

The article's experts validate and correct. A choice is a suggestion like any other: it still needs a verdict.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from red_core.judges.chat import ask_in_json
from red_core.judges.client import Client, Endpoint, all_of
from red_core.judges.prompt import LONGEST_TEXT, cleaned, side
from red_core.judges.protocol import Candidates, Correction
from red_core.judges.replies import Strict

TASK = (
    'Choose the label in "candidates" to which the string in "text" belongs, by their meanings and valid examples. '
    'Reply with a JSON object and nothing else: {"choice": its number}, or {"choice": 0} if none of them fits.'
)


class Choice(Strict):
    """The number of a candidate, from 1; 0 means none of them."""

    choice: Annotated[int, Field(ge=0, le=20)]


@dataclass(frozen=True)
class LlmCorrector:
    """Corrects by chat; see :class:`red_core.judges.protocol.Corrector`."""

    endpoint: Endpoint

    def corrections(self, items: Sequence[tuple[str, Candidates]]) -> Iterator[list[tuple[int, Correction]]]:
        """Yield groups of (index, correction) for texts with their candidates, at least one each."""
        return all_of(self.endpoint, items, self._correct)

    async def _correct(self, client: Client, item: tuple[str, Candidates]) -> Correction:
        text, candidates = item
        numbered = [{"number": n} | side(*candidate, text) for n, candidate in enumerate(candidates, start=1)]
        message = json.dumps({"candidates": numbered, "text": cleaned(text)[:LONGEST_TEXT]}, ensure_ascii=False)
        reply = await ask_in_json(client, TASK, message, Choice)
        number = reply.written.choice if reply.written is not None else 0
        return Correction(number - 1 if 1 <= number <= len(candidates) else None, reply.attempts)
