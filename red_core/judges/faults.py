"""What is wrong with a connection or a refusal, and what to do: faults that trying again does not cure."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx2
from openai import APIStatusError

from red_core.errors import JudgeError, one_line
from red_core.judges.replies import strict_json
from red_core.judges.server_settings import JudgeServer

SECONDS_TO_PROBE = 0.8
"""How long to wait when a port is asked what it speaks."""
TOO_MANY = 429
FILTERING = frozenset({400, 403, 422, 451})
"""The statuses with which servers say that a filter stopped a text."""
_FILTER = re.compile(
    r"content[ _-]?(filter|policy|management policy|moderation|exists risk)|inappropriate content"
    r"|data_inspection_failed|responsible ?ai ?policy|guardrail|flagged_input"
    r"|(input|prompt|request|text|content) was flagged|flagged as",
    re.IGNORECASE,
)
_LATER = re.compile(r"per[ _-]?(day|month)|daily|monthly|insufficient[ _](balance|credit|fund)", re.IGNORECASE)
"""The words of a quota that is not renewed within minutes."""
_SOON = re.compile(r"try again in [0-9.]+ ?(ms|s)\b", re.IGNORECASE)
QUOTA = (
    "insufficient_quota", "billing_hard_limit_reached", "exceeded_current_quota_error", "insufficient_balance",
    "insufficient_credits", "billing_not_active",
)  # fmt: skip


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it, the nearest first."""
    seen: set[int] = set()
    now: BaseException | None = error
    while now is not None and id(now) not in seen:
        seen.add(id(now))
        yield now
        now = now.__cause__ or now.__context__


async def incurable(error: BaseException, server: JudgeServer) -> JudgeError | None:
    """Return what to tell if no request to this server can succeed as it is set; None if another try may.

    A refused connection counts as incurable; a caller who was answered before knows better.
    """
    where = f"the judge at {server.host}"
    chain = list(causes(error))
    for cause in chain:
        if isinstance(cause, JudgeError):
            return cause
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = one_line(cause.verify_message or "not trusted", 80)
            return JudgeError(
                f"{where} has a certificate that is not trusted ({why}). If it is your own, set SSL_CERT_FILE to the "
                "file of the authority that signed it."
            )
        if isinstance(cause, ssl.SSLError):
            return JudgeError(f"{where} speaks no https at this port. Let OPENAI_BASE_URL begin with http://.")
        if isinstance(cause, ConnectionRefusedError):
            return JudgeError(
                f"the connection was refused: nothing listens at {server.host}. Start the server, or check the port in "
                "OPENAI_BASE_URL."
            )
        if isinstance(cause, socket.gaierror):
            return JudgeError(f"there is no host {server.host} on this network. Check OPENAI_BASE_URL.")
        if isinstance(cause, httpx2.ConnectTimeout):
            if server.base_url.casefold().startswith("https:") and await _takes_connections(server.base_url):
                return JudgeError(
                    f"{where} takes the connection, but no https. Let OPENAI_BASE_URL begin with http://, or check "
                    "what listens at this port."
                )
            return JudgeError(f"{where} takes no connection. Check OPENAI_BASE_URL, and the firewall between.")
    protocol = any(isinstance(cause, httpx2.RemoteProtocolError | httpx2.ReadError) for cause in chain)
    if protocol and server.base_url.casefold().startswith("http:") and await _speaks_tls(server.base_url):
        return JudgeError(f"{where} speaks https at this port. Let OPENAI_BASE_URL begin with https://.")
    return None


def described(error: BaseException, server: JudgeServer) -> str:
    """Return what broke a connection, on one line and never empty."""
    for cause in reversed(list(causes(error))):
        if words := server.scrubbed(str(cause)).strip():
            return one_line(words, 200)
    return type(error).__name__


def refusal(error: APIStatusError, server: JudgeServer) -> str:
    """Return the words of a refusal, without secrets: the message of the error, or else the body as it came."""
    words = str(error.message)
    if words == f"Error code: {error.status_code}":  # the package found no message
        words = " - ".join(filter(None, [words, error.response.text.strip()]))
    return server.scrubbed(words)


def error_inside(received: httpx2.Response) -> APIStatusError | None:
    """Return the error that stands in a reply in place of an answer, with the status that it names; None without one.

    Some gateways have begun a reply, with status 200, before the server behind them fails.
    """
    try:
        body = strict_json(received.text)
    except ValueError:
        return None
    error = body.get("error") if isinstance(body, dict) and not {"choices", "answers"} & set(body) else None
    if not isinstance(error, dict):
        return None
    code = str(error.get("code"))
    code = code if re.fullmatch("[45][0-9]{2}", code) else "500"
    response = httpx2.Response(int(code), headers=received.headers, content=received.content, request=received.request)
    return APIStatusError(f"Error code: {code} - {error.get('message')}", response=response, body=error)


def is_filtered(status: int, words: str) -> bool:
    """Return whether a refusal says that a filter stopped this text: other texts are answered. A web page does not."""
    return status in FILTERING and _FILTER.search(words) is not None and "<html" not in words.casefold()


def spent_quota(error: APIStatusError, words: str, wait: float | None) -> str:
    """Return what to tell if a quota is used up that no pause of minutes renews; '' if it is not.

    Parameters
    ----------
    wait : float or None
        The seconds that the server asks to wait; None if it names none.
    """
    if error.code in QUOTA or error.type in QUOTA:
        return "the quota is used up. Top up the account, then go on."
    if error.status_code == TOO_MANY and wait is None and _LATER.search(words) and not _SOON.search(words):
        quoted = one_line(words, 160).rstrip(".")
        return f"the quota is used up ({quoted}). Top up the account, or go on when the quota is renewed."
    return ""


def quoted(words: str) -> str:
    """Return the sentence that quotes a server's refusal: it knows best why; '' where it has no words for people."""
    said = one_line(re.sub(r"^Error code: [0-9]+( - )?", "", words), 160)
    return f" It says: {said.rstrip('.')}." if said and said[0] not in "<{[" else ""


def names_a_parameter(words: str, body: Mapping[str, Any]) -> bool:
    """Return whether a refusal names a parameter that was sent: without it, the request may succeed."""
    return any(re.search(rf"\b{re.escape(name)}\b", words) for name in body if name not in {"model", "messages"})


async def _takes_connections(address: str) -> bool:
    return await _opens(address, None)


async def _speaks_tls(address: str) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent: only the protocol counts
    return await _opens(address, context)


async def _opens(address: str, tls: ssl.SSLContext | None) -> bool:
    """Return whether a connection opens in time; it is closed again before this returns."""
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(SECONDS_TO_PROBE):
            _, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()  # closing would wait for the other side
    with suppress(OSError):
        await writer.wait_closed()
    return True
