"""Many sessions on a server that has just been started: each gets its page."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from red_core.records import Project
from tests.helpers.browser import Server
from tests.helpers.paths import ROOT

PAGES = ["", "data", "label_map", "rounds", "review", "results"]
SESSIONS = 12
PATIENCE = 60.0


async def session(port: int, page: str, project: Project) -> list[str]:
    """Open a session on a page, as a browser does; return the tracebacks and errors that the page shows."""
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    origin = f"http://127.0.0.1:{port}"
    async with websockets.connect(address, origin=origin, subprotocols=["streamlit"], max_size=None) as socket:  # type: ignore[list-item,arg-type]
        asked = BackMsg()
        asked.rerun_script.query_string = f"project={project.name}"
        asked.rerun_script.page_name = page
        await socket.send(asked.SerializeToString())
        faults: list[str] = []
        async with asyncio.timeout(PATIENCE):
            while True:
                message = ForwardMsg()
                message.ParseFromString(await socket.recv())  # type: ignore[arg-type]
                element = message.delta.new_element
                if element.WhichOneof("type") == "exception":
                    faults.append(element.exception.message)
                finished = message.WhichOneof("type") == "script_finished"
                if finished and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    return faults


def test_twelve_sessions_at_once_on_a_cold_server_get_their_pages(
    in_state: Callable[..., Project], tmp_path: Path
) -> None:
    project = in_state("to review")
    server = Server(ROOT / "server.py", project.workspace, tmp_path / "server.log")
    server.start()
    try:

        async def all_at_once() -> list[list[str]]:
            pages = [PAGES[number % len(PAGES)] for number in range(SESSIONS)]
            return await asyncio.gather(*(session(server.port, page, project) for page in pages))

        assert asyncio.run(all_at_once()) == [[]] * SESSIONS
    finally:
        server.kill()
    log = server.log.read_text("utf-8")
    assert "Traceback" not in log
    assert "partially initialized" not in log


@pytest.mark.parametrize("package", ["red_core", "widgets"])
def test_every_module_is_imported_before_the_server_listens(package: str) -> None:
    sys.path.insert(0, str(ROOT))
    import server  # noqa: PLC0415  beside app.py, not in a package

    server.import_everything()
    files = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / package).rglob("*.py")]
    names = {".".join(file.parts).removesuffix(".__init__") for file in files}
    assert names - set(sys.modules) <= server.NOT_IMPORTED
