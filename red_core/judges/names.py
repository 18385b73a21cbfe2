"""A model suggests a name, and what it means, for texts that fit no label and are alike. The analyst decides."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from red_core.errors import JudgeError, one_line
from red_core.judges.chat import Reply, Strict, ask_in_json
from red_core.judges.client import Client, Reserve, all_of
from red_core.judges.project import form_of, reserve_for
from red_core.judges.prompt import LONGEST_EXAMPLE, cleaned
from red_core.judges.server import Format, JudgeServer, judge_server
from red_core.records import Cluster, Progress, Project
from red_core.settings import RECOMMENDED, Settings
from red_core.store.attempts import settle_attempts
from red_core.store.labels import list_labels, name_key, unlike
from red_core.store.texts import contents
from red_core.text import LONGEST_MEANING, normalise_text

TASK = (
    'Texts are sorted under labels. Those in "texts" fit none of the labels there are and were found to be alike; '
    '"words" tell them from the other texts, and "near_labels" are the names of labels that read alike. Suggest a new '
    "label for them: a short name, written as the near labels are and different from each, and one short sentence that "
    'says what texts belong to it. Reply with a JSON object and nothing else: {"name": "...", "meaning": "..."}.'
)
LONGEST_NAME = 60

TEXTS_SHOWN = 12
"""Texts of a cluster that the model sees."""


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
        return one_line(normalise_text(cleaned(self.meaning)), LONGEST_MEANING)


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

    async def ask(line: Client, one: ToName) -> Reply[Name]:
        return await ask_in_json(line, form, TASK, one.message, Name)

    return all_of(server, reserve, wanted, ask)


def named_by_judge(
    project: Project,
    clusters: Sequence[Cluster],
    settings: Settings = RECOMMENDED,
    report: Progress = lambda _done, _total: None,
) -> list[Cluster]:
    """Return the clusters with names and meanings that the judge's model suggests; where none came, as they were.

    Only what it cost is stored, under the purpose *meaning*.

    Raises
    ------
    JudgeError
        If no judge is set, or it cannot be reached, or nothing readable came of all that was asked.
    """
    server = judge_server()
    form = form_of(project, server, settings)
    reserve = reserve_for(project, server, "meaning", settings)
    wanted = [
        ToName(tuple(contents(project, np.array(cluster.texts[:TEXTS_SHOWN]))), cluster.words, cluster.near)
        for cluster in clusters
    ]
    suggested: dict[int, tuple[Name, str]] = {}
    failure, done = "", 0
    report(0, len(wanted))
    for group in names(server, form, reserve, wanted):
        for place, reply in group:
            settle_attempts(project, reply.attempts)
            failure = reply.failure or failure
            if reply.written is not None:
                suggested[place] = (reply.written, reply.model)
        done += len(group)
        report(done, len(wanted))
    if wanted and not suggested:
        raise JudgeError(f"no name came: {failure or 'the cap of tokens is reached'}.")
    return _renamed(clusters, suggested, {name_key(label.name) for label in list_labels(project)}, server.scrubbed)


def _renamed(
    clusters: Sequence[Cluster],
    suggested: dict[int, tuple[Name, str]],
    taken: set[str],
    scrubbed: Callable[[str], str],
) -> list[Cluster]:
    renamed = []
    for place, cluster in enumerate(clusters):
        name, model = suggested.get(place, (None, ""))
        short = scrubbed(name.short_name).strip() if name is not None else ""
        if name is None or not short:
            renamed.append(replace(cluster, name=unlike(cluster.name, taken)))
        else:
            meaning = scrubbed(name.sentence).strip()
            renamed.append(replace(cluster, name=unlike(short, taken), meaning=meaning, named_by=model))
    return renamed
