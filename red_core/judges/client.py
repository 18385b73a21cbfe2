"""The client of the judge's server: concurrent requests, one shared pause, our own retries, incurable faults reported.

The openai package sends the requests, without its own retries: they do not show in the count of tokens, and it would
retry an account without money.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, Generic, TypeVar

import httpx2
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI

from red_core.access.bounded_http import connection_to, retry_after
from red_core.errors import BudgetSpent, JudgeError, one_line
from red_core.judges import faults
from red_core.judges.dialect import LIMITS, Dialect
from red_core.judges.listed_models import other_models
from red_core.judges.pace import Pace
from red_core.judges.server_settings import JudgeServer
from red_core.records import Attempt

Reserve = Callable[[Sequence[int]], list[int]]
"""Takes the tokens that requests may need; returns the ids of stored attempts, as many as the caps allow."""

TRIES, TRIES_IN_A_TRIAL = 5, 2
"""How often one request is sent before it counts as failed."""
NOT_REACHED = ("no reply within", "the connection broke")
"""So begin the reasons of a request to which no server replied."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds before a request is sent again; the pause doubles each time. A pause that the server names replaces it."""
LONGEST_RETRY_AFTER = 120.0
"""Seconds. If the server asks for a longer pause, the run ends with an error."""
FAILURES_IN_A_ROW = 8
"""Requests that may fail for good, one after another, before the run ends."""
REFUSALS_IN_A_ROW = 3
"""Equal refusals, one after another, after which the run ends: every further request would be refused."""
LONGEST_SILENCE = 1.0
"""Seconds without a reply after which an empty group is yielded, so that the caller can be cancelled."""
TEMPLATE_TOKENS = 128
"""Tokens that a server may add to what is sent: its chat template."""
HOPELESS = {
    401: "refused the key. Check OPENAI_API_KEY",
    402: "wants payment first. Top up the account",
    403: "does not allow this key to use the model. Check OPENAI_API_KEY and RED_JUDGE_MODEL",
    404: "knows no such model or address. Check RED_JUDGE_MODEL, the API, and that OPENAI_BASE_URL ends in /v1",
}
UNKNOWN = 404
"""The status for a model or an address that is not known."""
FORBIDDEN = 403
"""Some servers refuse a parameter with it: logprobs of a model that reasons."""
REDIRECTS = (301, 302, 303, 307, 308)
BUSY = frozenset({408, 429, 502, 503, 504, 529})
"""The statuses of a server that is busy, or still loads its model. They refuse no parameter."""
TRY_AGAIN = {409, *BUSY, *range(500, 600)}


class RefusedError(JudgeError):
    """The server does not know the model or the address, or refuses every question."""


Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Endpoint:
    """A server, how it wants to be asked, and what reserves tokens before a request is sent.

    In a ``trial`` a request is sent twice at most, more often to a busy server, and not again after a timeout: somebody
    waits for the result.
    """

    server: JudgeServer
    dialect: Dialect
    reserve: Reserve
    trial: bool = False


@dataclass(frozen=True)
class Sent:
    """The outcome of a request: the body received, or the reason for its absence; and every attempt."""

    body: str | None
    failure: str
    attempts: tuple[Attempt, ...]
    status: int = 0
    """The status of the last refusal; 0 where there was none."""
    filtered: bool = False
    """Whether a filter of the server stopped this request. It may have cost something."""


