"""The export: every source row with its label and where the label comes from."""

from __future__ import annotations

from pathlib import Path

from red_core.data.tables import write_table
from red_core.data.tables.source import ending
from red_core.records import Project
from red_core.store.exports import opened_export
from red_core.store.rounds import last_finished_round


def export(project: Project, path: str | Path, *, verify: bool = True) -> int:
    """Write every source row with its label and its provenance; return the number of rows.

    Everything in it is verified: texts, rows, labels, decisions, verdicts and confidences are as they were stored.

    JSONL is lossless: it also holds every decision; :func:`red_core.data.restore_decisions` reads them.

    Parameters
    ----------
    path : path
        .csv, .tsv, .jsonl, each also with .gz, or .parquet.
    verify : bool
        False writes the file without that check: what is left of a damaged project.

    Raises
    ------
    InputError
        If the file cannot be written.
    StoreError
        If something is not as it was stored.
    """
    last = last_finished_round(project)
    lossless = ending(str(path)) == "jsonl"
    with opened_export(project, last.id if last else 0, lossless=lossless, verify=verify) as (columns, rows):
        return write_table(path, rows, columns)
