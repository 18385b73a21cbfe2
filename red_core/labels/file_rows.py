"""The rows of a file of the label set, or of pasted names: each is checked by itself and against the others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from red_core.data.tables import Table
from red_core.data.tables.formulas import unguarded
from red_core.data.tables.source import ending
from red_core.errors import InputError, StateError
from red_core.labels.group_sources import BYTE_ORDER_MARK, paths_by_parents, split_name
from red_core.labels.groups import Path, checked_path, key_of
from red_core.labels.snapshot import LabelSetSnapshot, checked_meaning, checked_name
from red_core.store.labels import MOST_LEVELS, SEPARATOR, name_key, path_in_words
from red_core.training.training_set import has_word

COLUMNS = ("id", "name", "path", "meaning", "does_not_belong", "subset", "seeds", "good_examples", "bad_examples")
"""Columns of the file. ``path`` is its groups, as ``A > B``. ``subset`` is numbered from 1, as on the screens. The last
three are JSON lists of texts."""
CALLED_ALSO = {"label": "name", "label_path": "path"}
"""What an export of the texts calls a column."""
NAMED = ("name", "label")
CHILDREN, PARENT = "children", "parent"
OBJECTS = {CHILDREN: ", not a JSON list of labels", "seeds": ", not a JSON list of texts"}
"""What a column holds that is no text."""
NO_GROUP = SEPARATOR
"""A path that takes a label out of all groups: an empty cell changes nothing."""
WRITTEN_AS_IS = ("json", "jsonl", "ndjson", "parquet", "pq")
"""Endings of files whose cells no spreadsheet runs, so that none of them got an apostrophe."""
Cells = dict[str, str]


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
        Of a new label. If there are none, its name is its first example.
    """

    row: int
    label: int | None
    name: str
    meaning: str = ""
    subset: int | None = None
    seeds: tuple[str, ...] = ()
    path: Path | None = None
    excludes: str = ""


def label_rows(table: Table, snapshot: LabelSetSnapshot) -> tuple[list[LabelRow], list[str]]:
    """Return the rows of a file, without those of mere groups, and the names of the columns that are not read.

    Raises
    ------
    InputError
        If a row breaks a rule.
    """
    frame = table.frame.rename(columns=lambda column: str(column).strip().casefold())
    frame = frame.rename(columns={also: name for also, name in CALLED_ALSO.items() if name not in frame})
    if "name" not in frame:
        raise InputError(table.name, "it has no column 'name'", f"Name the columns {', '.join(COLUMNS)}")
    known = {*COLUMNS, CHILDREN, *(() if "path" in frame else (PARENT,))}
    again = frame.columns.duplicated()
    if twice := known.intersection(frame.columns[again]):
        raise InputError(table.name, f"two columns are named {min(twice)!r}", "Rename or delete one")
    frame = frame.loc[:, ~again]
    by_name = {name_key(label.name): label.id for label in snapshot.labels.values()}
    _refuse_objects(table, known)
    delimiter = "\t" if ending(table.name) == "tsv" else ","
    cell_of = _as_written if ending(table.name) in WRITTEN_AS_IS else partial(_without_apostrophe, delimiter)
    numbered = [
        (number, cells)
        for number, record in zip(table.rows.tolist(), frame.to_dict("records"), strict=True)
        for cells in _with_children(table.name, number, {str(k): cell_of(v) for k, v in record.items()})
    ]
    parents = {cells["name"]: cells[PARENT] for _, cells in numbered if cells.get(PARENT) and "path" not in cells}
    path_of = _by_parents(table.name, parents)
    rows = []
    for number, cells in numbered:
        row = _row(table.name, number, cells, snapshot, by_name)
        rows.append(replace(row, path=path_of[cells["name"]]) if cells["name"] in path_of else row)
    rows = _without_groups(rows)
    _check_names(table.name, rows, by_name)
    return rows, [str(name) for name in frame if name not in known]


def _refuse_objects(table: Table, known: Container[str]) -> None:
    """Raise InputError if a column of ours holds an object: its fields became columns such as ``children.name``."""
    for column in table.frame if ending(table.name) in WRITTEN_AS_IS else ():
        name, sign, _ = str(column).strip().casefold().partition(".")
        rows = table.rows[table.frame[column].notna().to_numpy()]
        if sign and len(rows) and CALLED_ALSO.get(name, name) in known:
            rule = f"its field {name!r} is an object{OBJECTS.get(name, '')}"
            raise in_row(table.name, int(rows[0]), StateError(rule))


def pasted_rows(text: str, by_name: Mapping[str, int]) -> list[LabelRow]:
    """Return a row for each line of a pasted column: the label of this name or path, or a new one with its examples.

    Parameters
    ----------
    by_name : mapping of str to int
        name_key -> label id.

    Raises
    ------
    StateError
        If a name is not allowed, or two lines have the name of one new label.
    """
    rows, line_of = list[LabelRow](), dict[str, int]()
    for number, line in enumerate(text.removeprefix(BYTE_ORDER_MARK).splitlines(), 1):
        words, *cells = [cell.strip() for cell in line.split("\t")]
        if not words:
            continue
        path, name = (None, words) if name_key(words) in by_name else split_name(words)
        label, examples = by_name.get(name_key(name)), list(filter(None, cells))
        if label is None and (first := line_of.setdefault(name_key(name), number)) != number:
            raise StateError(f"{name!r} is on line {first} and on line {number}. Keep one of them.")
        if len(examples) == 1 and has_word(name):
            examples.append(name)
        rows.append(LabelRow(number, label, checked_name(name), path=path, seeds=tuple(examples)))
    return rows


