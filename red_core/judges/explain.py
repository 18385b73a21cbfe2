"""One verdict explained on demand. It is made afterwards: a story that fits the verdict, not the reason for it."""

from __future__ import annotations

import json

from red_core.errors import JudgeError
from red_core.judges.chat import Reply, Strict, ask_in_json
from red_core.judges.line import Line, Reserve, all_of
from red_core.judges.prompt import prompt_of
from red_core.judges.server import Format, JudgeServer
from red_core.records import Question

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

    async def ask(line: Line, message: str) -> Reply[Explanation]:
        return await ask_in_json(line, form, TASK, message, Explanation)

    for group in all_of(server, reserve, [message], ask):
        for _, reply in group:
            return reply
    raise JudgeError("nothing was asked: the cap of tokens is reached.")
