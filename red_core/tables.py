"""Files in and out: every table a user brings becomes text, and every refusal is one line.

A file is judged by its content first and by its name second. Nothing is inferred about values:
"NA", "007" and "1e5" stay the text they are.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import difflib
import errno
import gzip
import hashlib
import io
import json
import math
import numbers
import os
import re
import unicodedata
import uuid
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any, TypeVar, cast

import charset_normalizer
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from red_core.errors import InputError

MAX_BYTES = 1 << 30  # unpacked; a table is held in memory, and a small archive can unpack to terabytes
MAX_FIELD = 10_000_000  # characters; an unclosed quote swallows the rest of a file into one field
MAX_ROWS = 5_000_000  # about what 16 GB of memory holds as Python strings
MAX_COLUMNS = 200  # more is a matrix, not texts with labels
LONGEST_TEXT, LONGEST_LABEL = 20_000, 200  # characters
EVERY = 10_000  # rows between two reports of progress
GUESS_ROWS = 20_000  # rows looked at to tell texts by what they hold

TEXT_NAMES = (
    *("text", "utterance", "sentence", "message", "body", "question", "description", "content", "query", "title"),
    *("comment", "review", "abstract", "summary", "headline", "subject", "prompt", "phrase", "document", "feedback"),
)
LABEL_NAMES = ("label", "intent", "category", "categories", "class", "classes", "topic", "tag", "target", "theme")
KINDS = {"csv": "csv", "tsv": "csv", "txt": "csv", "jsonl": "jsonl", "ndjson": "jsonl", "json": "json"}
KINDS |= {"parquet": "parquet", "pq": "parquet", "xlsx": "xlsx", "xlsm": "xlsx"}
SPOKEN = {"parquet": "Parquet", "xlsx": "an Excel workbook (.xlsx)", "json": "JSON", "csv": "plain text"}
FOREIGN = {  # first bytes of what people mistake for a table
    b"\xd0\xcf\x11\xe0": "an old or password-protected Office file (.xls)",
    b"%PDF-": "a PDF",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
}
GZIP, ZIP, PARQUET = b"\x1f\x8b", (b"PK\3\4", b"PK\5\6"), b"PAR1"
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# Encodings that files really have: given all it knows, the detector prefers exotic ones on short texts.
ENCODINGS = "cp1252 cp1250 cp1251 cp1253 cp1254 cp1255 cp1256 cp1257 iso8859_2 koi8_r cp932 euc_jp gb18030 big5 cp949"
MOST_CHAOS = 0.1  # in charset-normalizer's measure; above it, the decoded text looks like noise
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
QUOTE_RULES = {  # by a part of the csv module's message
    "unexpected end": "a quote opens here and is never closed",
    "field larger": f"a field is longer than {MAX_FIELD:,} characters, perhaps after a quote that is never closed",
    "expected after": "text goes on after a closing quote",
}
REMEDIES = {
    errno.ENOENT: "Check that the file and its folder exist",
    errno.EACCES: "Ask for permission, or use a folder of your own",
    errno.EROFS: "Use a folder that can be written to",
    errno.EISDIR: "Name one file in that folder",
    errno.ENOSPC: "Free some disk space",
}
JSON_START = re.compile(r'\s*(\[\s*)?\{\s*["}]')
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
FORMULA = re.compile(r"\s*[=+\-@\t\r]")
WORDY = r"\S\s+\S|[^\x00-\x7f]"  # several words, or a script that may not put spaces between them
# What openpyxl raises on damaged workbooks: it checks little itself, so these are mostly Python's.
BROKEN_WORKBOOK = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, SyntaxError, RuntimeError, AssertionError),
    *(OSError, EOFError, zlib.error, zipfile.BadZipFile),
)
BROKEN_PARQUET = (pa.ArrowException, ValueError, OSError, LookupError, TypeError, ArithmeticError)

T = TypeVar("T")
Cell = str | None
Content = tuple[list[str], list[list[Cell]], list[int]]  # names, columns, row numbers


@dataclass(frozen=True, eq=False)
class Table:
    """A file as text.

    Attributes
    ----------
    name : str
        The file as the user named it.
    sha256 : str
        Of the file's bytes as they are stored.
    frame : DataFrame, shape (n, columns)
        Every cell a ``str``, a missing one None; column names are unique.
    rows : ndarray of int64, shape (n,)
        Each row's number as a person counts. In CSV and Excel the header is row 1; a quoted field with
        line breaks belongs to one row, and an empty line is one. In JSONL the line; elsewhere from 1.
    notes : tuple of str
        What was guessed: format, encoding, delimiter, sheet.
    """

    name: str
    sha256: str
    frame: pd.DataFrame
    rows: np.ndarray[tuple[int], np.dtype[np.int64]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Columns:
    """Which columns hold the text and the label, with a note for each guess."""

    text: str
    label: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A usable row; ``extra`` holds the other columns where they are not empty."""

    row: int
    text: str
    label: str | None
    extra: dict[str, str]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that cannot be used, why, how its text begins, and its other columns."""

    row: int
    reason: str
    text: str
    extra: dict[str, str]


@dataclass
class _Source:
    """An unpacked file on its way to a table."""

    name: str
    data: bytes
    sheet: str | None = None
    progress: Callable[[int, int], None] | None = None
    encoding: str = "utf-8"
    notes: list[str] = field(default_factory=list)
    buffer: io.BytesIO = field(default_factory=io.BytesIO)
    reader: io.TextIOWrapper | None = None  # kept, as it closes the buffer when it goes

    @property
    def ending(self) -> str:
        return _ending(self.name)

    def error(self, rule: str, remedy: str, row: int | None = None) -> InputError:
        return InputError(self.name, rule, remedy, row)

    def text(self, newline: str | None = "") -> io.TextIOWrapper:
        self.buffer = io.BytesIO(self.data)
        self.reader = io.TextIOWrapper(self.buffer, self.encoding, newline=newline)
        return self.reader

    def counted(self, records: Iterable[T]) -> Iterator[tuple[int, T]]:
        """Yield each record with its number, report progress, and stop above the row limit."""
        for number, record in enumerate(records, 1):
            if number > MAX_ROWS + 1:  # one for the header
                raise self.error(f"more than {MAX_ROWS:,} rows", "Split the file")
            if self.progress is not None and number % EVERY == 0:
                self.progress(self.buffer.tell(), len(self.data))
            yield number, record

    def check_names(self, names: Sequence[str], row: int | None = None) -> None:
        """Refuse columns that could not be told apart or asked for."""
        if len(names) > MAX_COLUMNS:
            raise self.error(f"more than {MAX_COLUMNS} columns", "Keep the text, the label and a few more", row)
        for position, name in enumerate(names, 1):
            if not name.strip():
                raise self.error(f"column {position} has no name", "Name every column in the header", row)
            if name in names[: position - 1]:
                raise self.error(f"two columns are named '{name[:60]}'", "Give every column its own name", row)

    def check_width(self, found: int, wanted: int, row: int) -> None:
        if found != wanted:
            remedy = (
                "Quote fields that hold the delimiter; name all columns" if found > wanted else "Add what is missing"
            )
            plural = "field" if found == 1 else "fields"
            raise self.error(f"{found} {plural} where the header has {wanted}", remedy, row)


def read_table(
    path: str | Path,
    *,
    name: str | None = None,
    sheet: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Table:
    """Read a CSV, TSV, JSONL, JSON, Parquet or Excel file, gzipped or not, from disk or ``hf://``.

    Parameters
    ----------
    path : str or Path
        The file.
    name : str, optional
        What the user calls it, when ``path`` is a temporary copy; then this name's ending counts.
    sheet : str, optional
        The sheet of a workbook; the first one by default.
    progress : callable, optional
        Called now and then with (done, total), in bytes of the unpacked content.

    Returns
    -------
    Table

    Raises
    ------
    InputError
        The file cannot be read, is not what its name says, breaks a rule of its format, has no rows,
        or is larger than this module's limits.
    """
    shown = name or str(path)
    raw = _fetch(path, shown)
    source = _Source(shown, _unpack(raw, shown), sheet, progress)
    kind = _kind(source)
    if sheet is not None and kind != "xlsx":
        raise source.error("only Excel workbooks have sheets", "Name no sheet")
    names, columns, rows = READERS[kind](source)
    if not rows or not names:
        raise source.error("it has no rows of data", "Check that this is the right file")
    for column in columns:
        for row, cell in zip(rows, column, strict=True):
            if cell is not None and len(cell) > MAX_FIELD:
                raise source.error(f"a field is longer than {MAX_FIELD:,} characters", "Shorten it", row)
    if progress is not None:
        progress(len(source.data), len(source.data))
    frame = pd.DataFrame(dict(zip(names, columns, strict=True)), dtype=object)
    counted = np.array(rows, dtype=np.int64)
    return Table(shown, hashlib.sha256(raw).hexdigest(), frame, counted, tuple(source.notes))


def _ending(name: str) -> str:
    return name.lower().removesuffix(".gz").rpartition(".")[2]


def _drain(read: Callable[[int], bytes], name: str) -> bytes:
    """Read to the end but never past the limit: a bomb is stopped while it unpacks."""
    parts, size = [], 0
    while chunk := read(1 << 20):
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_BYTES:
            raise InputError(name, f"it holds more than {MAX_BYTES:,} bytes, unpacked", "Split the file")
    return b"".join(parts)


def _os_error(name: str, doing: str, exc: OSError) -> InputError:
    remedy = REMEDIES.get(exc.errno or 0, "Check the path and the disk")
    return InputError(name, f"it cannot be {doing}: {exc.strerror or exc}", remedy)


def _fetch(path: str | Path, name: str) -> bytes:
    """Return the file's bytes as they are stored."""
    if str(path).startswith("hf://"):
        return _fetch_hub(str(path), name)
    if "\0" in str(path):
        raise InputError(name, "its path holds a NUL character", "Check the path")
    try:
        with Path(path).open("rb") as stream:
            return _drain(stream.read, name)
    except OSError as exc:
        raise _os_error(name, "read", exc) from exc


