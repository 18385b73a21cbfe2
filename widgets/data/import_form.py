"""The form that imports a file: upload or path, what was understood, corrections, counts, and the button."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from red_core.access.who import who_acts
from red_core.data.choices import Choices
from red_core.data.importing import count_rows, existing, store_prepared
from red_core.data.preparing import Prepared, columns_of, sort_rows
from red_core.data.tables import Table
from red_core.data.tables.columns import NO_COLUMN, Columns
from red_core.data.tables.mail import is_mail
from red_core.data.tables.rows import Several
from red_core.data.tallying import Tally
from red_core.encoders import CATALOGUE, pinned
from red_core.errors import InputError
from red_core.records import Project, Role
from red_core.rounds import start_job
from red_core.settings import DEFAULT_MODEL, RECOMMENDED
from red_core.store.database import project_names
from red_core.store.exports import ORIGINAL
from red_core.store.views import version
from widgets.data.encoder_panel import spoken
from widgets.data.file_reading import forget_file, read_file
from widgets.shell.reads import facts
from widgets.shell.reasons import workspace
from widgets.shell.shell import errors_in_one_line
from widgets.shell.sign_in import at_this_machine
from widgets.shell.untrusted import plain, visible
from widgets.shell.words import counted

ROLES: dict[Role, str] = {"labelled": "Texts with labels", "pool": "Texts without labels"}
SEVERAL: dict[Several, str] = {
    "leave out": "Leave the row out, and list it",
    "first": "Use the first label",
    "each": "Keep every label, and choose on Review",
}
ROWS_SHOWN, LEFT_OUT_SHOWN = 5, 100
NEW = "a new project"
_KEPT = "import_prepared"


def import_form(project: Project | None) -> None:
    """Show the form; importing begins a job and reruns the page."""
    role = st.radio("What is in the file?", list(ROLES), format_func=ROLES.get, horizontal=True, key="import_role")
    file = _choose_file()
    if file is None:
        st.caption("You see a preview before anything is stored. Rows without a label become unlabelled texts.")
        return
    key, content, name = file
    sheet = st.session_state.get(f"sheet_{key}")
    header_row = st.session_state.get(f"header_{key}_{sheet}")
    table = read_file(key, content=content, name=name, sheet=sheet, header_row=header_row)
    if table is None:
        return
    choices = _corrections(key, table, role)
    if choices is None:
        return
    into, is_new = _choose_project(project, table, role)
    with errors_in_one_line():
        prepared, tally = _prepare(table, role, choices, None if is_new else existing(workspace(), into))
        _show_preview(role, prepared, tally)
        _finish(role, prepared, into, is_new=is_new)


def is_file_chosen() -> bool:
    """Return whether a file or a path is chosen in the form, also before the form is drawn."""
    turn = st.session_state.get("imports", 0)
    return any(bool(st.session_state.get(f"import_{kind}_{turn}")) for kind in ("upload", "path"))


def _choose_file() -> tuple[Hashable, bytes | None, str] | None:
    """Return a key, the content (None for a path) and the name of the chosen file."""
    upload_tab, *path_tab = st.tabs(["Upload a file", *(["Path on this machine"] if at_this_machine() else [])])
    turn = st.session_state.setdefault("imports", 0)  # a new key empties the fields after an import
    with upload_tab:
        upload = st.file_uploader(
            "CSV, text, JSON, Parquet or Excel, and exports of other labelling tools; also gzipped",
            key=f"import_upload_{turn}",
        )
    path = ""
    for tab in path_tab:
        path = tab.text_input(
            "Path of a file, or a Hugging Face address (hf://...)",
            key=f"import_path_{turn}",
            placeholder="data/messages.csv.gz",
        ).strip()
    if upload:
        return upload.file_id, upload.getvalue(), upload.name
    if not path:
        return None
    changed = Path(path).stat().st_mtime if "\0" not in path and Path(path).is_file() else 0
    return f"{path} {changed}", None, path


def _corrections(key: Hashable, table: Table, role: Role) -> Choices | None:
    """Show what was understood, to be corrected; return the choices, None until the columns are chosen."""
    _correct_reading(key, table)
    if table.notes:
        st.caption(plain(" · ".join(table.notes)))
    st.dataframe(_first_rows(table), hide_index=True)
    names = list(table.frame.columns)
    guessed, problem = _guessed(table, role)
    if problem:
        alone = f"Choose {ROLES['pool']} above, or check what separates its columns."
        remedy = "Choose the columns below." if len(names) > 1 else alone
        st.warning(plain(f"{problem}. {remedy}"), icon=":material/help:")
    of_file = f"{table.sha256[:8]}_{table.header}"
    columns = st.columns(3 if role == "labelled" else 2, vertical_alignment="bottom")
    text = columns[0].selectbox(
        "Column with the text", names, index=names.index(guessed.text), key=f"text_{of_file}_{role}"
    )
    label, answer = None, None
    if role == "labelled":
        others = [name for name in names if name != text]
        guess = others.index(guessed.label) if guessed.label in others else None
        label = columns[1].selectbox(
            "Column with the label", others, index=guess, key=f"label_{of_file}", placeholder="Choose"
        )
        if label is None:
            return None
        given = ["", *(name for name in others if name != label)]
        answer = columns[2].selectbox(
            "Column: is the label right?",
            given,
            index=given.index(guessed.answer) if guessed.answer in given else 0,
            format_func=lambda name: name or "No such column",
            key=f"answer_{of_file}_{label}",
            help="Such as accept, reject, ignore; or confirmed, yes or no. A text never gets its rejected label.",
        )
    mail = st.toggle(
        "Take HTML, quoted replies and signatures out of the texts",
        value=_has_mail(table, text),
        key=f"mail_{of_file}_{text}",
        help=f"The original text stays stored. Downloads have it in the column *{ORIGINAL}*.",
    )
    several = st.session_state.get(f"several_{of_file}", "leave out")
    return Choices(text, label, answer or NO_COLUMN, several=several, mail=mail)


def _correct_reading(key: Hashable, table: Table) -> None:
    """Show the sheet and the header row of a file that has them; another choice reads the file again."""
    if table.header is None:
        return
    header, sheet, _ = st.columns([2, 2, 3], vertical_alignment="bottom")
    chosen = None
    if len(table.sheets) > 1:
        index = list(table.sheets).index(table.sheet or table.sheets[0])
        chosen = sheet.selectbox("Sheet", table.sheets, index=index, key=f"sheet_{key}")
    header.number_input(
        "Row with the column names",
        min_value=0,
        value=table.header,
        step=1,
        key=f"header_{key}_{chosen}",
        help="0: no row has column names, and every row is data",
    )


def _guessed(table: Table, role: Role) -> tuple[Columns, str]:
    """Return the guessed columns, and what is unclear about them."""
    try:
        return columns_of(table, role=role), ""
    except InputError as error:
        texts = [name for name in table.frame.columns if name in (table.hints.text, "text")]
        with_text = _text_guess(table) if not texts else texts[0]
        return Columns(with_text, None, ()), error.rule


def _text_guess(table: Table) -> str:
    try:
        return columns_of(table, role="pool").text
    except InputError:
        return str(table.frame.columns[0])


def _first_rows(table: Table) -> pd.DataFrame:
    rows = table.frame.head(ROWS_SHOWN).map(lambda cell: visible(cell[:300]) if isinstance(cell, str) else "")
    rows.insert(0, "Row", table.rows[:ROWS_SHOWN])
    return rows


def _has_mail(table: Table, text: str) -> bool:
    key = ("mail", table.sha256, text)
    kept = st.session_state.get("import_mail")
    if kept is None or kept[0] != key:
        kept = st.session_state["import_mail"] = (key, is_mail(table.frame[text].tolist()))
    return bool(kept[1])


def _choose_project(project: Project | None, table: Table, role: Role) -> tuple[str, bool]:
    """Return the name of the project that the file goes into, '' for one that cannot be made, and whether it is new.

    A file goes into a new project unless a person says otherwise, or the open project waits for its unlabelled texts.
    """
    into = NEW
    if project is not None:
        choices = [NEW, project.name]
        waits = role == "pool" and not facts(project)["pool"]
        into = st.radio("Import into", choices, index=int(waits), horizontal=True, key=f"import_into_{role}")
    if into != NEW:
        return into, False
    stem = table.name.rsplit("/", 1)[-1].split(".", 1)[0]
    return st.text_input("Name of the new project", value=stem, key=f"name_{table.sha256[:8]}").strip(), True


def _prepare(table: Table, role: Role, choices: Choices, project: Project | None) -> tuple[Prepared, Tally]:
    """Return the sorted rows and their counts, kept until a choice or the project changes."""
    state = None if project is None else (project, version(project))
    key = (table.sha256, table.header, role, choices, state)
    kept: Any = st.session_state.get(_KEPT)
    if kept is None or kept[0] != key:
        with st.spinner("Counting the rows"):
            prepared = sort_rows(table, role=role, choices=choices)
            kept = st.session_state[_KEPT] = (key, prepared, count_rows(project, role, prepared))
    return kept[1], kept[2]


def _show_preview(role: Role, prepared: Prepared, tally: Tally) -> None:
    """Show what becomes of the rows: used, folded, left out, and why."""
    made = [
        note for note in prepared.notes[len(prepared.table.notes) :]
        if not note.startswith(("text column", "label column"))
    ]  # fmt: skip
    if made:
        st.caption(plain(" · ".join(made)))
    several = [
        reason for _, reason, _ in tally.left_out if reason.startswith(("several labels", "annotators disagree"))
    ]
    of_file = f"{prepared.table.sha256[:8]}_{prepared.table.header}"
    if several or f"several_{of_file}" in st.session_state:
        st.radio(
            "Rows with several labels",
            list(SEVERAL),
            format_func=SEVERAL.get,
            horizontal=True,
            key=f"several_{of_file}",
        )
    labels = f" {counted(tally.labels, 'label')}." if role == "labelled" else ""
    st.text(
        f"{counted(tally.rows, 'row')}: {tally.used:,} used, {tally.folded:,} duplicates, "
        f"{len(tally.left_out):,} left out.{labels}"
    )
    if tally.left_out:
        with st.expander(
            f"{counted(len(tally.left_out), 'row')} will be left out: see why", key="preview_left_out_fold"
        ):
            rows = [
                {"Row": row, "Reason": visible(reason), "Text": visible(text)}
                for row, reason, text in tally.left_out[:LEFT_OUT_SHOWN]
            ]
            st.dataframe(pd.DataFrame(rows), hide_index=True)
            if len(tally.left_out) > LEFT_OUT_SHOWN:
                st.caption(
                    f"The first {LEFT_OUT_SHOWN} rows. After the import, you can download all of them on this page."
                )
    if prepared.mail:
        _show_cleaned(prepared)


def _show_cleaned(prepared: Prepared) -> None:
    """Show some texts as they came and as they are used."""
    changed = [row for row in prepared.rows if ORIGINAL in row.extra][:LEFT_OUT_SHOWN]
    if changed:
        with st.expander("Texts before and after cleaning", key="cleaning_fold"):
            rows = [
                {"Row": r.row, "Original": visible(r.extra[ORIGINAL][:1000]), "Cleaned": visible(r.text[:1000])}
                for r in changed
            ]
            st.dataframe(pd.DataFrame(rows), hide_index=True)


def _finish(role: Role, prepared: Prepared, into: str, *, is_new: bool) -> None:
    per_label = None
    if (
        role == "labelled"
        and is_new
        and st.checkbox(
            "Trial run: this file is fully labelled. Keep a few examples per label and hide the rest, to measure "
            "accuracy.",
            key="import_trial",
        )
    ):
        per_label = st.number_input(
            "Labelled examples per label", min_value=2, max_value=1000, value=10, key="import_per_label"
        )
    encoder = _choose_encoder() if is_new else None
    if is_new and into in project_names(workspace()):
        st.warning(plain(f"There is already a project {into}. Choose another name."), icon=":material/error:")
        return
    if st.button("Import", type="primary", key="import_now", icon=":material/upload:"):
        with errors_in_one_line(), st.spinner("Storing the rows"):
            store_prepared(
                workspace(), into, [(role, prepared)],
                seeds_per_label=int(per_label) if per_label else None, embedding=encoder, who=who_acts(),
            )  # fmt: skip
            begin_work(Project(workspace(), into))


def _choose_encoder() -> str | None:
    """Show the encoders that are on this machine, if there is a choice; return the chosen one, None for the default."""
    here = [known for known in CATALOGUE if known.on_this_machine]
    if len(here) < 2:
        return None
    left, _ = st.columns(2)
    chosen = left.selectbox(
        "Encoder",
        here,
        format_func=lambda known: f"{known.title} ({spoken(known)})",
        key="import_encoder",
        help="It turns texts into numbers. You can change it later, also to one that is not on this machine yet.",
    )
    return None if str(chosen.spec) == DEFAULT_MODEL else str(pinned(chosen.spec))


def begin_work(project: Project) -> None:
    """Start the preparation of the texts, empty the form and open the project."""
    start_job(project, "prepare", RECOMMENDED, who_acts())
    st.session_state["imports"] = st.session_state.get("imports", 0) + 1
    st.session_state["open_project"] = project.name
    st.session_state.pop(_KEPT, None)
    forget_file()
    st.rerun()