def _with_children(file: str, number: int, cells: Cells, depth: int = 0) -> Iterator[Cells]:
    """Yield a row and, after it, the rows inside it; these have its path and name as their path."""
    given = cells.pop(CHILDREN, "")
    inside = _children(file, number, given) if given else []
    yield cells
    if inside and depth >= MOST_LEVELS:
        raise in_row(file, number, StateError(f"a label is in at most {MOST_LEVELS} groups, one in the other"))
    above = path_in_words(filter(None, (cells.get("path", ""), cells.get("name", ""))))
    for each in inside:
        yield from _with_children(file, number, each | {"path": above}, depth + 1)


def _children(file: str, number: int, words: str) -> list[Cells]:
    try:
        children = json.loads(words)
    except (ValueError, RecursionError):
        children = None
    if not isinstance(children, list) or not all(map(_is_label, children)):
        rule = "its children are not a JSON list of labels"
        raise in_row(file, number, StateError(rule))
    return [_cells(each) if isinstance(each, dict) else {"name": each} for each in children]


def _is_label(child: object) -> bool:
    """Return whether a child is a name, or an object whose name, if it has one, is no list or object."""
    named = [value for key, value in child.items() if key.casefold() in NAMED] if isinstance(child, dict) else [child]
    return all(isinstance(name, str) or (isinstance(child, dict) and isinstance(name, int | float)) for name in named)


def _cells(child: Mapping[str, Any]) -> Cells:
    """Return the cells of a label inside another one, as a table would hold them."""
    words = {
        str(key).casefold(): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in child.items()
        if value is not None
    }
    named = {CALLED_ALSO.get(key, key): value.strip() for key, value in words.items()}
    return {"name": ""} | named


def _row(
    file: str, number: int, cells: Mapping[str, str], snapshot: LabelSetSnapshot, by_name: Mapping[str, int]
) -> LabelRow:
    try:
        path, words = _path(cells.get("path", "")), cells["name"]
        if path is None and not cells.get("id") and name_key(words) not in by_name:
            path, words = split_name(words)
        name = checked_name(words) if words or not cells.get("id") else ""
        label = _label(cells.get("id", ""), name, snapshot, by_name)
        if label is not None and not (name and cells.get("id")):
            name = snapshot.labels[label].name  # found by its name: how the file spells it changes nothing
        subset = _subset(cells.get("subset", ""), snapshot)
        meaning = checked_meaning(cells.get("meaning", ""))
        excludes = checked_meaning(cells.get("does_not_belong", ""))
        return LabelRow(number, label, name, meaning, subset, _seeds(cells.get("seeds", "")), path, excludes)
    except StateError as error:
        raise in_row(file, number, error) from error


def _path(cell: str) -> Path | None:
    """Return a path from its words, or from a JSON list of names; None for an empty cell."""
    if cell.startswith("["):
        try:
            parts = json.loads(cell)
        except (ValueError, RecursionError):
            parts = None
        if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
            return checked_path(parts)
    return checked_path(cell) if cell else None


def _without_groups(rows: Sequence[LabelRow]) -> list[LabelRow]:
    """Return the rows without those that only name a group of other rows: a tree has such a row for each group.

    Such a row is of a label, too, if it has examples, or there is a label of this name and no other row about it.
    """
    groups = {key_of(row.path[:depth]) for row in rows if row.path for depth in range(1, len(row.path) + 1)}
    about = Counter(row.label for row in rows)
    return [
        row for row in rows
        if row.seeds or (row.label and about[row.label] == 1) or key_of((*(row.path or ()), row.name)) not in groups
    ]  # fmt: skip


def _by_parents(file: str, parents: Mapping[str, str]) -> dict[str, Path]:
    try:
        return paths_by_parents(parents)
    except StateError as error:
        raise InputError(file, str(error).rstrip("."), "Correct the column parent; nothing was changed") from error


def _as_written(cell: object) -> str:
    """Return a cell without outer spaces, '' for an empty one."""
    return cell.strip() if isinstance(cell, str) else ""


def _without_apostrophe(delimiter: str, cell: object) -> str:
    """Return a cell without outer spaces, and without the apostrophes that keep a spreadsheet from running it."""
    return unguarded(_as_written(cell), delimiter)


def in_row(file: str, number: int, error: StateError) -> InputError:
    """Return what is wrong with a row as an error about the file."""
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


def _check_names(file: str, rows: Sequence[LabelRow], by_name: Mapping[str, int]) -> None:
    """Raise InputError if two rows are about one label, or a row takes the name of a label without a row."""
    with_row, row_of = {row.label for row in rows}, dict[object, int]()
    for row in rows:
        for key in (*([("id", row.label)] if row.label else []), ("name", name_key(row.name))):
            if key in row_of:
                rule = f"row {row_of[key]} is about {key[0]} {key[1]!r} too"
                raise InputError(file, rule, "Keep one of them", row.row)
            row_of[key] = row.row
    for row in rows:
        owner = by_name.get(name_key(row.name))
        if owner is not None and owner != row.label and owner not in with_row:
            rule = f"there is a label {row.name!r} already"
            raise InputError(file, rule, "Choose another name, or rename that label in another row", row.row)
