"""A model suggests a name, and what it means, for texts that fit no label and are alike. The analyst decides."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from red_core.errors import one_line
from red_core.judges.chat import Reply, Strict, ask_in_json
from red_core.judges.line import Line, Reserve, all_of
from red_core.judges.prompt import LONGEST_EXAMPLE, cleaned
from red_core.judges.server import Format, JudgeServer

TASK = (
    'Texts are sorted under labels. Those in "texts" fit none of the labels there are and were found to be alike; '
    '"words" tell them from the other texts, and "near_labels" are the names of labels that read alike. Suggest a new '
    "label for them: a short name, written as the near labels are and different from each, and one short sentence that "
    'says what texts belong to it. Reply with a JSON object and nothing else: {"name": "...", "meaning": "..."}.'
)
LONGEST_NAME, LONGEST_MEANING = 60, 600


class Name(Strict):
    """What a model suggested."""

    name: str
    meaning: str

    @property
    def short_name(self) -> str:
        """The name on one line; '' where nothing can be seen of it."""
        return one_line(cleaned(self.name), LONGEST_NAME)

    @property
    def sentence(self) -> str:
        """The meaning on one line."""
        return one_line(cleaned(self.meaning), LONGEST_MEANING)


@dataclass(frozen=True)
class ToName:
    """A group of texts, central ones first, the words that tell it from others, and the names of near labels."""

    texts: tuple[str, ...]
    words: tuple[str, ...]
    near_labels: tuple[str, ...]

    @property
    def message(self) -> str:
        """What is sent."""
        state = {
            "near_labels": [cleaned(name)[:LONGEST_EXAMPLE] for name in self.near_labels],
            "words": [cleaned(word) for word in self.words],
            "texts": [cleaned(text)[:LONGEST_EXAMPLE] for text in self.texts],
        }
        return json.dumps(state, ensure_ascii=False, indent=1)


def names(
    server: JudgeServer, form: Format, reserve: Reserve, wanted: Sequence[ToName]
) -> Iterator[list[tuple[int, Reply[Name]]]]:
    """Yield groups of (place, what was suggested)."""

    async def ask(line: Line, one: ToName) -> Reply[Name]:
        return await ask_in_json(line, form, TASK, one.message, Name)

    return all_of(server, reserve, wanted, ask)
