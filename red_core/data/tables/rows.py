"""Which rows of a table can be used, with their text, their label, and what the label is worth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Literal

from red_core.data.tables.answers import Worth, worth_of
from red_core.data.tables.cells import Cell
from red_core.data.tables.columns import Columns
from red_core.data.tables.label_cells import (
    CELL_ERRORS,
    SEPARATORS,
    Names,
    are_lists,
    combined,
    is_none,
    is_object,
    joined,
    read_label,
)
from red_core.data.tables.mail import written
from red_core.data.tables.names import last_word
from red_core.data.tables.reading import Table
from red_core.errors import one_line
from red_core.store.exports import ORIGINAL
from red_core.text import LONGEST_LABEL, LONGEST_TEXT, UNSEEN, listed, normalise_text, storable

Several = Literal["leave out", "first", "each"]
"""What happens to a row with several labels: it is left out and listed; it gets the first one; or it becomes one row
for each of them, and its text is a contradiction that is settled on Review."""
LABELS_LISTED = 5
UNSEEN_ONLY = re.compile(rf"(?:\s|{UNSEEN.pattern})+")
"""A text or label in which nobody sees anything: it counts as empty."""
TOTALS = frozenset(("total", "totals", "grand total", "sum", "summe", "gesamt", "gesamtergebnis", "total général"))
"""The text of the last row of a sheet that counts the others."""


@dataclass(frozen=True, slots=True)
class Row:
    """A usable row; ``extra`` has the other columns that are not empty.

    ``rejected`` is a label that the file says is wrong for this text; then there is no ``label``.
    """

    row: int
    text: str
    label: str | None
    extra: dict[str, str]
    rejected: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An unusable row: the reason, the beginning of its text, and its other columns."""

    row: int
    reason: str
    text: str
    extra: dict[str, str]


def usable_rows(  # each option is a choice of the person who imports
    table: Table, columns: Columns, *, longest: int = LONGEST_TEXT, several: Several = "leave out", mail: bool = False
) -> tuple[list[Row], list[LeftOut]]:
    """Return the usable rows, with normalised texts and labels, and the unusable ones.

    Parameters
    ----------
    table : Table
    columns : Columns
    longest : int
        Most characters of a text.
    several : Several
        What happens to a row with several labels. With *each*, further labels become rows that are numbered after the
        last row of the file.
    mail : bool
        Whether texts are cleaned of markup, quoted replies and signatures. Then the column ``original text`` keeps the
        text as it came.

    Returns
    -------
    tuple of list of Row, list of LeftOut
        Each in the order of the file. Every row of the file is in one of them.
    """
    usable: list[Row] = []
    left_out: list[LeftOut] = []
    further: list[Row] = []
    read: dict[Cell, tuple[Names, str]] = {}  # labels repeat, and reading a cell takes its time
    parts = _parts(table, columns.label) if columns.label is not None else {}
    lists = columns.label is not None and are_lists(table.frame[columns.label])
    last = int(table.rows[-1]) if len(table.rows) else 0
    for row, raw, label, worth, others in _cells(table, columns):
        text, reason, extra = _text_of(raw, others, longest=longest, mail=mail)
        reason = reason or _no_data(text, label, columns, headed=bool(table.header), is_last=row == last)
        if label not in read:
            read[label] = _labels_of(label, parts, lists=lists)
        names, problem = read[label]
        reason = reason or _reason(names, problem, worth or "accept", columns.answer, several)
        if reason:
            left_out.append(LeftOut(row, reason, text[:200], _kept(extra, columns, label)))
        elif worth == "pending":
            usable.append(Row(row, text, None, _kept(extra, columns, label)))
        elif worth == "reject":
            usable.append(Row(row, text, None, extra, names[0]))
        else:
            usable.append(Row(row, text, names[0] if names else None, extra))
            further += [Row(row, text, name, extra) for name in names[1:] if several == "each"]
    usable += [replace(row, row=last + number) for number, row in enumerate(further, 1)]
    return usable, left_out


def _parts(table: Table, label: str) -> dict[str, Names]:
    """Return the cells with several labels. Tools that call labels tags put blanks between them."""
    spaced = last_word(label) in ("tag", "tags", "labels", "keywords")
    return combined(table.frame[label], (*SEPARATORS, " ") if spaced else SEPARATORS)


def _no_data(text: str, label: Cell, columns: Columns, *, headed: bool, is_last: bool) -> str:
    """Return why a row is none of the data: the header again, a ruled line, a sum, an error of Excel; '' if it is."""
    given = (label or "").strip()
    if headed and text == columns.text.strip() and given == (columns.label or "").strip():
        return "the header again"
    if text in CELL_ERRORS:
        return f"Excel has an error in this cell ({text}) and no text"
    if not text.strip("-=:|+ ") and not given.strip("-=:|+ "):
        return "a ruled line"
    if is_last and not given and text.casefold() in TOTALS:
        return "a row of totals"
    return ""


