"""Read one sheet of an Excel workbook, with its cells as Excel shows them."""

from __future__ import annotations

import datetime as dt
import io
import posixpath
import re
import warnings
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

import openpyxl
from openpyxl.utils import range_boundaries
from openpyxl.utils.escape import unescape

from red_core.data.tables import limits
from red_core.data.tables.cells import Cell, as_text
from red_core.data.tables.delimited import Content
from red_core.data.tables.header import LOOKED_AT, choose_header, find_header, named
from red_core.data.tables.names import KNOWN_NAMES
from red_core.data.tables.source import Source

# The errors of openpyxl on damaged workbooks: it checks little, so most of them are Python's own.
BROKEN_WORKBOOK = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, SyntaxError, RuntimeError, AssertionError),
    *(OSError, EOFError, zlib.error, zipfile.BadZipFile),
)
_ZEROS = re.compile(r"0{2,}")
"""A number format that shows leading zeros, such as 00000."""
_MERGED = re.compile(rb"<mergeCell[^<>]*\bref=\"([A-Z]+[0-9]+:[A-Z]+[0-9]+)\"")
_COUNTED = (
    ("xl/worksheets/", (b"<c ", b"<c>", b"<c/"), 1.0),
    ("xl/styles.xml", (b"<",), 0.05),
    ("", (b"<",), 8.0),
)
"""Parts of a workbook, what is counted there, and how many of these there may be, in shares of the limit of cells. The
texts of cells are in a part of any name, each with a few tags."""
_NO_VALUE = re.compile(rb"</f>\s*+(?:<v\s*+/>|<v>\s*+</v>)?\s*+</c>")
"""A formula whose result is not in the file: a program wrote it, and Excel never opened it."""
MOST_MERGED = 20_000
"""Merged ranges that are filled down."""

Filled = list[tuple[int, list[Cell]]]
"""Row numbers with their cells, without empty rows."""


def read_excel(source: Source) -> Content:
    """Read the sheet and the header that the user names, else the likeliest; empty rows are counted but not kept."""
    check_cells(source)
    try:
        with warnings.catch_warnings():  # about styles and features without text
            warnings.simplefilter("ignore")
            opened = openpyxl.load_workbook(io.BytesIO(source.data), read_only=True, data_only=True, keep_links=False)
            with closing(opened) as book:
                sheet = _choose_sheet(source, book)
                filled = list(_filled_rows(source, sheet))
                _fill_down(source, filled, _merged_ranges(source, sheet))
                formulas = _formulas_without_value(source, sheet)
    except BROKEN_WORKBOOK as exc:
        raise source.error(f"the workbook is damaged ({str(exc)[:120]})", "Save it again as .xlsx") from exc
    if formulas * 2 > len(filled):
        rule = f"{formulas:,} formulas have no result in the file"
        raise source.error(rule, "Open it in Excel and save it, so that it holds the results")
    if formulas:
        source.notes.append(
            f"{formulas:,} {'formula has' if formulas == 1 else 'formulas have'} no result in the file, "
            "and an empty cell: open it in Excel and save it"
        )
    return _with_header(source, filled) if filled else ([], [], [])


def _formulas_without_value(source: Source, sheet: Any) -> int:  # noqa: ANN401
    """Return how many formulas of a sheet have no stored result."""
    count = 0
    for block, before in _blocks(source, sheet):
        count += len(_NO_VALUE.findall(block)) - len(_NO_VALUE.findall(block[:before]))
    return count


def check_cells(source: Source) -> None:
    """Raise InputError for a workbook with more cells or texts than the limit, before any row is built."""
    counts = dict.fromkeys(_COUNTED, 0)
    try:
        with zipfile.ZipFile(io.BytesIO(source.data)) as archive:
            for member in archive.infolist():
                part = next(part for part in _COUNTED if member.filename.startswith(part[0]))
                with archive.open(member) as stream:
                    before = b""
                    while chunk := stream.read(1 << 20):
                        block = before + chunk
                        counts[part] += sum(block.count(mark) for mark in part[1])
                        before = block[len(block) - max(map(len, part[1])) + 1 :]
                        if counts[part] > part[2] * limits.MAX_CELLS:
                            rule = f"the workbook has more than {limits.MAX_CELLS:,} cells, or too many styles"
                            raise source.error(rule, "Save the sheet with the texts as CSV")
    except BROKEN_WORKBOOK as exc:
        raise source.error(f"the workbook is damaged ({str(exc)[:120]})", "Save it again as .xlsx") from exc


def _choose_sheet(source: Source, book: Any) -> Any:  # noqa: ANN401  openpyxl has no types
    """Return the sheet that the user names, else the one that looks most like a table of texts."""
    titles = [sheet.title for sheet in book.worksheets]
    if source.sheet is not None and source.sheet not in titles:
        raise source.error(f"no sheet '{source.sheet}'", f"Name one of: {', '.join(titles[:10])}")
    if not titles:
        raise source.error("the workbook has no sheet with cells", "Save it again as .xlsx")
    source.sheets = tuple(titles)
    if source.sheet is not None:
        return book[source.sheet]
    shown = [title for title in titles if book[title].sheet_state == "visible"] or titles
    chosen = shown[0] if len(shown) == 1 else max(shown, key=lambda title: _likeliness(book[title]))
    if len(titles) > 1:
        source.notes.append(f"sheet: '{chosen}' (one of {len(titles)})")
    source.sheet = chosen
    return book[chosen]


