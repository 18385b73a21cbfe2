"""The HTTP connection to a judge's server: no redirects, and at most 1 MB of each reply.

A server is not trusted: a small compressed reply can unpack to gigabytes, and a redirect would send the texts, and the
key, to another address.
"""

from __future__ import annotations

import zlib
from typing import Any

import httpx2
from openai import AsyncOpenAI

from red_core.judges.server_settings import JudgeServer

LONGEST_REPLY = 1_000_000
"""Bytes of a reply after unpacking. A longer one is cut, so it cannot be read as an answer."""
PACKED = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""The encodings that are unpacked; ``zlib`` takes the number as its window size."""


def connection_to(server: JudgeServer, timeout: float) -> AsyncOpenAI:
    """Return an open connection to a server, without retries of its own; ``timeout`` is in seconds."""
    client = BoundedClient(timeout=timeout, headers={"Accept-Encoding": ", ".join(PACKED)})
    key = server.api_key.get_secret_value() or "none"  # the package requires one
    return AsyncOpenAI(base_url=server.base_url, api_key=key, max_retries=0, timeout=timeout, http_client=client)


class BoundedClient(httpx2.AsyncClient):
    """Follows no redirect, and reads and unpacks at most LONGEST_REPLY bytes of each reply."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:  # noqa: ANN401  the library's
        """Send a request; return the reply with its body read.

        Raises
        ------
        httpx2.DecodingError
            If the body is packed in a way that was not offered, or is damaged.
        """
        response = await super().send(request, **options | {"stream": True, "follow_redirects": False})
        try:
            body = await _body_of(response)
        except zlib.error as error:
            raise httpx2.DecodingError(f"the reply cannot be unpacked: {error}", request=request) from error
        finally:
            await response.aclose()
        headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _OF_THE_STREAM]
        return httpx2.Response(response.status_code, headers=headers, content=body, request=request)


_OF_THE_STREAM = {b"content-encoding", b"content-length", b"transfer-encoding"}


async def _body_of(response: httpx2.Response) -> bytes:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", *PACKED}:
        raise zlib.error(f"unknown encoding {encoding[:20]!r}")
    unpack = zlib.decompressobj(PACKED[encoding]) if encoding in PACKED else None
    body = bytearray()
    async for chunk in response.aiter_raw():
        room = LONGEST_REPLY - len(body)
        body += unpack.decompress(chunk, room) if unpack is not None else chunk[:room]
        if len(body) >= LONGEST_REPLY:
            break
    return bytes(body)
