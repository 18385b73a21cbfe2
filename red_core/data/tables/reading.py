"""Read a table: get the file, unpack it, detect its format and encoding, and parse it."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from red_core.data.tables import limits
from red_core.data.tables.arrow_files import read_arrow, read_parquet
from red_core.data.tables.delimited import read_delimited
from red_core.data.tables.encoding import decode
from red_core.data.tables.examples import is_rasa, read_rasa
from red_core.data.tables.excel import BROKEN_WORKBOOK, read_excel
from red_core.data.tables.json_files import of_known_tool, read_json, read_jsonl
from red_core.data.tables.many_objects import many_objects
from red_core.data.tables.source import NO_HINTS, Hints, Source, disk_error, ending
from red_core.data.tables.statistics_files import read_spss, read_stata
from red_core.errors import InputError

KINDS = {"csv": "csv", "tsv": "csv", "txt": "csv", "jsonl": "jsonl", "ndjson": "jsonl", "json": "json"}
KINDS |= {"parquet": "parquet", "pq": "parquet", "xlsx": "xlsx", "xlsm": "xlsx", "arrow": "arrow", "feather": "arrow"}
KINDS |= {"dta": "stata", "sav": "spss"}
SPOKEN = {
    "parquet": "Parquet", "xlsx": "an Excel workbook (.xlsx)", "json": "JSON", "csv": "plain text",
    "arrow": "Arrow data", "stata": "Stata data (.dta)", "spss": "SPSS data (.sav)",
}  # fmt: skip
READERS = {
    "csv": read_delimited, "jsonl": read_jsonl, "json": read_json, "parquet": read_parquet, "xlsx": read_excel,
    "rasa": read_rasa, "arrow": read_arrow, "stata": read_stata, "spss": read_spss,
}  # fmt: skip
MAGIC = {
    b"PAR1": "parquet", b"ARROW1": "arrow", b"FEA1": "arrow", b"\xff\xff\xff\xff": "arrow",
    b"<stata_dta>": "stata", b"$FL2": "spss", b"$FL3": "spss",
}  # fmt: skip
FOREIGN = {  # first bytes of files that are often mistaken for a table
    b"\xd0\xcf\x11\xe0": "an old or password-protected Office file (.xls)",
    b"%PDF-": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF87a": "a picture",
    b"GIF89a": "a picture",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"<?xml": "XML",
    b"{\\rtf": "a text document (.rtf)",
    b"SQLite format 3": "a database of SQLite",
    b"Obj\x01": "Avro data",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "HDF5 data",
    b"#FORMAT=WebAnno": "a WebAnno file of INCEpTION, which marks parts of texts",
}
PATTERNS = {  # the same, for files whose first bytes alone could begin a text
    rb"\x80[\x02-\x05]": "a Python pickle, which can run code",
    rb"ORC(?s:.*)ORC[^\t\n\r -~]\Z": "ORC data",
    rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)": "a bzip2 archive",
    rb"\xfd7zXZ\0": "an xz archive",
    rb"\x28\xb5\x2f\xfd": "a Zstandard archive",
    rb"\x04\x22\x4d\x18": "an LZ4 archive",
    rb"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    rb"Rar!\x1a\x07": "a RAR archive",
    rb"[^\0]{1,100}\0(?s:.{156,256})ustar": "a tar archive",
}
PACKED = {  # a file inside a zip archive -> what the archive is, and what to do
    "word/": ("a Word document", "Put the texts into a table and save it as .xlsx or CSV"),
    "ppt/": ("a presentation", "Put the texts into a table and save it as .xlsx or CSV"),
    "content.xml": ("an OpenDocument file (.ods, .odt)", "Save the table as .xlsx or CSV"),
    "mimetype": ("an OpenDocument file (.ods, .odt)", "Save the table as .xlsx or CSV"),
    "Index/": ("a Numbers or Pages document", "Export the table as .xlsx or CSV"),
}
GZIP, ZIP = b"\x1f\x8b", (b"PK\3\4", b"PK\5\6")
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
        Notes on what was guessed: format, encoding, delimiter, sheet, header, tool.
    hints : Hints
        The columns that a known tool's export has.
    sheets : tuple of str
        The sheets of a workbook.
    sheet : str or None
        The sheet that was read.
    header : int or None
        The row of the header, 0 for no header; None for a format that has none.
    delimiter : str or None
        Of a delimited file.
    """

    name: str
    sha256: str
    frame: pd.DataFrame
    rows: np.ndarray[tuple[int], np.dtype[np.int64]]
    notes: tuple[str, ...]
    hints: Hints = NO_HINTS
    sheets: tuple[str, ...] = ()
    sheet: str | None = None
    header: int | None = None
    delimiter: str | None = None


