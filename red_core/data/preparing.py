"""Read a file and sort its rows into usable and unusable ones: the preview of an import. Nothing is stored."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from red_core.data.choices import GUESS, Choices
from red_core.data.tables import Columns, LeftOut, Row, Table, choose_columns, read_table, text_id, usable_rows
from red_core.data.tables.formulas import unguarded
from red_core.data.tables.label_cells import MISSING, are_lists, doubtful, is_none, joined, unpacked
from red_core.data.tables.mail import is_mail
from red_core.data.tables.many_objects import many_objects
from red_core.records import Report, Role
from red_core.store.exports import ORIGINAL
from red_core.text import UNSEEN

GARBLED = re.compile("[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac[\u0080-\u00bf\u0152-\u2122]|\u00c3[\u0152-\u2122]")
"""UTF-8 that was read as Windows-1252 and saved so: \u00c3\u00a9 instead of \u00e9."""
_LIKE_LATIN = (
    "[\u0410\u0412\u0415\u041a\u041c-\u041e\u0420-\u0422\u0423\u0425\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456"
    "\u0458\u0391\u0392\u0395-\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf]"
)
TWO_ALPHABETS = re.compile(f"[A-Za-z]{_LIKE_LATIN}|{_LIKE_LATIN}[A-Za-z]")
"""A Latin letter beside a Cyrillic or Greek one that looks like a Latin one."""


@dataclass(frozen=True)
class Prepared:
    """A file that was read and checked but not stored yet: the preview of an import.

    Attributes
    ----------
    table : Table
    columns : Columns
    rows : tuple of Row
    left_out : tuple of LeftOut
    mail : bool
        Whether the texts were cleaned of markup, quoted replies and signatures.
    notes : tuple of str
        Everything that was guessed or decided about the file.
    """

    table: Table
    columns: Columns
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]
    mail: bool
    notes: tuple[str, ...]


def read_source(
    path: str | Path, *, role: Role, choices: Choices = GUESS, name: str | None = None,
    report: Report = lambda _stage, _done, _total: None,
) -> Prepared:  # fmt: skip
    """Return a file read from disk, with its columns and its usable and unusable rows.

    Raises
    ------
    InputError
        If the file, or the columns asked for, cannot be used.
    """
    table = read_table(
        path, name=name, sheet=choices.sheet, header_row=choices.header_row,
        progress=lambda done, total: report("read", done, total),
    )  # fmt: skip
    return sort_rows(table, role=role, choices=choices)


@many_objects()
def sort_rows(table: Table, *, role: Role, choices: Choices = GUESS) -> Prepared:
    """Return a table with its columns, guessed or checked, and its usable and unusable rows.

    Raises
    ------
    InputError
        If a column does not exist, or none can be guessed.
    """
    table = without_apostrophes(table)
    columns = columns_of(table, role=role, choices=choices)
    mail = is_mail(table.frame[columns.text].tolist()) if choices.mail is None else choices.mail
    rows, left_out = usable_rows(table, columns, several=choices.several, mail=mail)
    notes = (*table.notes, *columns.notes, *_said(rows, mail=mail), *_on_cells(table, columns))
    return Prepared(table, columns, tuple(rows), tuple(left_out), mail, notes)


def without_apostrophes(table: Table) -> Table:
    """Return a CSV export of this program without what keeps a spreadsheet from running a text; others as they are."""
    delimiter, frame = table.delimiter, table.frame
    if delimiter is None or not {"text", "text_id", "label_path"}.issubset(frame.columns):
        return table
    texts = [unguarded(text, delimiter) for text in frame["text"].fillna("")]
    if any(text and text_id(text) != given for text, given in zip(texts, frame["text_id"], strict=True)):
        return table  # somebody changed it, or a spreadsheet has taken them off
    names = [unguarded(str(name), delimiter) for name in frame.columns]
    cells = [[cell and unguarded(cell, delimiter) for cell in frame[name]] for name in frame]
    return replace(table, frame=pd.DataFrame(dict(zip(names, cells, strict=True)), dtype=object))


def columns_of(table: Table, *, role: Role, choices: Choices = GUESS) -> Columns:
    """Return the columns of a table; a pool file has no label column, whatever its columns are called.

    Raises
    ------
    InputError
        If a column does not exist, or none can be guessed.
    """
    wanted = choices.label_column if role == "labelled" else None
    columns = choose_columns(
        table, choices.text_column, wanted, need_label=role == "labelled", answer=choices.answer_column
    )
    if role == "pool":
        notes = tuple(note for note in columns.notes if not note.startswith(("label column", "column '")))
        return Columns(columns.text, None, notes)
    return columns


def _on_cells(table: Table, columns: Columns) -> list[str]:
    """Return what was made of unusual cells: labels that say that there is none, and texts that are lists."""
    notes = []
    if columns.label is not None:
        labels = [cell.strip() for cell in table.frame[columns.label] if cell]
        if missing := Counter(label for label in labels if label.casefold() in MISSING or is_none(label)):
            listed = ", ".join(
                f"'{name}' ({count:,} {'row' if count == 1 else 'rows'})" for name, count in missing.most_common(3)
            )
            notes.append(f"read as no label: {listed}")
        if lists := unpacked(labels, lists=are_lists(labels)):
            example = f"such as {lists[0][:60]}"
            notes.append(f"{len(lists):,} labels are lists or objects, {example}: the names in them are the labels")
        if unseen := sum(1 for label in labels if UNSEEN.search(label)):
            notes.append(f"{unseen:,} labels hold characters that nobody sees, so two of them may look the same")
        if mixed := next((label for label in labels if TWO_ALPHABETS.search(label)), None):
            notes.append(f"the label '{mixed[:60]}' has letters of two alphabets that look alike")
        if names := doubtful(labels):
            listed = ", ".join(f"'{name}'" for name in names[:3])
            notes.append(f"kept as a label, though it may mean that there is none: {listed}. Empty the cells if so")
    if garbled := [cell for cell in table.frame[columns.text] if cell and GARBLED.search(cell)]:
        found = GARBLED.search(garbled[0])
        example = "" if found is None else f", such as {found[0]}"
        notes.append(
            f"{len(garbled):,} {'text seems' if len(garbled) == 1 else 'texts seem'} garbled{example}: a program read "
            "UTF-8 as another encoding. Export the file again"
        )
    parts = sum(1 for cell in table.frame[columns.text] if cell and cell[0] == "[" and joined(cell) != cell)
    if parts:
        notes.append(f"{parts:,} texts are lists of strings: their parts were joined")
    return notes


def _said(rows: Sequence[Row], *, mail: bool) -> list[str]:
    """Return what happened to the rows that a person should know."""
    notes = []
    if mail:
        cleaned = sum(ORIGINAL in row.extra for row in rows)
        notes.append(
            f"markup, quoted replies and signatures were taken out of {cleaned:,} texts; "
            f"the column '{ORIGINAL}' keeps them as they came"
        )
    if rejected := sum(row.rejected is not None for row in rows):
        notes.append(f"{rejected:,} labels were rejected: each is ruled out for its text, which has no label yet")
    return notes
