"""The file of a download stays until the browser has fetched it."""

from __future__ import annotations

import pytest
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from widgets.shell import downloads


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> tuple[MediaFileManager, str]:
    """The files of a server, and the name of one that a button has just made."""
    monkeypatch.setattr(downloads.DeferredFileHandler, "handle", downloads.DeferredFileHandler.handle)
    monkeypatch.setattr(downloads.MediaFileMetadata, "mark_for_delete", downloads.MediaFileMetadata.mark_for_delete)
    downloads.mend_downloads()
    files = MediaFileManager(MemoryMediaFileStorage("/media"))
    button = files.add_deferred(lambda: b"text,label\n", "text/csv", "0.1", "labels.csv")
    return files, files.execute_deferred(button).split("/")[-1]


def test_pages_of_colleagues_that_run_meanwhile_do_not_take_the_file_away(
    made: tuple[MediaFileManager, str],
) -> None:
    files, name = made
    for _ in range(100):
        files.remove_orphaned_files()  # what Streamlit does after each run of a page
    assert files.read_file(name) is not None


def test_a_file_that_nobody_uses_leaves(made: tuple[MediaFileManager, str], monkeypatch: pytest.MonkeyPatch) -> None:
    files, name = made
    files.remove_orphaned_files()
    later = downloads.time.monotonic() + downloads.KEPT_SECONDS + 1
    monkeypatch.setattr(downloads.time, "monotonic", lambda: later)
    files.remove_orphaned_files()
    files.remove_orphaned_files()
    assert files.read_file(name) is None
