"""The LLM judge: answers binary questions; its verdicts are weighted by its measured accuracy (article step 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from scipy.special import expit

from red_core.errors import BudgetSpent, JudgeError
from red_core.judges.apis import read_reply, verdict_request
from red_core.judges.client import Client, Endpoint, Sent, all_of
from red_core.judges.comparing import shows_first
from red_core.judges.dialect import Dialect
from red_core.judges.prompt import can_be_judged, prompt_of
from red_core.judges.replies import Band, Reply
from red_core.judges.server_settings import JudgeServer
from red_core.records import PROMPT_VERSION, Answer, Attempt, JudgeRates, Question
from red_core.steps.judge_reliability import Comparing, ProbabilityScale, weight

LONGEST_RAW = 20_000
"""Characters of a reply that are stored."""
NOT_SENT = "not sent: there is no letter and no digit in the text"


class AnotherModelError(JudgeError):
    """Another model answers than the one that was tested."""


@dataclass(frozen=True)
class QuestionKey:
    """What is stored with a verdict about its question: its key, whether its text was cut, the meaning shown.

    A comparison also has its rival, the runner-up, with the meaning shown, and whether the label was shown first.
    """

    key: str
    cut: bool
    meaning_id: int | None
    rival: int | None = None
    rival_meaning_id: int | None = None
    label_first: bool = True

    @property
    def compares(self) -> bool:
        """Whether two labels are compared."""
        return self.rival is not None


@dataclass(frozen=True)
class LlmJudge:
    """See the module.

    Attributes
    ----------
    endpoint : Endpoint
    rates : JudgeRates
        From the self-test.
    scale : ProbabilityScale or None
        Turns a probability into a log likelihood ratio; None uses the outcome alone.
    band : Band
        Which probabilities are valid, unsure and invalid.
    comparing : Comparing or None
        What an answer to a question that compares says; None if that was not tested, or says nothing.
    """

    endpoint: Endpoint
    rates: JudgeRates
    scale: ProbabilityScale | None = None
    band: Band = field(default_factory=Band)
    comparing: Comparing | None = None

    @property
    def name(self) -> str:
        """Who answers: the API, the model as it names itself, the address and the parameters."""
        return identity(self.endpoint.server, self.endpoint.dialect)

    @property
    def free(self) -> bool:
        """False: every question costs tokens."""
        return False

    def answers(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """Yield answers in groups; see :class:`red_core.judges.protocol.Judge`."""
        return all_of(self.endpoint, questions, self.answer)

    async def answer(self, client: Client, question: Question) -> Answer:
        """Return the answer to one question; ask once more if the reply cannot be read."""
        if unsent := self.without_asking(question):
            return unsent
        server, key = self.endpoint.server, self.key_of(question)
        path, body = verdict_request(server, self.endpoint.dialect, prompt_of(question))
        attempts: tuple[Attempt, ...] = ()
        reply, sent = None, Sent(None, "", ())
        for _ in range(2):
            try:
                sent = await client.send(path, body)
            except BudgetSpent:
                if reply is None:
                    raise
                break  # the first reply, which cannot be read, stays; what it took is counted
            reply, settled = self._read(sent, key)
            attempts += settled
            client.learn(body, attempts[-1])
            if reply is None or reply.outcome != "unparseable":
                break
        if reply is None:
            return failed(sent.failure, key, attempts)
        answer = self.answer_of(reply, sent.body or sent.failure, key, attempts)
        self.refuse_another(server.scrubbed(reply.model))
        return answer

    def key_of(self, question: Question) -> QuestionKey:
        """Return what is stored with the verdict about a question."""
        server, prompt = self.endpoint.server, prompt_of(question)
        key = QuestionKey(prompt.key(server.wire, server.model), prompt.cut, question.label.meaning_id)
        if not question.compares:
            return key
        rival = question.runner_up
        first = shows_first(question.text, question.label.id, rival.id)
        return replace(key, rival=rival.id, rival_meaning_id=rival.meaning_id, label_first=first)

    def without_asking(self, question: Question) -> Answer | None:
        """Return the answer about a text without a letter or digit, which is not sent; None for every other text."""
        if can_be_judged(prompt_of(question).state["text"]):
            return None
        key = self.key_of(question)
        return Answer("unsure", None, 0.0, NOT_SENT, "", PROMPT_VERSION, key.key, key.cut, key.meaning_id)

    def answer_of(self, reply: Reply, raw: str, key: QuestionKey, attempts: tuple[Attempt, ...]) -> Answer:
        """Return the answer that a reply gives, weighted by the self-test."""
        server = self.endpoint.server
        said, weights = reply, (weight(self.rates, self.scale, reply.outcome, reply.p_valid), 0.0)
        if key.compares:
            said, weights = self._compared(reply, key)
        return Answer(
            said.outcome, said.p_valid, weights[0], server.scrubbed(raw)[:LONGEST_RAW],
            server.scrubbed(reply.model) or server.model, PROMPT_VERSION, key.key, key.cut, key.meaning_id, attempts,
            weights[1], key.rival_meaning_id,
        )  # fmt: skip

    def _compared(self, reply: Reply, key: QuestionKey) -> tuple[Reply, tuple[float, float]]:
        """Return what a comparison says of its label, and what it adds to the logits of the label and the runner-up.

        With a self-test, the probability is that of the label if both were equally likely before. Without one it is
        that of the label's letter.
        """
        if reply.p_valid is None:
            return reply, (0.0, 0.0)
        if self.comparing is None:
            own = reply.p_valid if key.label_first else 1.0 - reply.p_valid
            return replace(reply, p_valid=own, outcome="valid" if own >= 0.5 else "invalid"), (0.0, 0.0)
        ratio = self.comparing.ratio(reply.p_valid, label_first=key.label_first)
        chance = float(expit(ratio))
        said = replace(reply, p_valid=chance, outcome=self.band.outcome(chance))
        return said, self.comparing.toward(ratio)

    def _read(self, sent: Sent, key: QuestionKey) -> tuple[Reply | None, tuple[Attempt, ...]]:
        """Return the reply and the attempts with their counted tokens; an uncounted one keeps its reserve."""
        if sent.body is None:
            return (Reply("refused") if sent.filtered else None), sent.attempts
        reply = read_reply(self.endpoint.server.wire, sent.body, self.band, compares=key.compares)
        return reply, (*sent.attempts[:-1], reply.settled(sent.attempts[-1]))

    def refuse_another(self, model: str) -> None:
        """Raise AnotherModelError if another model answers than the one that was tried: it has not been tested."""
        if self.is_another(model):
            raise AnotherModelError(
                f"{self.endpoint.server.host} now answers as {model}; {self.endpoint.dialect.model} was tried and "
                "tested. Continue: the new model is tested before it is asked."
            )

    def is_another(self, model: str) -> bool:
        """Return whether a reply names another model than the one that was tried."""
        known = self.endpoint.dialect.model
        return bool(known and model and model != known)


def failed(why: str, key: QuestionKey, attempts: tuple[Attempt, ...]) -> Answer:
    """Return the answer to a question without a reply; it is no verdict."""
    return Answer("failed", None, 0.0, why, "", PROMPT_VERSION, key.key, key.cut, None, attempts)


def identity(server: JudgeServer, dialect: Dialect) -> str:
    """Return who answers, as it is stored with every verdict and self-test: another address or parameter is another."""
    path = urlsplit(server.base_url).path.rstrip("/")
    where = server.host + ("" if path == "/v1" else path)
    return f"{server.wire}/{dialect.model or server.model} at {where}, parameters {dialect.fingerprint(server.extra)}"
