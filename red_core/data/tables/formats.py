"""One reader for each format: it returns the names, columns and row numbers of an unpacked file."""

from __future__ import annotations

import csv
import io
import json
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from itertools import islice
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from red_core.data.tables import limits
from red_core.data.tables.cells import Cell, JsonNumber, as_text
from red_core.data.tables.source import Source
from red_core.text import storable

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
QUOTE_RULES = {  # by a part of the csv module's message
    "unexpected end": "a quote opens here and is never closed",
    "field larger": (
        f"a field is longer than {limits.MAX_FIELD:,} characters, perhaps after a quote that is never closed"
    ),
    "expected after": "text goes on after a closing quote",
}
# The errors of openpyxl on damaged workbooks: it checks little, so most of them are Python's own.
BROKEN_WORKBOOK = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, SyntaxError, RuntimeError, AssertionError),
    *(OSError, EOFError, zlib.error, zipfile.BadZipFile),
)
BROKEN_PARQUET = (pa.ArrowException, ValueError, OSError, LookupError, TypeError, ArithmeticError)

Content = tuple[list[str], list[list[Cell]], list[int]]  # names, columns, row numbers


def guess_delimiter(source: Source, text: str) -> str:
    """Return the delimiter for which most of the first rows have as many fields as the header."""

    def score(delimiter: str) -> tuple[float, int, bool]:
        same, width = 0.0, 0
        with suppress(csv.Error):
            sample = io.StringIO(text[:65536], newline="")
            widths = [len(record) for record in islice(csv.reader(sample, delimiter=delimiter), 50) if record]
            if widths and widths[0] > 1:
                same, width = widths.count(widths[0]) / len(widths), widths[0]
        return same, width, delimiter == ("\t" if source.ending in ("tsv", "txt") else ",")

    return max(DELIMITERS, key=score)


def _read_csv(source: Source) -> Content:
    """Read a delimited file with Python's parser, because it knows in which record it stopped."""
    csv.field_size_limit(limits.MAX_FIELD)
    delimiter = guess_delimiter(source, source.text().read(65536))
    if delimiter != {"csv": ",", "tsv": "\t"}.get(source.ending):
        source.notes.append(f"delimiter: {DELIMITERS[delimiter]} (guessed)")
    header: list[str] = []
    records, rows, number = [], [], 0
    try:
        for number, record in source.counted(csv.reader(source.text(), delimiter=delimiter, strict=True)):
            if record and not header:
                source.check_names(record, number)
                header = record
            elif record:
                source.check_width(len(record), len(header), number)
                records.append(record)
                rows.append(number)
    except csv.Error as exc:
        rule = next((rule for part, rule in QUOTE_RULES.items() if part in str(exc)), str(exc))
        raise source.error(rule, 'Close the quote; inside a field, write a quote twice ("")', number + 1) from exc
    return header, [[cell or None for cell in column] for column in zip(*records, strict=True)], rows


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items: dict[str, Any] = {}
    for key, value in pairs:
        if key in items:
            raise ValueError(f"the key '{key[:60]}' occurs twice in one object")
        items[key] = value
    return items


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=_refuse
)


def _load(source: Source, text: str, row: int | None) -> Any:  # noqa: ANN401 - JSON is anything
    """Return one JSON value; the error says where it is invalid."""
    try:
        return DECODER.decode(text.strip())
    except json.JSONDecodeError as exc:
        place = f"column {exc.colno}" if row else f"line {exc.lineno}, column {exc.colno}"
        rule = f"invalid JSON at {place}: {exc.msg}"
    except ValueError as exc:
        rule = str(exc)
    except RecursionError:
        rule = "its JSON is nested too deep"
    raise source.error(rule, 'Repair it; one line is one object such as {"text": "…", "label": "…"}', row)


