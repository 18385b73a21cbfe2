"""Downloads: a button whose file cannot be made says why, and a file stays until the browser has fetched it."""

from __future__ import annotations

import asyncio
import logging
import time

from streamlit import runtime
from streamlit.proto.BackMsg_pb2 import BackendOperationRequest
from streamlit.proto.ForwardMsg_pb2 import BackendOperationResponse
from streamlit.runtime.backend_operation_handler import DeferredFileHandler
from streamlit.runtime.media_file_manager import MediaFileMetadata
from streamlit.runtime.media_file_storage import MediaFileStorageError

from red_core.errors import RedError
from widgets.shell.reasons import reason_of
from widgets.shell.untrusted import visible

_LOG = logging.getLogger(__name__)
KEPT_SECONDS = 15
"""How long the file of a download stays unused: longer than a browser on a busy machine takes to fetch it."""


def mend_downloads() -> None:
    """Let the button of a download say why it failed, and keep its file until the browser has fetched it.

    Streamlit alone says only that it failed. The button shows the words as plain characters, for five seconds.
    Streamlit alone deletes the file after two runs of any page of any person, and the browser then gets nothing.
    """
    DeferredFileHandler.handle = _handle  # type: ignore[method-assign]
    MediaFileMetadata.mark_for_delete = _mark_when_unused  # type: ignore[method-assign]


def _mark_when_unused(self: MediaFileMetadata) -> None:
    """Mark a file for deletion some seconds after it was first found unused."""
    now = time.monotonic()
    if now - vars(self).setdefault("unused_since", now) >= KEPT_SECONDS:
        self._is_marked_for_delete = True


async def _handle(
    self: DeferredFileHandler,  # noqa: ARG001  it becomes a method
    request: BackendOperationRequest,
    session_id: str,  # noqa: ARG001  Streamlit gives it by its name
) -> BackendOperationResponse:
    """Make the file in a thread, as Streamlit does; return its address, or why there is none."""
    answer = BackendOperationResponse(request_id=request.request_id)
    try:
        files = runtime.get_instance().media_file_mgr
        answer.deferred_file.url = await asyncio.to_thread(files.execute_deferred, request.deferred_file.file_id)
    except MediaFileStorageError as error:
        if isinstance(error.__cause__, RedError | OSError):
            answer.error_msg = visible(reason_of(error.__cause__))
            _LOG.warning("A download failed: %s", answer.error_msg)
        else:  # a fault of ours, or a page of an earlier server
            answer.error_msg = "The file cannot be made. Load the page again."
            _LOG.exception("A download failed")
    return answer
