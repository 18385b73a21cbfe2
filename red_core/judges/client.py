"""The client of the judge's server: concurrent requests, one shared pause, our own retries, hopeless errors reported.

The openai package sends the requests, without its own retries: they do not show in the count of tokens, and it would
retry an account without money.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from itertools import zip_longest
from typing import Any, TypeVar

import httpx2
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI

from red_core.errors import BudgetSpent, JudgeError, one_line
from red_core.judges.bounded_http import connection_to
from red_core.judges.server_settings import Format, JudgeServer
from red_core.records import Attempt

Reserve = Callable[[Sequence[int]], list[int]]
"""Takes the tokens that requests may need; returns the ids of stored attempts, as many as the caps allow."""

TRIES = 5
"""How often one request is sent before it counts as failed."""
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
ANSWER_TOKENS = 64
HOPELESS = {
    401: "refused the key. Check OPENAI_API_KEY",
    402: "wants payment first. Top up the account",
    403: "does not allow this key to use the model. Check OPENAI_API_KEY and RED_JUDGE_MODEL",
    404: "knows no such model or address. Check RED_JUDGE_MODEL, the API, and that OPENAI_BASE_URL ends in /v1",
}
REDIRECTS = range(300, 400)
QUOTA = ("insufficient_quota", "billing_hard_limit_reached")
TRY_AGAIN = {408, 409, 429, *range(500, 600)}

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Endpoint:
    """A server, the JSON form that it obeys, and what reserves tokens before a request is sent."""

    server: JudgeServer
    form: Format
    reserve: Reserve


@dataclass(frozen=True)
class Sent:
    """The outcome of a request: the body received, or the reason for its absence; and every attempt."""

    body: str | None
    failure: str
    attempts: tuple[Attempt, ...]


@dataclass
class Client:
    """An open connection to an endpoint. No request is sent before ``resume_at`` (monotonic seconds)."""

    endpoint: Endpoint
    connection: AsyncOpenAI
    resume_at: float = 0.0
    failed_in_a_row: int = 0
    refused_in_a_row: dict[str, int] = field(default_factory=dict)
    unreserved: list[tuple[int, asyncio.Future[int]]] = field(default_factory=list)

    async def send(self, path: str, body: dict[str, Any]) -> Sent:
        """Send a request until a body is received or it has failed for good.

        Raises
        ------
        JudgeError
            If no request can succeed; the message says what to do.
        BudgetSpent
            If this request would exceed a cap of tokens.
        """
        attempts: list[Attempt] = []
        failure = ""
        for turn in range(TRIES):
            while (wait := self.resume_at - time.monotonic()) > 0:  # noqa: ASYNC110  another request may move it meanwhile
                await asyncio.sleep(wait)
            attempts.append(Attempt(await self._reserved(most_tokens(body))))
            try:
                async with asyncio.timeout(
                    self.endpoint.server.timeout
                ):  # the package's own timeout starts again with every byte
                    received = await self.connection.post(path, cast_to=httpx2.Response, body=body)
            except APIStatusError as error:
                if error.status_code < 500:  # refused before any work; a 5xx may come after some
                    attempts[-1] = replace(attempts[-1], tokens_in=0, tokens_out=0)
                failure = self._refused(error, turn)
                if error.status_code not in TRY_AGAIN:
                    break
            except (APITimeoutError, TimeoutError):
                failure = f"no reply within {self.endpoint.server.timeout:g} s"
                await asyncio.sleep(pause(turn))
            except APIConnectionError as error:
                failure = one_line(
                    f"the connection broke: {self.endpoint.server.scrubbed(str(error.__cause__ or error))}", 200
                )
                await asyncio.sleep(pause(turn))
            else:
                self.failed_in_a_row = 0
                self.refused_in_a_row.clear()
                return Sent(received.text, "", tuple(attempts))
        self._failed(failure)
        return Sent(None, failure, tuple(attempts))

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
        error: Exception = BudgetSpent("a cap of tokens is reached; what was stored stays.")
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

    def _refused(self, error: APIStatusError, turn: int) -> str:
        """Return why a request was refused, and set the shared pause; raise if no request can succeed."""
        status, message = error.status_code, self.endpoint.server.scrubbed(str(error.message))
        if error.code in QUOTA or error.type in QUOTA:
            raise JudgeError(
                f"the judge at {self.endpoint.server.host}: the quota is used up. Top up the account, then go on."
            ) from None  # the cause quotes the server, here and below
        if status in REDIRECTS:
            raise JudgeError(
                f"the judge at {self.endpoint.server.host} redirects to another address ({status}); redirects are not "
                "followed. Set OPENAI_BASE_URL to the final address."
            ) from None
        if status in HOPELESS:
            raise JudgeError(f"the judge at {self.endpoint.server.host} {HOPELESS[status]} ({status}).") from None
        failure = one_line(f"status {status}: {message}", 200)
        if status in TRY_AGAIN:
            wait = retry_after(error.response.headers)
            if wait is not None and wait > LONGEST_RETRY_AFTER:
                raise JudgeError(
                    f"the judge at {self.endpoint.server.host} asks to wait {wait:,.0f} s. Go on after that."
                ) from None
            self.resume_at = max(self.resume_at, time.monotonic() + (pause(turn) if wait is None else wait))
            return failure
        self.refused_in_a_row[failure] = self.refused_in_a_row.get(failure, 0) + 1
        if self.refused_in_a_row[failure] >= REFUSALS_IN_A_ROW:
            raise JudgeError(f"the judge at {self.endpoint.server.host} refuses every question, {failure}") from None
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

    async def next_group(client: Client) -> tuple[list[tuple[int, Result]], Exception | None]:
        while waiting and len(running) < endpoint.server.at_once:
            index, item = waiting.popleft()
            running[asyncio.ensure_future(ask(client, item))] = index
        done, _ = await asyncio.wait(running, timeout=LONGEST_SILENCE, return_when=asyncio.FIRST_COMPLETED)
        return _results({task: running.pop(task) for task in done})

    with asyncio.Runner() as runner:
        client = runner.run(_opened(endpoint))
        try:
            while waiting or running:
                results, stopped = runner.run(next_group(client))
                if results or stopped is None:
                    yield results
                if isinstance(stopped, JudgeError):
                    raise stopped
                if stopped is not None:
                    waiting.clear()
        finally:
            runner.run(_closed(client, running))


async def _opened(endpoint: Endpoint) -> Client:
    return Client(endpoint, connection_to(endpoint.server, endpoint.server.timeout))


def _results(
    done: Mapping[asyncio.Task[Result], int],
) -> tuple[list[tuple[int, Result]], JudgeError | BudgetSpent | None]:
    """Return (index, result) of finished tasks, and the error that ends the run, if there is one."""
    results: list[tuple[int, Result]] = []
    stopped: JudgeError | BudgetSpent | None = None
    for task, index in done.items():
        if (error := task.exception()) is None:
            results.append((index, task.result()))
        elif not isinstance(error, JudgeError | BudgetSpent):
            raise error
        elif not isinstance(stopped, JudgeError):
            stopped = error
    return results, stopped


async def _closed(client: Client, running: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel the requests in flight, whose reserved tokens stay spent, and close the connection."""
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await client.connection.close()


def most_tokens(body: dict[str, Any]) -> int:
    """Return an upper bound of a request's tokens: two bytes a token and room for the answer."""
    return len(str(body).encode()) // 2 + ANSWER_TOKENS


def pause(turn: int) -> float:
    """Return the seconds before attempt ``turn + 1``, randomly spread so that requests do not all return at once."""
    return float(min(FIRST_PAUSE * 2.0**turn, LONGEST_PAUSE) * random.uniform(0.75, 1.25))  # noqa: S311  not a secret


def retry_after(headers: httpx2.Headers) -> float | None:
    """Return the pause in seconds (at least 0) that a server asks for; None where it names none that can be read."""
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
