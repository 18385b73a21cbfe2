"""An LLM judge that is asked in batches: a file of questions, whose answers come within a day at a lower price.

Everything that is needed to go on after a crash is stored before the next step: the requests with their reserved
tokens, the file, the batch. So no question is asked or paid twice: the batch that was begun is waited for and read.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Protocol

import numpy as np

from red_core.errors import Cancelled, JudgeError
from red_core.judges import batch_api
from red_core.judges.apis import read_reply, verdict_request
from red_core.judges.batch_api import BatchReplies, ServerBatch
from red_core.judges.batch_calls import NoSuchThingError, NotKnownError
from red_core.judges.client import FAILURES_IN_A_ROW, most_tokens
from red_core.judges.llm_judge import LlmJudge, QuestionKey, failed
from red_core.judges.prompt import prompt_of
from red_core.judges.replies import Reply
from red_core.judges.server_settings import JudgeServer
from red_core.records import Answer, Attempt, Progress, Project, Question
from red_core.store.attempts import settle_attempts
from red_core.store.judge_batches import (
    BatchRequest,
    JudgeBatch,
    NewBatch,
    end_judge_batch,
    name_batch,
    name_file,
    open_judge_batches,
)

MOST_REQUESTS, MOST_BYTES = 50_000, 100_000_000
"""The most requests and bytes of one batch."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds between two looks at a batch; the wait grows by half each time."""
BEAT = 1.0
"""Seconds between two reports of the progress, in which the caller can be cancelled."""
Group = list[tuple[int, Answer]]
Left = dict[tuple[int, int, int | None], int]
"""The questions without an answer: (text, label, the rival if it compares) -> index."""


class BatchReserve(Protocol):
    """Stores attempts before they are sent, as many as the caps allow; ``also`` stores more in the same transaction."""

    def __call__(self, tokens: Sequence[int], /, *, also: NewBatch = ...) -> list[int]:
        """Return the ids of the attempts."""
        ...


@dataclass(frozen=True)
class Batches:
    """Where the batches of a round are stored.

    Attributes
    ----------
    project : Project
    round_id : int
    reserve : BatchReserve
    waiting : Progress
        Told (requests carried out, all requests) about once a second; it may raise Cancelled.
    """

    project: Project
    round_id: int
    reserve: BatchReserve
    waiting: Progress


