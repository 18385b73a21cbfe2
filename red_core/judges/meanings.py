"""Label understanding: a model writes what belongs to a label, what does not, and what it must be told from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from red_core.errors import JudgeError
from red_core.judges.chat import Reply, Strict, ask_in_json
from red_core.judges.client import Client, Reserve, all_of
from red_core.judges.project import form_of, reserve_for
from red_core.judges.prompt import LONGEST_EXAMPLE, cleaned
from red_core.judges.server import Format, JudgeServer, judge_server
from red_core.records import Label, Progress, Project
from red_core.settings import Settings
from red_core.steps.label_map import cosine_similarities
from red_core.store.attempts import settle_attempts
from red_core.store.labels import list_labels, meaning_authors, set_meanings
from red_core.store.texts import contents, remembered, seeds
from red_core.text import LONGEST_MEANING, normalise_text
from red_core.training.samples import seed_label_vectors

SEEDS_SHOWN, NEAR_LABELS, NEAR_SEEDS = 12, 4, 4
MODEL = "model "
"""What the author of a meaning begins with, where that is a model."""


TASK = (
    'Texts are sorted under labels. "label" has the valid examples in "seeds"; "near_labels" are other labels that '
    "read alike. Say what texts belong to the label, what texts do not, and how to tell it from each near label. "
    "Write each part as one short sentence that holds for texts you have not seen. Reply with a JSON object and "
    'nothing else: {"belongs": "...", "does_not_belong": "...", "told_from": [{"label": "...", "how": "..."}]}.'
)


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
        return normalise_text(cleaned(" ".join(part for part in parts if part.strip())))[:LONGEST_MEANING]


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

    async def ask(line: Client, one: ToUnderstand) -> Reply[Meaning]:
        return await ask_in_json(line, form, TASK, one.message, Meaning)

    return all_of(server, reserve, wanted, ask)


def write_meanings(
    project: Project,
    settings: Settings,
    report: Progress = lambda _done, _total: None,
    *,
    rewrite: bool = False,
) -> int:
    """Let the judge's model write the meaning of every label that has none; return how many were written.

    Each is stored as it comes, so what was interrupted goes on where it stopped.

    Parameters
    ----------
    rewrite : bool
        Also those a model wrote before; never those a person wrote or edited.

    Raises
    ------
    JudgeError
        If the model cannot be reached, or wrote nothing readable.
    """
    server = judge_server()
    wanted = _without_meaning(project, rewrite=rewrite)
    items = _to_understand(project, wanted)
    reserve = reserve_for(project, server, "meaning", settings)
    written, failure = 0, ""
    report(0, len(items))
    for group in meanings(server, form_of(project, server, settings), reserve, items):
        for place, reply in group:
            settle_attempts(project, reply.attempts)
            failure = reply.failure or failure
            if reply.written is not None:
                meaning = server.scrubbed(reply.written.text)
                set_meanings(project, {wanted[place].id: meaning}, f"{MODEL}{reply.model}")
                written += 1
        report(written, len(items))
    if written < len(items):
        why = failure or "the cap of tokens is reached"
        raise JudgeError(f"{written} of {len(items)} meanings were written, the others not: {why}. Run it again.")
    return written


def _without_meaning(project: Project, *, rewrite: bool) -> list[Label]:
    author = meaning_authors(project)
    return [
        label
        for label in list_labels(project)
        if not label.meaning.strip() or (rewrite and author[label.id].startswith(MODEL))
    ]


def _to_understand(project: Project, wanted: list[Label]) -> list[ToUnderstand]:
    known = list_labels(project)
    place = {label.id: number for number, label in enumerate(known)}
    texts, of_label = seeds(project)
    words = dict(zip(texts.tolist(), contents(project, texts), strict=True))
    own = {label.id: [words[text] for text in texts[of_label == label.id].tolist()] for label in known}
    alike = cosine_similarities(seed_label_vectors(project, remembered(project, "embedding")))
    np.fill_diagonal(alike, -2.0)
    return [
        ToUnderstand(
            label.name,
            tuple(own[label.id][:SEEDS_SHOWN]),
            tuple(
                (known[near].name, tuple(own[known[near].id][:NEAR_SEEDS]))
                for near in np.argsort(-alike[place[label.id]], kind="stable")[: min(NEAR_LABELS, len(known) - 1)]
            ),
        )
        for label in wanted
    ]
