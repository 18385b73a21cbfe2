"""The label set as a file: names, meanings, subsets and seeds out; edits of them, and new labels, back in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from red_core.data.tables import Table, read_table, write_table
from red_core.data.tables.source import ending
from red_core.data.tables.writing import FORMULA
from red_core.errors import InputError, StateError
from red_core.labels.acts import Add, checked_meaning, checked_name
from red_core.labels.edits import apply_edit
from red_core.labels.placement import LabelLayout
from red_core.labels.snapshot import LabelSetSnapshot
from red_core.records import Project
from red_core.store.label_edits import OpenEdit
from red_core.store.labels import current_layout, list_labels, name_key
from red_core.store.texts import contents, seeds
from red_core.text import normalise_text

COLUMNS = ("id", "name", "meaning", "subset", "seeds")
"""``subset`` is numbered from 1, as on the screens; ``seeds`` is a JSON list of texts."""
WRITTEN_AS_IS = ("json", "jsonl", "ndjson", "parquet", "pq")
"""Endings of files whose texts no spreadsheet runs, so that none got an apostrophe."""


def export_label_set(project: Project, path: str | Path) -> int:
    """Write the label set as .csv or .json, or any other kind of table; return how many labels.

    Raises
    ------
    InputError
        If it cannot be written there.
    """
    texts, of_label = seeds(project)
    placed = LabelLayout(*current_layout(project))
    subset = dict(zip(placed.labels.tolist(), (placed.subset_of + 1).tolist(), strict=True))
    own: dict[int, list[str]] = {}
    for label, content in zip(of_label.tolist(), contents(project, texts), strict=True):
        own.setdefault(label, []).append(content)
    rows = [
        {"id": label.id, "name": label.name, "meaning": label.meaning or None, "subset": subset.get(label.id),
         "seeds": own.get(label.id, [])}
        for label in list_labels(project)
    ]  # fmt: skip
    return write_table(path, rows, COLUMNS)


def import_label_set(project: Project, path: str | Path, who: str, *, name: str | None = None) -> int:
    """Apply a file of labels as one edit, which can be undone; return the version of the label set.

    See :func:`read_label_set` for what it may hold.

    Raises
    ------
    InputError
        If a row breaks a rule; then nothing is changed.
    StateError
        If a job is running, or a round was left open.
    """
    return apply_edit(project, read_label_set(project, path, name=name), who)


def read_label_set(project: Project, path: str | Path, *, name: str | None = None) -> Apply:
    """Return what a file of labels would do, to be previewed or carried out.

    A row is about the label with its ``id``, else with its ``name``; a row with an id may give that label another
    name. A row about neither is a new label, and needs ``seeds``. An empty cell changes nothing, and a label without
    a row stays as it is. The seeds of labels that are there are not read.

    Parameters
    ----------
    path : path
        A table with a column ``name``, and any of ``id``, ``meaning``, ``subset`` and ``seeds``.
    name : str, optional
        What the user calls the file, when ``path`` is a temporary copy.

    Raises
    ------
    InputError
        If the file cannot be read, or a row breaks a rule.
    """
    table = read_table(path, name=name)
    return Apply(table.name, tuple(_rows(table, LabelSetSnapshot(project))))


@dataclass(frozen=True)
class LabelRow:
    """A row of the file: ``label`` is the label it is about, None for a new one; None and '' change nothing."""

    row: int
    label: int | None
    name: str
    meaning: str
    subset: int | None
    seeds: tuple[str, ...]


@dataclass(frozen=True)
class Apply:
    """Apply a file's lines: names first, then meanings, new labels, and subsets."""

    kind: ClassVar[str] = "file"
    file: str
    lines: tuple[LabelRow, ...]

    def write(self, to: OpenEdit, known: LabelSetSnapshot) -> str:
        """Write it."""
        there = {line.label: line for line in self.lines if line.label is not None}
        names = {label: line.name for label, line in there.items() if line.name not in {"", known.labels[label].name}}
        meanings = {
            label: line.meaning for label, line in there.items()
            if line.meaning not in {"", normalise_text(known.labels[label].meaning)}
        }  # fmt: skip
        to.rename(names)
        for label, meaning in meanings.items():
            to.mean(label, meaning)
        placed, new = known.placed, [line for line in self.lines if line.label is None]
        vectors = dict(known.vectors) if new else {}
        for line in new:
            placed = self._add(to, known, line, placed, vectors)
        moved = {
            label: line.subset for label, line in there.items()
            if line.subset is not None and label in known.placed.labels and known.placed.subset(label) != line.subset
        }  # fmt: skip
        alone = known.place(to, placed.moved(moved), vectors) if new or moved else ""
        to.about.extend(moved)
        return (
            f"applied {self.file!r}: {len(names)} renamed, {len(meanings)} meanings, {len(moved)} moved, "
            f"{len(new)} added{alone}"
        )

    def _add(
        self, to: OpenEdit, known: LabelSetSnapshot, line: LabelRow, placed: LabelLayout, vectors: dict[int, np.ndarray]
    ) -> LabelLayout:
        try:
            made = Add(line.name, line.meaning, None, line.seeds)
            label, texts, _ = made.create(to, known)
        except StateError as error:
            raise InputError(
                self.file, str(error).rstrip("."), "Mend that row; nothing was changed", line.row
            ) from error
        vector = known.vector_of(texts)
        if vector is not None:
            vectors[label] = vector
        if not len(placed.labels):
            return placed
        subset = placed.least_alike(vector, known.vectors) if line.subset is None else line.subset
        return placed.joined(label, subset, known.placed.spot_for(vector, known.vectors, subset))


