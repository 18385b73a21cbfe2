"""Data: the imported files, the rows left out and why; import of files; a trial or the demo project."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import streamlit as st

import red_core.api  # noqa: F401  whole and first: two sessions of a cold server import at the same time
from red_core.access.who import who_acts
from red_core.data import make_demo, restore_decisions, write_left_out
from red_core.records import FEWEST_EXAMPLES, Project
from red_core.rounds import mark_interrupted, start_job
from red_core.settings import RECOMMENDED
from red_core.store.texts import left_out_rows
from red_core.training.encoder_choice import encoder_advice
from widgets.data.edited_form import edited_form
from widgets.data.encoder_panel import encoder_panel
from widgets.data.encoder_question import ask_for_encoder, warn_of_language
from widgets.data.import_form import begin_work, import_form, is_file_chosen
from widgets.labels.drift_panel import show_drift
from widgets.labels.group_hint import show_group_hint
from widgets.shell.next_step import show_next_step
from widgets.shell.reads import facts, labels_with_few_examples, sources
from widgets.shell.reasons import why_ended, workspace
from widgets.shell.shell import errors_in_one_line, inside_the_shell
from widgets.shell.sign_in import may_write, of_session
from widgets.shell.untrusted import plain, visible
from widgets.shell.words import counted

inside_the_shell()

LEFT_OUT_SHOWN = 200


def show_what_is_in(project: Project) -> None:
    counts, files = facts(project), sources(project)
    if not files:  # its first import was stopped before anything was stored
        st.info("This project has no texts yet. Import a file.", icon=":material/info:")
        return
    headings = {
        "labels": "labels",
        "seeds": "examples",
        "pool": "unlabelled texts",
        "rows": "rows",
        "used": "used",
        "folded": "duplicates",
        "left_out": "left out",
    }
    explanations = {
        "seeds": "Labelled examples: texts whose label came with a file.",
        "rows": "Rows of all files. Each one is used, a duplicate, or left out.",
        "used": "Rows whose text is in the project, the first row of each text.",
        "folded": "Rows with the same text as another row. The text counts once; the export has every row.",
        "left_out": "Rows that are not used. The list below says why.",
    }
    with st.container(horizontal=True, gap="medium"):
        for name, heading in headings.items():
            st.metric(heading, f"{counts[name]:,}", help=explanations.get(name), width="content")
    with st.expander("Files", key="files_fold"):
        table = pd.DataFrame(files).drop(columns="id").rename(columns={"at": "when"})
        table["when"] = pd.to_datetime(table["when"])
        when = st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm")
        st.dataframe(table, hide_index=True, column_config={"when": when})
    if counts["left_out"]:
        show_left_out(project, counts["left_out"])
    if few := labels_with_few_examples(project):
        with st.expander(f"{counted(len(few), 'label needs', 'labels need')} you", key="few_fold"):
            st.caption(
                f"A label with fewer than {FEWEST_EXAMPLES} examples is trained, but it cannot be checked. Add "
                "examples on Label map, or decide more texts for it on Review."
            )
            st.dataframe(pd.DataFrame({"Label": [visible(name) for name in few]}), hide_index=True)


def show_left_out(project: Project, count: int) -> None:
    with st.expander(f"{counted(count, 'row is', 'rows are')} left out", key="left_out_fold"):
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
        st.warning(plain(f"Preparing the texts {why_ended(job)}."), icon=":material/pause_circle:")
        if st.button("Continue", type="primary", key="resume_prepare"):
            start_job(project, "prepare", RECOMMENDED, who_acts())
            st.rerun()


def restore_form(project: Project) -> None:
    st.caption(
        "Upload a JSONL download from Results. The program adds the decisions of the file to the same texts and labels "
        "here, each once, with person, time and reason. It leaves out undone decisions. Newer decisions here stay."
    )
    turn = st.session_state.setdefault("restores", 0)
    upload = st.file_uploader(
        "JSONL download, also gzipped", ["jsonl", "gz"], key=f"restore_upload_{turn}", label_visibility="collapsed"
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
    if not is_file_chosen():  # then its preview needs the place
        st.markdown(
            "Import two things: a few **labelled examples** of each label, and the **unlabelled texts**. Or start with "
            "the demo project: a support desk with 54 labels."
        )
        demo_button(primary=True)
    st.header("Import")
    import_form(None)
else:
    show_unprepared(project)
    job = mark_interrupted(project)
    working = job is not None and job.state in {"waiting", "running"}
    advice = encoder_advice(project)
    may_choose = may_write() and not working
    if may_choose and advice.waits:
        ask_for_encoder(project, advice)
    else:
        show_next_step(project, "data")
    if may_choose and advice.warns:
        warn_of_language(project, advice)
    show_group_hint(project)
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
        encoder_panel(project)
        with st.expander("Bring back labels that were edited outside", key="edited", icon=":material/edit_note:"):
            edited_form(project)
        with st.expander("Restore decisions", key="restore", icon=":material/settings_backup_restore:"):
            restore_form(project)
