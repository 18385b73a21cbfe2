"""The LLM judge: answers binary questions; its verdicts are weighted by its measured accuracy (article step 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from red_core.judges.apis import read_reply, verdict_request
from red_core.judges.client import Client, Endpoint, Sent, all_of
from red_core.judges.prompt import can_be_judged, prompt_of
from red_core.judges.replies import Band, Reply
from red_core.records import PROMPT_VERSION, Answer, Attempt, JudgeRates, Question
from red_core.steps.judge_reliability import ProbabilityScale, log_likelihood_ratio

LONGEST_RAW = 20_000
"""Characters of a reply that are stored."""
NOT_SENT = "not sent: there is no letter and no digit in the text"


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
    """

    endpoint: Endpoint
    rates: JudgeRates
    scale: ProbabilityScale | None = None
    band: Band = field(default_factory=Band)

    @property
    def name(self) -> str:
        """The API and the model."""
        return self.endpoint.server.name

    @property
    def free(self) -> bool:
        """False: every question costs tokens."""
        return False

    def answers(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """Yield answers in groups; see :class:`red_core.judges.protocol.Judge`."""
        return all_of(self.endpoint, questions, self.answer)

    async def answer(self, client: Client, question: Question) -> Answer:
        """Return the answer to one question; ask once more if the reply cannot be read."""
        server, prompt = self.endpoint.server, prompt_of(question)
        key = prompt.key(server.wire, server.model)
        if not can_be_judged(prompt.state["text"]):
            return Answer("unsure", None, 0.0, NOT_SENT, "", PROMPT_VERSION, key, prompt.cut, question.label.meaning_id)
        path, body = verdict_request(server, self.endpoint.form, prompt)
        attempts: tuple[Attempt, ...] = ()
        for _ in range(2):
            sent = await client.send(path, body)
            reply, settled = self._read(sent)
            attempts += settled
            if reply is None or reply.outcome != "unparseable":
                break
        if reply is None:
            return Answer("failed", None, 0.0, sent.failure, "", PROMPT_VERSION, key, prompt.cut, None, attempts)
        raw, model = server.scrubbed(sent.body or "")[:LONGEST_RAW], server.scrubbed(reply.model)
        return Answer(
            reply.outcome, reply.p_valid, self._weight(reply), raw, model or server.model, PROMPT_VERSION, key,
            prompt.cut, question.label.meaning_id, attempts,
        )  # fmt: skip

    def _read(self, sent: Sent) -> tuple[Reply | None, tuple[Attempt, ...]]:
        """Return the reply and the attempts with their counted tokens; an uncounted one keeps its reserve."""
        if sent.body is None:
            return None, sent.attempts
        reply = read_reply(self.endpoint.server.wire, sent.body, self.band)
        last = Attempt(sent.attempts[-1].id, reply.tokens_in, reply.tokens_out)
        return reply, (*sent.attempts[:-1], last)

    def _weight(self, reply: Reply) -> float:
        if self.scale is not None and reply.p_valid is not None:
            return self.scale(reply.p_valid)
        return log_likelihood_ratio(self.rates, reply.outcome)
