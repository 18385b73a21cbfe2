"""What ``red serve`` runs: app.py, with security headers on every response, and what ``Guard`` refuses.

``streamlit run app.py`` works as well, without both. What a person may read and change does not depend on this file.
"""

from __future__ import annotations

import asyncio
import pkgutil
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import red_core
import widgets
from red_core.data.tables.child import start_server
from red_core.store.kept_connections import keep_connections
from widgets.shell.guard import Guard

NOT_IMPORTED = {"red_core.results.dask_cluster", "red_core.takeaway.server"}
"""Need an extra; only `red predict --cluster` and `red serve-model` import them."""

CONTENT = {
    "default-src": "'self'",
    # Streamlit's page has inline scripts, and loads the script of a component as a blob.
    "script-src": "'self' 'unsafe-inline' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",  # no image of another site: a text that became markup could not send data out
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{directive} {sources}" for directive, sources in CONTENT.items()),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # an address may hold the words of a search
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class SecurityHeaders:
    """Adds each header to every response that does not have it yet."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def import_everything() -> None:
    """Import all modules of the app while there is one thread.

    The first sessions run in threads of their own. If two of them import the same package, one of them may see it half
    imported.
    """
    for package in (red_core, widgets):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name not in NOT_IMPORTED:
                import_module(module.name)


@asynccontextmanager
async def in_a_browser(_app: st.App) -> AsyncIterator[dict[str, object]]:
    """Import everything and start the readers of files; then open the app in a browser, unless it runs headless."""
    import_everything()
    keep_connections()
    start_server()
    if not st.get_option("server.headless"):
        bound = st.get_option("server.address") or ""
        here = "localhost" if bound in {"", "0.0.0.0", "::", "::1"} else bound  # noqa: S104  compared, not bound
        address = f"http://{here}:{st.get_option('server.port')}"
        asyncio.get_running_loop().run_in_executor(None, webbrowser.open, address)
    yield {}
    keep_connections(keep=False)


app = st.App("app.py", middleware=[Middleware(SecurityHeaders), Middleware(Guard)], lifespan=in_a_browser)
