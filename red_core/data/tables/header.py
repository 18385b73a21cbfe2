"""Where the header of a table is, if it has one: below title rows, or nowhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from red_core.data.tables.cells import Cell
from red_core.data.tables.names import KNOWN_NAMES, LABEL_NAMES, TEXT_NAMES
from red_core.data.tables.source import Source

LOOKED_AT = 50
"""Rows from which the header is told."""
IMPORT_ID = '{"ImportId"'
LONGEST_NAME = 80
"""Characters: a longer cell of a first row is a text and no name."""
_WORD = re.compile(r"[^\W\d]\w*")
_VALUE = re.compile(r"\s*[-+]?\d[\d.,:/\s%T+Z-]*")  # a number, a date or a time


def find_header(rows: Sequence[Sequence[Cell]]) -> int | None:
    """Return the index of the header among the first rows of a table, None if the table has no header.

    Title rows above the header fill fewer cells than the table is wide. A row is no header if one of its cells is a
    number, a date or a long text, or comes again in its own column, as a label does.
    """
    filled = [sum(1 for cell in row if cell and cell.strip()) for row in rows]
    if not any(filled):
        return None
    width = _usual_width(filled)
    first = next(
        index for index, count in enumerate(filled) if count >= width or _names_most(rows[index], count, width)
    )
    below = first + 1
    if below + 1 < len(rows) and any(cell and IMPORT_ID in cell for cell in rows[below + 1]):
        return below  # Qualtrics writes numbers, questions, and an object with the id of each question
    if _is_header(rows[first], rows[below:], width):
        return below if below < len(rows) and _names_better(rows[below], rows[first]) else first
    return below if below < len(rows) and _has_known_name(rows[below]) else None


def _names_better(row: Sequence[Cell], above: Sequence[Cell]) -> bool:
    """Return whether a row has the names, and the row above has the names of groups of columns."""
    known, known_above = _known(row), _known(above)
    gaps = sum(1 for cell in above if not (cell and cell.strip())) + max(0, len(row) - len(above))
    return gaps > 0 and known >= 2 and known > known_above


def _known(row: Sequence[Cell]) -> int:
    return sum(1 for cell in row if cell and cell.strip().casefold() in KNOWN_NAMES)


def _has_known_name(row: Sequence[Cell]) -> bool:
    return _known(row) > 0


def _names_most(row: Sequence[Cell], count: int, width: int) -> bool:
    """Return whether a row names most columns: row numbers, as pandas writes them, and notes have no name."""
    bare = count > 1 and count == width - 1 and not (row[0] and row[0].strip())
    return width > count and (bare or _has_known_name(row))


def _usual_width(filled: Sequence[int]) -> int:
    """Return how many cells the rows of the table fill, title rows and gaps aside."""
    counts = Counter(count for count in filled if count)
    widest = max(counts)
    usual = max(counts, key=lambda count: (counts[count], count))
    return max(usual, (widest + 1) // 2 if usual > 1 or widest == 1 else min(2, widest))


def _is_header(row: Sequence[Cell], below: Sequence[Sequence[Cell]], width: int) -> bool:
    names = [(position, cell.strip()) for position, cell in enumerate(row) if cell and cell.strip()]
    if _has_known_name(row):
        return True
    if len(names) < min(width, 2):
        return False
    for position, name in names:
        column = [(other[position] or "").strip() for other in below if position < len(other) and other[position]]
        if width == 1 and not (_WORD.fullmatch(name) and all(" " in cell for cell in column)):
            return False  # one text a row, unless one bare word stands above sentences
        if _VALUE.fullmatch(name) or len(name) > LONGEST_NAME or name in column:
            return False
    return True


def named(names: Sequence[Cell], width: int, source: Source, row: int | None) -> list[str]:
    """Return the names of all columns: ``column N`` for one without a name; of two with one name the later is numbered.

    Raises
    ------
    InputError
        If there are too many columns, or two columns of texts or labels have one name.
    """
    given = [(name or "").strip("\ufeff") for name in names] + [""] * (width - len(names))
    source.check_count(given, row)
    _number_repeated(given, source, row)
    taken = {name.strip() for name in given}
    unnamed = [position for position, name in enumerate(given, 1) if not name.strip()]
    for position in unnamed:
        free = f"column {position}"
        while free in taken:
            free += "'"
        taken.add(free)
        given[position - 1] = free
    if unnamed and row:
        listed = ", ".join(f"'{given[position - 1]}'" for position in unnamed[:5])
        source.notes.append(f"without a name in the header: {listed}{', …' if unnamed[5:] else ''}")
    return given


def _number_repeated(names: list[str], source: Source, row: int | None) -> None:
    """Give the second of two columns with one name a number, in place, and say so; not if they may be read."""
    taken = set(names)
    seen: set[str] = set()
    for position, name in enumerate(names):
        if name.strip() and name in seen:
            if name.strip().casefold() in (*TEXT_NAMES, *LABEL_NAMES):
                raise source.error(f"two columns are named '{name[:60]}'", "Give every column its own name", row)
            number = next(number for number in range(2, len(names) + 2) if f"{name} ({number})" not in taken)
            names[position] = f"{name} ({number})"
            taken.add(names[position])
            source.notes.append(f"two columns are named '{name[:60]}': the later one is '{names[position][:66]}'")
        seen.add(name)


def choose_header(rows: Sequence[Sequence[Cell]], numbers: Sequence[int], source: Source) -> int | None:
    """Return the index of the header among the first rows, as the user wants it or as it is found; None for none.

    Parameters
    ----------
    rows : sequence of rows
        Not empty.
    numbers : sequence of int
        Their row numbers as a person counts.

    Raises
    ------
    InputError
        If the user names a row that does not exist or is empty.
    """
    if source.header_row is None:
        found = find_header(rows[:LOOKED_AT])
    elif source.header_row == 0:
        found = None
    elif source.header_row in numbers:
        found = list(numbers).index(source.header_row)
    else:
        raise source.error(f"row {source.header_row} is empty or not there", "Name the row with the column names")
    source.header = 0 if found is None else numbers[found]
    if source.header_row is None and found is None:
        source.notes.append("no header: the first row is read as data")
    elif source.header_row is None and found:
        above = numbers[found] - 1
        source.notes.append(
            f"header: row {numbers[found]} ({above} {'row' if above == 1 else 'rows'} above it not read)"
        )
    return found
