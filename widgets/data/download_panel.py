"""The download of the labels: the format, which rows, and the file, which is written when the button is pressed."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import streamlit as st

from red_core.errors import RedError
from red_core.labels.groups import checked_path, groups_of
from red_core.records import Project, Round
from red_core.results import export
from red_core.results.exports import count_rows
from red_core.results.formats.tools import labelling_configuration
from red_core.store.exports import NONE_NAME, ExportFilter
from red_core.store.labels import path_in_words
from widgets.shell.caching import cached_read
from widgets.shell.group_filter import choose_group
from widgets.shell.reads import facts, labels
from widgets.shell.reasons import reason_of
from widgets.shell.sign_in import of_session
from widgets.shell.untrusted import plain, visible
from widgets.shell.words import counted

CHOICES = {
    "CSV": ("table", "csv", "text/csv"),
    "CSV for Excel": ("csv-excel", "csv", "text/csv"),
    "Excel": ("excel", "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "JSONL": ("table", "jsonl", "application/jsonl"),
    "Parquet": ("table", "parquet", "application/vnd.apache.parquet"),
    "Parquet for datasets": ("datasets", "parquet", "application/vnd.apache.parquet"),
    "Label Studio": ("label-studio", "json", "application/json"),
    "Prodigy": ("prodigy", "jsonl", "application/jsonl"),
    "Argilla": ("argilla", "json", "application/json"),
    "doccano": ("doccano", "jsonl", "application/jsonl"),
}
"""Words on the screen -> format, ending, media type."""
DELIMITERS = {"Comma": ",", "Semicolon": ";", "Tab": "\t"}
EXPLAINED = {
    "CSV": "Some texts start with an apostrophe ('). It stops Excel from running the text as a formula.",
    "CSV for Excel": "Excel opens it with a double click. Choose the semicolon if your Excel writes 1,5 and not 1.5.",
    "Excel": "Dates and numbers keep their type. Edit the column *label* and upload the file on the page *Data*.",
    "JSONL": "JSONL keeps everything, also every decision about a text. You can restore them on the page *Data*.",
    "Parquet": "For programs: columns with types.",
    "Parquet for datasets": "For the Python library *datasets*: `load_dataset` also reads the names of the labels.",
    "Label Studio": "Labels from files and people are annotations. Labels of the classifiers are predictions.",
    "Prodigy": "Labels from files and people are accepted. The others wait for an answer.",
    "Argilla": "Labels from files and people are responses. Labels of the classifiers are suggestions.",
    "doccano": "Each text has a list of labels. It holds the one final label, or nothing.",
}


def show_download(project: Project, _last: Round | None, counts: dict[str, int]) -> None:
    """Show the formats and the filters, and offer the file."""
    chosen = st.radio("Format", list(CHOICES), horizontal=True, key="results_format", bind="query-params")
    st.caption(EXPLAINED[chosen])
    format_name, ending, media = CHOICES[chosen]
    delimiter = ","
    if format_name == "csv-excel":
        delimiter = DELIMITERS[st.radio("Delimiter", list(DELIMITERS), horizontal=True, key="export_delimiter")]
    wanted = _filter(project, counts)
    name = f"{project.name}-labels.{ending}"

    def content() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            export(project, path, format_name=format_name, wanted=wanted, delimiter=delimiter)
            return path.read_bytes()

    if wanted == ExportFilter():
        st.text(
            f"The file has all {counted(sum(counts.values()), 'row')} of your files with their other columns. It adds "
            "label, belief (the confidence), source, verdict, decision, round and others."
            if format_name in {"table", "excel", "csv-excel", "datasets"}
            else f"The file has the texts of all {counted(sum(counts.values()), 'row')} of your files."
        )
    else:
        _show_rows_wanted(project, wanted, sum(counts.values()))
    if facts(project)["truths"]:
        st.caption("The column *truth* holds the hidden label of each text.")
    st.download_button(f"Download {chosen}", of_session(content), name, media, on_click="ignore", type="primary")
    if format_name == "label-studio":
        names = tuple(sorted(label.name for label in labels(project).values()))
        with st.expander("Labelling configuration of the Label Studio project", key="label_studio_fold"):
            st.code(labelling_configuration(names), language=None)


def _show_rows_wanted(project: Project, wanted: ExportFilter, total: int) -> None:
    """Show the conditions in words, and how many rows meet them."""
    try:
        count = _count(project, wanted)
    except RedError as error:
        st.error(plain(reason_of(error)), icon=":material/error:")
        return
    meet = "It meets" if count == 1 else "They meet"
    st.text(visible(f"The file has {count:,} of {counted(total, 'row')}. {meet} every condition: {in_words(wanted)}."))


@cached_read()
def _count(project: Project, wanted: ExportFilter) -> int:
    return count_rows(project, wanted)


def in_words(wanted: ExportFilter) -> str:
    """Return the conditions of a filter: ``label refund, group Money > Back, confidence 50% to 100%``."""
    least, most = wanted.least_belief, wanted.most_belief
    belief = f"{least or 0:.0%} to {1 if most is None else most:.0%}"
    parts = {
        "label": wanted.label,
        "group": path_in_words(wanted.group) if wanted.group else None,
        "source": wanted.source,
        "confidence": None if least is None and most is None else belief,
        "decided since": wanted.decided_since,
    }
    return ", ".join(f"{name} {value}" for name, value in parts.items() if value is not None)


def _filter(project: Project, counts: dict[str, int]) -> ExportFilter:
    """Show the conditions, folded away, and return them."""
    with st.expander("Only some rows", icon=":material/filter_alt:", key="some_rows_fold"):
        label_column, source_column, confidence, since = st.columns(4)
        groups = [path_in_words(path) for path in groups_of(labels(project).values())]
        group = choose_group(groups, "export_group") if groups else None
        names = [NONE_NAME, *sorted(label.name for label in labels(project).values())]
        label = label_column.selectbox("Label", names, index=None, placeholder="All labels", key="export_label")
        source = source_column.selectbox(
            "Source", [name for name, count in counts.items() if count], index=None, placeholder="All sources",
            key="export_source",
        )  # fmt: skip
        lowest, highest = confidence.slider("Confidence, %", 0, 100, (0, 100), key="export_confidence")
        day: Any = since.date_input("Decided since (UTC)", value=None, key="export_since")
        if (lowest, highest) != (0, 100):
            st.caption(plain("Rows without a confidence, such as those from your files, are left out."))
    return ExportFilter(
        label=label,
        source=source,
        least_belief=lowest / 100 if lowest > 0 else None,
        most_belief=highest / 100 if highest < 100 else None,
        group=checked_path(group) if group else None,
        decided_since=day.isoformat() if isinstance(day, date) else None,
    )