def _fetch_hub(path: str, name: str) -> bytes:
    """Download from the Hugging Face hub, whose library is imported here because few need it."""
    from huggingface_hub import HfFileSystem  # noqa: PLC0415
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    # Errors of its HTTP library come through too; which library that is differs between versions.
    failures = cast("tuple[type[Exception], ...]", (OSError, ValueError, RuntimeError, *HfHubHTTPError.__bases__))
    try:
        with HfFileSystem().open(path, "rb") as stream:
            return _drain(stream.read, name)
    except failures as exc:
        remedy = "Check the address and the network, or download the file and import it from disk"
        raise InputError(name, f"it cannot be downloaded ({str(exc)[:120]})", remedy) from exc


def _unpack(raw: bytes, name: str) -> bytes:
    """Undo gzip, once, where the content is gzip."""
    data, zipped, said = raw, raw.startswith(GZIP), name.lower().endswith(".gz")
    if said and raw and not zipped:
        raise InputError(name, "its name ends in .gz but it is not gzipped", "Take .gz off its name")
    if zipped and not said and _ending(name) in KINDS:
        raise InputError(name, "it is gzipped but its name does not say so", "Add .gz to its name")
    if zipped:
        try:
            data = _drain(gzip.GzipFile(fileobj=io.BytesIO(raw)).read, name)
        except (OSError, EOFError, zlib.error) as exc:
            raise InputError(name, f"its gzip is damaged ({exc})", "Download or pack it again") from exc
        if data.startswith(GZIP):
            raise InputError(name, "it is gzipped twice", "Unpack it once")
    if not data.strip():
        raise InputError(name, "the file is empty", "Check that this is the right file")
    return data