def _likeliness(sheet: Any) -> tuple[int, int, int]:  # noqa: ANN401
    """Return a score: known names in the header, how many columns, and how many of the first rows are filled."""
    sheet.reset_dimensions()
    rows = [
        _trimmed(row) for row in islice(sheet.iter_rows(values_only=True, max_col=limits.MAX_COLUMNS), LOOKED_AT * 4)
    ]
    rows = [row for row in rows if row]
    if not rows:
        return 0, 0, 0
    at = find_header(rows[:LOOKED_AT])
    names = [] if at is None else [cell.strip().casefold() for cell in rows[at] if cell]
    known = sum(name in KNOWN_NAMES for name in names)
    return min(known, 2), min(2, len(names)), len(rows)


def _filled_rows(source: Source, sheet: Any) -> Iterator[tuple[int, list[Cell]]]:  # noqa: ANN401
    """Yield the rows of a sheet that are not empty, as text, without the empty cells at their ends."""
    sheet.reset_dimensions()  # the declared size may be wrong
    size = 0
    reported = source.progress
    for number, cells in enumerate(sheet.iter_rows(), 1):
        if number > limits.MAX_ROWS + 1:
            raise source.error(f"more than {limits.MAX_ROWS:,} rows", "Split the file")
        if reported is not None and number % 1000 == 0:
            reported(number, 0)
        end = len(cells)
        while end and cells[end - 1].value in (None, ""):
            end -= 1
        if not end:
            continue
        if end > limits.MAX_COLUMNS:
            raise source.error(
                f"more than {limits.MAX_COLUMNS} columns", "Keep the text, the label and a few more", number
            )
        row = [_shown(cell) for cell in cells[:end]]
        size += sum(len(cell) for cell in row if cell)
        if size > limits.MAX_BYTES:
            raise source.error(f"it holds more than {limits.MAX_BYTES:,} characters", "Split it, or save it as CSV")
        yield number, row


def _shown(cell: Any) -> Cell:  # noqa: ANN401
    """Return a cell as Excel shows it, where that matters: leading zeros, and days without a time."""
    value = cell.value
    if type(value) is str:  # Excel writes _x000D_ for a character that XML does not have
        return as_text(unescape(value) if "_x" in value else value) or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        shown = cell.number_format
        if shown and _ZEROS.fullmatch(shown) and value >= 0 and value == int(value):
            return f"{int(value):0{len(shown)}d}"
        if shown and shown.endswith("%") and isinstance(value, int | float):
            return f"{round(value * 100, 10):g}%"
    if isinstance(value, dt.time):
        return value.isoformat("minutes") if not value.second else value.isoformat("seconds")
    return as_text(value) or None


def _trimmed(cells: Sequence[object]) -> list[Cell]:
    """Return a row as text, without the empty cells at its end: a few bytes can declare 16,384 cells."""
    end = len(cells)
    while end and cells[end - 1] in (None, ""):
        end -= 1
    return [as_text(value) or None for value in cells[:end]]


def _merged_ranges(source: Source, sheet: Any) -> list[tuple[int, int, int, int]]:  # noqa: ANN401
    """Return (first column, first row, last column, last row) of the merged cells of a sheet, from 1.

    openpyxl does not read them when it streams a sheet. They stand behind the rows in the XML of the sheet.
    """
    found: dict[bytes, None] = {}
    for block, _ in _blocks(source, sheet):
        found |= dict.fromkeys(match[1] for match in _MERGED.finditer(block))
        if len(found) >= MOST_MERGED:
            break
    return [range_boundaries(name.decode()) for name in found]


def _blocks(source: Source, sheet: Any) -> Iterator[tuple[bytes, int]]:  # noqa: ANN401
    """Yield the XML of a sheet in blocks, and how many bytes of each were the end of the block before."""
    path = posixpath.normpath(str(getattr(sheet, "_worksheet_path", ""))).lstrip("/")
    with zipfile.ZipFile(io.BytesIO(source.data)) as archive:
        if path in archive.namelist():
            with archive.open(path) as stream:
                before = b""
                while chunk := stream.read(1 << 20):
                    yield before + chunk, len(before)
                    before = (before + chunk)[-200:]  # longer than one element


def _fill_down(source: Source, filled: Filled, merged: Sequence[tuple[int, int, int, int]]) -> None:
    """Write the value of a merged cell into every row that the cell covers."""
    by_number, numbers = dict(filled), [number for number, _ in filled]
    count = looked_at = 0
    for column, top, _, bottom in merged:
        row = by_number.get(top)
        value = row[column - 1] if row is not None and column <= len(row) else None
        if value is None or bottom == top:
            continue
        covered = numbers[bisect_right(numbers, top) : bisect_right(numbers, bottom)]
        looked_at += len(covered)  # no two merged cells of a sound workbook overlap
        if looked_at > limits.MAX_CELLS:
            raise source.error("its merged cells overlap", "Save the sheet with the texts as CSV")
        for number in covered:
            below = by_number[number]
            below.extend([None] * (column - len(below)))
            if below[column - 1] is None:
                below[column - 1] = value
                count += 1
    if count:
        source.notes.append(f"merged cells: the value of each was written into all its rows ({count:,} cells)")


def _with_header(source: Source, filled: Filled) -> Content:
    """Return the rows below the header as columns; without a header, all of them."""
    numbers, records = [number for number, _ in filled], [row for _, row in filled]
    at = choose_header(records, numbers, source)
    body, below = (records, numbers) if at is None else (records[at + 1 :], numbers[at + 1 :])
    names = [] if at is None else records[at]
    width = max([len(names), *(len(record) for record in body)])
    for record in body:
        record.extend([None] * (width - len(record)))
    headed = ["text"] if at is None and width == 1 else named(names, width, source, None if at is None else numbers[at])
    columns = [list(column) for column in zip(*body, strict=True)]
    if not columns:
        return headed, [], []
    kept = [place for place, column in enumerate(columns) if any(column) or (place < len(names) and names[place])]
    return [headed[place] for place in kept], [columns[place] for place in kept], below
