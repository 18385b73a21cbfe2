"""The label set as a file: export names, groups, guidelines, subsets, seeds; import edits of them, and new labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import ClassVar

from red_core.data.tables import Table, read_table, write_table
from red_core.data.tables.formulas import unguarded
from red_core.data.tables.source import ending
from red_core.errors import InputError, StateError
from red_core.labels.edit_kinds import Add
from red_core.labels.group_sources import paths_by_parents
from red_core.labels.groups import Path, checked_path, put_in_groups
from red_core.labels.placement import LabelLayout
from red_core.labels.snapshot import LabelSetSnapshot, checked_meaning, checked_name
from red_core.records import Floats, Label, Project
from red_core.store.guidelines import guideline_examples
from red_core.store.label_edits import OpenEdit
from red_core.store.labels import SEPARATOR, current_layout, list_labels, name_key, path_in_words
from red_core.store.texts import contents, seeds
from red_core.text import normalise_text

COLUMNS = ("id", "name", "path", "meaning", "does_not_belong", "subset", "seeds", "good_examples", "bad_examples")
"""Columns of the file. ``path`` is its groups, as ``A > B``. ``subset`` is numbered from 1, as on the screens. The last
three are JSON lists of texts."""
NO_GROUP = SEPARATOR
"""A path that takes a label out of all groups: an empty cell changes nothing."""
WRITTEN_AS_IS = ("json", "jsonl", "ndjson", "parquet", "pq")
"""Endings of files whose cells no spreadsheet runs, so that none of them got an apostrophe."""


def export_label_set(project: Project, path: str | FilePath) -> int:
    """Write the label set as .csv, .json, or any other kind of table; return the number of labels.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    texts, of_label = seeds(project)
    layout = LabelLayout(*current_layout(project))
    subset_of = dict(zip(layout.labels.tolist(), (layout.subset_of + 1).tolist(), strict=True))
    seeds_of: dict[int, list[str]] = {}
    for label_id, content in zip(of_label.tolist(), contents(project, texts), strict=True):
        seeds_of.setdefault(label_id, []).append(content)
    shown = guideline_examples(project)

    def examples(label: Label, kind: str) -> list[str]:
        return [each.content for each in shown.get(label.id, ()) if each.kind == kind]

    rows = [
        {
            "id": label.id,
            "name": label.name,
            "path": path_in_words(label.path) or None,
            "meaning": label.meaning or None,
            "does_not_belong": label.excludes or None,
            "subset": subset_of.get(label.id),
            "seeds": seeds_of.get(label.id, []),
            "good_examples": examples(label, "good"),
            "bad_examples": examples(label, "bad"),
        }
        for label in list_labels(project)
    ]
    return write_table(path, rows, COLUMNS)


def read_label_set(project: Project, path: str | FilePath, *, name: str | None = None) -> Apply:
    """Return the edit that a file of labels describes, to be previewed or applied.

    A row is about the label with its ``id``, else about the label with its ``name``. If neither exists, the row adds a
    label, and needs ``seeds``. A row with an id may rename that label. An empty cell changes nothing, and a label
    without a row stays as it is. The ``seeds`` of existing labels are not read, and no examples of guidelines.

    Parameters
    ----------
    path : path
        A table with a column ``name``, and any of COLUMNS. Instead of ``path`` it may have ``parent``: a path, or the
        name of the label or group that a label is in.
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
    """One row of the file.

    Attributes
    ----------
    row : int
        Its number in the file.
    label : int or None
        The label it is about; None for a new label.
    name, meaning, excludes : str
        '' changes nothing.
    path : tuple of str or None
        None changes nothing.
    subset : int or None
        From 0; None changes nothing.
    seeds : tuple of str
    """

    row: int
    label: int | None
    name: str
    meaning: str
    subset: int | None
    seeds: tuple[str, ...]
    path: Path | None = None
    excludes: str = ""


@dataclass(frozen=True)
class Apply:
    """Apply the rows of a file: first names, then guidelines, new labels, groups, and subsets.

    Attributes
    ----------
    file : str
        As messages name it.
    rows : tuple of LabelRow
    """

    kind: ClassVar[str] = "file"
    file: str
    rows: tuple[LabelRow, ...]

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Write the edit; see :meth:`red_core.labels.edit_kinds.Edit.write`."""
        existing = {row.label: row for row in self.rows if row.label is not None}
        labels, layout = snapshot.labels, snapshot.layout
        names = {label: row.name for label, row in existing.items() if row.name not in {"", labels[label].name}}
        before = {label: (normalise_text(each.meaning), each.excludes) for label, each in labels.items()}
        meanings = {
            label: words
            for label, row in existing.items()
            if (words := (row.meaning or before[label][0], row.excludes or before[label][1])) != before[label]
        }
        moved = {
            label: row.subset for label, row in existing.items()
            if row.subset is not None and label in layout.labels and layout.subset(label) != row.subset
        }  # fmt: skip
        edit.rename(names)
        for label, words in meanings.items():
            edit.mean(label, *words)
        vectors: dict[int, Floats | None] = {}
        paths = {label: row.path for label, row in existing.items() if row.path is not None}
        for row in self.rows:
            if row.label is None:
                label, vectors[label] = self._create(edit, snapshot, row)
                if row.path:
                    paths[label] = row.path
                if len(layout.labels):
                    layout = layout.added(label, vectors[label], snapshot.vectors, row.subset)
        grouped = put_in_groups(edit, snapshot, paths)
        alone = snapshot.write_layout(edit, layout.moved(moved), vectors) if vectors or moved else ""
        edit.about.extend(moved)
        return (
            f"applied {self.file!r}: {len(names)} renamed, {len(meanings)} guidelines, {len(grouped)} put into groups, "
            f"{len(moved)} moved, {len(vectors)} added{alone}"
        )

    def _create(self, edit: OpenEdit, snapshot: LabelSetSnapshot, row: LabelRow) -> tuple[int, Floats | None]:
        """Write the new label of a row; return its id and its vector."""
        try:
            label, texts, _ = Add(row.name, row.meaning, None, row.seeds).create(edit, snapshot)
            if row.excludes:
                edit.mean(label, row.meaning, row.excludes)
        except StateError as error:
            raise _in_row(self.file, row.row, error) from error
        return label, snapshot.mean_vector(texts)


