"""Try a judge's server on one valid and one invalid pair: find how it wants to be asked, and report what works.

A server that accepts a parameter may still ignore it, or answer 500. So only a reply that obeys counts. What a server
refuses by name is not sent again; what it refuses without a name is dropped all together at the end.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from red_core.errors import JudgeError
from red_core.judges.apis import APIS
from red_core.judges.client import BUSY, NOT_REACHED, Client, Endpoint, Reserve, all_of
from red_core.judges.contents import thinks, what_came
from red_core.judges.dialect import ANSWER_TOKENS, REASONING_TOKENS, Dialect
from red_core.judges.listed_models import other_models
from red_core.judges.llm_judge import LlmJudge
from red_core.judges.replies import strict_json
from red_core.judges.server_settings import Format, JudgeServer
from red_core.records import Answer, Attempt, Question
from red_core.steps.judge_reliability import judge_rates

MOST_TRIALS = 14
READ = ("valid", "invalid", "unsure")
_TRIED = {
    "json_schema": "Asking for JSON with a schema",
    "json_object": "Asking for a JSON object",
    "plain": "Asking for JSON in the instructions only",
}
QUIET = (
    {"reasoning_effort": "none"},
    {"chat_template_kwargs": {"enable_thinking": False}},
    {"reasoning_effort": "minimal"},
    {"thinking": {"type": "disabled"}},
    {"reasoning": {"enabled": False}},
    {"think": False},
)
"""The switches that end reasoning, of OpenAI, of vLLM, SGLang and llama.cpp, of GPT-5, DeepSeek, OpenRouter, Ollama."""

IS_BUSY = tuple(f"status {status}:" for status in sorted(BUSY))
"""So begin the failures that say nothing about the way of asking."""
NO_SYSTEM = ("system", "developer instruction", "roles must alternate", "user and assistant roles")
"""How servers say that they take no message of the system."""


@dataclass(frozen=True)
class Connection:
    """The result of a trial.

    Attributes
    ----------
    dialect : Dialect or None
        The first way of asking that was obeyed; None if none was.
    sentences : tuple of str
        What was tried, and the result, in words.
    attempts : tuple of Attempt
    """

    dialect: Dialect | None
    sentences: tuple[str, ...]
    attempts: tuple[Attempt, ...]

    @property
    def form(self) -> Format | None:
        """How the server is held to JSON; None if it obeyed nothing."""
        return None if self.dialect is None else self.dialect.form

    @property
    def model(self) -> str:
        """The model's name as the server gives it."""
        return "" if self.dialect is None else self.dialect.model


def connect(server: JudgeServer, reserve: Reserve, right: Question, wrong: Question) -> Connection:
    """Ask about both pairs, in one way after the other until one is obeyed.

    Raises
    ------
    JudgeError
        If no request can succeed; the message says what to do.
    """
    trials = _Trials(server, reserve, (right, wrong))
    dialect = trials.obeyed()
    if dialect is None and trials.status and (others := other_models(server)):
        trials.sentences.append(others.strip())
    return Connection(dialect, tuple(trials.sentences), tuple(trials.attempts))


