"""Where groups come from: names such as ``A > B``, columns of the source files, indented text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

from red_core.errors import StateError
from red_core.labels.groups import COUNTED, Group, Path, checked_path, key_of, put_in_groups
from red_core.labels.snapshot import LabelSetSnapshot, checked_name
from red_core.records import Label, Project
from red_core.store.label_edits import OpenEdit
from red_core.store.labels import SEPARATOR, list_labels, name_key, path_in_words
from red_core.store.source_columns import values_by_label
from red_core.text import listed

SIGNS = (" > ", ">", "::", " / ", "/", "|")
"""What may stand between the groups and the label in a name; the first that fits is offered."""
NAMES_LISTED = 5
BYTE_ORDER_MARK = "\ufeff"
BRANCHES = re.compile("[\\s\u2500\u2502\u2514\u251c]*")
"""Spaces and the lines of a drawn tree, as the program tree prints it: they only indent."""
BULLETS = re.compile(r"(?:[-*]+\s+|\u2022\s*)*")
"""What editors write before the lines of a list."""
OFTEN = 0.5
MOSTLY = 0.9
"""The share of the labels that must have one value in a column, for the column to be offered."""


def sign_in_names(labels: Sequence[Label]) -> str | None:
    """Return the sign that separates groups in the names of labels; None unless two labels share a group by it."""
    for sign in SIGNS:
        first = Counter(name_key(label.name.split(sign)[0]) for label in labels if sign in label.name)
        if first and max(first.values()) > 1:
            return sign
    return None


def names_hold_groups(labels: Sequence[Label]) -> bool:
    """Return whether groups in the names are worth an offer: at least half of the names have the sign."""
    sign = sign_in_names(labels)
    return sign is not None and sum(sign in label.name for label in labels) >= OFTEN * len(labels)


@dataclass(frozen=True)
class FromNames:
    """Take the groups out of the names: ``A > B > C`` becomes C in A > B.

    If another label is called C, too, the name keeps the group that it is in, ``C (B)``, or else stays whole. A file
    that calls the label by its former name still means it.

    Attributes
    ----------
    sign : str
        What stands between the groups.
    """

    kind: ClassVar[str] = "groups from names"
    sign: str

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Write the edit; see :meth:`red_core.labels.edit_kinds.Edit.write`."""
        split = {
            label.id: [part.strip() for part in label.name.split(self.sign)]
            for label in snapshot.labels.values()
            if self.sign in label.name
        }
        split = {label: parts for label, parts in split.items() if self._are_names(parts)}
        if not split:
            raise StateError(f"no label has {self.sign!r} between the parts of its name.")
        names = _short_names(split, snapshot.labels)
        edit.rename({label: name for label, name in names.items() if name != snapshot.labels[label].name})
        put_in_groups(edit, snapshot, {label: checked_path(parts[:-1]) for label, parts in split.items()}, names)
        return f"made groups from the names of {len(split):,} labels"

    def _are_names(self, parts: Sequence[str]) -> bool:
        """Return whether each part is a name: ``A > > Q`` has none in the middle, and stays as it is."""
        sign = self.sign.strip()
        named = all(part and not part.startswith(sign) and not part.endswith(sign) for part in parts)
        return named and not any(SEPARATOR in part for part in parts[:-1])


def _short_names(split: Mapping[int, Sequence[str]], labels: Mapping[int, Label]) -> dict[int, str]:
    """Return a unique name for each label whose name was split: the last part, where no other label has it."""
    others = [name_key(label.name) for label in labels.values() if label.id not in split]
    taken = Counter([*others, *(name_key(parts[-1]) for parts in split.values())])
    names = {
        label: parts[-1] if taken[name_key(parts[-1])] == 1 else f"{parts[-1]} ({parts[-2]})"
        for label, parts in split.items()
    }
    taken = Counter([*others, *map(name_key, names.values())])
    return {
        label: checked_name(name) if taken[name_key(name)] == 1 else labels[label].name for label, name in names.items()
    }


@dataclass(frozen=True)
class GroupColumn:
    """A column of the source files that may hold the groups of the labels.

    Attributes
    ----------
    name : str
    values : int
        How many different values it has.
    labels : int
        How many labels have one value in all of their rows.
    """

    name: str
    values: int
    labels: int


def group_columns(project: Project) -> list[GroupColumn]:
    """Return the columns in which most labels have one value each, and labels share values; fewest values first.

    A value may be a path that ends with the name of the label.
    """
    names = {label.id: name_key(label.name) for label in list_labels(project)}
    columns = []
    for name, values in values_by_label(project).items():
        single = [_group(found[0], names[label]) for label, found in values.items() if len(found) == 1]
        if len(single) >= MOSTLY * len(names) and 1 < len(set(single)) < len(single):
            columns.append(GroupColumn(name, len(set(single)), len(single)))
    return sorted(columns, key=lambda column: (column.values, column.name))


def _group(value: str, label: str) -> str:
    """Return the group in a cell: without the name of the label, if the cell ends with it."""
    path, sign, name = value.rpartition(SEPARATOR)
    return path.strip() if sign and name_key(name) == label else value


