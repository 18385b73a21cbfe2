"""Batches that nobody will read, because their round was closed: cancelled, counted, and their files deleted."""

from __future__ import annotations

from contextlib import suppress

from red_core.errors import JudgeError
from red_core.judges import batch_api
from red_core.judges.apis import read_reply
from red_core.judges.batch_api import BatchReplies
from red_core.judges.batch_judge import close_batch, created
from red_core.judges.replies import Band
from red_core.judges.server_settings import JudgeServer
from red_core.records import Attempt, Project
from red_core.store.attempts import unsettled_attempts
from red_core.store.judge_batches import BatchRequest, JudgeBatch, left_judge_batches


def end_left_batches(project: Project, server: JudgeServer, judge: str) -> int:
    """End the batches of closed rounds; return how many there were.

    One that the server is still cancelling stays for the next call, and so does one if the server cannot be reached.
    """
    left = left_judge_batches(project, judge)
    for batch in left:
        with suppress(JudgeError):
            _end(project, server, batch)
    return len(left)


def _end(project: Project, server: JudgeServer, begun: JudgeBatch) -> None:
    """Cancel a batch. If it has ended, count what its requests took and delete its files.

    Raises
    ------
    JudgeError
        If the server cannot be reached.
    """
    batch = created(project, server, begun)
    if batch is None:
        return
    state = batch_api.state_of(server, batch.name, repeat=False)
    if state is not None and state.status not in batch_api.ENDED:
        batch_api.cancel(server, batch.name)
        state = batch_api.state_of(server, batch.name, repeat=False)
    if state is not None and state.status not in batch_api.ENDED:
        return
    replies = BatchReplies.received(server, state)
    open_ones = unsettled_attempts(project, [request.attempt for request in batch.requests])
    took = [_took(server, request, replies) for request in batch.requests if request.attempt in open_ones]
    close_batch(project, server, batch, took, state)


def _took(server: JudgeServer, request: BatchRequest, replies: BatchReplies) -> Attempt:
    """Return what a request took; without token counts, its reserve counts if it may have been carried out."""
    attempt = Attempt(request.attempt)
    bodies = replies.bodies.get(str(attempt.id), [])
    if len(bodies) == 1:
        reply = read_reply(server.wire, bodies[0], Band(), compares=request.rival is not None)
        return reply.settled(attempt)
    _, costs = replies.failures.get(str(attempt.id), ("", not replies.others_cost_nothing))
    return attempt if bodies or costs else Attempt(attempt.id, 0, 0)
