"""Read CSV, TSV, and plain text with one text a line, or with fastText's labels."""

from __future__ import annotations

import csv
import io
import re
from contextlib import suppress
from itertools import islice
from typing import Any

from red_core.data.tables import limits
from red_core.data.tables.cells import Cell
from red_core.data.tables.dialects import are_even, dialect_of, other_dialects
from red_core.data.tables.header import LOOKED_AT, choose_header, named
from red_core.data.tables.source import Hints, Source
from red_core.errors import InputError

DELIMITERS = {
    ",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", "~": "tilde", "^": "caret", "\x01": "control-A",
    "\x1f": "unit separator",
}  # fmt: skip
QUOTE_RULES = {  # by a part of the csv module's message
    "unexpected end": "a quote opens here and is never closed",
    "field larger": (
        f"a field is longer than {limits.MAX_FIELD:,} characters, perhaps after a quote that is never closed"
    ),
    "expected after": "text goes on after a closing quote",
}
FAST_TEXT = re.compile(r"\s*+((?:__label__[^\s,]+\s++)+)(?:,\s++)?(.*\S)\s*")
_SEPARATOR_LINE = re.compile(r"\ufeff?\"?sep=(.)\"?[;,\t]*\r?\n?", re.IGNORECASE)
"""The first line that tells Excel which delimiter follows."""
_SAMPLE = 65_536
"""Characters from which the delimiter is guessed."""

Content = tuple[list[str], list[list[Cell]], list[int]]
"""Names, columns, row numbers."""


def separator_line(text: str) -> str | None:
    """Return the delimiter that the first line names for Excel, None if it is no such line."""
    match = _SEPARATOR_LINE.match(text)
    return match[1] if match else None


def guess_delimiter(source: Source, text: str) -> str:
    """Return the delimiter that Excel's line names, else the one that cuts most rows into as many fields."""
    if (given := separator_line(text)) is not None:
        return given

    def score(delimiter: str) -> tuple[float, int, bool]:
        same, width = 0.0, 0
        with suppress(csv.Error):
            sample = io.StringIO(text[:_SAMPLE], newline="")
            widths = [len(record) for record in islice(csv.reader(sample, delimiter=delimiter), LOOKED_AT) if record]
            widest = max(widths, key=widths.count, default=0)
            if widest > 1:  # title rows may have fewer fields
                same, width = widths.count(widest) / len(widths), widest
        return same, width, delimiter == ("\t" if source.ending in ("tsv", "txt") else ",")

    return max(DELIMITERS, key=score)


def read_delimited(source: Source) -> Content:
    """Read a delimited file with Python's parser, because it knows in which record it stopped."""
    sample = source.text().read(_SAMPLE)
    if source.header_row is None and is_fast_text(sample):
        return _fast_text(source)
    if source.ending == "txt" and (lines := _plain_lines(source, sample)):
        return lines
    csv.field_size_limit(limits.MAX_FIELD)
    source.delimiter = delimiter = guess_delimiter(source, sample)
    skipped = 1 if separator_line(sample) is not None else 0
    if delimiter != {"csv": ",", "tsv": "\t"}.get(source.ending):
        how = "named in row 1" if skipped else "guessed"
        source.notes.append(f"delimiter: {DELIMITERS.get(delimiter, repr(delimiter))} ({how})")
    dialect, note = dialect_of(sample, delimiter)
    try:
        records, rows = _records(source, skipped, delimiter=delimiter, **dialect)
    except InputError:
        for other, said in other_dialects(source, delimiter):
            with suppress(InputError):
                records, rows = _records(source, skipped, delimiter=delimiter, **other)
                if are_even(records):
                    note = said
                    break
        else:
            raise
    if note:
        source.notes.append(note)
    records = _split_again(records, source)
    return _with_header(source, records, rows) if records else ([], [], [])


def _records(source: Source, skipped: int, **dialect: Any) -> tuple[list[list[str]], list[int]]:  # noqa: ANN401
    """Return the records that are not empty, with their row numbers; the error names the row where it stopped."""
    records: list[list[str]] = []
    rows: list[int] = []
    number = 0
    stream = source.text()
    if skipped:
        stream.readline()
    try:
        for number, record in source.counted(csv.reader(stream, strict=True, **dialect)):
            if record:
                records.append(record)
                rows.append(number + skipped)
    except csv.Error as exc:
        rule = next((rule for part, rule in QUOTE_RULES.items() if part in str(exc)), str(exc))
        row = number + skipped + 1
        raise source.error(rule, 'Close the quote; inside a field, write a quote twice ("")', row) from exc
    return records, rows