def from_columns(project: Project, columns: Sequence[str]) -> tuple[Group, list[str]]:
    """Return the edit that takes the groups from columns, and the names of the labels with several values.

    Parameters
    ----------
    columns : sequence of str
        The column of the outermost groups comes first. A value may be a path. If there is one column, a value may also
        be the name of the label that the label is in.

    Raises
    ------
    StateError
        If a column is not in the files, or a label is inside itself.
    """
    found = values_by_label(project)
    for column in columns:
        if column not in found:
            raise StateError(f"there is no column {column!r} beside the labels of project {project.name}.")
    labels = list_labels(project)
    several = [each.name for each in labels if any(len(found[column].get(each.id, [])) > 1 for column in columns)]
    cells = {
        label.id: [found[column][label.id][0] for column in columns if len(found[column].get(label.id, [])) == 1]
        for label in labels
    }
    if len(columns) == 1:
        given = {label.name: cells[label.id][0] for label in labels if cells[label.id]}
        # A label may stand beside the group of its own name.
        parents = {name: parent for name, parent in given.items() if name_key(parent) != name_key(name)}
        path_of = paths_by_parents(parents)
        return Group({each.id: path_of[each.name] for each in labels if each.name in path_of}), several
    paths = {label: tuple(chain.from_iterable(map(checked_path, parts))) for label, parts in cells.items()}
    return Group({label: path for label, path in paths.items() if path}), several


def paths_by_parents(parents: Mapping[str, str]) -> dict[str, Path]:
    """Return the path of each label from the parents of all: a path, or the name of another label with a parent.

    Raises
    ------
    StateError
        If a label is inside itself.
    """
    of_key = {name_key(each): checked_path(parent) for each, parent in parents.items()}
    return {name: _path_by_parents(name, of_key) for name in parents}


def _path_by_parents(name: str, parents: Mapping[str, Path]) -> Path:
    path, seen, key = Path(), set[str](), name_key(name)
    while parent := parents.get(key):
        seen.add(key)
        path, key = parent + path, name_key(parent[0])
        if key in seen:
            raise StateError(f"{name!r} is inside itself: its parents are {path_in_words(path)!r}.")
    return checked_path(path)


def from_text(labels: Iterable[Label], text: str) -> tuple[Group, dict[str, Path]]:
    """Return the edit that an indented text describes, and the names in it that are no label, with their groups.

    Each line is a name, or a path such as ``A > B``. A line that is indented further than the line before is inside it.
    A tab is as wide as four spaces. A line that is the name of a label or group is it, whatever signs are in it.
    What :func:`red_core.labels.groups.tree_lines` returns is such a text.

    Raises
    ------
    StateError
        If no line is a label, a label is in two places, or a name is not allowed.
    """
    known = list(labels)
    by_key = {name_key(label.name): label.id for label in known}
    lines = _tree(text, {*by_key, *chain.from_iterable(key_of(label.path) for label in known)})
    ends = {name_key(here[-1]) for here, _, inner in lines if not inner}
    paths, unknown, line_of = dict[int, Path](), dict[str, Path](), dict[int, int]()
    for here, number, inner in lines:
        label = by_key.get(name_key(here[-1]))
        if label is None and not inner:
            unknown.setdefault(here[-1], here[:-1])
        elif label is not None and not (inner and name_key(here[-1]) in ends):  # else it is a group of this name
            if (first := line_of.setdefault(label, number)) != number:
                raise StateError(
                    f"{here[-1]!r} is on line {first} and on line {number}, but a label is in one group. Delete one."
                )
            paths[label] = here[:-1]
    if not paths:
        raise StateError(f"no line is the name of a label. Write a name, or a path such as A {SEPARATOR} B, on each.")
    return Group(paths), unknown


def _tree(text: str, known: Container[str]) -> list[tuple[Path, int, bool]]:
    """Return the path of each line, its name included, its number, and whether the next line is inside it."""
    lines = [(*_indented(line, known), number) for number, line in enumerate(text.splitlines(), 1)]
    lines = [line for line in lines if line[1]]
    indents = [indent for indent, _, _ in lines]
    above, tree = list[tuple[int, Path]](), list[tuple[Path, int, bool]]()
    for (indent, words, number), following in zip(lines, [*indents[1:], 0], strict=False):
        while above and above[-1][0] >= indent:
            above.pop()
        name = _path_of_line(_without_count(words) if following > indent else words, known)
        here = (*(above[-1][1] if above else ()), *name)
        above.append((indent, here))
        if name:
            tree.append(((*checked_path(here[:-1]), here[-1]), number, following > indent))
    return tree


def _indented(line: str, known: Container[str]) -> tuple[int, str]:
    """Return how far a line is indented, and its words: what may be a sign before a name is none if the name has it."""
    wide = line.expandtabs(4)
    words = wide.strip()
    if name_key(words) not in known and name_key(_without_count(words)) not in known:
        wide = wide.removeprefix(BYTE_ORDER_MARK)
        words = BRANCHES.sub("", wide, count=1).strip()
    return len(wide.rstrip()) - len(words), words


def _without_count(words: str) -> str:
    return words.rpartition(COUNTED)[0] or words


def _path_of_line(words: str, known: Container[str]) -> Path:
    """Return the groups and the name in a line; a known name may have signs that else separate or begin names."""
    for name in (words, BULLETS.sub("", words, count=1)):
        if name_key(name) in known:
            return (checked_name(name),)
    parts = name.split(SEPARATOR)
    for depth in range(1, len(parts)):
        end = SEPARATOR.join(parts[depth:]).strip()
        if name_key(end) in known:
            return (*checked_path(SEPARATOR.join(parts[:depth])), checked_name(end))
    return checked_path(name)


def split_name(words: str) -> tuple[Path | None, str]:
    """Return the groups that a name such as ``A > B > C`` begins with, None for none, and the last part."""
    above, sign, name = words.rpartition(f" {SEPARATOR} ")
    return (checked_path(above), name.strip()) if sign else (None, words)


def listed_in_quotes(names: Sequence[str]) -> str:
    """Return the first names of a list in quotes, and how many more there are."""
    return listed([repr(name) for name in names], NAMES_LISTED)
