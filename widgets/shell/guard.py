"""What the server refuses before Streamlit sees it: foreign origins, its metrics, and files of people without access.

Streamlit itself asks nobody who fetches the file of a download or sends an upload.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.server_util import AUTH_COOKIE_NAME, get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value

from red_core.access import sign_in_is_on
from red_core.access.ended_sign_ins import end_sign_in
from red_core.access.sign_in import address_of_sign_in, is_loopback, person_of
from red_core.errors import AccessError

FILES = ("media/", "_stcore/upload_file/")
"""Where the files of downloads are, and where uploads go."""
ICON = ".png"
"""The only image of the app, which the sign-in page shows too; no download has this ending."""
METRICS = "_stcore/metrics"
SIGN_OUT = "auth/logout"


class Guard:
    """Passes a request on to Streamlit, or answers it with a refusal."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one websocket."""
        if scope["type"] == "websocket" and not is_own_origin(HTTPConnection(scope).headers):
            await WebSocket(scope, receive, send).close(1008)  # before it is accepted: the browser gets 403
        elif scope["type"] == "http" and (refusal := refused(HTTPConnection(scope))) is not None:
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def refused(request: HTTPConnection) -> PlainTextResponse | None:
    """Return the refusal of a request, None if Streamlit may answer it. A request to sign out ends the sign-in."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    path = request.url.path.strip("/").removeprefix(base).lstrip("/")
    if path == METRICS:
        return PlainTextResponse("Not Found", 404)
    if path == SIGN_OUT and (claims := claims_of(request.cookies)):
        end_sign_in(claims)
    if path.startswith(FILES) and not path.endswith(ICON):
        try:
            if sign_in_is_on():
                person_of(claims_of(request.cookies))
        except AccessError:
            return PlainTextResponse("Sign in to continue.", 403)
    return None


def claims_of(cookies: Mapping[str, str]) -> dict[str, Any]:
    """Return the claims in Streamlit's signed cookie, {} if there is none or its signature is wrong."""

    def signed(name: str) -> bytes | None:
        value = cookies.get(name)
        return None if value is None else decode_signed_value(get_cookie_secret(), name, value.encode("latin-1"))

    content = get_cookie_with_chunks(signed, AUTH_COOKIE_NAME)
    claims = json.loads(content) if content else {}
    return claims if isinstance(claims, dict) else {}


def is_own_origin(headers: Mapping[str, str]) -> bool:
    """Return whether a websocket comes from a page of this server, or from a program that is no browser.

    Streamlit accepts every port of localhost: any other program with a page on this machine could talk to the app.
    """
    origin = headers.get("origin")
    if origin is None:
        return True
    page = urlsplit(origin)
    if page.netloc == headers.get("host") or origin in st.get_option("server.corsAllowedOrigins"):
        return True
    if page.hostname is None or is_loopback(page.hostname):
        return False
    with suppress(AccessError):  # a proxy may change the host name on its way to the app
        return page.hostname in {st.get_option("browser.serverAddress"), address_of_sign_in().hostname}
    return False
