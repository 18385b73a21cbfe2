"""Tables as files: any format of tables, and CSV as Excel opens it by a double click."""

from __future__ import annotations

from pathlib import Path

from red_core.data.tables import write_table
from red_core.results.formats.format import Export


def write_any_table(path: Path, export: Export) -> int:
    """Write .csv, .tsv, .jsonl, .json or .parquet with all columns."""
    return write_table(path, export.rows, export.columns)


def write_for_excel(path: Path, export: Export) -> int:
    """Write CSV with the mark of UTF-8, and with the delimiter that Excel of this language expects."""
    return write_table(path, export.rows, export.columns, delimiter=export.delimiter, mark=True)
