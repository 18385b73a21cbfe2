"""The export: every source row with its label and where the label comes from, in the format that is needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from red_core.data.tables.source import ending
from red_core.errors import SettingsError
from red_core.records import Project
from red_core.results.filters import checked
from red_core.results.formats import format_of
from red_core.results.formats.format import Export
from red_core.store import exports as stored
from red_core.store.exports import EVERY_ROW, ORIGINAL, PROVENANCE, ExportFilter, opened_export
from red_core.store.labels import list_labels
from red_core.store.rounds import last_finished_round
from red_core.store.views import sources

EXPORTED = "exported_label"
"""The column that keeps the label as it was exported, so that an edit of it can be told; see ``edited.py``."""
VALUES = frozenset((
    "row", "belief", "runner_up_belief", "p_valid", "tokens", "cost", "p_rather", "decided_at", "fed_back_in_round",
    "round", "label_set_version", "flagged_at", "certified",
))  # fmt: skip
"""Our columns of numbers and times; a value in any other of ours is a text, such as the label 1.10."""
TO_EDIT = ("excel", "csv-excel")
"""The formats that people edit and send back."""


def export(
    project: Project,
    path: str | Path,
    *,
    format_name: str | None = None,
    wanted: ExportFilter = EVERY_ROW,
    delimiter: str = ",",
    verify: bool = True,
) -> int:
    """Write source rows with their labels and provenance; return the number of rows written.

    Everything in it is verified: texts, rows, labels, decisions, verdicts and confidences are as they were stored.

    JSONL is lossless: it also holds every decision; :func:`red_core.data.restore_decisions` reads them.

    Parameters
    ----------
    path : path
        .csv, .tsv, .jsonl, .json, each also with .gz, .parquet or .xlsx; or the ending that the format has.
    format_name : str, optional
        A name of ``red_core.results.formats.FORMATS``; by default the ending says which.
    wanted : ExportFilter
        Which rows; all by default.
    delimiter : str
        Of the format *csv-excel*.
    verify : bool
        False writes the file without that check: what is left of a damaged project.

    Raises
    ------
    InputError
        If there is no such format, or the file cannot be written.
    SettingsError
        If nothing can match ``wanted``, or the format has no delimiter.
    StoreError
        If something is not as it was stored.
    """
    chosen = format_of(path, format_name)
    if delimiter != "," and chosen.name != "csv-excel":
        raise SettingsError(f"the format {chosen.name} has no other delimiter. Choose the format csv-excel (--as).")
    wanted = checked(project, wanted)
    last = last_finished_round(project)
    lossless = chosen.name == "table" and ending(str(path)) == "jsonl"
    names = tuple(sorted(label.name for label in list_labels(project)))
    opened = opened_export(project, last.id if last else 0, lossless=lossless, wanted=wanted, verify=verify)
    with opened as (columns, rows):
        given = _with_exported_label(columns, rows) if chosen.name in TO_EDIT else (columns, rows)
        return chosen.write(Path(path), Export(*given, names, delimiter, _texts(project, given[0])))


def count_rows(project: Project, wanted: ExportFilter) -> int:
    """Return how many rows :func:`export` would write.

    Raises
    ------
    SettingsError
        As by :func:`export`.
    """
    last = last_finished_round(project)
    return stored.count_rows(project, last.id if last else 0, checked(project, wanted))


def _texts(project: Project, columns: Sequence[str]) -> frozenset[str]:
    """Return the columns that hold texts: ours, and those that the texts and labels of a file came in."""
    used = {each[kind] for each in sources(project) for kind in ("text_column", "label_column")}
    ours = [name for name in columns if name in PROVENANCE or name.endswith(EXPORTED)]
    return frozenset((*used, *ours, ORIGINAL)) - VALUES


def _with_exported_label(
    columns: list[str], rows: Iterator[dict[str, Any]]
) -> tuple[list[str], Iterator[dict[str, Any]]]:
    """Return columns and rows with the label a second time, at the end."""
    free = EXPORTED
    while free in columns:
        free = f"red.{free}"
    return [*columns, free], ({**row, free: row.get("label")} for row in rows)
