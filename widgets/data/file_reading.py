"""Read a file in a process of its own, with progress and a button to cancel; the session keeps the table."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import streamlit as st

from red_core.data.tables import Table, limits
from red_core.data.tables.child import read_table_apart
from red_core.errors import Cancelled, RedError
from widgets.shell.shell import errors_in_one_line

_KEPT, _CANCELLED = "import_table", "import_cancelled"


def read_file(
    key: Hashable, *, content: bytes | None, name: str, sheet: str | None, header_row: int | None
) -> Table | None:
    """Return the table of a file, None if it cannot be read or a person cancelled; the reason is shown.

    Parameters
    ----------
    key : hashable
        Names the file: with the same key, sheet and header row it is not read again.
    content : bytes or None
        Of an upload; None for a path.
    name : str
        The name of the upload, or the path.
    """
    whole = (key, sheet, header_row)
    kept = st.session_state.get(_KEPT)
    if kept is not None and kept[0] == key and _is_read_so(kept[1], sheet, header_row):
        return kept[1]  # type: ignore[no-any-return]
    if st.session_state.get(_CANCELLED) == whole:
        st.info("Reading was cancelled. Nothing is stored.", icon=":material/cancel:")
        if st.button("Read it again", key="import_again"):
            del st.session_state[_CANCELLED]
            st.rerun()
        return None
    table = None
    place = st.empty()
    with errors_in_one_line():
        try:
            with place.container():
                table = _read(whole, content, name, {"sheet": sheet, "header_row": header_row})
        except (RedError, OSError):
            place.empty()
            raise
    if table is not None:
        place.empty()
        st.session_state[_KEPT] = (key, table)
    return table


def _is_read_so(table: Table, sheet: str | None, header_row: int | None) -> bool:
    return sheet in (None, table.sheet) and header_row in (None, table.header)


def forget_file() -> None:
    """Drop the kept table, so that it does not stay in memory after the import."""
    st.session_state.pop(_KEPT, None)


def _cancel(whole: Hashable) -> None:
    st.session_state[_CANCELLED] = whole


def _read(whole: Hashable, content: bytes | None, name: str, options: dict[str, Any]) -> Table:
    left, right = st.columns([6, 1], vertical_alignment="center")
    bar = left.progress(0.0, "Reading the file")
    right.button("Cancel", key="import_cancel", on_click=_cancel, args=(whole,))
    started = time.monotonic()
    share = [0.0]

    def progress(done: int, total: int) -> None:
        share[0] = min(1.0, done / total) if total else share[0]

    def show() -> bool:
        """Move the bar; here Streamlit ends this run if *Cancel* was pressed, and the reading process is ended."""
        gone = time.monotonic() - started
        bar.progress(max(share[0], min(0.99, gone / limits.PREVIEW_SECONDS)), f"Reading the file: {gone:.0f} s")
        return st.session_state.get(_CANCELLED) == whole

    try:
        if content is None:
            return read_table_apart(name, progress=progress, cancelled=show, **options)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "upload"
            path.write_bytes(content)
            return read_table_apart(path, name=name, progress=progress, cancelled=show, **options)
    except Cancelled:
        st.rerun()