def _rows(table: Table, snapshot: LabelSetSnapshot) -> list[LabelRow]:
    """Return the file's rows, each checked by itself and against the others."""
    frame = table.frame.rename(columns=lambda column: str(column).strip().casefold())
    if "name" not in frame:
        raise InputError(table.name, "it has no column 'name'", f"Name the columns {', '.join(COLUMNS)}")
    by_name = {name_key(label.name): label.id for label in snapshot.labels.values()}
    rows, row_of = list[LabelRow](), dict[object, int]()
    cell_of = _as_written if ending(table.name) in WRITTEN_AS_IS else _without_apostrophe
    records = [{str(k): cell_of(v) for k, v in cells.items()} for cells in frame.to_dict("records")]
    parents = {cells["name"]: cells["parent"] for cells in records if cells.get("parent") and "path" not in frame}
    path_of = _by_parents(table.name, parents)
    for number, cells in zip(table.rows.tolist(), records, strict=True):
        row = _row(table.name, number, cells, snapshot, by_name)
        if cells["name"] in path_of:
            row = replace(row, path=path_of[cells["name"]])
        for key in ({("id", row.label)} if row.label else set()) | {("name", name_key(row.name))}:
            if key in row_of:
                rule = f"row {row_of[key]} is about {key[0]} {key[1]!r} too"
                raise InputError(table.name, rule, "Keep one of them", number)
            row_of[key] = number
        rows.append(row)
    _check_names(table.name, rows, by_name)
    return rows


def _row(
    file: str, number: int, cells: Mapping[str, str], snapshot: LabelSetSnapshot, by_name: Mapping[str, int]
) -> LabelRow:
    try:
        name = checked_name(cells["name"]) if cells["name"] or not cells.get("id") else ""
        label = _label(cells.get("id", ""), name, snapshot, by_name)
        if label is not None and not (name and cells.get("id")):
            name = snapshot.labels[label].name  # found by its name: how the file spells it changes nothing
        subset = _subset(cells.get("subset", ""), snapshot)
        meaning = checked_meaning(cells.get("meaning", ""))
        path = checked_path(words) if (words := cells.get("path", "")) else None
        excludes = checked_meaning(cells.get("does_not_belong", ""))
        return LabelRow(number, label, name, meaning, subset, _seeds(cells.get("seeds", "")), path, excludes)
    except StateError as error:
        raise _in_row(file, number, error) from error


def _by_parents(file: str, parents: Mapping[str, str]) -> dict[str, Path]:
    try:
        return paths_by_parents(parents)
    except StateError as error:
        raise InputError(file, str(error).rstrip("."), "Correct the column parent; nothing was changed") from error


def _as_written(cell: object) -> str:
    """Return a cell without outer spaces, '' for an empty one."""
    return cell.strip() if isinstance(cell, str) else ""


def _without_apostrophe(cell: object) -> str:
    """Return a cell without outer spaces, and without the apostrophe that keeps a spreadsheet from running it."""
    return unguarded(_as_written(cell))


def _in_row(file: str, number: int, error: StateError) -> InputError:
    return InputError(file, str(error).rstrip("."), "Correct that row; nothing was changed", number)


def _label(cell: str, name: str, snapshot: LabelSetSnapshot, by_name: Mapping[str, int]) -> int | None:
    if not cell:
        return by_name.get(name_key(name))
    if not cell.isdecimal() or int(cell) not in snapshot.labels:
        raise StateError(f"there is no label with id {cell[:40]!r}; a new label has none")
    return int(cell)


def _subset(cell: str, snapshot: LabelSetSnapshot) -> int | None:
    if not cell:
        return None
    count = int(snapshot.layout.subset_of.max(initial=-1)) + 1
    if not count:
        raise StateError("no subsets are formed yet: leave the column empty")
    if not cell.isdecimal() or not 1 <= int(cell) <= count:
        raise StateError(f"there is no subset {cell[:40]!r}: they are numbered from 1 to {count}")
    return int(cell) - 1


def _seeds(cell: str) -> tuple[str, ...]:
    if not cell:
        return ()
    try:
        texts = json.loads(cell)
    except (ValueError, RecursionError):
        texts = None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise StateError("its seeds are not a JSON list of texts")
    return tuple(texts)


def _check_names(file: str, rows: list[LabelRow], by_name: Mapping[str, int]) -> None:
    """Raise InputError if a row takes the name of a label that has no row of its own."""
    with_row = {row.label for row in rows}
    for row in rows:
        owner = by_name.get(name_key(row.name))
        if owner is not None and owner != row.label and owner not in with_row:
            rule = f"there is a label {row.name!r} already"
            raise InputError(file, rule, "Choose another name, or rename that label in another row", row.row)
