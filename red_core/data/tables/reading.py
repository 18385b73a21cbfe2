"""Read a table: get the file, unpack it, detect its format and encoding, and parse it."""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

import charset_normalizer
import numpy as np
import pandas as pd

from red_core.data.tables import limits
from red_core.data.tables.formats import BROKEN_WORKBOOK, READERS, guess_delimiter
from red_core.data.tables.source import Source, disk_error, ending
from red_core.errors import InputError

KINDS = {"csv": "csv", "tsv": "csv", "txt": "csv", "jsonl": "jsonl", "ndjson": "jsonl", "json": "json"}
KINDS |= {"parquet": "parquet", "pq": "parquet", "xlsx": "xlsx", "xlsm": "xlsx"}
SPOKEN = {"parquet": "Parquet", "xlsx": "an Excel workbook (.xlsx)", "json": "JSON", "csv": "plain text"}
FOREIGN = {  # first bytes of files that are often mistaken for a table
    b"\xd0\xcf\x11\xe0": "an old or password-protected Office file (.xls)",
    b"%PDF-": "a PDF",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
}
GZIP, ZIP, PARQUET = b"\x1f\x8b", (b"PK\3\4", b"PK\5\6"), b"PAR1"
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# Encodings in common use: with all encodings, the detector prefers rare ones on short texts.
ENCODINGS = "cp1252 cp1250 cp1251 cp1253 cp1254 cp1255 cp1256 cp1257 iso8859_2 koi8_r cp932 euc_jp gb18030 big5 cp949"
MOST_CHAOS = 0.1  # in charset-normalizer's measure; above it, the decoded text looks like noise
JSON_START = re.compile(r'\s*(\[\s*)?\{\s*["}]')


