"""After *invalid*: the judge may choose the next proposal among the likeliest labels, or none.

The article's experts validate and correct. A choice is a proposal like any other, to be validated: never a verdict.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from red_core.judges.chat import Strict, ask_in_json
from red_core.judges.client import Client, Reserve, all_of
from red_core.judges.prompt import LONGEST_TEXT, cleaned, side
from red_core.judges.server import Format, JudgeServer
from red_core.records import Attempt, Example, Label

TASK = (
    'Choose the label in "candidates" to which the string in "text" belongs, by their meanings and valid examples. '
    'Reply with a JSON object and nothing else: {"choice": its number}, or {"choice": 0} if none of them fits.'
)

Candidate = tuple[Label, tuple[Example, ...]]


class Choice(Strict):
    """The number of a candidate, from 1; 0 is none of them."""

    choice: Annotated[int, Field(ge=0, le=20)]


@dataclass(frozen=True)
class Corrected:
    """The place of the chosen candidate, None where none fits or nothing readable was said."""

    chosen: int | None
    attempts: tuple[Attempt, ...]


def corrections(
    server: JudgeServer, form: Format, reserve: Reserve, items: Sequence[tuple[str, Sequence[Candidate]]]
) -> Iterator[list[tuple[int, Corrected]]]:
    """Yield groups of (place, choice) for texts with their candidates, at least one each."""

    async def ask(line: Client, item: tuple[str, Sequence[Candidate]]) -> Corrected:
        text, candidates = item
        numbered = [{"number": n} | side(label, examples) for n, (label, examples) in enumerate(candidates, start=1)]
        message = json.dumps({"candidates": numbered, "text": cleaned(text)[:LONGEST_TEXT]}, ensure_ascii=False)
        reply = await ask_in_json(line, form, TASK, message, Choice)
        number = reply.written.choice if reply.written is not None else 0
        return Corrected(number - 1 if 1 <= number <= len(candidates) else None, reply.attempts)

    return all_of(server, reserve, items, ask)
