"""The line to the judge's server: many requests at once, one shared cool-down, our own retries, hopeless errors told.

The openai package carries the requests, without its retries: they are invisible in the count of tokens, and it would
retry an empty account.
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
from red_core.judges.server import JudgeServer
from red_core.records import Attempt

Reserve = Callable[[Sequence[int]], list[int]]
"""The tokens of requests to the ids of their attempts, stored before anything is sent: as many as the caps allow."""

TRIES = 5
"""Times one request is sent before it counts as failed."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds before a request is sent again, doubled each time, where the server names none."""
LONGEST_RETRY_AFTER = 120.0
"""A server that wants a longer pause is not waited for."""
FAILURES_IN_A_ROW = 8
"""Requests that failed for good, one after another, before the line is given up."""
REFUSALS_IN_A_ROW = 3
"""The same refusal of a request, one after another, before it is taken for the answer to all of them."""
LONGEST_SILENCE = 1.0
"""Seconds without a reply after which an empty group is yielded."""
ANSWER_TOKENS = 64
HOPELESS = {
    401: "refused the key. Check OPENAI_API_KEY",
    402: "wants payment first. Top up the account",
    403: "does not allow this key to use the model. Check OPENAI_API_KEY and RED_JUDGE_MODEL",
    404: "knows no such model or address. Check RED_JUDGE_MODEL, the wire, and that OPENAI_BASE_URL ends in /v1",
}
QUOTA = ("insufficient_quota", "billing_hard_limit_reached")
TRY_AGAIN = {408, 409, 429, *range(500, 600)}

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Sent:
    """What came of a request: the body received, or why there is none; and each time it was sent."""

    body: str | None
    failure: str
    attempts: tuple[Attempt, ...]


@dataclass
class Client:
    """An open connection to the server; ``resume_at`` is when the next request may be sent, for all of them."""

    server: JudgeServer
    reserve: Reserve
    client: AsyncOpenAI
    resume_at: float = 0.0
    failed_in_a_row: int = 0
    refused_in_a_row: dict[str, int] = field(default_factory=dict)
    unreserved: list[tuple[int, asyncio.Future[int]]] = field(default_factory=list)

    async def send(self, path: str, body: dict[str, Any]) -> Sent:
        """Send a request until a body is received or it failed for good.

        Raises
        ------
        JudgeError
            If no request can succeed: the text says what to do.
        BudgetSpent
            If this request would pass a cap.
        """
        attempts: list[Attempt] = []
        failure = ""
        for turn in range(TRIES):
            while (wait := self.resume_at - time.monotonic()) > 0:  # noqa: ASYNC110  it may move while this one sleeps
                await asyncio.sleep(wait)
            attempts.append(Attempt(await self._reserved(most_tokens(body))))
            try:
                async with asyncio.timeout(self.server.timeout):  # the package's own begins anew with every byte
                    received = await self.client.post(path, cast_to=httpx2.Response, body=body)
            except APIStatusError as error:
                if error.status_code < 500:  # refused before any work was done; behind a 5xx there may be some
                    attempts[-1] = replace(attempts[-1], tokens_in=0, tokens_out=0)
                failure = self._refused(error, turn)
                if error.status_code not in TRY_AGAIN:
                    break
            except (APITimeoutError, TimeoutError):
                failure = f"no reply within {self.server.timeout:g} s"
                await asyncio.sleep(pause(turn))
            except APIConnectionError as error:
                failure = one_line(f"the connection broke: {self.server.scrubbed(str(error.__cause__ or error))}", 200)
                await asyncio.sleep(pause(turn))
            else:
                self.failed_in_a_row = 0
                self.refused_in_a_row.clear()
                return Sent(received.text, "", tuple(attempts))
        self._failed(failure)
        return Sent(None, failure, tuple(attempts))

    async def _reserved(self, tokens: int) -> int:
        """Return the id of an attempt once it is stored, in one transaction with all others that are due now."""
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
            ids = self.reserve([tokens for tokens, _ in due])
        except Exception as found:  # noqa: BLE001  whatever it is, those who wait for it raise it
            error = found
        for (_, stored), attempt in zip_longest(due, ids):
            if stored.done():  # cancelled
                continue
            if attempt is None:
                stored.set_exception(error)
            else:
                stored.set_result(attempt)

    def _refused(self, error: APIStatusError, turn: int) -> str:
        """Return why a request was refused, after setting the pause all wait for; raise where no other can succeed."""
        status, told = error.status_code, self.server.scrubbed(str(error.message))
        if error.code in QUOTA or error.type in QUOTA:
            raise JudgeError(
                f"the judge at {self.server.host}: the quota is used up. Top up the account, then go on."
            ) from None  # what it comes from quotes the server, here and below
        if status in HOPELESS:
            raise JudgeError(f"the judge at {self.server.host} {HOPELESS[status]} ({status}).") from None
        failure = one_line(f"status {status}: {told}", 200)
        if status in TRY_AGAIN:
            wait = retry_after(error.response.headers)
            if wait is not None and wait > LONGEST_RETRY_AFTER:
                raise JudgeError(
                    f"the judge at {self.server.host} asks to wait {wait:,.0f} s. Go on after that."
                ) from None
            self.resume_at = max(self.resume_at, time.monotonic() + (pause(turn) if wait is None else wait))
            return failure
        self.refused_in_a_row[failure] = self.refused_in_a_row.get(failure, 0) + 1
        if self.refused_in_a_row[failure] >= REFUSALS_IN_A_ROW:
            raise JudgeError(f"the judge at {self.server.host} refuses every question, {failure}") from None
        return failure

    def _failed(self, failure: str) -> None:
        self.failed_in_a_row += 1
        if self.failed_in_a_row >= FAILURES_IN_A_ROW:
            raise JudgeError(
                f"{FAILURES_IN_A_ROW} questions in a row failed at {self.server.host}, the last with: {failure}. "
                "Check the server, then go on."
            )