@dataclass
class _Trials:
    """The trials of one server: what was said about each, and what they cost."""

    server: JudgeServer
    reserve: Reserve
    pairs: tuple[Question, Question]
    sentences: list[str] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    status: bool = False
    """Whether the server refused a request with a status."""
    took: float = 0.0
    """Seconds of the last reply."""

    def obeyed(self) -> Dialect | None:
        """Return the first way of asking that the server obeys."""
        known = APIS[self.server.wire].forms
        several = len(known) > 1
        forms = list(known if self.server.response_format == "auto" or not several else (self.server.response_format,))
        dialect: Dialect | None = Dialect(form=forms[0])
        tried: list[Dialect] = []
        while dialect is not None and dialect not in tried and len(tried) < MOST_TRIALS:
            tried.append(dialect)
            answers = self._asked(dialect)
            obeyed = all(answer.outcome in READ for answer in answers)
            way = f"{_TRIED[dialect.form]}{_without(dialect)}: " if several else ""
            self.sentences.append(way + (_well(answers) if obeyed else _badly(answers)))
            if obeyed:
                return self._settled(dialect, answers)
            dialect = self._next(dialect, answers, forms)
        return None

    def _asked(self, dialect: Dialect) -> list[Answer]:
        judge = LlmJudge(Endpoint(self.server, dialect, self.reserve, trial=True), judge_rates({}, {}))

        async def timed(client: Client, question: Question) -> Answer:
            answer = await judge.answer(client, question)
            self.took = client.took
            return answer

        answers = {index: answer for group in all_of(judge.endpoint, self.pairs, timed) for index, answer in group}
        self.attempts += [attempt for answer in answers.values() for attempt in answer.attempts]
        if len(answers) < len(self.pairs):
            raise JudgeError(
                "the judge was not tried: the project's token limit is reached. Raise it with the next round."
            )
        return [answers[index] for index in range(len(self.pairs))]

    def _next(self, dialect: Dialect, answers: Sequence[Answer], forms: list[Format]) -> Dialect | None:
        """Return how to ask after a trial that was not obeyed; None where nothing is left."""
        failed = [answer.raw for answer in answers if answer.outcome == "failed"]
        if any(why.startswith((*NOT_REACHED, *IS_BUSY)) for why in failed):
            return None
        self.status = self.status or bool(failed)
        if failed and dialect.quiet:  # without the switch, the server replied
            return _quieter(dialect)
        if failed and (named := _without_what_is_named(dialect, " ".join(failed).casefold())):
            return named
        if not failed and any(_thinks(answer) for answer in answers) and (quieter := _quieter(dialect)):
            return quieter
        place = forms.index(dialect.form) + 1
        if place < len(forms):
            return dialect.model_copy(update={"form": forms[place]})
        bare: dict[str, object] = {
            "form": forms[0],
            "temperature": False,
            "logprobs": False,
            "limit": "",
            "system": False,
            "quiet": {},
        }
        return dialect.model_copy(update=bare) if failed and self.server.wire == "chat" else None

    def _settled(self, dialect: Dialect, answers: Sequence[Answer]) -> Dialect:
        """Return the dialect with what its trial showed; try to switch reasoning off if the model reasons."""
        update = {"model": answers[0].model, "seconds": round(self.took, 3)}
        if all(answer.p_valid is None for answer in answers):
            update["logprobs"] = False
        found = dialect.model_copy(update=update)
        if self.server.wire != "chat":
            return found
        if any(_thinks(answer) for answer in answers):
            quiet = self._quiet(found, logprobs=dialect.logprobs)
            return quiet or found.model_copy(update={"most_out": REASONING_TOKENS})
        self.sentences.append(
            "It gives no probabilities, so only its answers valid, invalid and unsure count."
            if not found.logprobs
            else "It gives probabilities, which say more than its words."
        )
        return found

    def _quiet(self, dialect: Dialect, *, logprobs: bool) -> Dialect | None:
        """Return the dialect with a switch that ends the reasoning of a model that answers well; None if none does.

        Parameters
        ----------
        logprobs : bool
            Whether the server takes a request for probabilities: without reasoning, it may give some.
        """
        for switch in QUIET:
            quiet = dialect.model_copy(update={"quiet": switch, "logprobs": logprobs, "most_out": ANSWER_TOKENS})
            answers = self._asked(quiet)
            if all(answer.outcome in READ and not _thinks(answer) for answer in answers):
                self.sentences.append(f"It reasons before it answers. This is switched off: {json.dumps(switch)}.")
                update = {"seconds": round(self.took, 3)}
                if all(answer.p_valid is None for answer in answers):
                    update["logprobs"] = False
                return quiet.model_copy(update=update)
        self.sentences.append(
            "It reasons before it answers, and this cannot be switched off. Its reasoning costs tokens."
        )
        return None


def _without(dialect: Dialect) -> str:
    """Return, in words, what the server did not take."""
    left_out = [
        name
        for name, sent in (
            ("temperature", dialect.temperature),
            ("a limit of tokens", dialect.limit),
            ("a system message", dialect.system),
        )
        if not sent
    ]
    return f" (without {', '.join(left_out)})" if left_out else ""


def _without_what_is_named(dialect: Dialect, words: str) -> Dialect | None:
    """Return the dialect without the parameter that a refusal names first; None if it names none that was sent."""
    limit = "max_completion_tokens" if dialect.limit == "max_tokens" else ""
    ways: list[tuple[str, dict[str, object], bool]] = [
        ("temperature", {"temperature": False}, dialect.temperature),
        ("logprob", {"logprobs": False}, dialect.logprobs),
        ("max_tokens", {"limit": limit}, bool(dialect.limit)),
        ("max_completion_tokens", {"limit": limit}, bool(dialect.limit)),
    ]
    ways += [(name, {"system": False}, dialect.system) for name in NO_SYSTEM]
    named = (
        sorted((words.index(name), change) for name, change, sent in ways if sent and name in words) if words else []
    )
    return dialect.model_copy(update=named[0][1]) if named else None


def _quieter(dialect: Dialect) -> Dialect | None:
    """Return the dialect with the next switch that ends reasoning, and with room for it after the last switch."""
    ways = [{"quiet": switch, "most_out": ANSWER_TOKENS} for switch in QUIET]
    ways.append({"quiet": {}, "most_out": REASONING_TOKENS})
    if dialect.most_out == REASONING_TOKENS:
        return None
    place = QUIET.index(dialect.quiet) + 1 if dialect.quiet in QUIET else 0
    return dialect.model_copy(update=ways[place])


def _thinks(answer: Answer) -> bool:
    try:
        return thinks(strict_json(answer.raw))
    except ValueError:
        return False


def _well(answers: Sequence[Answer]) -> str:
    right, wrong = (
        answer.outcome + ("" if answer.p_valid is None else f" (p {answer.p_valid:.2f})") for answer in answers
    )
    message = f"works. It called a right label {right} and a wrong one {wrong}."
    if answers[0].outcome != "valid" or answers[1].outcome != "invalid":
        message += " Two answers prove little. The self-test measures how accurate the judge is."
    return message


def _badly(answers: Sequence[Answer]) -> str:
    bad = next(answer for answer in answers if answer.outcome not in READ)
    if bad.outcome == "failed":
        slow = " If the server is slow, raise RED_JUDGE_TIMEOUT." if bad.raw.startswith(NOT_REACHED[0]) else ""
        busy = " The server is busy, or loads its model. Try again in a minute." if bad.raw.startswith(IS_BUSY) else ""
        return f"it did not work, {bad.raw.rstrip('.')}.{slow}{busy}"
    if bad.outcome == "refused":
        return "the model refused to answer."
    return what_came(bad.raw)
