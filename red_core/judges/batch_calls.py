"""The calls of the protocol of batches: each opens its own connection, because a batch takes minutes to hours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from openai import APIConnectionError, APIStatusError, AsyncOpenAI

from red_core.access.bounded_http import LONGEST_FILE, connection_to, retry_after
from red_core.errors import JudgeError, one_line
from red_core.judges.client import HOPELESS, LONGEST_RETRY_AFTER, TRIES, TRY_AGAIN, pause
from red_core.judges.faults import TOO_MANY, described, incurable, refusal, spent_quota
from red_core.judges.replies import Lenient, strict_json
from red_core.judges.server_settings import JudgeServer

SECONDS_FOR_A_FILE = 600.0
NO_BATCHES = frozenset({404, 405, 410, 501})
Ask = Callable[[AsyncOpenAI], Awaitable[Any]]
"""Sends one request; returns the package's raw response."""
Shape = TypeVar("Shape", bound=Lenient)


class NotKnownError(JudgeError):
    """It is not known whether a request arrived."""


class NoSuchThingError(JudgeError):
    """The server does not know what was asked about."""


def asked(server: JudgeServer, ask: Ask, shape: type[Shape], *, repeat: bool = True) -> Shape:
    """Return what a reply says.

    Raises
    ------
    JudgeError
        If none came, or it is none of the protocol.
    """
    reply = received(server, ask, repeat=repeat)
    try:
        return shape.model_validate(strict_json(reply))
    except ValueError:
        start = one_line(server.scrubbed(reply), 60)
        raise JudgeError(f"{server.host} does not speak the protocol of batches. It replied {start!r}.") from None


def received(server: JudgeServer, ask: Ask, *, repeat: bool = True) -> str:
    """Return the body of a reply; ``repeat``: send again, too, if it is not known whether a request arrived."""
    last = JudgeError("")
    for turn in range(TRIES):
        wait = None
        try:
            return asyncio.run(_sent(server, ask))
        except APIStatusError as error:
            if error.status_code not in TRY_AGAIN:
                raise _refused(server, error) from None
            wait = retry_after(error.response.headers)
            if spent := spent_quota(error, refusal(error, server), wait):
                raise JudgeError(f"the judge at {server.host}: {spent}") from None
            kind = JudgeError if error.status_code == TOO_MANY else NotKnownError
            last = kind(f"{server.host} refused a batch, status {error.status_code}: {_message(server, error)}.")
        except (TimeoutError, APIConnectionError) as error:
            cause = asyncio.run(incurable(error, server))
            last = NotKnownError(str(cause or f"{server.host} did not reply: {described(error, server)}."))
        if isinstance(last, NotKnownError) and not repeat:
            raise last
        if turn + 1 < TRIES:
            time.sleep(pause(turn) if wait is None else min(wait, LONGEST_RETRY_AFTER))
    raise last


async def _sent(server: JudgeServer, ask: Ask) -> str:
    seconds = max(server.timeout, SECONDS_FOR_A_FILE)
    async with asyncio.timeout(seconds), connection_to(server, server.timeout, longest=LONGEST_FILE) as connection:
        return str((await ask(connection)).content, "utf-8", "replace")


def _refused(server: JudgeServer, error: APIStatusError) -> JudgeError:
    status = error.status_code
    if status in NO_BATCHES:
        return NoSuchThingError(
            f"{server.host} does not know this batch or takes no batches ({status}). If it has no /v1/batches, close "
            "the round and run it without batches."
        )
    if status in HOPELESS:
        return JudgeError(f"the judge at {server.host} {HOPELESS[status]} ({status}).")
    return JudgeError(f"{server.host} refused a batch, status {status}: {_message(server, error)}.")


def _message(server: JudgeServer, error: APIStatusError) -> str:
    return one_line(refusal(error, server), 200).rstrip(".")