def _rows(table: Table, known: LabelSetSnapshot) -> list[LabelRow]:
    """Return the file's rows, each checked by itself and against the others."""
    frame = table.frame.rename(columns=lambda column: str(column).strip().casefold())
    if "name" not in frame:
        raise InputError(table.name, "it has no column 'name'", f"Name the columns {', '.join(COLUMNS)}")
    by_name = {name_key(label.name): label.id for label in known.labels.values()}
    lines, seen = list[LabelRow](), dict[object, int]()
    cell_of = _as_written if ending(table.name) in WRITTEN_AS_IS else _without_apostrophe
    for row, cells in zip(table.rows.tolist(), frame.to_dict("records"), strict=True):
        line = _line(table.name, row, {str(k): cell_of(v) for k, v in cells.items()}, known, by_name)
        for key in ({("id", line.label)} if line.label else set()) | {("name", name_key(line.name))}:
            if key in seen:
                raise InputError(
                    table.name, f"row {seen[key]} is about {key[0]} {key[1]!r} too", "Keep one of them", row
                )
            seen[key] = row
        lines.append(line)
    _check_names(table.name, lines, by_name)
    return lines


def _line(
    file: str, row: int, cells: Mapping[str, str], known: LabelSetSnapshot, by_name: Mapping[str, int]
) -> LabelRow:
    try:
        name = checked_name(cells["name"]) if cells["name"] or not cells.get("id") else ""
        label = _label(cells.get("id", ""), name, known, by_name)
        if label is not None and not name:
            name = known.labels[label].name
        elif label is not None and not cells.get("id"):
            name = known.labels[label].name  # found by its name: how the file spells it changes nothing
        subset = _subset(cells.get("subset", ""), known)
        return LabelRow(
            row, label, name, checked_meaning(cells.get("meaning", "")), subset, _seeds(cells.get("seeds", ""))
        )
    except StateError as error:
        raise _in_row(file, row, error) from error


def _as_written(cell: object) -> str:
    """Return a cell without outer spaces, '' for an empty one."""
    return cell.strip() if isinstance(cell, str) else ""


def _without_apostrophe(cell: object) -> str:
    """Return a cell without outer spaces, and without the apostrophe that keeps a spreadsheet from running it."""
    text = _as_written(cell)
    return text[1:] if text.startswith("'") and FORMULA.match(text[1:]) else text


def _in_row(file: str, row: int, error: StateError) -> InputError:
    return InputError(file, str(error).rstrip("."), "Mend that row; nothing was changed", row)


def _label(told: str, name: str, known: LabelSetSnapshot, by_name: Mapping[str, int]) -> int | None:
    if not told:
        return by_name.get(name_key(name))
    if not told.isdecimal() or int(told) not in known.labels:
        raise StateError(f"there is no label with id {told[:40]!r}; a new label has none")
    return int(told)


def _subset(told: str, known: LabelSetSnapshot) -> int | None:
    if not told:
        return None
    count = int(known.placed.subset_of.max(initial=-1)) + 1
    if not count:
        raise StateError("no subsets are formed yet: leave the column empty")
    if not told.isdecimal() or not 1 <= int(told) <= count:
        raise StateError(f"there is no subset {told[:40]!r}: they are numbered from 1 to {count}")
    return int(told) - 1


def _seeds(told: str) -> tuple[str, ...]:
    if not told:
        return ()
    try:
        found = json.loads(told)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise StateError("its seeds are no JSON list of texts")
    return tuple(found)


def _check_names(file: str, lines: list[LabelRow], by_name: Mapping[str, int]) -> None:
    """Refuse a name that a label without a row keeps."""
    told = {line.label for line in lines}
    for line in lines:
        owner = by_name.get(name_key(line.name))
        if owner is not None and owner != line.label and owner not in told:
            rule = f"there is a label {line.name!r} already"
            raise InputError(file, rule, "Choose another name, or give that label another one too", line.row)
