"""Downloads: the name of the file, how many rows it has, and that it stays until the browser has fetched it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import streamlit as st
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.testing.v1 import AppTest

from red_core.labels.edits import apply_edit
from red_core.labels.groups import Group
from red_core.records import Project
from tests.helpers.app_projects import WHO
from tests.helpers.rendered import words_on
from tests.helpers.small_projects import label_ids
from widgets.shell import downloads

InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]


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


def test_the_rows_to_download_are_counted_and_said_in_words(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("to review")
    apply_edit(project, Group({label_ids(project)["refund"]: ("Money", "Back")}), WHO)
    app = open_app("results", results_tab="Download")
    app.selectbox(key="export_source").set_value("seed").run()
    assert "The file has 16 of 56 rows. They meet every condition: source seed." in words_on(app)
    app.selectbox(key="export_group").set_value("Money").run()
    assert "The file has 4 of 56 rows. They meet every condition: group Money, source seed." in words_on(app)
    app.slider(key="export_confidence").set_value((10, 90)).run()
    assert "The file has 0 of 56 rows." in words_on(app)


def test_the_downloads_of_labels_and_of_the_label_set_have_different_names(
    in_state: InState, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_state("to review")
    names = list[str]()
    offered = st.download_button

    def noted(label: str, data: object, file_name: str, *more: object, **further: Any) -> bool:
        names.append(file_name)
        return offered(label, data, file_name, *more, **further)  # type: ignore[arg-type]

    monkeypatch.setattr(st, "download_button", noted)
    open_app("results", results_tab="Download")
    app = open_app("label_map")
    app.radio(key="edit_kind").set_value("From a file").run()
    assert {"small-labels.csv", "small-label-set.csv", "small-label-set.json"} <= set(names)
