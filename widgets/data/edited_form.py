"""Upload an export that was edited outside: what differs, and the button that applies it as decisions."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import streamlit as st

from red_core.access.who import who_acts
from red_core.data.tables.child import read_table_apart
from red_core.records import Project
from red_core.results.edited import APPLIED, Edited, apply_edited, read_edited
from widgets.shell.shell import errors_in_one_line
from widgets.shell.untrusted import plain, visible
from widgets.shell.words import counted

SHOWN = 200
CHANGES = {
    "label": "another label",
    "none": "no label fits",
    "emptied": "the label is empty: if no label fits, write “none of these”",
    "unknown label": "the project has no such label: add it on Label map first",
    "several labels": "several labels: keep only one",
    "changed here": "the label changed here after the download",
    "unknown text": "the project does not have this text",
}


def edited_form(project: Project) -> None:
    """Show the upload, the differences and the button."""
    st.caption(
        "Upload a download from Results whose column *label* was edited, in Excel or in another tool. You see what "
        "differs before anything is stored. The rows are matched by *text_id*."
    )
    turn = st.session_state.setdefault("edits", 0)
    upload = st.file_uploader("The edited file", key=f"edited_upload_{turn}", label_visibility="collapsed")
    if result := st.session_state.pop("edited", ""):
        st.success(plain(result), icon=":material/check:")
    if not upload:
        return
    with errors_in_one_line(), st.spinner("Comparing"), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        path.write_bytes(upload.getvalue())
        edited = read_edited(project, path, name=upload.name, read=read_table_apart)
        _show(edited)
        count = sum(each.change in APPLIED for each in edited.differences)
        if count and st.button(
            f"Apply {counted(count, 'decision')}", key="edited_now", type="primary", icon=":material/done_all:"
        ):
            added = apply_edited(project, edited, who_acts())
            st.session_state["edited"] = f"{counted(added, 'decision')} stored."
            st.session_state["edits"] = turn + 1
            st.rerun()


def _show(edited: Edited) -> None:
    st.text(edited.sentence())
    if not edited.differences:
        return
    rows = [
        {
            "Row": each.row, "Text": visible(each.text[:500]), "Now": visible(each.before),
            "Edited": visible(each.after), "What": CHANGES[each.change],
        }
        for each in edited.differences[:SHOWN]
    ]  # fmt: skip
    st.dataframe(pd.DataFrame(rows), hide_index=True)
    if len(edited.differences) > SHOWN:
        st.caption(f"The first {SHOWN} of {len(edited.differences):,} differences.")
