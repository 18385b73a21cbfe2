"""The LLM judge: answers binary questions over a wire, its word weighed by its measured record (article step 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from red_core.judges.client import Client, Reserve, Sent, all_of
from red_core.judges.prompt import can_be_judged, prompt_of
from red_core.judges.replies import Band, Reply, read_reply
from red_core.judges.requests import verdict_request
from red_core.judges.server import Format, JudgeServer
from red_core.records import PROMPT_VERSION, Answer, Attempt, JudgeRates, Question
from red_core.steps.judge_reliability import ProbabilityScale, log_likelihood_ratio

LONGEST_RAW = 20_000
"""Characters kept of a reply."""
NOT_SENT = "not sent: there is no letter and no digit in the text"


@dataclass(frozen=True)
class LlmJudge:
    """See the module.

    Attributes
    ----------
    server : JudgeServer
    form : Format
        What holds the reply to JSON; found by :mod:`red_core.judges.connect`.
    band : Band
        Which probabilities are valid, unsure and invalid.
    reserve : callable
    rates : JudgeRates
        From the self-test.
    scale : ProbabilityScale or None
        What a probability is worth; None takes the outcome alone.
    """

    server: JudgeServer
    form: Format
    band: Band
    reserve: Reserve
    rates: JudgeRates
    scale: ProbabilityScale | None = None

    @property
    def name(self) -> str:
        """The wire and the model."""
        return self.server.name

    @property
    def free(self) -> bool:
        """Every question costs."""
        return False

    def answers(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """Yield answers in groups; see :class:`red_core.judges.protocol.Judge`."""
        return all_of(self.server, self.reserve, questions, self.answer)

    async def answer(self, line: Client, question: Question) -> Answer:
        """Return the answer to one question; what cannot be read is asked once more."""
        prompt = prompt_of(question)
        key = prompt.key(self.server.wire, self.server.model)
        if not can_be_judged(prompt.state["text"]):
            return Answer("unsure", None, 0.0, NOT_SENT, "", PROMPT_VERSION, key, prompt.cut, question.label.meaning_id)
        path, body = verdict_request(self.server, self.form, prompt)
        attempts: tuple[Attempt, ...] = ()
        for _ in range(2):
            sent = await line.send(path, body)
            reply, settled = self._read(sent)
            attempts += settled
            if reply is None or reply.outcome != "unparseable":
                break
        if reply is None:
            return Answer("failed", None, 0.0, sent.failure, "", PROMPT_VERSION, key, prompt.cut, None, attempts)
        raw, model = self.server.scrubbed(sent.body or "")[:LONGEST_RAW], self.server.scrubbed(reply.model)
        return Answer(
            reply.outcome, reply.p_valid, self._weight(reply), raw, model or self.server.model, PROMPT_VERSION, key,
            prompt.cut, question.label.meaning_id, attempts,
        )  # fmt: skip

    def _read(self, sent: Sent) -> tuple[Reply | None, tuple[Attempt, ...]]:
        """Return what was said and the attempts with their counted tokens; an uncounted one keeps its reserve."""
        if sent.body is None:
            return None, sent.attempts
        reply = read_reply(self.server.wire, sent.body, self.band)
        last = Attempt(sent.attempts[-1].id, reply.tokens_in, reply.tokens_out)
        return reply, (*sent.attempts[:-1], last)

    def _weight(self, reply: Reply) -> float:
        if self.scale is not None and reply.p_valid is not None:
            return self.scale(reply.p_valid)
        return log_likelihood_ratio(self.rates, reply.outcome)
