"""Download the label set as CSV or JSON, and upload the edited file."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import streamlit as st

from red_core.data.tables.child import read_table_apart
from red_core.errors import RedError
from red_core.labels import export_label_set, read_label_set
from red_core.labels.file import Apply
from red_core.records import Project
from widgets.shell.caching import cached_read
from widgets.shell.reasons import reason_of
from widgets.shell.sign_in import of_session
from widgets.shell.untrusted import plain

KINDS = {"csv": "text/csv", "json": "application/json"}


def label_file_form(project: Project) -> Apply | None:
    """Show the downloads and the upload of the label set; return the edit that the uploaded file describes."""
    st.caption(
        "The file holds names, groups, guidelines, subsets and examples of all labels. Edit it and upload it again. A "
        "row changes the label that has its id. Without an id, the name decides. Any other row adds a label. A label "
        "without a row does not change."
    )
    offer_label_file(project)
    upload = st.file_uploader("The edited file", type=None, key="label_set_file")
    if upload is None:
        return None
    try:
        return _read(project, upload.getvalue(), upload.name)
    except RedError as error:
        st.error(plain(reason_of(error)), icon=":material/error:")
        return None


def offer_label_file(project: Project) -> None:
    """Show the downloads of the label set."""
    with st.container(horizontal=True):
        for kind, mime in KINDS.items():
            name = f"{project.name}-label-set.{kind}"
            st.download_button(
                f"Download {kind.upper()}", of_session(partial(_written, project, name)), name, mime, on_click="ignore",
                key=f"label_set_{kind}", icon=":material/download:",
            )  # fmt: skip


def _written(project: Project, name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        export_label_set(project, path := Path(folder) / name)
        return path.read_bytes()


@cached_read(entries=3, spinner="Reading the file")
def _read(project: Project, content: bytes, name: str) -> Apply:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        path.write_bytes(content)
        return read_label_set(project, path, name=name, read=read_table_apart)
