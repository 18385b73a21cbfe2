"""The label set as a file: out as CSV or JSON, and its edits back in."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import streamlit as st

from red_core.errors import RedError
from red_core.labels import export_label_set, read_label_set
from red_core.labels.file import Apply
from red_core.records import Project
from red_core.store import views
from widgets.shell.sign_in import as_now
from widgets.shell.untrusted import plain

KINDS = {"csv": "text/csv", "json": "application/json"}


def label_file_form(project: Project) -> Apply | None:
    """Show what takes the label set out and what brings it back; return what the file that came would do."""
    st.caption(
        "Names, meanings, subsets and seeds of all labels. Edit the file and bring it back: a row is about the label "
        "with its id, else with its name; a row about neither is a new label. A label without a row stays as it is."
    )
    offer_label_file(project)
    sent = st.file_uploader("The edited file", type=None, key="label_set_file")
    if sent is None:
        return None
    try:
        return _read(project.folder.as_posix(), views.version(project), sent.getvalue(), sent.name, project)
    except RedError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None


def offer_label_file(project: Project) -> None:
    """Show what takes the label set out."""
    with st.container(horizontal=True):
        for kind, mime in KINDS.items():
            name = f"{project.name}-labels.{kind}"
            st.download_button(
                f"Download {kind.upper()}", as_now(partial(_written, project, name)), name, mime, on_click="ignore",
                key=f"label_set_{kind}", icon=":material/download:",
            )  # fmt: skip


def _written(project: Project, name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        export_label_set(project, path := Path(folder) / name)
        return path.read_bytes()


@st.cache_data(max_entries=3, show_spinner="Reading the file")
def _read(folder: str, version: tuple[int, ...], content: bytes, name: str, _project: Project) -> Apply:  # noqa: ARG001
    with tempfile.TemporaryDirectory() as kept:
        path = Path(kept) / "upload"
        path.write_bytes(content)
        return read_label_set(_project, path, name=name)
