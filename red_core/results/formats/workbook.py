"""An Excel workbook: a text is a text and never a formula; numbers and times are real where that changes nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime
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
MOST_DIGITS, FIRST_YEAR = 15, 1901
"""Digits that Excel keeps of a number, and the first year whose days it counts right."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_ESCAPED = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
"""What Excel would read as a character and not as these signs, such as _x000D_."""
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
        sheet.append([_cell(sheet, row.get(name), is_text=name in export.texts) for name in export.columns])
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


def _cell(sheet: Any, value: object, *, is_text: bool) -> Any:  # noqa: ANN401  openpyxl has no types
    """Return a cell: a text, or the number or time that a value is, if reading it gives the same value again."""
    if value is None or value == "":
        return None
    if not is_text:
        if isinstance(value, bool | float) or (isinstance(value, int) and len(str(abs(value))) <= MOST_DIGITS):
            return value
        text = as_text(value) or ""
        if _NUMBER.fullmatch(text) and len(text) <= MOST_DIGITS:
            number = float(text) if "." in text else int(text)
            return number if as_text(number) == text else _text(sheet, text)
        if _MOMENT.fullmatch(text) and (moment := _moment(text)):
            cell = WriteOnlyCell(sheet, moment)
            cell.number_format = "yyyy-mm-dd" if len(text) == len("2026-01-31") else "yyyy-mm-dd hh:mm:ss"
            return cell
    return _text(sheet, as_text(value) or "")


def _moment(text: str) -> datetime | None:
    """Return a time without a zone: in UTC if the text says its zone, else as it is; None if Excel would change it."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)  # Excel knows no time zones
        elif as_text(moment) != text.replace("T", " "):
            return None
    except (ValueError, OverflowError):
        return None
    return moment if moment.year >= FIRST_YEAR else None


def _cut(text: str) -> str:
    """Return a text, cut if it is longer than a cell; Excel counts an emoji as two characters."""
    if 2 * len(text) <= LONGEST_CELL:
        return text
    counted = text.encode("utf-16-le")
    if len(counted) // 2 <= LONGEST_CELL:
        return text
    return counted[: 2 * (LONGEST_CELL - 1)].decode("utf-16-le", "ignore") + "…"


def _text(sheet: Any, text: str) -> Any:  # noqa: ANN401
    """Return a cell of text: what begins with = stays a text."""
    cell = WriteOnlyCell(sheet)
    clean = _cut(ILLEGAL_CHARACTERS_RE.sub("\ufffd", text))
    cell.value = _ESCAPED.sub("_x005F_", clean)
    cell.data_type = "s"
    return cell
