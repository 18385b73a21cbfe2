"""Write a table, completely or not at all."""

from __future__ import annotations

import csv
import gzip
import io
import math
import numbers
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import chain, islice
from operator import add
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from red_core.data.tables.cells import as_json, as_text
from red_core.data.tables.delimited import DELIMITERS
from red_core.data.tables.formulas import guarded
from red_core.data.tables.source import disk_error, ending
from red_core.errors import InputError

BOM = b"\xef\xbb\xbf"
ROWS_PER_BLOCK = 256
"""Rows of CSV that are encoded at once."""
_PLAIN = re.compile("\\w[^,;\\t\\r\\n\\0\ud800-\udfff]*").fullmatch
"""Finds most texts: no spreadsheet can run a part of them, and every character can be written."""


@contextmanager
def whole_file(path: str | Path) -> Iterator[io.BufferedIOBase]:
    """Open a file for writing that appears complete at the end, or not at all; an existing one stays until then.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    target = Path(path)
    temporary = target.with_name(
        f".{uuid.uuid4().hex}.tmp"
    )  # in the same folder, because only there renaming is atomic
    try:
        try:
            with temporary.open("xb") as raw:
                yield raw
                raw.flush()
                os.fsync(raw.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as exc:
        raise disk_error(str(path), "written", exc) from exc


def write_table(
    path: str | Path,
    rows: Iterable[Mapping[str, object]],
    columns: Sequence[str],
    *,
    delimiter: str | None = None,
    mark: bool = False,
) -> int:
    """Write rows as .csv, .tsv, .jsonl, .json (also with .gz) or .parquet; return how many. The file is never partial.

    Parameters
    ----------
    path : str or Path
        The file. An existing one is replaced at the end, and kept if anything fails.
    rows : iterable of mapping
        A missing key or None is an empty cell.
    columns : sequence of str
        The columns, in order. In CSV and TSV a text that a spreadsheet would run as a formula gets an
        apostrophe before it, and NUL becomes U+FFFD; JSON, JSONL and Parquet hold texts as they are.
    delimiter : str, optional
        Of a CSV file, one of ``DELIMITERS``; a comma by default.
    mark : bool
        Whether the file begins with the mark of UTF-8, by which Excel knows a CSV file's encoding.

    Returns
    -------
    int
        How many rows were written.

    Raises
    ------
    InputError
        If the ending or the delimiter is none of these, or the file cannot be written.
    """
    count = 0

    def records() -> Iterator[list[object]]:
        nonlocal count
        for row in rows:
            count += 1
            yield list(map(row.get, columns))

    target, zipped = Path(path), Path(path).name.lower().endswith(".gz")
    write = WRITERS.get(ending(target.name))
    if write is None or (zipped and write is _write_parquet):
        raise InputError(
            str(path), "its ending is unknown", "End it in .csv, .tsv, .jsonl, .json (or with .gz) or .parquet"
        )
    if delimiter is not None and delimiter not in DELIMITERS:
        rule = f"{delimiter[:20]!r} is no delimiter"
        raise InputError(str(path), rule, f"Choose one of these signs: {', '.join(DELIMITERS.values())}")
    if delimiter is not None:
        write = partial(_write_csv, delimiter=delimiter)
    with (
        whole_file(target) as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if zipped else nullcontext(raw) as out,
    ):
        if mark:
            out.write(BOM)
        write(out, columns, records())
    return count


def _harmless(value: object, delimiter: str) -> object:
    """Return a cell that no spreadsheet runs as a formula: such texts get an apostrophe; numbers stay."""
    if value is None:  # common cells first, because the check for numbers is slow
        return ""
    if type(value) is float:
        return "" if math.isnan(value) else value
    if (
        not isinstance(value, str)
        and isinstance(value, numbers.Number)
        and not isinstance(value, bool)
        and as_text(value) is not None
    ):
        return value
    return guarded((as_text(value) or "").replace("\0", "\ufffd"), delimiter)


def _write_csv(
    out: io.BufferedIOBase, columns: Sequence[str], records: Iterable[list[object]], delimiter: str = ","
) -> None:
    lines = io.StringIO()
    writer = csv.writer(lines, delimiter=delimiter)  # with \r\n as line ending it also quotes a single \r
    headed: Iterator[Iterable[object]] = chain([columns], records)
    while block := list(islice(headed, ROWS_PER_BLOCK)):
        writer.writerows(
            [
                cell
                if cell is None or type(cell) is int or (type(cell) is str and (cell.isalnum() or _PLAIN(cell)))
                else _harmless(cell, delimiter)
                for cell in record
            ]
            for record in block
        )
        out.write(lines.getvalue().encode())
        lines.seek(0)
        lines.truncate()


def _write_tsv(out: io.BufferedIOBase, columns: Sequence[str], records: Iterable[list[object]]) -> None:
    _write_csv(out, columns, records, "\t")


def _write_jsonl(out: io.BufferedIOBase, columns: Sequence[str], records: Iterable[list[object]]) -> None:
    names = [f"{as_json(name)}:" for name in columns]  # keys encoded once: it halves the time
    for record in records:
        cells = ["null" if cell is None else as_json(cell) for cell in record]
        out.write(f"{{{','.join(map(add, names, cells))}}}\n".encode())


def _write_json(out: io.BufferedIOBase, columns: Sequence[str], records: Iterable[list[object]]) -> None:
    """Write one array of objects, each on a line of its own."""
    out.write(b"[")
    for number, record in enumerate(records):
        out.write(b",\n" if number else b"\n")
        out.write(as_json(dict(zip(columns, record, strict=True))).encode())
    out.write(b"\n]\n")


def _write_parquet(out: io.BufferedIOBase, columns: Sequence[str], records: Iterable[list[object]]) -> None:
    """Write each column as numbers or booleans if all its cells are, else as text."""
    cells: list[tuple[Any, ...]] = list(zip(*records, strict=True)) or [() for _ in columns]
    pq.write_table(pa.table(list(map(as_arrow, cells)), names=list(columns)), out)


def as_arrow(column: Sequence[Any]) -> pa.Array:
    """Return cells as an Arrow array of numbers or booleans if all of them are, else of texts."""
    kinds = {type(cell) for cell in column if cell is not None}
    if kinds in ({float}, {bool}) or (kinds == {int} and all(abs(cell or 0) < 1 << 63 for cell in column)):
        return pa.array(column)
    return pa.array(map(as_text, column), pa.string())


WRITERS = {
    "csv": _write_csv, "tsv": _write_tsv, "jsonl": _write_jsonl, "json": _write_json, "parquet": _write_parquet,
}  # fmt: skip
