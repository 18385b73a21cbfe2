"""An Excel workbook: numbers and dates are numbers and dates, and a text is never a formula."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font

from red_core.data.tables.cells import as_text
from red_core.data.tables.writing import whole_file
from red_core.errors import InputError
from red_core.results.formats.format import Export

MOST_ROWS, LONGEST_CELL = 1_048_575, 32_767
"""Rows below the header, and characters of a cell, that Excel can hold."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,10})?")
WIDE = {"text": 60, "label": 28, "original text": 60, "reason": 30}


def write_workbook(path: Path, export: Export) -> int:
    """Write one sheet with a header that stays in place, and a filter for each column.

    Raises
    ------
    InputError
        If there are more rows than a sheet can hold, or the file cannot be written.
    """
    book = Workbook(write_only=True)
    sheet = book.create_sheet("labels")
    sheet.freeze_panes = "A2"
    for place, name in enumerate(export.columns, 1):
        sheet.column_dimensions[_letter(place)].width = WIDE.get(name, 16)
    header = [_text(sheet, name) for name in export.columns]
    for cell in header:
        cell.font = Font(bold=True)
    sheet.append(header)
    count = 0
    for row in export.rows:
        count += 1
        if count > MOST_ROWS:
            rule = f"an Excel sheet holds at most {MOST_ROWS:,} rows"
            raise InputError(str(path), rule, "Export CSV or Parquet, or choose fewer rows")
        sheet.append([_cell(sheet, row.get(name)) for name in export.columns])
    sheet.auto_filter.ref = f"A1:{_letter(len(export.columns))}{count + 1}"
    with whole_file(path) as out:
        book.save(out)
    return count


def _letter(place: int) -> str:
    letters = ""
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _cell(sheet: Any, value: object) -> Any:  # noqa: ANN401  openpyxl has no types
    if value is None or value == "":
        return None
    if isinstance(value, bool | int | float):
        return value
    text = as_text(value) or ""
    if _MOMENT.fullmatch(text) or _DAY.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text).replace(tzinfo=None)  # Excel knows no time zones: this is UTC
        except ValueError:
            return _text(sheet, text)
        cell = WriteOnlyCell(sheet, moment)
        cell.number_format = "yyyy-mm-dd" if _DAY.fullmatch(text) else "yyyy-mm-dd hh:mm:ss"
        return cell
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return _text(sheet, text)


def _text(sheet: Any, text: str) -> Any:  # noqa: ANN401
    """Return a cell of text: what begins with = stays a text."""
    cell = WriteOnlyCell(sheet)
    clean = ILLEGAL_CHARACTERS_RE.sub("\ufffd", text)
    cell.value = clean if len(clean) <= LONGEST_CELL else clean[: LONGEST_CELL - 1] + "…"
    cell.data_type = "s"
    return cell
