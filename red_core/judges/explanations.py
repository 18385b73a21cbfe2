"""One verdict explained on demand. It is made afterwards: a story that fits the verdict, not the reason for it."""

from __future__ import annotations

import json

from red_core.errors import JudgeError
from red_core.judges.chat import Reply, Strict, ask_in_json
from red_core.judges.client import Client, Reserve, all_of
from red_core.judges.project import form_of, reserve_for
from red_core.judges.prompt import prompt_of
from red_core.judges.server import Format, JudgeServer, judge_server
from red_core.records import Project, Question
from red_core.settings import Settings
from red_core.store.attempts import settle_attempts
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


def explained(
    server: JudgeServer, form: Format, reserve: Reserve, question: Question, verdict: str
) -> Reply[Explanation]:
    """Return what the model says about a verdict.

    Raises
    ------
    JudgeError
        If no request can succeed.
    """
    message = json.dumps(prompt_of(question).state | {"verdict": verdict}, ensure_ascii=False)

    async def ask(line: Client, message: str) -> Reply[Explanation]:
        return await ask_in_json(line, form, TASK, message, Explanation)

    for group in all_of(server, reserve, [message], ask):
        for _, reply in group:
            return reply
    raise JudgeError("nothing was asked: the cap of tokens is reached.")


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