def _kind(source: _Source) -> str:
    """Decide the format by content first; a name that says otherwise is refused."""
    data, said, found = source.data, KINDS.get(source.ending), "csv"
    for magic, what in FOREIGN.items():
        if data.startswith(magic) or data[:64].lstrip().lower().startswith(magic):
            raise source.error(f"this is {what}", "Get the table as CSV, JSONL, Parquet or .xlsx")
    if data.startswith(PARQUET):
        found = "parquet"
    elif data.startswith(ZIP):
        found = _check_zip(source)
    else:
        _decode(source)
        found = "json" if JSON_START.match(source.text().read(1000)) else "csv"
    if said is None:
        source.notes.append(f"format: {'CSV' if found == 'csv' else SPOKEN[found]} (guessed from its content)")
    elif said != found and not (said in ("json", "jsonl") and found in ("json", "csv")):
        remedy = "Rename it to end as its content does"
        raise source.error(f"its name ends in .{source.ending} but it holds {SPOKEN[found]}", remedy)
    return said or found


def _check_zip(source: _Source) -> str:
    """Refuse archives that are no workbooks, and workbooks too large; zipfile stops at the size declared."""
    try:
        with zipfile.ZipFile(io.BytesIO(source.data)) as archive:
            members = archive.infolist()
    except BROKEN_WORKBOOK as exc:
        raise source.error(f"the workbook or archive is damaged ({exc})", "Save or download it again") from exc
    if not any(member.filename.startswith("xl/") for member in members):
        raise source.error("this is a zip archive, not a table", "Unpack it and import a file from it")
    if sum(member.file_size for member in members) > MAX_BYTES:
        raise source.error(f"it holds more than {MAX_BYTES:,} bytes, unpacked", "Split it, or save it as CSV")
    return "xlsx"


