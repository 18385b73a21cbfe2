"""What an LLM writes for the analyst: the meanings of labels, and what speaks for and against a verdict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from red_core.errors import JudgeError
from red_core.judges.explain import explained
from red_core.judges.meanings import ToUnderstand, meanings
from red_core.judges.server import judge_server
from red_core.judging import form_of, reserve_for
from red_core.label_set import seed_label_vectors
from red_core.records import Label, Project, Question
from red_core.settings import Settings
from red_core.steps.label_map import cosine_similarities
from red_core.store.attempts import settle_attempts
from red_core.store.desk import Card
from red_core.store.explanations import add_explanation
from red_core.store.labels import labels, meaning_authors, set_meanings
from red_core.store.texts import contents, remembered, seeds

SEEDS_SHOWN, NEAR_LABELS, NEAR_SEEDS = 12, 4, 4
MODEL = "model "
"""What the author of a meaning begins with, where that is a model."""


def write_meanings(
    project: Project,
    settings: Settings,
    report: Callable[[int, int], None] = lambda _done, _total: None,
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
        for label in labels(project)
        if not label.meaning.strip() or (rewrite and author[label.id].startswith(MODEL))
    ]


def _to_understand(project: Project, wanted: list[Label]) -> list[ToUnderstand]:
    known = labels(project)
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


def explain(project: Project, card: Card) -> str:
    """Return what the judge's model says about a card's verdict, made afterwards; it is stored as such.

    Raises
    ------
    JudgeError
        If the card has no verdict of an LLM, or the model wrote nothing readable.
    """
    if card.verdict is None:
        raise JudgeError("there is no verdict to explain yet.")
    server, settings = judge_server(), Settings()
    question = Question(
        card.text, card.content, card.label, card.runner_up, card.examples, card.rival_examples,
        card.belief or 0.0, card.runner_up_belief or 0.0, card.reason, card.gain,
    )  # fmt: skip
    form = form_of(project, server, settings)
    reply = explained(server, form, reserve_for(project, server, "explain", settings), question, card.outcome)
    settle_attempts(project, reply.attempts)
    if reply.written is None:
        raise JudgeError(f"no explanation came: {reply.failure}.")
    words = server.scrubbed(reply.written.explanation)
    add_explanation(project, card.verdict, words, reply.model)
    return words
