"""Label understanding (article step 3): a model writes what belongs to a label, what does not, and near labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from red_core.errors import JudgeError
from red_core.judges.chat import written_replies
from red_core.judges.llm_judge import LlmJudge
from red_core.judges.project import endpoint_for, project_samples
from red_core.judges.prompt import LONGEST_EXAMPLE, cleaned
from red_core.judges.replies import Strict
from red_core.judges.self_test import pairs_of_label
from red_core.judges.server_settings import judge_server
from red_core.records import Answer, Label, Progress, Project, Question
from red_core.settings import Settings
from red_core.steps.judge_reliability import judge_rates
from red_core.steps.label_map import cosine_similarities
from red_core.store.attempts import settle_attempts
from red_core.store.labels import list_labels, meaning_authors, set_meanings
from red_core.store.self_tests import Kind
from red_core.store.texts import contents, remembered, seeds
from red_core.text import LONGEST_MEANING, normalise_text
from red_core.training.samples import seed_label_vectors

SEEDS_SHOWN, NEAR_LABELS, NEAR_SEEDS = 12, 4, 4
CHECKED = 3
"""Right pairs, and wrong pairs, on which a new meaning is checked; each is asked with and without it."""
TOLERANCE = 0.1
"""A smaller loss, in answers that are right, is not worse."""
MODEL = "model "
"""The author of a meaning begins with this word if a model wrote it."""
NOT_CHECKED = ", not checked"
"""The author ends so if no labelled examples could check the meaning: the label has a single one."""


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
    """A label with its seeds, and the nearest labels with some of theirs."""

    label: str
    seeds: tuple[str, ...]
    near: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def message(self) -> str:
        """The JSON that is sent."""
        near = [{"label": cleaned(name), "seeds": _shown(seeds)} for name, seeds in self.near]
        state = {"label": cleaned(self.label), "seeds": _shown(self.seeds), "near_labels": near}
        return json.dumps(state, ensure_ascii=False, indent=1)


def _shown(seeds: Sequence[str]) -> list[str]:
    return [cleaned(seed)[:LONGEST_EXAMPLE] for seed in seeds]


def write_meanings(
    project: Project,
    settings: Settings,
    report: Progress = lambda _done, _total: None,
    *,
    rewrite: bool = False,
) -> int:
    """Let the judge's model write the meaning of every label that has none; return how many were written.

    Each is checked and stored as it comes, so an interrupted run continues where it stopped. A meaning under which the
    judge does worse on labelled examples of the label and of near labels than without it is not stored. A meaning that
    cannot be checked, such as that of a label with one example, is marked so.

    Parameters
    ----------
    rewrite : bool
        Also write again what a model wrote before; never what a person wrote or edited.

    Raises
    ------
    JudgeError
        If the model cannot be reached, wrote nothing readable, or wrote meanings that did not pass the check.
    """
    server = judge_server()
    wanted = _without_meaning(project, rewrite=rewrite)
    messages = [item.message for item in _to_understand(project, wanted)]
    endpoint = endpoint_for(project, server, "meaning", settings)
    judge = LlmJudge(endpoint, judge_rates({}, {}))
    known, samples = list_labels(project), project_samples(project)
    written, failure, harmful = 0, "", 0
    for index, reply in written_replies(project, endpoint, TASK, messages, Meaning, report):
        failure = reply.failure or failure
        if reply.written is None:
            continue
        label, words = wanted[index], server.scrubbed(reply.written.text)
        pairs = pairs_of_label(samples, known, known.index(label), CHECKED, settings.examples_shown)
        worse = does_worse(project, judge, pairs, words)
        if worse:
            harmful += 1
            continue
        set_meanings(project, {label.id: words}, f"{MODEL}{reply.model}{NOT_CHECKED if worse is None else ''}")
        written += 1
    if written < len(messages):
        reasons = []
        if harmful:
            reasons.append(f"under {harmful} of them the judge did worse on labelled examples; write these yourself")
        if written + harmful < len(messages):
            reasons.append(f"{failure or 'the token limit is reached'}. Run it again")
        raise JudgeError(f"{written} of {len(messages)} meanings were written, the others not: {'; '.join(reasons)}.")
    return written


def does_worse(project: Project, judge: LlmJudge, pairs: Sequence[tuple[Kind, Question]], meaning: str) -> bool | None:
    """Return whether a judge is right less often about pairs if their label has this meaning; store what it cost.

    None if that is not known: no pair was answered both with and without the meaning.
    """
    without = [replace(question, label=replace(question.label, meaning="")) for _, question in pairs]
    under = [replace(question, label=replace(question.label, meaning=meaning)) for _, question in pairs]
    right = np.full((2, len(pairs)), np.nan)
    for group in judge.answers([*without, *under]):
        settle_attempts(project, [attempt for _, answer in group for attempt in answer.attempts])
        for index, answer in group:
            which, pair = divmod(index, len(pairs))
            if answer.outcome != "failed":
                right[which, pair] = _chance_right(answer, is_right=pairs[pair][0] == "right")
    both = right[:, np.isfinite(right).all(axis=0)]
    return bool(both[1].sum() < both[0].sum() - TOLERANCE) if both.size else None


def _chance_right(answer: Answer, *, is_right: bool) -> float:
    """Return the chance that the judge gives to the truth: its probability, or 1, 0 or 1/2 by its word."""
    chance = {"valid": 1.0, "invalid": 0.0}.get(answer.outcome, 0.5) if answer.p_valid is None else answer.p_valid
    return chance if is_right else 1.0 - chance


def _without_meaning(project: Project, *, rewrite: bool) -> list[Label]:
    author = meaning_authors(project)
    return [
        label
        for label in list_labels(project)
        if not label.meaning.strip() or (rewrite and author[label.id].startswith(MODEL))
    ]


def _to_understand(project: Project, wanted: list[Label]) -> list[ToUnderstand]:
    known = list_labels(project)
    index = {label.id: number for number, label in enumerate(known)}
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
                for near in np.argsort(-alike[index[label.id]], kind="stable")[: min(NEAR_LABELS, len(known) - 1)]
            ),
        )
        for label in wanted
    ]
