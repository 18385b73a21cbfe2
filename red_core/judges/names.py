"""A model suggests a name and a meaning for a group of similar texts that fit no label. The analyst decides."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from red_core.errors import JudgeError, one_line
from red_core.judges.chat import written_replies
from red_core.judges.project import endpoint_for
from red_core.judges.prompt import LONGEST_EXAMPLE, cleaned
from red_core.judges.replies import Strict
from red_core.judges.server_settings import judge_server
from red_core.records import Cluster, Progress, Project
from red_core.settings import RECOMMENDED, Settings
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
    """The name and the meaning that a model suggested."""

    name: str
    meaning: str

    @property
    def short_name(self) -> str:
        """The name on one line; '' if it has no visible character."""
        return one_line(cleaned(self.name), LONGEST_NAME)

    @property
    def sentence(self) -> str:
        """The meaning on one line."""
        return one_line(normalise_text(cleaned(self.meaning)), LONGEST_MEANING)


@dataclass(frozen=True)
class ToName:
    """A group of texts, the most central first; the words typical of it; the names of near labels."""

    texts: tuple[str, ...]
    words: tuple[str, ...]
    near_labels: tuple[str, ...]

    @property
    def message(self) -> str:
        """The JSON that is sent."""
        state = {
            "near_labels": [cleaned(name)[:LONGEST_EXAMPLE] for name in self.near_labels],
            "words": [cleaned(word) for word in self.words],
            "texts": [cleaned(text)[:LONGEST_EXAMPLE] for text in self.texts],
        }
        return json.dumps(state, ensure_ascii=False, indent=1)


def named_by_judge(
    project: Project,
    clusters: Sequence[Cluster],
    settings: Settings = RECOMMENDED,
    report: Progress = lambda _done, _total: None,
) -> list[Cluster]:
    """Return the clusters with the names and meanings that the judge's model suggests; unchanged where none came.

    Only the cost is stored, under the purpose *meaning*.

    Raises
    ------
    JudgeError
        If no judge is set, or it cannot be reached, or nothing readable came of all that was asked.
    """
    if not clusters:
        return []
    server = judge_server()
    messages = [
        ToName(tuple(contents(project, np.array(cluster.texts[:TEXTS_SHOWN]))), cluster.words, cluster.near).message
        for cluster in clusters
    ]
    endpoint = endpoint_for(project, server, "meaning", settings)
    suggested: dict[int, tuple[Name, str]] = {}
    failure = ""
    for index, reply in written_replies(project, endpoint, TASK, messages, Name, report):
        failure = reply.failure or failure
        if reply.written is not None:
            suggested[index] = (reply.written, reply.model)
    if messages and not suggested:
        raise JudgeError(f"no name came: {failure or 'the token limit is reached'}.")
    return _renamed(clusters, suggested, {name_key(label.name) for label in list_labels(project)}, server.scrubbed)


def _renamed(
    clusters: Sequence[Cluster],
    suggested: dict[int, tuple[Name, str]],
    taken: set[str],
    scrubbed: Callable[[str], str],
) -> list[Cluster]:
    renamed = []
    for index, cluster in enumerate(clusters):
        name, model = suggested.get(index, (None, ""))
        short = scrubbed(name.short_name).strip() if name is not None else ""
        if name is None or not short:
            renamed.append(replace(cluster, name=unlike(cluster.name, taken)))
        else:
            meaning = scrubbed(name.sentence).strip()
            renamed.append(replace(cluster, name=unlike(short, taken), meaning=meaning, named_by=model))
    return renamed