@many_objects()
def read_table(
    path: str | Path,
    *,
    name: str | None = None,
    sheet: str | None = None,
    header_row: int | None = None,
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
        The sheet of a workbook; the likeliest one by default.
    header_row : int, optional
        The row with the column names, as a person counts; 0 if there is none. It is found by default.
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
    source = Source(shown, _unpack(raw, shown), sheet, header_row, progress)
    kind = _kind(source)
    if sheet is not None and kind != "xlsx":
        raise source.error("only Excel workbooks have sheets", "Name no sheet")
    if header_row is not None and kind not in ("csv", "xlsx"):
        raise source.error(f"{SPOKEN.get(kind, 'JSON')} has no header row", "Name no header row")
    names, columns, rows = READERS[kind](source)
    if kind in ("csv", "xlsx") and rows and source.hints == NO_HINTS:
        names, columns, rows = of_known_tool(source, names, columns, rows)
    if not rows or not names:
        raise source.error("it has no rows of data", "Check that this is the right file")
    for column in columns:
        if max(map(len, filter(None, column)), default=0) > limits.MAX_FIELD:
            row = next(row for row, cell in zip(rows, column, strict=True) if cell and len(cell) > limits.MAX_FIELD)
            raise source.error(f"a field is longer than {limits.MAX_FIELD:,} characters", "Shorten it", row)
    if progress is not None:
        progress(len(source.data), len(source.data))
    frame = pd.DataFrame(dict(zip(names, columns, strict=True)), dtype=object)
    counted = np.array(rows, dtype=np.int64)
    return Table(
        shown, _digest(raw, source), frame, counted, tuple(source.notes), source.hints, source.sheets, source.sheet,
        source.header, source.delimiter,
    )  # fmt: skip


def _digest(raw: bytes, source: Source) -> str:
    """Return the SHA-256 of a file; of a workbook with several sheets, also of the name of the one that was read."""
    digest = hashlib.sha256(raw)
    if len(source.sheets) > 1:
        digest.update(b"\0" + str(source.sheet).encode())
    return digest.hexdigest()


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
    if not str(path):
        raise InputError("the file", "its name is empty", "Name a file")
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
    _refuse_foreign(source)
    told = next((format_ for first, format_ in MAGIC.items() if data.startswith(first)), None)
    if told is not None or by_name == "stata":  # old Stata files have no first bytes of their own
        kind = told or "stata"
    elif data.startswith(ZIP):
        kind = _check_zip(source)
    else:
        decode(source)
        start = source.text().read(4000)
        kind = "json" if JSON_START.match(start) else "rasa" if is_rasa(start, source.ending) else "csv"
        by_name = "rasa" if kind == "rasa" else by_name
    if by_name is None:
        source.notes.append(f"format: {'CSV' if kind == 'csv' else SPOKEN[kind]} (guessed from its content)")
    elif by_name == "csv" and kind == "json":  # the content tells it for sure
        source.notes.append("format: JSON (told from its content; its name says otherwise)")
        return kind
    elif by_name == "jsonl" and kind in ("json", "csv") and data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        source.notes.append("format: a JSON array (told from its content)")
        return "json"
    elif by_name != kind and not (by_name in ("json", "jsonl") and kind in ("json", "csv")):
        remedy = "Rename it to end as its content does"
        raise source.error(f"its name ends in .{source.ending} but it holds {SPOKEN[kind]}", remedy)
    return by_name or kind


def _refuse_foreign(source: Source) -> None:
    """Raise InputError for a file of another kind, known by its first bytes."""
    begins = source.data[:64].lstrip().lower()
    named = (what for first, what in FOREIGN.items() if source.data.startswith(first) or begins.startswith(first))
    found = next(named, None) or next((what for form, what in PATTERNS.items() if re.match(form, source.data)), None)
    if found is None:
        return
    if found.endswith(" archive"):
        raise source.error(f"this is {found}", "Unpack it and import a file from it; only gzip (.gz) is read packed")
    raise source.error(f"this is {found}", "Get the table as CSV, JSONL, Parquet or .xlsx")


def _check_zip(source: Source) -> str:
    """Raise InputError for archives that are not workbooks, and for too large ones; zipfile stops at declared sizes."""
    try:
        with zipfile.ZipFile(io.BytesIO(source.data)) as archive:
            members = archive.infolist()
    except BROKEN_WORKBOOK as exc:
        raise source.error(f"the workbook or archive is damaged ({exc})", "Save or download it again") from exc
    names = [member.filename for member in members]
    if not any(name.startswith("xl/") for name in names):
        for part, (what, remedy) in PACKED.items():
            if any(name.startswith(part) for name in names):
                raise source.error(f"this is {what}", remedy)
        raise source.error("this is a zip archive, not a table", "Unpack it and import a file from it")
    if "xl/workbook.bin" in names:
        raise source.error("this is a binary workbook (.xlsb)", "Save it as .xlsx")
    if sum(member.file_size for member in members) > limits.MAX_BYTES:
        raise source.error(f"it holds more than {limits.MAX_BYTES:,} bytes, unpacked", "Split it, or save it as CSV")
    return "xlsx"