def _decode(source: _Source) -> None:
    """Find the encoding, or say in which row the text breaks."""
    data = source.data
    source.encoding = encoding = next((name for mark, name in BOMS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as exc:
        lenient = data.decode(encoding, "replace")
        broken = lenient.count("\ufffd")
        sound = len(lenient) - len(lenient.encode("ascii", "ignore")) - broken
        if encoding != "utf-8" or sound > broken:  # a few bad bytes in what is otherwise UTF-8
            row = _row_after(source, exc.object[: exc.start].decode(encoding, "ignore"))
            wanted = encoding.removesuffix("-sig").upper()
            raise source.error(f"a character is not valid {wanted}", f"Repair it, or save as {wanted}", row) from exc
        text = _guess_encoding(source)
    if "\0" in text:
        row = _row_after(source, text.partition("\0")[0])
        raise source.error("a NUL byte: binary data, or UTF-16 without its mark", "Save it as UTF-8 text", row)


def _guess_encoding(source: _Source) -> str:
    """Decode with charset-normalizer's guess where that is confident."""
    found = re.finditer(rb"[^\r\n]*[\x80-\xff][^\r\n]*\n?", source.data)
    sample = b"".join(match[0][:2000] for match in islice(found, 200))
    matches = list(charset_normalizer.from_bytes(sample, cp_isolation=ENCODINGS.split()))
    if matches and matches[0].chaos <= MOST_CHAOS:
        best = matches[0]
        tied = [match for match in matches if (match.chaos, match.coherence) == (best.chaos, best.coherence)]
        # Ties come in alphabetical order; Western European is by far the commonest.
        western = any("cp1252" in match.could_be_from_charset for match in tied)
        if western or len(tied) == 1 or best.coherence > 0:
            source.encoding = "cp1252" if western else best.encoding
            source.notes.append(f"encoding: {source.encoding} (guessed: check that accents look right)")
            with suppress(UnicodeDecodeError):
                return source.data.decode(source.encoding)
    raise source.error("it is not UTF-8 and its encoding cannot be told", "Save it as UTF-8")


def _row_after(source: _Source, before: str) -> int:
    """Return the row of the character after ``before``: a record in CSV, else a line."""
    before += "x"
    if KINDS.get(source.ending, "csv") != "csv":
        return len(re.findall(r"\r\n?|\n", before)) + 1
    count = 0
    csv.field_size_limit(MAX_FIELD)
    with suppress(csv.Error):
        for _ in csv.reader(io.StringIO(before, newline=""), delimiter=_sniff(source, before)):
            count += 1
    return max(count, 1)


def _sniff(source: _Source, text: str) -> str:
    """Return the delimiter under which most of the first rows are as wide as the header."""

    def score(delimiter: str) -> tuple[float, int, bool]:
        same, width = 0.0, 0
        with suppress(csv.Error):
            sample = io.StringIO(text[:65536], newline="")
            widths = [len(record) for record in islice(csv.reader(sample, delimiter=delimiter), 50) if record]
            if widths and widths[0] > 1:
                same, width = widths.count(widths[0]) / len(widths), widths[0]
        return same, width, delimiter == ("\t" if source.ending in ("tsv", "txt") else ",")

    return max(DELIMITERS, key=score)


def _read_csv(source: _Source) -> Content:
    """Read a delimited file with Python's own parser, which can say in which record it stopped."""
    csv.field_size_limit(MAX_FIELD)
    delimiter = _sniff(source, source.text().read(65536))
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


class _Literal(str):
    """A JSON number as it was written: 1e5 and 5.10 stay as they are."""

    __slots__ = ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key '{key[:60]}' occurs twice in one object")
        found[key] = value
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_Literal, parse_float=_Literal, parse_constant=_refuse)


def _load(source: _Source, text: str, row: int | None) -> Any:  # noqa: ANN401 - JSON is anything
    """Decode one JSON value, or say where it breaks."""
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


def _objects(source: _Source, values: Iterable[tuple[int, Any]]) -> Content:
    """Turn objects into columns: all their keys, in order of first appearance."""
    names: dict[str, None] = {}
    objects, rows = [], []
    for row, value in values:
        if not isinstance(value, dict):
            raise source.error("this is no JSON object", 'Write {"text": "…", "label": "…"}', row)
        try:
            objects.append({_storable(key): _cell(cell) for key, cell in value.items()})
        except RecursionError as exc:
            raise source.error("its JSON is nested too deep", "Flatten it", row) from exc
        rows.append(row)
        if not objects[-1].keys() <= names.keys():
            names |= dict.fromkeys(objects[-1])
            source.check_names(list(names), row)
    return list(names), [[each.get(name) for each in objects] for name in names], rows


def _read_jsonl(source: _Source) -> Content:
    lines = source.counted(source.text(None))
    return _objects(source, ((row, _load(source, line, row)) for row, line in lines if not line.isspace()))


def _read_json(source: _Source) -> Content:
    """Read an array of objects, or one object per line under the name .json."""
    text = source.text(None).read()
    if text.lstrip().startswith("["):
        return _objects(source, source.counted(_load(source, text, None)))
    return _read_jsonl(source)


def _read_parquet(source: _Source) -> Content:
    """Read a Parquet file in batches, so that what it unpacks to can be watched."""
    try:
        file = pq.ParquetFile(pa.BufferReader(source.data))
        names, size = list(file.schema_arrow.names), 0
        source.check_names(names)
        columns: list[list[Cell]] = [[] for _ in names]
        for batch in file.iter_batches(batch_size=EVERY):
            size += batch.nbytes
            if size > MAX_BYTES or len(columns[0]) > MAX_ROWS:
                raise source.error(f"more than {MAX_ROWS:,} rows or {MAX_BYTES:,} bytes", "Split the file")
            for column, values in zip(columns, batch.columns, strict=True):
                column.extend(map(_cell, values.to_pylist()))
    except BROKEN_PARQUET as exc:
        raise source.error(f"its Parquet is damaged ({str(exc)[:120]})", "Write or download it again") from exc
    return names, columns, list(range(1, len(columns[0]) + 1)) if columns else []


def _read_excel(source: _Source) -> Content:
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


def _sheet(source: _Source) -> list[list[Cell]]:
    """Return the rows of the sheet as text, without the empty cells at their ends."""
    try:
        with warnings.catch_warnings():  # about styles and features that hold no text
            warnings.simplefilter("ignore")
            with closing(openpyxl.load_workbook(io.BytesIO(source.data), read_only=True, data_only=True)) as book:
                titles = [sheet.title for sheet in book.worksheets]
                if source.sheet is not None and source.sheet not in titles:
                    raise source.error(f"no sheet '{source.sheet}'", f"Name one of: {', '.join(titles[:10])}")
                sheet = book[source.sheet or titles[0]]
                if len(titles) > 1:
                    source.notes.append(f"sheet: '{sheet.title}' (one of {len(titles)})")
                sheet.reset_dimensions()  # the size it declares may be wrong
                return [_trimmed(cells) for cells in islice(sheet.iter_rows(values_only=True), MAX_ROWS + 2)]
    except BROKEN_WORKBOOK as exc:
        raise source.error(f"the workbook is damaged ({str(exc)[:120]})", "Save it again as .xlsx") from exc


def _trimmed(cells: Sequence[object]) -> list[Cell]:
    """Cut the empty end off a row: a few bytes of a workbook can declare 16,384 cells."""
    end = len(cells)
    while end and cells[end - 1] in (None, ""):
        end -= 1
    return [_cell(value) or None for value in cells[:end]]


def _storable(text: str) -> str:
    """Replace lone surrogates, which neither UTF-8 nor the database can hold."""
    return str(text) if text.isascii() else LONE_SURROGATE.sub("\ufffd", text)


def _cell(value: object) -> Cell:
    """Return a cell as text: 3.0 is "3", True is "true", a nested value is compact JSON."""
    if isinstance(value, str):
        return _storable(value)
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool | np.bool_ | dict | list | tuple):
        return _compact(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")  # in Excel, a day is its midnight
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return value.decode() if isinstance(value, bytes) else str(value)


def _compact(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{_compact(str(key))}:{_compact(cell)}" for key, cell in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_compact, value)) + "]"
    if isinstance(value, _Literal):
        return str(value)
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return "null"  # JSON has no other word for it
    return json.dumps(_storable(value) if isinstance(value, str) else value, ensure_ascii=False, default=str)


READERS = {"csv": _read_csv, "jsonl": _read_jsonl, "json": _read_json, "parquet": _read_parquet, "xlsx": _read_excel}


def choose_columns(table: Table, text: str | None = None, label: str | None = None, *, need_label: bool) -> Columns:
    """Find the text and the label column: as named, else by their names, else by what they hold.

    Parameters
    ----------
    table : Table
    text, label : str, optional
        Names from the user; case and outer spaces do not matter.
    need_label : bool
        Whether there must be a label. Where there need not, only a column's name makes it the label:
        among unlabelled texts, a column such as the channel would be mistaken for one.

    Raises
    ------
    InputError
        There is no such column, or it cannot be told which one it is.
    """
    notes = []
    frame = table.frame.loc[:, table.frame.notna().any()]
    label = None if label is None else _find(table, label)
    if text is None:
        text, how = _guess(table, "text", frame[[name for name in frame.columns if name != label]])
        notes.append(f"text column: '{text}' (guessed from its {how})")
    else:
        text = _find(table, text)
    if text == label:
        raise InputError(table.name, f"'{text}' cannot be both the text and the label", "Name two columns")
    rest = frame[[name for name in frame.columns if name != text]]
    if label is None and (need_label or _by_name(rest, LABEL_NAMES)):
        label, how = _guess(table, "label", rest)
        notes.append(f"label column: '{label}' (guessed from its {how})")
    return Columns(text, label, tuple(notes))


def _guess(table: Table, what: str, frame: pd.DataFrame) -> tuple[str, str]:
    """Return the column with a known name, else the only one with likely content, and which of the two it was."""
    known, by_content = GUESSES[what]
    if (found := _by_name(frame, known)) is not None:
        return found, "name"
    likely = by_content(frame)
    if len(likely) == 1:
        return likely[0], "content"
    rule = f"cannot tell which column is the {what} ({_listed(likely or list(frame.columns))})"
    raise InputError(table.name, rule, f"Pass --{what} with the column's name")


def _listed(names: Sequence[str]) -> str:
    return "columns: " + ", ".join(name[:40] for name in names[:10]) + (", …" if names[10:] else "")


def _find(table: Table, wanted: str) -> str:
    """Return the column that was meant."""
    names = list(table.frame.columns)
    folded = {name.strip().casefold(): name for name in reversed(names)}
    key = wanted.strip().casefold()
    if wanted in names or key in folded:
        return wanted if wanted in names else folded[key]
    close = difflib.get_close_matches(key, list(folded), n=1)
    remedy = f"Did you mean '{folded[close[0]][:40]}'?" if close else "Name one of these columns"
    raise InputError(table.name, f"no column '{wanted[:40]}' ({_listed(names)})", remedy)


def _by_name(frame: pd.DataFrame, known: Sequence[str]) -> str | None:
    """Return the column with the first known name: as all of its name, else as its last word."""
    whole = [name.strip().casefold() for name in frame.columns]
    last = [re.split(r"[\W_]+", name)[-1] for name in whole]
    for spoken in (whole, last):
        for name in known:
            for column, word in zip(frame.columns, spoken, strict=True):
                if word in (name, name + "s"):
                    return str(column)
    return None


def _longest(frame: pd.DataFrame) -> list[str]:
    """Return the column with the longest values, mostly distinct and mostly of several words."""
    lengths: dict[str, float] = dict.fromkeys(frame.columns, 0) if len(frame.columns) == 1 else {}
    for name, column in frame.iloc[:: max(1, len(frame) // GUESS_ROWS)].items():
        values = column.dropna()
        if values.nunique() * 2 > len(values) and values.str.contains(WORDY).mean() * 2 > 1:
            lengths[str(name)] = values.str.len().mean()
    return sorted(lengths, key=lambda name: -lengths[name])[:1]


def _repeated(frame: pd.DataFrame) -> list[str]:
    """Return the columns of short values, each there at least twice on average; numbers only without others."""
    likely = []
    for name in frame.columns:
        values = frame[name].dropna()
        if 1 < values.nunique() <= len(values) / 2 and values.str.len().max() <= LONGEST_LABEL:
            likely.append(name)
    return [name for name in likely if not frame[name].dropna().str.fullmatch(r"[\d.,+-]+").all()] or likely


GUESSES = {"text": (TEXT_NAMES, _longest), "label": (LABEL_NAMES, _repeated)}


def normalise_text(raw: str) -> str:
    """Return the text in NFC, with every run of whitespace one space, and storable as UTF-8."""
    return " ".join(unicodedata.normalize("NFC", _storable(raw)).split())


def text_id(text: str) -> str:
    """Return the SHA-256, in hexadecimal, of the normalised text: equal texts have equal identities."""
    return hashlib.sha256(normalise_text(text).encode()).hexdigest()


def usable_rows(table: Table, columns: Columns, *, longest: int = LONGEST_TEXT) -> tuple[list[Row], list[LeftOut]]:
    """Normalise texts and labels, and set aside the rows that cannot be used.

    Parameters
    ----------
    table : Table
    columns : Columns
    longest : int
        The most characters a text may have.

    Returns
    -------
    tuple of list of Row, list of LeftOut
        Each in the order of the file; together they are all its rows.
    """
    usable, left_out = [], []
    frame = table.frame
    others = [name for name in frame.columns if name not in (columns.text, columns.label)]
    labels = frame[columns.label] if columns.label is not None else repeat(None, len(frame))
    extras = zip(*(frame[name] for name in others), strict=True) if others else repeat((), len(frame))
    for row, raw, raw_label, extra in zip(table.rows.tolist(), frame[columns.text], labels, extras, strict=True):
        text, label = _bounded(raw, longest), _bounded(raw_label, LONGEST_LABEL)
        filled = {name: cell for name, cell in zip(others, extra, strict=True) if cell}
        if not text:
            left_out.append(LeftOut(row, "empty text", "", filled))
        elif len(text) > longest:
            reason = f"too long: {len(text):,} characters, at most {longest:,}"
            left_out.append(LeftOut(row, reason, text[:200], filled))
        elif len(label) > LONGEST_LABEL:
            reason = f"label too long: {len(label):,} characters, at most {LONGEST_LABEL}"
            left_out.append(LeftOut(row, reason, text[:200], filled))
        else:
            usable.append(Row(row, text, label or None, filled))
    return usable, left_out


def _bounded(raw: Cell, longest: int) -> str:
    """Normalise, unless far too long: NFC takes quadratic time on runs of combining marks, and saves two thirds."""
    flat = " ".join((raw or "").split())
    return normalise_text(flat) if len(flat) <= 3 * longest else _storable(flat)


def write_table(path: str | Path, rows: Iterable[Mapping[str, object]], columns: Sequence[str]) -> int:
    """Write rows as .csv, .tsv, .jsonl (also with .gz) or .parquet; only a complete file gets that name.

    Parameters
    ----------
    path : str or Path
        The file; an existing one is replaced at the end, and stays as it is if anything fails.
    rows : iterable of mapping
        What a row lacks, or has as None, is an empty cell.
    columns : sequence of str
        The columns, in order. In CSV and TSV a text that a spreadsheet would run as a formula gets an
        apostrophe before it, and NUL becomes U+FFFD; JSONL and Parquet hold texts as they are.

    Returns
    -------
    int
        How many rows were written.

    Raises
    ------
    InputError
        The ending is none of these, or the file cannot be written.
    """
    count = 0

    def records() -> Iterator[list[object]]:
        nonlocal count
        for row in rows:
            count += 1
            yield [row.get(name) for name in columns]

    target, zipped = Path(path), Path(path).name.lower().endswith(".gz")
    write = WRITERS.get(_ending(target.name))
    if write is None or (zipped and write is _write_parquet):
        raise InputError(str(path), "its ending is unknown", "End it in .csv, .tsv, .jsonl (or with .gz) or .parquet")
    temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")  # in the same folder: only there is renaming atomic
    try:
        try:
            with temporary.open("xb") as raw:
                with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if zipped else nullcontext(raw) as out:
                    write(out, columns, records())
                raw.flush()
                os.fsync(raw.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as exc:
        raise _os_error(str(path), "written", exc) from exc
    return count


def _harmless(value: object) -> object:
    """Return a cell for a spreadsheet: numbers as they are, and no text that begins a formula."""
    if isinstance(value, numbers.Number) and not isinstance(value, bool) and _cell(value) is not None:
        return value
    text = (_cell(value) or "").replace("\0", "\ufffd")
    return f"'{text}" if FORMULA.match(text) else text


def _write_csv(
    out: io.BufferedIOBase, columns: Sequence[str], records: Iterable[list[object]], delimiter: str = ","
) -> None:
    line = io.StringIO()
    writer = csv.writer(line, delimiter=delimiter)  # ends lines in \r\n, and therefore quotes a lone \r too
    headed: Iterable[Iterable[object]] = chain([columns], records)
    for record in headed:
        writer.writerow(map(_harmless, record))
        out.write(line.getvalue().encode())
        line.seek(0)
        line.truncate()


def _write_tsv(out: io.BufferedIOBase, columns: Sequence[str], records: Iterable[list[object]]) -> None:
    _write_csv(out, columns, records, "\t")


def _write_jsonl(out: io.BufferedIOBase, columns: Sequence[str], records: Iterable[list[object]]) -> None:
    out.writelines(f"{_compact(dict(zip(columns, record, strict=True)))}\n".encode() for record in records)


def _write_parquet(out: io.BufferedIOBase, columns: Sequence[str], records: Iterable[list[object]]) -> None:
    """Write columns of one type each: numbers or booleans where every cell is one, else text."""
    cells: list[tuple[Any, ...]] = list(zip(*records, strict=True)) or [() for _ in columns]
    arrays = []
    for column in cells:
        kinds = {type(cell) for cell in column if cell is not None}
        if kinds in ({float}, {bool}) or (kinds == {int} and all(abs(cell or 0) < 1 << 63 for cell in column)):
            arrays.append(pa.array(column))
        else:
            arrays.append(pa.array(map(_cell, column), pa.string()))
    pq.write_table(pa.table(arrays, names=list(columns)), out)


WRITERS = {"csv": _write_csv, "tsv": _write_tsv, "jsonl": _write_jsonl, "parquet": _write_parquet}
