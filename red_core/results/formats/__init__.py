"""The formats of an export: tables, and the files that other labelling tools import.

A module of this package writes one family of formats. To add a format, write its function and name it in ``FORMATS``.
"""

from __future__ import annotations

from pathlib import Path

from red_core.data.tables.source import ending
from red_core.errors import InputError
from red_core.results.formats.format import Format
from red_core.results.formats.parquet import write_class_labels
from red_core.results.formats.tables import write_any_table, write_for_excel
from red_core.results.formats.tools import argilla, doccano, label_studio, prodigy
from red_core.results.formats.workbook import write_workbook

TABLE = Format(
    "table", "Table (CSV, TSV, JSONL, JSON, Parquet)", ("csv", "tsv", "jsonl", "json", "parquet"), write_any_table
)
FORMATS = {
    each.name: each
    for each in (
        TABLE,
        Format("excel", "Excel workbook (.xlsx)", ("xlsx",), write_workbook),
        Format("csv-excel", "CSV for Excel", ("csv",), write_for_excel),
        Format("datasets", "Parquet for datasets (ClassLabel)", ("parquet",), write_class_labels),
        Format("label-studio", "Label Studio tasks (JSON)", ("json",), label_studio),
        Format("prodigy", "Prodigy (JSONL)", ("jsonl",), prodigy),
        Format("argilla", "Argilla records (JSON)", ("json",), argilla),
        Format("doccano", "doccano (JSONL)", ("jsonl",), doccano),
    )
}
"""Name -> format."""


def format_of(path: str | Path, name: str | None = None) -> Format:
    """Return the format of that name; without a name, the one that the ending of the file stands for.

    Raises
    ------
    InputError
        If there is no such format, or the file does not end as it has to.
    """
    if name is None:
        by_ending = next((each for each in (TABLE, FORMATS["excel"]) if ending(str(path)) in each.endings), None)
        if by_ending is None:
            remedy = "End it in .csv, .tsv, .jsonl, .json (or with .gz), .parquet or .xlsx"
            raise InputError(str(path), "its ending is unknown", remedy)
        return by_ending
    chosen = FORMATS.get(name)
    if chosen is None:
        raise InputError(str(path), f"there is no format {name!r}", f"Choose one of: {', '.join(FORMATS)}")
    if ending(str(path)) not in chosen.endings:
        endings = " or ".join(f".{each}" for each in chosen.endings)
        raise InputError(str(path), f"a file of the format {name} ends in {endings}", "Change its name")
    return chosen