@dataclass(frozen=True)
class BatchJudge(LlmJudge):
    """See the module."""

    batches: Batches = field(kw_only=True)

    def answers(self, questions: Sequence[Question]) -> Iterator[Group]:
        """Yield the answers of each batch as one group; see :class:`red_core.judges.protocol.Judge`.

        Batches of this round that were begun before come first. Their questions without a reply are asked again. In a
        new batch such questions have failed.
        """
        unsent = [(index, answer) for index, q in enumerate(questions) if (answer := self.without_asking(q))]
        if unsent:
            yield unsent
        known = {index for index, _ in unsent}
        left: Left = {
            (q.text, q.label.id, q.runner_up.id if q.compares else None): index
            for index, q in enumerate(questions)
            if index not in known
        }
        beyond = 0
        for begun in open_judge_batches(self.batches.project, self.name, self.batches.round_id):
            if batch := created(self.batches.project, self.endpoint.server, begun):
                beyond = max(beyond, (yield from self._answered(batch, left, again=True)))
        while left and (new := self._begun([questions[index] for index in left.values()], beyond)) is not None:
            beyond = max(beyond, (yield from self._answered(new, left)))

    def _begun(self, questions: Sequence[Question], beyond: int) -> JudgeBatch | None:
        """Store, upload and create a batch of as many questions as the caps allow; None if they allow none."""
        server, batches = self.endpoint.server, self.batches
        bodies = [verdict_request(server, self.endpoint.dialect, prompt_of(q))[1] for q in questions[:MOST_REQUESTS]]
        sizes = [most_tokens(body, self.endpoint.dialect.most_out) for body in bodies]
        fitting = int(np.searchsorted(np.cumsum(sizes), MOST_BYTES)) or 1
        reserved = [size + 2 * beyond for size in sizes[:fitting]]

        def requests(ids: list[int]) -> list[BatchRequest]:
            return [
                BatchRequest(attempt, tokens, question.text, question.label.id, *astuple(self.key_of(question)))
                for attempt, tokens, question in zip(ids, reserved, questions, strict=False)
            ]

        new = NewBatch(batches.round_id, self.name, requests)
        batches.reserve(reserved, also=new)
        if new.stored is None:
            return None
        named = {str(request.attempt): body for request, body in zip(new.stored.requests, bodies, strict=False)}
        file = batch_api.upload(server, named)
        name_file(batches.project, new.stored.id, file)
        name = batch_api.create(server, file)
        name_batch(batches.project, new.stored.id, name)
        return replace(new.stored, file=file, name=name)

    def _answered(self, batch: JudgeBatch, left: Left, *, again: bool = False) -> Generator[Group, None, int]:
        """Wait for a batch and yield its answers; return by how many tokens a reply went beyond its reserve at most.

        Parameters
        ----------
        again : bool
            Whether the questions without a reply stay in ``left``, to be asked again.

        Raises
        ------
        JudgeError
            If the server refused the batch as a whole, or another model answered.
        """
        server = self.endpoint.server
        state = self._waited(batch.name, len(batch.requests))
        replies = BatchReplies.received(server, state)
        answers = [
            (request, self._answer_to(request, replies))
            for request in batch.requests
            if request.question in left  # the others were stored before a crash
        ]
        lost = [answer for _, answer in answers if again and answer.outcome == "failed"]
        stored = [(r, answer) for r, answer in answers if not (again and answer.outcome == "failed")]
        if stored:
            yield [(left.pop(request.question), answer) for request, answer in stored]
        unanswered = [attempt for answer in lost for attempt in answer.attempts]
        close_batch(self.batches.project, server, batch, unanswered, state)
        if state is not None and state.status == "failed":
            why = server.scrubbed(state.fault) or "it gives no reason"
            raise JudgeError(f"{server.host} refused the batch: {why}.")
        for model in replies.models:
            self.refuse_another(model)
        return max((_beyond(request, answer) for request, answer in answers), default=0)

    def _answer_to(self, request: BatchRequest, replies: BatchReplies) -> Answer:
        """Return what the lines of a batch say about one request."""
        key = QuestionKey(
            request.question_key, request.cut, request.meaning_id,
            request.rival, request.rival_meaning_id, request.label_first,
        )  # fmt: skip
        attempt = Attempt(request.attempt)
        bodies = replies.bodies.get(str(request.attempt), [])
        if not bodies:
            why, costs = replies.failures.get(str(request.attempt), (replies.why, not replies.others_cost_nothing))
            if str(request.attempt) in replies.filtered:
                return self.answer_of(Reply("refused"), why, key, (attempt,))
            return failed(why, key, (attempt if costs else Attempt(attempt.id, 0, 0),))
        reply = read_reply(self.endpoint.server.wire, bodies[0], self.band, compares=key.compares)
        if len(bodies) > 1:  # two replies that differ are no answer
            reply = Reply("unparseable", None, reply.model)
        if self.is_another(reply.model):
            return failed(f"another model answered: {reply.model}", key, (reply.settled(attempt),))
        return self.answer_of(reply, "\n".join(bodies), key, (reply.settled(attempt),))

    def _waited(self, name: str, requests: int) -> ServerBatch | None:
        """Return a batch that has ended; None if the server does not know it any more.

        Raises
        ------
        Cancelled
            If the caller was cancelled. Then the batch is cancelled at the server; the next run reads its answers.
        """
        wait, failures, done = FIRST_WAIT, 0, 0
        try:
            while True:
                self.batches.waiting(done, requests)
                try:
                    state = batch_api.state_of(self.endpoint.server, name)
                    failures = 0
                except NotKnownError:
                    failures += 1
                    if failures >= FAILURES_IN_A_ROW:
                        raise
                else:
                    if state is None or state.status in batch_api.ENDED:
                        return state
                    done = state.done or 0
                until = time.monotonic() + wait
                while (left := until - time.monotonic()) > 0:
                    time.sleep(min(BEAT, left))
                    self.batches.waiting(done, requests)
                wait = min(1.5 * wait, LONGEST_WAIT)
        except Cancelled:
            batch_api.cancel(self.endpoint.server, name)
            raise


def created(project: Project, server: JudgeServer, begun: JudgeBatch) -> JudgeBatch | None:
    """Return a batch of before a crash with its name; None if none was created, and then it is closed."""
    if begun.name:
        return begun
    unpaid = [Attempt(request.attempt, 0, 0) for request in begun.requests]
    try:
        name = batch_api.created_from(server, begun.file) if begun.file else ""
    except NoSuchThingError:  # the server has no list, so that nobody knows: the reserve stays spent
        name, unpaid = "", []
    if name:
        name_batch(project, begun.id, name)
        return replace(begun, name=name)
    close_batch(project, server, begun, unpaid)
    return None


def close_batch(
    project: Project,
    server: JudgeServer,
    batch: JudgeBatch,
    unanswered: Sequence[Attempt],
    state: ServerBatch | None = None,
) -> None:
    """Count what the unanswered requests took, mark the batch as read, and delete its files at the server."""
    settle_attempts(project, unanswered)
    end_judge_batch(project, batch.id)
    files = [batch.file, *(state.files if state is not None else [])]
    batch_api.delete(server, [file for file in files if file])


def _beyond(request: BatchRequest, answer: Answer) -> int:
    """Return how many tokens an answer took more than were reserved for it."""
    (attempt,) = answer.attempts
    return max(0, (attempt.tokens_in or 0) + (attempt.tokens_out or 0) - request.reserved)
