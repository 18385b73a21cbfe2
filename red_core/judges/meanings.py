"""Label understanding: a model writes what belongs to a label, what does not, and what it must be told from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from red_core.judges.chat import Reply, Strict, ask_in_json
from red_core.judges.line import Line, Reserve, all_of
from red_core.judges.prompt import LONGEST_EXAMPLE, cleaned
from red_core.judges.server import Format, JudgeServer

TASK = (
    'Texts are sorted under labels. "label" has the valid examples in "seeds"; "near_labels" are other labels that '
    "read alike. Say what texts belong to the label, what texts do not, and how to tell it from each near label. "
    "Write each part as one short sentence that holds for texts you have not seen. Reply with a JSON object and "
    'nothing else: {"belongs": "...", "does_not_belong": "...", "told_from": [{"label": "...", "how": "..."}]}.'
)
LONGEST_MEANING = 1_200


class TellFrom(Strict):
    """How to tell the label from a near one."""

    label: str
    how: str


class Meaning(Strict):
    """What a model wrote about a label."""

    belongs: str
    does_not_belong: str
    told_from: list[TellFrom]

    @property
    def text(self) -> str:
        """The meaning as one text, as analyst and judge read it."""
        parts = [self.belongs, f"Not: {self.does_not_belong}"]
        parts += [f"Not {near.label}: {near.how}" for near in self.told_from]
        return cleaned(" ".join(part.strip() for part in parts if part.strip()))[:LONGEST_MEANING]


@dataclass(frozen=True)
class ToUnderstand:
    """A label with its seeds, and the labels nearest to it with some of theirs."""

    label: str
    seeds: tuple[str, ...]
    near: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def message(self) -> str:
        """What is sent."""
        near = [{"label": cleaned(name), "seeds": _shown(seeds)} for name, seeds in self.near]
        state = {"label": cleaned(self.label), "seeds": _shown(self.seeds), "near_labels": near}
        return json.dumps(state, ensure_ascii=False, indent=1)


def _shown(seeds: Sequence[str]) -> list[str]:
    return [cleaned(seed)[:LONGEST_EXAMPLE] for seed in seeds]


def meanings(
    server: JudgeServer, form: Format, reserve: Reserve, wanted: Sequence[ToUnderstand]
) -> Iterator[list[tuple[int, Reply[Meaning]]]]:
    """Yield groups of (place, what was written)."""

    async def ask(line: Line, one: ToUnderstand) -> Reply[Meaning]:
        return await ask_in_json(line, form, TASK, one.message, Meaning)

    return all_of(server, reserve, wanted, ask)
