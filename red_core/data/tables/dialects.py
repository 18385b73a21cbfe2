"""How other programs quote: blanks before a quote, single quotes, a backslash before it, quotes that mean nothing."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from red_core.data.tables.source import Source

Dialect = dict[str, Any]
"""Arguments of ``csv.reader``."""
_SAMPLE_ROWS = 50
_LATE_QUOTE = re.compile(r"\s+\".*\"\s*", re.DOTALL)


def dialect_of(sample: str, delimiter: str) -> tuple[Dialect, str]:
    """Return how the first records are quoted, and a note; nothing and '' for the usual way."""
    whole = sample[: sample.rfind("\n") + 1] or sample
    if _all_in(whole, delimiter, "'"):
        return {"quotechar": "'"}, "quotes: single"
    try:
        records = list(islice(csv.reader(io.StringIO(whole, newline=""), delimiter=delimiter), _SAMPLE_ROWS))
    except csv.Error:
        return {}, ""
    if any(_LATE_QUOTE.fullmatch(field) for record in records for field in record):
        return {"skipinitialspace": True}, "blanks before a quote are passed over"
    return {}, ""


def _all_in(sample: str, delimiter: str, quote: str) -> bool:
    """Return whether the first lines begin and end with this quote and have it around every delimiter."""
    lines = [line.strip() for line in sample.splitlines() if line.strip()][:_SAMPLE_ROWS]
    between = f"{quote}{delimiter}{quote}"
    return len(lines) > 1 and all(
        line[0] == line[-1] == quote and len(line) > 1 and (between in line or delimiter not in line) for line in lines
    )


def other_dialects(source: Source, delimiter: str) -> Iterator[tuple[Dialect, str]]:
    """Yield further ways to quote, each with its note, for a file that breaks the rules of the usual one."""
    if b'\\"' in source.data:
        yield {"escapechar": "\\", "doublequote": True}, 'quotes: \\" is a quote inside a field'
    if delimiter == "\t":
        yield {"quoting": csv.QUOTE_NONE}, "quotes: they belong to the texts, because they are not closed"


def are_even(records: Sequence[Sequence[str]]) -> bool:
    """Return whether all records have as many fields: then another way to quote is the right one."""
    return len({len(record) for record in records}) == 1