@dataclass(frozen=True, eq=False)
class Table:
    """A table read from a file, with all cells as text.

    Attributes
    ----------
    name : str
        The file as the user named it.
    sha256 : str
        SHA-256 of the file's bytes on disk.
    frame : DataFrame, shape (n, columns)
        Every cell is a ``str``, an empty one None; column names are unique.
    rows : ndarray of int64, shape (n,)
        Each row's number as a person counts. In CSV and Excel the header is row 1; a quoted field with
        line breaks belongs to one row, and an empty line is one. In JSONL the line; elsewhere from 1.
    notes : tuple of str
        Notes on what was guessed: format, encoding, delimiter, sheet.
    """

    name: str
    sha256: str
    frame: pd.DataFrame
    rows: np.ndarray[tuple[int], np.dtype[np.int64]]
    notes: tuple[str, ...]


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
        progress(done, total), in bytes of the unpacked content.

    Returns
    -------
    Table

    Raises
    ------
    InputError
        If the file cannot be read, has the wrong ending, breaks a rule of its format, has no rows, or is larger than
        the limits in ``limits.py``.
    """
    shown = name or str(path)
    raw = _fetch(path, shown)
    source = Source(shown, _unpack(raw, shown), sheet, progress)
    kind = _kind(source)
    if sheet is not None and kind != "xlsx":
        raise source.error("only Excel workbooks have sheets", "Name no sheet")
    names, columns, rows = READERS[kind](source)
    if not rows or not names:
        raise source.error("it has no rows of data", "Check that this is the right file")
    for column in columns:
        for row, cell in zip(rows, column, strict=True):
            if cell is not None and len(cell) > limits.MAX_FIELD:
                raise source.error(f"a field is longer than {limits.MAX_FIELD:,} characters", "Shorten it", row)
    if progress is not None:
        progress(len(source.data), len(source.data))
    frame = pd.DataFrame(dict(zip(names, columns, strict=True)), dtype=object)
    counted = np.array(rows, dtype=np.int64)
    return Table(shown, hashlib.sha256(raw).hexdigest(), frame, counted, tuple(source.notes))


def _drain(read: Callable[[int], bytes], name: str) -> bytes:
    """Return all bytes; raise InputError at the size limit, so that a zip bomb is stopped early."""
    parts, size = [], 0
    while chunk := read(1 << 20):
        parts.append(chunk)
        size += len(chunk)
        if size > limits.MAX_BYTES:
            raise InputError(name, f"it holds more than {limits.MAX_BYTES:,} bytes, unpacked", "Split the file")
    return b"".join(parts)


def _fetch(path: str | Path, name: str) -> bytes:
    """Return the bytes of the file on disk or on the hub."""
    if str(path).startswith("hf://"):
        return _fetch_hub(str(path), name)
    if "\0" in str(path):
        raise InputError(name, "its path holds a NUL character", "Check the path")
    try:
        with Path(path).open("rb") as stream:
            return _drain(stream.read, name)
    except UnicodeEncodeError as exc:
        raise InputError(name, "its path holds a broken character", "Check the path") from exc
    except OSError as exc:
        raise disk_error(name, "read", exc) from exc


def _fetch_hub(path: str, name: str) -> bytes:
    """Return a file of the Hugging Face hub. Its library is imported here, because few users need it."""
    from huggingface_hub import HfFileSystem  # noqa: PLC0415
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    # Errors of its HTTP library come through too, and that library differs between versions.
    failures = cast("tuple[type[Exception], ...]", (OSError, ValueError, RuntimeError, *HfHubHTTPError.__bases__))
    try:
        with HfFileSystem().open(path, "rb") as stream:
            return _drain(stream.read, name)
    except failures as exc:
        remedy = "Check the address and the network, or download the file and import it from disk"
        raise InputError(name, f"it cannot be downloaded ({str(exc)[:120]})", remedy) from exc


def _unpack(raw: bytes, name: str) -> bytes:
    """Return the content, unpacked once if it is gzipped."""
    data, zipped, named_gzip = raw, raw.startswith(GZIP), name.lower().endswith(".gz")
    if named_gzip and raw and not zipped:
        raise InputError(name, "its name ends in .gz but it is not gzipped", "Take .gz off its name")
    if zipped and not named_gzip and ending(name) in KINDS:
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


def _kind(source: Source) -> str:
    """Return the format by content; raise InputError if the name of the file says otherwise."""
    data, by_name, kind = source.data, KINDS.get(source.ending), "csv"
    for magic, what in FOREIGN.items():
        if data.startswith(magic) or data[:64].lstrip().lower().startswith(magic):
            raise source.error(f"this is {what}", "Get the table as CSV, JSONL, Parquet or .xlsx")
    if data.startswith(PARQUET):
        kind = "parquet"
    elif data.startswith(ZIP):
        kind = _check_zip(source)
    else:
        _decode(source)
        kind = "json" if JSON_START.match(source.text().read(1000)) else "csv"
    if by_name is None:
        source.notes.append(f"format: {'CSV' if kind == 'csv' else SPOKEN[kind]} (guessed from its content)")
    elif by_name != kind and not (by_name in ("json", "jsonl") and kind in ("json", "csv")):
        remedy = "Rename it to end as its content does"
        raise source.error(f"its name ends in .{source.ending} but it holds {SPOKEN[kind]}", remedy)
    return by_name or kind


def _check_zip(source: Source) -> str:
    """Raise InputError for archives that are not workbooks, and for too large ones; zipfile stops at declared sizes."""
    try:
        with zipfile.ZipFile(io.BytesIO(source.data)) as archive:
            members = archive.infolist()
    except BROKEN_WORKBOOK as exc:
        raise source.error(f"the workbook or archive is damaged ({exc})", "Save or download it again") from exc
    if not any(member.filename.startswith("xl/") for member in members):
        raise source.error("this is a zip archive, not a table", "Unpack it and import a file from it")
    if sum(member.file_size for member in members) > limits.MAX_BYTES:
        raise source.error(f"it holds more than {limits.MAX_BYTES:,} bytes, unpacked", "Split it, or save it as CSV")
    return "xlsx"


def _decode(source: Source) -> None:
    """Set the encoding of the source; an error names the row with an invalid character."""
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


def _guess_encoding(source: Source) -> str:
    """Return the text in the encoding that charset-normalizer guesses, if it is confident."""
    lines = re.finditer(rb"[^\r\n]*[\x80-\xff][^\r\n]*\n?", source.data)
    sample = b"".join(match[0][:2000] for match in islice(lines, 200))
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
    raise source.error("it is not UTF-8 and its encoding is unclear", "Save it as UTF-8")


def _row_after(source: Source, before: str) -> int:
    """Return the row number of the character after ``before``: the record in CSV, else the line."""
    before += "x"
    if KINDS.get(source.ending, "csv") != "csv":
        return len(re.findall(r"\r\n?|\n", before)) + 1
    count = 0
    csv.field_size_limit(limits.MAX_FIELD)
    with suppress(csv.Error):
        for _ in csv.reader(io.StringIO(before, newline=""), delimiter=guess_delimiter(source, before)):
            count += 1
    return max(count, 1)