def _reason(names: Names, problem: str, worth: Worth, answer: str | None, several: Several) -> str:
    """Return why a row with a text is left out for its label, '' if it is not."""
    if worth == "ignore":
        return f"skipped or discarded ({answer})"
    if worth == "pending":
        return ""
    if worth == "unknown" and names:
        return f"{answer} has none of the words accepted, rejected, skipped, pending, yes or no"
    if problem:
        return problem
    if worth == "reject":
        return "" if len(names) == 1 else f"several labels were rejected: {_listed(names)}" if names else "rejected"
    if len(names) > 1 and several == "leave out":
        return f"{'annotators disagree' if worth == 'disagreement' else 'several labels'}: {_listed(names)}"
    return ""


def _cells(table: Table, columns: Columns) -> Iterator[tuple[int, Cell, Cell, Worth | None, dict[str, str]]]:
    """Yield the row number, the text, the label, its worth, and the other filled cells of each row."""
    frame = table.frame
    others = [name for name in frame.columns if name not in (columns.text, columns.label)]
    labels = frame[columns.label] if columns.label is not None else repeat(None, len(frame))
    answers = frame[columns.answer] if columns.answer is not None else repeat(None, len(frame))
    extras = zip(*(frame[name] for name in others), strict=True) if others else repeat((), len(frame))
    for row, raw, label, answer, extra in zip(
        table.rows.tolist(), frame[columns.text], labels, answers, extras, strict=True
    ):
        worth = worth_of(answer, columns.answer) if columns.answer is not None else None
        yield row, raw, label, worth, {name: cell for name, cell in zip(others, extra, strict=True) if cell}


def _kept(extra: dict[str, str], columns: Columns, label: Cell) -> dict[str, str]:
    """Return the other columns with the label that is not used, so that an export still has it."""
    return extra | {columns.label: label} if label and columns.label is not None else extra


def _text_of(raw: Cell, extra: dict[str, str], *, longest: int, mail: bool) -> tuple[str, str, dict[str, str]]:
    """Return (text, '', other columns), or (beginning of the text, reason, other columns)."""
    if not mail or not raw:
        text, reason = usable_text(raw, longest=longest)
        return text, reason, extra
    cleaned = written(raw) if len(raw) <= 10 * longest else raw
    text, reason = usable_text(cleaned, longest=longest)
    changed = normalise_text(cleaned) != normalise_text(raw) if len(raw) <= 10 * longest else False
    return text, reason, extra | {ORIGINAL: storable(raw)} if changed else extra


def _labels_of(cell: Cell, parts: dict[str, Names], *, lists: bool) -> tuple[Names, str]:
    """Return the normalised labels of a cell, and the reason if they cannot be used."""
    names, problem = (parts[cell.strip()], "") if cell and cell.strip() in parts else read_label(cell, lists=lists)
    if problem:
        return (), problem
    bounded = [_bounded(name, LONGEST_LABEL) for name in names]
    long = next((name for name in bounded if len(name) > LONGEST_LABEL), None)
    if long is not None:
        return (), f"label too long: {len(long):,} characters, at most {LONGEST_LABEL}"
    if any("\0" in name for name in bounded):
        return (), "the label holds a NUL character"
    usable = (name for name in bounded if name and not UNSEEN_ONLY.fullmatch(name) and not is_none(name))
    return tuple(dict.fromkeys(usable)), ""


def _listed(names: Names) -> str:
    return one_line(listed(names, LABELS_LISTED), 300)


def usable_text(raw: Cell, *, longest: int = LONGEST_TEXT) -> tuple[str, str]:
    """Return (normalised text, ''), or (beginning of the text, reason) if it cannot be used."""
    text = _bounded(raw, longest)
    if not text or UNSEEN_ONLY.fullmatch(text):
        return "", "empty text"
    if len(text) > longest:
        return text[:200], f"too long: {len(text):,} characters, at most {longest:,}"
    if text[0] in "[{" and is_object(text):
        return text[:200], "the cell holds an object and no text"
    return (normalise_text(joined(text)) if text[0] == "[" else text), ""


def _bounded(raw: Cell, longest: int) -> str:
    """Return the normalised text, or the text as it is if it is far too long: NFC may take quadratic time.

    NFC makes a text at most three times shorter, so a text of more than 3 * ``longest`` characters stays too long.
    """
    flat = " ".join((raw or "").split())
    if flat.isascii():  # it is in NFC
        return flat
    return normalise_text(flat) if len(flat) <= 3 * longest else storable(flat)