@dataclass
class Client:
    """An open connection to an endpoint. No request is sent before ``resume_at`` (monotonic seconds).

    The first request goes ``alone``: a server that cannot be used gets one text, not many, and what its reply took is
    known before many are reserved for.
    """

    endpoint: Endpoint
    connection: AsyncOpenAI
    pace: Pace
    resume_at: float = 0.0
    alone: bool = True
    answered: bool = False
    took: float = 0.0
    """Seconds of the last reply, from its request on."""
    beyond: int = 0
    """The largest number of tokens that a reply took beyond its reserve."""
    failed_in_a_row: int = 0
    refused_in_a_row: dict[str, int] = field(default_factory=dict)
    unreserved: list[tuple[int, asyncio.Future[int]]] = field(default_factory=list)
    in_flight: int = 0
    room: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def _in_flight(self) -> AsyncIterator[None]:
        """Wait until the pace lets one more request go, the second try of another question included."""
        async with self.room:
            await self.room.wait_for(lambda: self.in_flight < (1 if self.alone else self.pace.in_flight))
            self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            await self._wake()

    async def _wake(self) -> None:
        async with self.room:
            self.room.notify_all()

    async def _tried(self) -> None:
        """Let the other requests go, once one try has shown that the server can be used."""
        if self.alone:
            self.alone = False
            await self._wake()

    async def send(self, path: str, body: dict[str, Any], most_out: int | None = None) -> Sent:
        """Send a request until a body is received or it has failed for good.

        Parameters
        ----------
        most_out : int, optional
            Most tokens that are expected of the reply where the request sets no limit; by default those of an answer.

        Raises
        ------
        JudgeError
            If no request can succeed; the message says what to do.
        BudgetSpent
            If this request would exceed a cap of tokens.
        """
        attempts: list[Attempt] = []
        failure, status = "", 0
        for turn in range(TRIES):
            while (wait := self.resume_at - time.monotonic()) > 0:  # noqa: ASYNC110  another request may move it meanwhile
                await asyncio.sleep(wait)
            sent_at = time.monotonic()
            try:
                async with self._in_flight():
                    attempts.append(Attempt(await self._reserved(self._most(body, most_out) + 2 * self.beyond)))
                    sent_at = time.monotonic()
                    received = await self._posted(path, body)
                    self.took = time.monotonic() - sent_at
                    self.pace.replied(self.took)
            except APIStatusError as error:
                self.answered = True
                words = faults.refusal(error, self.endpoint.server)
                if faults.is_filtered(error.status_code, f"{error.code} {error.type} {words}"):
                    await self._replied()
                    return Sent(None, one_line(words, 200), tuple(attempts), error.status_code, filtered=True)
                if error.status_code < 500:  # refused before any work; a 5xx may come after some
                    attempts[-1] = replace(attempts[-1], tokens_in=0, tokens_out=0)
                failure, status = self._refused(error, words, turn, body), error.status_code
                await self._tried()
                if self._given_up(error.status_code, turn):
                    break
                self.pace.busy(sent_at)
            except (APITimeoutError, TimeoutError, APIConnectionError) as error:
                failure = await self._broken(error, sent_at)
                if self.endpoint.trial:
                    break
                await asyncio.sleep(pause(turn))
            else:
                await self._replied()
                return Sent(received.text, "", tuple(attempts))
        self._failed(failure)
        return Sent(None, failure, tuple(attempts), status)

    async def _posted(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        """Send one request; raise an error that stands in its reply, too."""
        async with asyncio.timeout(self.pace.timeout):  # the package's own starts again with every byte
            received = await self.connection.post(path, cast_to=httpx2.Response, body=body)
        if (inside := faults.error_inside(received)) is not None:
            raise inside
        return received

    def _given_up(self, status: int, turn: int) -> bool:
        """Return whether a refused request is not sent again; in a trial, only a busy server gets all tries."""
        if self.endpoint.trial and status not in BUSY and turn + 1 >= TRIES_IN_A_TRIAL:
            return True
        return status not in TRY_AGAIN

    async def _replied(self) -> None:
        """Count a reply, or the refusal of a filter: the server can be used."""
        self.answered, self.failed_in_a_row = True, 0
        self.refused_in_a_row.clear()
        await self._tried()

    async def _broken(self, error: Exception, sent_at: float) -> str:
        """Return why nothing came; raise if trying again cannot help."""
        told = await faults.incurable(error, self.endpoint.server)
        if told is not None and not self.answered:
            raise told from None  # the cause may quote what the server sent
        await self._tried()
        if isinstance(error, TimeoutError | APITimeoutError):
            waited = self.pace.timeout
            self.pace.late(sent_at)
            return f"{NOT_REACHED[0]} {waited:g} s"
        return f"{NOT_REACHED[1]}: {faults.described(error, self.endpoint.server)}"

    def learn(self, body: dict[str, Any], attempt: Attempt, most_out: int | None = None) -> None:
        """Learn from what a reply took how much to reserve for the next one; ``most_out`` as it was sent with."""
        if attempt.tokens_in is not None and attempt.tokens_out is not None:
            taken = attempt.tokens_in + attempt.tokens_out
            self.beyond = max(self.beyond, taken - self._most(body, most_out))

    def _most(self, body: dict[str, Any], most_out: int | None) -> int:
        return most_tokens(body, self.endpoint.dialect.most_out if most_out is None else most_out)

    async def _reserved(self, tokens: int) -> int:
        """Return the id of a stored attempt; all attempts that are due now are stored in one transaction."""
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[int] = loop.create_future()
        if not self.unreserved:
            loop.call_soon(self._reserve_all)
        self.unreserved.append((tokens, stored))
        return await stored

    def _reserve_all(self) -> None:
        due, self.unreserved = self.unreserved, []
        error: Exception = BudgetSpent("the token limit is reached; what was stored stays.")
        ids: list[int] = []
        try:
            ids = self.endpoint.reserve([tokens for tokens, _ in due])
        except Exception as unexpected:  # noqa: BLE001  every request that waits raises it
            error = unexpected
        for (_, stored), attempt in zip_longest(due, ids):
            if stored.done():  # cancelled
                continue
            if attempt is None:
                stored.set_exception(error)
            else:
                stored.set_result(attempt)

    def _refused(self, error: APIStatusError, words: str, turn: int, body: Mapping[str, Any]) -> str:
        """Return why a request was refused, and set the shared pause; raise if no request can succeed."""
        status, wait = error.status_code, retry_after(error.response.headers)
        if spent := faults.spent_quota(error, words, wait):
            told = f"the judge at {self.endpoint.server.host}: {spent}"
            raise JudgeError(told) from None  # the cause quotes the server, here and below
        if status in REDIRECTS:
            raise JudgeError(
                f"the judge at {self.endpoint.server.host} redirects to another address ({status}); redirects are not "
                "followed. Set OPENAI_BASE_URL to the final address."
            ) from None
        of_parameter = status == FORBIDDEN and self.endpoint.trial and faults.names_a_parameter(words, body)
        if status in HOPELESS and not of_parameter:
            kind = RefusedError if status == UNKNOWN else JudgeError
            told = f"the judge at {self.endpoint.server.host} {HOPELESS[status]} ({status}).{faults.quoted(words)}"
            raise kind(told) from None
        failure = one_line(f"status {status}: {words}", 200)
        if status in TRY_AGAIN:
            if wait is not None and wait > LONGEST_RETRY_AFTER:
                raise JudgeError(
                    f"the judge at {self.endpoint.server.host} asks to wait {wait:,.0f} s. Go on after that."
                ) from None
            self.resume_at = max(self.resume_at, time.monotonic() + (pause(turn) if wait is None else wait))
            return failure
        self.refused_in_a_row[failure] = self.refused_in_a_row.get(failure, 0) + 1
        if self.refused_in_a_row[failure] >= REFUSALS_IN_A_ROW:
            raise RefusedError(
                f"the judge at {self.endpoint.server.host} refuses every question, {failure.rstrip('.')}."
            ) from None
        return failure

    def _failed(self, failure: str) -> None:
        self.failed_in_a_row += 1
        if self.failed_in_a_row >= FAILURES_IN_A_ROW:
            raise JudgeError(
                f"{FAILURES_IN_A_ROW} questions in a row failed at {self.endpoint.server.host}, the last with: "
                f"{failure}. Check the server, then go on."
            )


def all_of(
    endpoint: Endpoint, items: Sequence[Item], ask: Callable[[Client, Item], Awaitable[Result]]
) -> Iterator[list[tuple[int, Result]]]:
    """Ask about every item, ``at_once`` of them at a time; yield groups of (index, result) as they come.

    The caller can store a group while other requests are in flight. A group is empty after LONGEST_SILENCE, so that
    the caller can be cancelled. The iterator ends early when a cap of tokens is reached.

    Raises
    ------
    JudgeError
        If no further request can succeed; all results that had come were yielded before.
    """
    waiting = deque(enumerate(items))
    running: dict[asyncio.Task[Result], int] = {}
    full = False  # the cap leaves no room before a request in flight is settled

    async def next_group(client: Client) -> _Group[Result]:
        while waiting and not full and len(running) < client.pace.in_flight:
            index, item = waiting.popleft()
            running[asyncio.ensure_future(ask(client, item))] = index
        done, _ = await asyncio.wait(running, timeout=LONGEST_SILENCE, return_when=asyncio.FIRST_COMPLETED)
        return _group_of({task: running.pop(task) for task in done})

    with asyncio.Runner() as runner:
        client = runner.run(_opened(endpoint))
        try:
            while running or (waiting and not full):
                group = runner.run(next_group(client))
                waiting.extendleft((index, items[index]) for index in group.refused)
                full = full or bool(group.refused)
                if group.results or not group.refused:
                    yield group.results  # the caller settles what they took
                    full = full and not group.results
                if isinstance(group.error, RefusedError):
                    raise RefusedError(f"{group.error}{other_models(endpoint.server)}") from None
                if group.error is not None:
                    raise group.error
        finally:
            runner.run(_closed(client, running))


async def _opened(endpoint: Endpoint) -> Client:
    server = endpoint.server
    pace = Pace.for_server(server.at_once, server.timeout, endpoint.dialect.seconds)
    return Client(endpoint, connection_to(server, None), pace)


@dataclass
class _Group(Generic[Result]):
    """Finished tasks: (index, result) of each, the indices that a cap refused, and the error that ends the run."""

    results: list[tuple[int, Result]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    error: BaseException | None = None


def _group_of(done: Mapping[asyncio.Task[Result], int]) -> _Group[Result]:
    """Return what tasks brought. An error of one, whatever it is, loses no result of another."""
    group: _Group[Result] = _Group()
    for task, index in done.items():
        error = task.exception()
        if error is None:
            group.results.append((index, task.result()))
        elif isinstance(error, BudgetSpent):
            group.refused.append(index)
        else:
            group.error = error
    return group


async def _closed(client: Client, running: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel the requests in flight, whose reserved tokens stay spent, and close the connection."""
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await client.connection.close()


def most_tokens(body: dict[str, Any], most_out: int) -> int:
    """Return an upper bound of a request's tokens: one for each byte that is sent, and the limit of the answer.

    Where the request sets no limit, because the server takes none, ``most_out`` stands for it.
    """
    limits = [limit for name in LIMITS if isinstance(limit := body.get(name), int) and limit > 0]
    sent = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return len(sent) + TEMPLATE_TOKENS + max(limits, default=most_out)


def pause(turn: int) -> float:
    """Return the seconds before attempt ``turn + 1``, randomly spread so that requests do not all return at once."""
    return float(min(FIRST_PAUSE * 2.0**turn, LONGEST_PAUSE) * random.uniform(0.75, 1.25))  # noqa: S311  not a secret
