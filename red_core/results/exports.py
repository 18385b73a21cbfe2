"""The export: every source row with its label and where the label comes from."""

from __future__ import annotations

from pathlib import Path

from red_core.data.tables import write_table
from red_core.data.tables.source import ending
from red_core.records import Project
from red_core.store.exports import opened_export
from red_core.store.rounds import last_finished_round


def export(project: Project, path: str | Path) -> int:
    """Write every source row with its label and its provenance; return the number of rows.

    JSONL is lossless: it also holds every decision; :func:`red_core.data.restore_decisions` reads them.

    Parameters
    ----------
    path : path
        .csv, .tsv, .jsonl, each also with .gz, or .parquet.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    last = last_finished_round(project)
    lossless = ending(str(path)) == "jsonl"
    with opened_export(project, last.id if last else 0, lossless=lossless) as (columns, rows):
        return write_table(path, rows, columns)
