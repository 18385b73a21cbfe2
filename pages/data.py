"""Data: the imported files, the rows left out and why; import of files; a trial or the demo project."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import streamlit as st

import red_core  # noqa: F401  whole and first: two sessions of a cold server import at the same time
from red_core.access.who import who_acts
from red_core.data import make_demo, restore_decisions, write_left_out
from red_core.data.importing import Prepared, sort_rows, store_prepared
from red_core.data.tables import Table, read_table
from red_core.errors import InputError
from red_core.records import Project, Role
from red_core.rounds import mark_interrupted, start_job
from red_core.settings import RECOMMENDED
from red_core.store.database import project_names
from red_core.store.texts import left_out_rows
from red_core.store.views import sources
from widgets.labels.drift_panel import show_drift
from widgets.shell.next_step import show_next_step
from widgets.shell.reads import facts
from widgets.shell.shell import errors_in_one_line, inside_the_shell, workspace
from widgets.shell.sign_in import at_this_machine, may_write, of_session
from widgets.shell.untrusted import plain
from widgets.shell.words import ENDED, counted

inside_the_shell()

ROLES: dict[Role, str] = {"labelled": "Texts with labels", "pool": "Texts without labels"}
LEFT_OUT_SHOWN = 200


def show_what_is_in(project: Project) -> None:
    counts = facts(project)
    headings = {
        "labels": "labels",
        "seeds": "labelled examples",
        "pool": "unlabelled texts",
        "folded": "duplicate rows",
        "left_out": "rows left out",
    }
    explanations = {
        "folded": "Rows with the same text as another row. The text counts once; the export has every row.",
        "left_out": "Rows that are not used. The list below says why.",
    }
    for column, (name, heading) in zip(st.columns(5), headings.items(), strict=True):
        column.metric(heading, f"{counts[name]:,}", help=explanations.get(name))
    with st.expander("Files", expanded=False):
        st.dataframe(pd.DataFrame(sources(project)).drop(columns="id"), hide_index=True)
    if counts["left_out"]:
        show_left_out(project, counts["left_out"])


def show_left_out(project: Project, count: int) -> None:
    with st.expander(f"{counted(count, 'row is', 'rows are')} left out", expanded=False):
        st.caption(
            "These rows stay in your files. If a text has two different labels, choose one on Review (queue "
            "*contradictions*). Then the project uses the text again."
        )
        rows = left_out_rows(project)
        st.dataframe(pd.DataFrame(rows[:LEFT_OUT_SHOWN]).drop(columns="source"), hide_index=True)
        if count > LEFT_OUT_SHOWN:
            st.caption(f"The first {LEFT_OUT_SHOWN} of {count:,} rows. The download has all of them.")
        st.download_button(
            "Download all as CSV",
            data=of_session(lambda: left_out_file(project)),
            file_name=f"{project.name}-left-out.csv",
            on_click="ignore",
            icon=":material/download:",
        )


def left_out_file(project: Project) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "left-out.csv"
        write_left_out(project, path)
        return path.read_bytes()


def show_unprepared(project: Project) -> None:
    """Offer to continue the preparation of the texts after it failed or was stopped."""
    job = mark_interrupted(project)
    if (
        may_write()
        and job is not None
        and job.kind == "prepare"
        and job.state in {"cancelled", "failed", "interrupted"}
    ):
        reason = f": {job.error.rstrip('.')}" if job.error else ""
        st.warning(plain(f"Preparing the texts {ENDED[job.state]}{reason}."), icon=":material/pause_circle:")
        if st.button("Continue", type="primary", key="resume_prepare"):
            start_job(project, "prepare", RECOMMENDED, who_acts())
            st.rerun()


def import_form(project: Project | None) -> None:
    role = st.radio("What is in the file?", list(ROLES), format_func=ROLES.get, horizontal=True, key="import_role")
    upload_tab, *path_tab = st.tabs(["Upload a file", *(["Path on this machine"] if at_this_machine() else [])])
    turn = st.session_state.setdefault("imports", 0)  # a new key empties the fields after an import
    with upload_tab:
        upload = st.file_uploader(
            "CSV, TSV, JSONL, Parquet or Excel, also gzipped", key=f"import_upload_{turn}", label_visibility="collapsed"
        )
    path = ""
    for tab in path_tab:
        path = tab.text_input(
            "Path of a file, or a Hugging Face address (hf://...)",
            key=f"import_path_{turn}",
            placeholder="data/messages.csv.gz",
        )
    table = None
    with errors_in_one_line():
        if upload:
            table = read_upload(upload.getvalue(), upload.name)
        elif path.strip():
            table = read_path(path.strip())
    if table is None:
        st.caption("You see a preview before anything is stored. Rows without a label become unlabelled texts.")
        return
    prepared = preview(table, role)
    if prepared is not None:
        finish_form(project, role, prepared)


@st.cache_data(max_entries=3, show_spinner="Reading the file")
def read_upload(content: bytes, name: str) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        path.write_bytes(content)
        return read_table(path, name=name)


@st.cache_data(max_entries=3, show_spinner="Reading the file", ttl=60)
def read_path(path: str) -> Table:
    return read_table(path)


def preview(table: Table, role: Role) -> Prepared | None:
    """Show the guessed columns, to be corrected, and the first rows; return the sorted rows once columns are set."""
    names = list(table.frame.columns)
    for note in table.notes:
        st.caption(plain(note))
    try:
        guessed = sort_rows(table, role=role).columns
        text_guess, label_guess = guessed.text, guessed.label
    except InputError as error:
        st.warning(plain(f"{error.rule}. Choose the columns below."), icon=":material/help:")
        text_guess, label_guess = names[0], None
    left, right = st.columns(2)
    key = table.sha256[:8]
    text = left.selectbox("Column with the text", names, index=names.index(text_guess), key=f"text_{key}_{role}")
    label = None
    if role == "labelled":
        choices = [name for name in names if name != text]
        guess = choices.index(label_guess) if label_guess in choices else None
        label = right.selectbox("Column with the label", choices, index=guess, key=f"label_{key}", placeholder="Choose")
        if label is None:
            return None
    with errors_in_one_line():
        prepared = sort_rows(table, role=role, text_column=text, label_column=label)
        st.dataframe(table.frame.head(5), hide_index=True)
        labels = {row.label for row in prepared.rows if row.label}
        labels_found = f", {counted(len(labels), 'label')}" if role == "labelled" else ""
        st.text(f"{counted(len(prepared.rows), 'usable row')}{labels_found}, {len(prepared.left_out):,} left out")
        if prepared.left_out:
            with st.expander("Rows that will be left out, and why"):
                st.dataframe(
                    pd.DataFrame([{"row": r.row, "reason": r.reason, "text": r.text} for r in prepared.left_out[:50]]),
                    hide_index=True,
                )
        return prepared
    return None


def finish_form(project: Project | None, role: Role, prepared: Prepared) -> None:
    new = "a new project"
    choices = [project.name, new] if project is not None else [new]
    into = st.radio("Import into", choices, horizontal=True, key="import_into") if len(choices) > 1 else new
    name = into
    if into == new:
        stem = prepared.table.name.rsplit("/", 1)[-1].split(".", 1)[0]
        name = st.text_input("Name of the new project", value=stem, key=f"name_{prepared.table.sha256[:8]}")
    per_label = None
    if (
        role == "labelled"
        and into == new
        and st.checkbox(
            "Trial run: this file is fully labelled. Keep a few examples per label and hide the rest, to measure "
            "accuracy.",
            key="import_trial",
        )
    ):
        per_label = st.number_input(
            "Labelled examples per label", min_value=2, max_value=1000, value=10, key="import_per_label"
        )
    if into == new and name.strip() in project_names(workspace()):
        st.warning(plain(f"There is already a project {name.strip()}. Choose another name."), icon=":material/error:")
        return
    if st.button("Import", type="primary", key="import_now", icon=":material/upload:"):
        with errors_in_one_line(), st.spinner("Storing the rows"):
            store_prepared(
                workspace(), name.strip(), [(role, prepared)],
                seeds_per_label=int(per_label) if per_label else None, who=who_acts(),
            )  # fmt: skip
            begin_work(Project(workspace(), name.strip()))


def begin_work(project: Project) -> None:
    start_job(project, "prepare", RECOMMENDED, who_acts())
    st.session_state["imports"] = st.session_state.get("imports", 0) + 1
    st.session_state["open_project"] = project.name
    st.rerun()


def restore_form(project: Project) -> None:
    st.caption(
        "Upload a JSONL download from Results. The program adds the decisions of the file to the same texts and labels "
        "here, each once, with person, time and reason. It leaves out undone decisions. Newer decisions here stay."
    )
    turn = st.session_state.setdefault("restores", 0)
    upload = st.file_uploader(
        "JSONL export, also gzipped", ["jsonl", "gz"], key=f"restore_upload_{turn}", label_visibility="collapsed"
    )
    if upload and st.button("Restore the decisions", key="restore_now", icon=":material/settings_backup_restore:"):
        with errors_in_one_line(), st.spinner("Restoring the decisions"), tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "upload"
            path.write_bytes(upload.getvalue())
            st.session_state["restored"] = restore_decisions(project, path, who_acts(), name=upload.name).sentence()
            st.session_state["restores"] = turn + 1
            st.rerun()
    if result := st.session_state.pop("restored", ""):
        st.success(plain(result), icon=":material/check:")


def demo_button(*, primary: bool) -> None:
    if st.button(
        "Create the demo project",
        key="make_demo",
        type="primary" if primary else "secondary",
        icon=":material/science:",
    ):
        with errors_in_one_line(), st.spinner("Creating the demo project"):
            begin_work(make_demo(workspace()))


project = st.session_state.get("current_project")
if project is None and not may_write():
    st.info("There is no project yet. Ask an analyst to create one.", icon=":material/info:")
elif project is None:
    st.markdown(
        "Import two things: a few **labelled examples** of each label, and the **unlabelled texts**. Or start with the "
        "demo project: a support desk with 54 labels."
    )
    demo_button(primary=True)
    st.subheader("Import")
    import_form(None)
else:
    show_unprepared(project)
    show_next_step(project, "data")
    show_what_is_in(project)
    if may_write():
        with st.expander(
            "Import more, or create another project", expanded=not facts(project)["pool"], icon=":material/add:"
        ):
            import_form(project)
            if "demo" not in {p.parent.name for p in workspace().glob("demo/project.db")}:
                demo_button(primary=False)
    show_drift(project)
    if may_write():
        with st.expander("Restore decisions", key="restore", icon=":material/settings_backup_restore:"):
            restore_form(project)
