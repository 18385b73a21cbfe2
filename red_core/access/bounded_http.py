"""The HTTP connection to a server of models: at most so many bytes of each reply, and no way to another address.

A server is not trusted: a small compressed reply can unpack to gigabytes, and a redirect would send the texts, and the
key, to another address. Two settings of the operator decide about redirects and about private addresses.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import ssl
import time
import zlib
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit, urlunsplit

import httpx2
from openai import AsyncOpenAI
from pydantic import SecretStr

from red_core.errors import RedError

LONGEST_REPLY = 1_000_000
"""Bytes of a reply after unpacking. A longer one is cut, so it cannot be read as an answer."""
LONGEST_FILE = 200_000_000
"""Bytes of a file of replies (a batch)."""
SECONDS_TO_CONNECT = 4.0
LONGEST_PAUSE = 1e9
"""Seconds that a server may ask to wait; more is read as this."""
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
PACKED = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""The encodings that are unpacked; ``zlib`` takes the number as its window size."""


class Server(Protocol):
    """The settings of a server that texts are sent to.

    ``refusal`` is the error that says that it may not be used. ``allowed_by`` is the setting that allows private
    addresses.
    """

    refusal: ClassVar[type[RedError]]
    allowed_by: ClassVar[str]

    @property
    def base_url(self) -> str:
        """The address, up to and with /v1."""

    @property
    def api_key(self) -> SecretStr:
        """The key; empty for none."""

    @property
    def headers(self) -> dict[str, SecretStr]:
        """More HTTP headers."""

    @property
    def private_addresses(self) -> bool:
        """Whether it may be on this machine or network."""

    @property
    def redirects(self) -> bool:
        """Whether redirects are followed."""

    @property
    def query(self) -> dict[str, str]:
        """The query of the address."""


def connection_to(server: Server, timeout: float | None, *, longest: int = LONGEST_REPLY) -> AsyncOpenAI:
    """Return an open connection to a server, without retries of its own.

    Parameters
    ----------
    timeout : float or None
        Seconds; None where the caller limits the time.
    longest : int
        Most bytes of a reply.
    """
    limits = httpx2.Timeout(timeout, connect=SECONDS_TO_CONNECT)
    accept = {"Accept-Encoding": ", ".join(PACKED)}
    client = BoundedClient(server, longest, timeout=limits, headers=accept)
    headers: dict[str, Any] = {name: value.get_secret_value() for name, value in server.headers.items()}
    key = server.api_key.get_secret_value()
    if _is_azure(server):
        headers = {"api-key": key} | headers
    address = urlunsplit(urlsplit(server.base_url)._replace(query=""))
    return AsyncOpenAI(
        base_url=address,
        api_key=key or "none",
        max_retries=0,
        timeout=limits,
        http_client=client,
        default_headers=headers,
        default_query=server.query,
    )  # fmt: skip  the package requires a key


def _is_azure(server: Server) -> bool:
    return "api-version" in server.query


class BoundedClient(httpx2.AsyncClient):
    """Reads and unpacks at most ``longest`` bytes of each reply; follows a redirect only where the server may."""

    def __init__(self, server: Server, longest: int, **options: Any) -> None:  # noqa: ANN401  the library's
        checks = [] if server.private_addresses else [_refusing_private(server)]  # called for each redirect, too
        trusted = _trusted_authorities(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        super().__init__(event_hooks={"request": checks}, verify=trusted, **options)
        self._redirects, self._longest, self._azure = server.redirects, longest, _is_azure(server)

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:  # noqa: ANN401
        """Send a request; return the reply with its body read.

        Raises
        ------
        httpx2.DecodingError
            If the body is packed in a way that was not offered, or is damaged.
        RedError
            If the address is private and may not be.
        """
        if self._azure:
            request.headers.pop("authorization", None)  # the key is in a header of Azure's own
        request.extensions = {**request.extensions, "trace": _closing_after_handshake()}
        more = {"stream": True, "follow_redirects": self._redirects}
        response = await super().send(request, **options | more)
        try:
            body = await _body_of(response, self._longest)
        except zlib.error as error:
            raise httpx2.DecodingError(f"the reply cannot be unpacked: {error}", request=request) from error
        finally:
            await response.aclose()
        headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _OF_THE_STREAM]
        read = httpx2.Response(response.status_code, headers=headers, content=body, request=request)
        read.encoding = "utf-8"  # JSON is UTF-8, whatever a header says: some names of codecs give no text at all
        return read


def _closing_after_handshake() -> Callable[[str, dict[str, Any]], Awaitable[None]]:
    """Return what closes a connection whose TLS handshake fails: the library leaves it open if it is cancelled then."""
    opened: list[Any] = []

    async def trace(event: str, facts: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            opened.append(facts["return_value"])
        elif event == "connection.start_tls.failed":
            for stream in opened:
                await stream.aclose()

    return trace


@lru_cache(maxsize=4)
def _trusted_authorities(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Return the authorities whose certificates are trusted; reading their file takes a twentieth of a second."""
    return httpx2.create_ssl_context()


def _refusing_private(server: Server) -> Callable[[httpx2.Request], Awaitable[None]]:
    """Return what raises an error if a host is, or resolves to, an address of this machine or of a private network."""

    async def refuse(request: httpx2.Request) -> None:
        url = request.url
        try:
            found = await asyncio.get_running_loop().getaddrinfo(url.host, url.port or 443)
        except OSError:
            return  # the connection reports it
        for *_, address in found:
            if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global:
                raise server.refusal(
                    f"{url.host} is an address of this machine or of a private network, which is not allowed here. The "
                    f"administrator can allow it: {server.allowed_by}=true."
                )

    return refuse


_OF_THE_STREAM = {b"content-encoding", b"content-length", b"transfer-encoding"}


def retry_after(headers: httpx2.Headers) -> float | None:
    """Return the pause in seconds (0 to LONGEST_PAUSE) that a server asks for; None where it names none that is valid.

    Valid are digits, also with a fraction, and the date of HTTP.
    """
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), LONGEST_PAUSE)
    try:
        until = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, until - time.time()), LONGEST_PAUSE)


async def _body_of(response: httpx2.Response, longest: int) -> bytes:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", *PACKED}:
        raise zlib.error(f"unknown encoding {encoding[:20]!r}")
    unpack = zlib.decompressobj(PACKED[encoding]) if encoding in PACKED else None
    body = bytearray()
    async for chunk in response.aiter_raw():
        room = longest - len(body)
        body += unpack.decompress(chunk, room) if unpack is not None else chunk[:room]
        if len(body) >= longest:
            break
    return bytes(body)
