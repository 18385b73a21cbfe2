"""Explain one verdict on demand. The model writes the explanation afterwards; it is not how the verdict was reached."""

from __future__ import annotations

import json

from red_core.errors import JudgeError
from red_core.judges.chat import written_replies
from red_core.judges.project import endpoint_for
from red_core.judges.prompt import prompt_of
from red_core.judges.replies import Strict
from red_core.judges.server_settings import judge_server
from red_core.records import Project, Question
from red_core.settings import Settings
from red_core.store.desk import Card
from red_core.store.verdicts import add_explanation

TASK = (
    'A judge was asked whether the label in "proposed" is right for the string in "text", and said what stands in '
    '"verdict". Say in at most three short sentences what in the text and in the examples speaks for and against '
    'that verdict. Reply with a JSON object and nothing else: {"explanation": "..."}.'
)


class Explanation(Strict):
    """A few sentences."""

    explanation: str


def explain(project: Project, card: Card) -> str:
    """Return what the judge's model writes for and against a card's verdict; store it as written afterwards.

    Raises
    ------
    JudgeError
        If the card has no verdict of an LLM, or the model wrote nothing readable.
    """
    if card.verdict is None:
        raise JudgeError("there is no verdict to explain yet.")
    server = judge_server()
    question = Question(
        card.text, card.content, card.label, card.runner_up, card.examples, card.rival_examples,
        card.belief or 0.0, card.runner_up_belief or 0.0, card.reason, card.gain,
    )  # fmt: skip
    message = json.dumps(prompt_of(question).state | {"verdict": card.outcome}, ensure_ascii=False)
    endpoint = endpoint_for(project, server, "explain", Settings())
    reply = next((reply for _, reply in written_replies(project, endpoint, TASK, [message], Explanation)), None)
    if reply is None:
        raise JudgeError("no explanation was asked for: the token limit is reached.")
    if reply.written is None:
        raise JudgeError(f"no explanation came: {reply.failure}.")
    words = server.scrubbed(reply.written.explanation)
    add_explanation(project, card.verdict, words, reply.model)
    return words
