"""A session without a browser: it speaks Streamlit's protocol and draws nothing, so that only the server takes time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect


@dataclass
class WireSession:
    """One session, as the server sees it.

    Attributes
    ----------
    exceptions : list of str
        What a page showed instead of its content.
    """

    connection: ClientConnection
    project: str
    exceptions: list[str] = field(default_factory=list)
    _page: str = ""
    _pages: dict[str, str] = field(default_factory=dict)
    _widgets: set[str] = field(default_factory=set)
    _values: dict[str, str] = field(default_factory=dict)
    _cached: dict[str, str] = field(default_factory=dict)

    async def run(self, page: str = "") -> float:
        """Open another page, or run the current one again; return the seconds until the server has finished."""
        message = BackMsg()
        asked = message.rerun_script
        asked.query_string = f"project={self.project}"
        if page and page != self._page:
            self._page, asked.page_name = page, page
            self._widgets.clear()
            self._values.clear()
        else:
            asked.page_script_hash = self._pages.get(self._page, "")
        for name, value in self._values.items():
            widget = asked.widget_states.widgets.add()
            widget.id, widget.string_value = name, value
        asked.cached_message_hashes.extend(self._cached)
        began = time.perf_counter()
        await self.connection.send(message.SerializeToString())
        while not await self._take():
            pass
        return time.perf_counter() - began

    async def fill(self, key: str, value: str) -> float:
        """Fill in a field or choose an option, and run the page; return the seconds as :meth:`run`."""
        self._values[next(name for name in self._widgets if name.endswith(f"-{key}"))] = value
        return await self.run()

    async def _take(self) -> bool:
        """Take one message; return whether it ends the run."""
        message = ForwardMsg.FromString(bytes(await self.connection.recv(decode=False)))
        kind = message.WhichOneof("type")
        if kind == "navigation":
            self._pages = {each.url_pathname: each.page_script_hash for each in message.navigation.app_pages}
        if kind == "delta":
            element = message.delta.new_element
            name = element.WhichOneof("type")
            if name == "exception":
                self.exceptions.append(element.exception.message[:200])
            elif name:
                widget = str(getattr(getattr(element, name), "id", ""))
                self._widgets.add(widget)
                if message.metadata.cacheable:  # next time the server sends only its hash
                    self._cached[message.hash] = widget
        if kind == "ref_hash":
            self._widgets.add(self._cached[message.ref_hash])
        return kind == "script_finished"


async def open_wire(port: int, project: str) -> WireSession:
    """Open a session on a server of this machine."""
    address = f"127.0.0.1:{port}"
    opened = await connect(
        f"ws://{address}/_stcore/stream", origin=f"http://{address}", subprotocols=["streamlit"], max_size=None,
        compression=None, open_timeout=60,
    )  # fmt: skip
    return WireSession(opened, project)