def all_of(
    server: JudgeServer, reserve: Reserve, items: Sequence[Item], ask: Callable[[Client, Item], Awaitable[Result]]
) -> Iterator[list[tuple[int, Result]]]:
    """Ask about every item, ``server.at_once`` at a time; yield groups of (place, result) as they come.

    What was yielded can be stored while the others are in flight. A group is empty where nothing came for a while, so
    that whoever waits can be cancelled. Ends early where a budget is spent.

    Raises
    ------
    JudgeError
        After what had come was yielded, where no further question can succeed.
    """
    waiting = deque(enumerate(items))
    running: dict[asyncio.Task[Result], int] = {}

    async def some(line: Client) -> tuple[list[tuple[int, Result]], Exception | None]:
        while waiting and len(running) < server.at_once:
            place, item = waiting.popleft()
            running[asyncio.ensure_future(ask(line, item))] = place
        done, _ = await asyncio.wait(running, timeout=LONGEST_SILENCE, return_when=asyncio.FIRST_COMPLETED)
        return _results({task: running.pop(task) for task in done})

    with asyncio.Runner() as runner:
        line = runner.run(_opened(server, reserve))
        try:
            while waiting or running:
                came, stopped = runner.run(some(line))
                if came or stopped is None:
                    yield came
                if isinstance(stopped, JudgeError):
                    raise stopped
                if stopped is not None:
                    waiting.clear()
        finally:
            runner.run(_closed(line, running))


async def _opened(server: JudgeServer, reserve: Reserve) -> Client:
    key = server.api_key.get_secret_value() or "none"  # the package insists on one
    client = AsyncOpenAI(base_url=server.base_url, api_key=key, max_retries=0, timeout=server.timeout)
    return Client(server, reserve, client)


def _results(
    done: Mapping[asyncio.Task[Result], int],
) -> tuple[list[tuple[int, Result]], JudgeError | BudgetSpent | None]:
    """Return what came of tasks, with their places, and what ends the asking, if anything does."""
    came: list[tuple[int, Result]] = []
    stopped: JudgeError | BudgetSpent | None = None
    for task, place in done.items():
        if (error := task.exception()) is None:
            came.append((place, task.result()))
        elif not isinstance(error, JudgeError | BudgetSpent):
            raise error
        elif not isinstance(stopped, JudgeError):
            stopped = error
    return came, stopped


async def _closed(line: Client, running: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel what is in flight, whose reserve stays spent, and hang up."""
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await line.client.close()


def most_tokens(body: dict[str, Any]) -> int:
    """Return more tokens than a request will take: nobody's tokens are shorter than a byte, few than two."""
    return len(str(body).encode()) // 2 + ANSWER_TOKENS


def pause(turn: int) -> float:
    """Return the seconds before turn ``turn + 1``, with a spread so that not all come back at once."""
    return float(min(FIRST_PAUSE * 2.0**turn, LONGEST_PAUSE) * random.uniform(0.75, 1.25))  # noqa: S311  no secret


def retry_after(headers: httpx2.Headers) -> float | None:
    """Return the pause a server asks for, in seconds, at least 0; None where it names none that can be read."""
    told = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(told))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