def _objects(source: Source, values: Iterable[tuple[int, Any]]) -> Content:
    """Return columns from JSON objects: all keys, in order of first appearance."""
    names: dict[str, None] = {}
    objects, rows = [], []
    for row, value in values:
        if not isinstance(value, dict):
            raise source.error("this is not a JSON object", 'Write {"text": "…", "label": "…"}', row)
        try:
            objects.append({storable(key): as_text(cell) for key, cell in value.items()})
        except RecursionError as exc:
            raise source.error("its JSON is nested too deep", "Flatten it", row) from exc
        rows.append(row)
        if not objects[-1].keys() <= names.keys():
            names |= dict.fromkeys(objects[-1])
            source.check_names(list(names), row)
    return list(names), [[each.get(name) for each in objects] for name in names], rows


def _read_jsonl(source: Source) -> Content:
    lines = source.counted(source.text(None))
    return _objects(source, ((row, _load(source, line, row)) for row, line in lines if not line.isspace()))


def _read_json(source: Source) -> Content:
    """Read an array of objects, or one object per line under the name .json."""
    text = source.text(None).read()
    if text.lstrip().startswith("["):
        return _objects(source, source.counted(_load(source, text, None)))
    return _read_jsonl(source)


def _read_parquet(source: Source) -> Content:
    """Read a Parquet file in batches, so that its unpacked size can be limited."""
    try:
        file = pq.ParquetFile(pa.BufferReader(source.data))
        names, size = list(file.schema_arrow.names), 0
        source.check_names(names)
        columns: list[list[Cell]] = [[] for _ in names]
        for batch in file.iter_batches(batch_size=limits.EVERY):
            size += batch.nbytes
            if size > limits.MAX_BYTES or len(columns[0]) > limits.MAX_ROWS:
                raise source.error(
                    f"more than {limits.MAX_ROWS:,} rows or {limits.MAX_BYTES:,} bytes", "Split the file"
                )
            for column, values in zip(columns, batch.columns, strict=True):
                column.extend(map(as_text, values.to_pylist()))
    except BROKEN_PARQUET as exc:
        raise source.error(f"its Parquet is damaged ({str(exc)[:120]})", "Write or download it again") from exc
    return names, columns, list(range(1, len(columns[0]) + 1)) if columns else []


def _read_excel(source: Source) -> Content:
    """Read one sheet: the first row that is not empty is the header; empty rows are skipped but counted."""
    header: list[str] = []
    records, rows = [], []
    for number, record in source.counted(_sheet(source)):
        if record and not header:
            header = [name or "" for name in record]
            source.check_names(header, number)
        elif record:
            source.check_width(max(len(record), len(header)), len(header), number)
            records.append(record + [None] * (len(header) - len(record)))
            rows.append(number)
    return header, [list(column) for column in zip(*records, strict=True)], rows


def _sheet(source: Source) -> list[list[Cell]]:
    """Return the rows of the sheet as text, without the empty cells at their ends."""
    try:
        with warnings.catch_warnings():  # about styles and features without text
            warnings.simplefilter("ignore")
            with closing(openpyxl.load_workbook(io.BytesIO(source.data), read_only=True, data_only=True)) as book:
                titles = [sheet.title for sheet in book.worksheets]
                if source.sheet is not None and source.sheet not in titles:
                    raise source.error(f"no sheet '{source.sheet}'", f"Name one of: {', '.join(titles[:10])}")
                sheet = book[source.sheet or titles[0]]
                if len(titles) > 1:
                    source.notes.append(f"sheet: '{sheet.title}' (one of {len(titles)})")
                sheet.reset_dimensions()  # the declared size may be wrong
                return [_trimmed(cells) for cells in islice(sheet.iter_rows(values_only=True), limits.MAX_ROWS + 2)]
    except BROKEN_WORKBOOK as exc:
        raise source.error(f"the workbook is damaged ({str(exc)[:120]})", "Save it again as .xlsx") from exc


def _trimmed(cells: Sequence[object]) -> list[Cell]:
    """Return a row without the empty cells at its end: a few bytes of a workbook can declare 16,384 cells."""
    end = len(cells)
    while end and cells[end - 1] in (None, ""):
        end -= 1
    return [as_text(value) or None for value in cells[:end]]


READERS = {"csv": _read_csv, "jsonl": _read_jsonl, "json": _read_json, "parquet": _read_parquet, "xlsx": _read_excel}