def _with_header(source: Source, records: list[list[str]], rows: list[int]) -> Content:
    """Return the records below the header as columns; without a header, all of them."""
    at = choose_header(records[: max(LOOKED_AT, source.header_row or 0) + 1], rows, source)
    body, numbers = (records, rows) if at is None else (records[at + 1 :], rows[at + 1 :])
    width = len(records[0] if at is None else records[at])
    names: list[Cell] = [None] * width if at is None else list(records[at])
    if at is not None and body and all(len(record) == width + 1 for record in body):
        width += 1  # R writes no name above the row names; other programs end each row with a delimiter
        names = [*names, None] if not any(record[-1] for record in body) else [None, *names]
    for record, number in zip(body, numbers, strict=True):
        if len(record) != width:
            source.check_width(len(record), width, number)
    columns: list[list[Cell]] = [[cell or None for cell in column] for column in zip(*body, strict=True)]
    headed = named(names, width, source, None if at is None else rows[at])
    if at is None and width == 1:
        headed = ["text"]
    unnamed_and_empty = (
        [not (given or "").strip() and not any(column) for given, column in zip(names, columns, strict=False)]
        if at is not None
        else []
    )
    kept = [place for place, empty in enumerate(unnamed_and_empty) if not empty] if any(unnamed_and_empty) else None
    if kept is not None:
        return [headed[place] for place in kept], [columns[place] for place in kept], numbers
    return headed, columns, numbers


def is_fast_text(sample: str) -> bool:
    """Return whether the first lines begin with labels as fastText has them."""
    lines = [line for line in sample.splitlines() if line.strip()][:LOOKED_AT]
    found = sum(FAST_TEXT.fullmatch(line) is not None for line in lines)
    return found * 2 > len(lines) and all("__label__" in line for line in lines)


def _split_again(records: list[list[str]], source: Source) -> list[list[str]]:
    """Return rows that stand whole inside quotes, cut at the delimiter inside; other rows as they are."""
    if not records or any(len(record) != 1 for record in records):
        return records
    lines = [record[0] for record in records]
    delimiter = guess_delimiter(source, "\n".join(lines[:LOOKED_AT]))
    if source.ending == "txt" or any(delimiter not in line for line in lines):
        return records
    with suppress(csv.Error):
        inner = [record for record in csv.reader(lines, delimiter=delimiter, strict=True) if record]
        if len(inner) == len(lines) and are_even(inner):
            source.notes.append("each row was one quoted field: it was cut at the delimiter inside")
            return inner
    return records


def _plain_lines(source: Source, sample: str) -> Content | None:
    """Return the lines of a plain text file as texts, with fastText's labels if it has them; None if it is a table."""
    lines = [line for line in sample.splitlines() if line.strip()][:LOOKED_AT]
    if separator_line(sample) is not None or not lines:
        return None
    widths = {delimiter: [line.count(delimiter) for line in lines[:-1] or lines] for delimiter in DELIMITERS}
    if any(counts[0] and len(set(counts)) == 1 for counts in widths.values()) or '"' in sample[:2000]:
        return None  # every line has as many delimiters: a table
    content = [(number, line.strip()) for number, line in source.counted(source.text(None)) if line.strip()]
    records: list[list[str]] = [[line] for _, line in content]
    return _with_header(source, records, [number for number, _ in content])


def _fast_text(source: Source) -> Content:
    """Return fastText's lines: the labels, cut from the front of each line, and the text."""
    texts: list[Cell] = []
    labels: list[Cell] = []
    rows: list[int] = []
    for number, line in source.counted(source.text(None)):
        if not line.strip():
            continue
        match = FAST_TEXT.fullmatch(line.rstrip("\r\n"))
        texts.append(match[2] if match else None)
        labels.append(match[1].strip() if match else line.strip() if "__label__" in line else None)
        if match is None and labels[-1] is None:
            texts[-1] = line.strip()
        rows.append(number)
    source.hints = Hints("text", "label")
    source.notes.append("fastText file: the label is what follows __label__ at the start of a line")
    return ["text", "label"], [texts, labels], rows
