"""Groups of labels: each label has a path of groups, so that the groups are always a forest. Edits of these paths.

A group exists as long as a label is in it. Texts have labels, never groups. A label may have the name of a group and
stand beside it; then the group takes texts, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import ClassVar

from red_core.errors import StateError
from red_core.labels.snapshot import LabelSetSnapshot, checked_name
from red_core.records import Label
from red_core.store.label_edits import OpenEdit
from red_core.store.labels import MOST_LEVELS, SEPARATOR, name_key, path_in_words

Path = tuple[str, ...]
"""The names of groups, from the top."""
COUNTED = "  \u00b7  "
"""What stands between a group and its number of labels in a tree."""


def checked_path(path: str | Sequence[str]) -> Path:
    """Return a path with names as they are stored, from its words or its parts.

    Raises
    ------
    StateError
        If a name is empty, too long or has the sign that separates groups, or the path has too many levels.
    """
    if isinstance(path, str):
        words = path.strip(f" {SEPARATOR}")
        parts: Sequence[str] = words.split(SEPARATOR) if words else ()
    else:
        parts = path
    if not all(part.strip() for part in parts):
        raise StateError(f"a group in {path_in_words(parts)!r} has no name.")
    if any(SEPARATOR in part for part in parts):
        raise StateError(f"the name of a group has no {SEPARATOR!r}: this sign stands between groups.")
    if len(parts) > MOST_LEVELS:
        raise StateError(f"a label is in at most {MOST_LEVELS} groups, one in the other.")
    return tuple(checked_name(part) for part in parts)


def key_of(path: Iterable[str]) -> Path:
    """Return the key that is the same for all spellings of a path."""
    return tuple(map(name_key, path))


def is_in(path: Sequence[str], group: Sequence[str]) -> bool:
    """Return whether a path is this group, or is inside it."""
    return key_of(path[: len(group)]) == key_of(group)


def groups_of(labels: Iterable[Label]) -> dict[Path, int]:
    """Return the number of labels in each group, those of the groups inside it included: outer groups first."""
    counts: dict[Path, int] = {}
    for label in labels:
        for depth in range(1, len(label.path) + 1):
            counts[label.path[:depth]] = counts.get(label.path[:depth], 0) + 1
    return dict(sorted(counts.items(), key=lambda item: key_of(item[0])))


def tree_lines(labels: Iterable[Label]) -> list[str]:
    """Return the labels in their groups as indented lines; a group ends with COUNTED and its number of labels."""
    known = list(labels)
    counts, lines, above = groups_of(known), list[str](), Path()
    for label in sorted(known, key=lambda each: key_of((*each.path, each.name))):
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(label.path, above, strict=False)))
        for depth in range(shared, len(label.path)):
            lines.append(f"{'  ' * depth}{label.path[depth]}{COUNTED}{counts[label.path[: depth + 1]]:,}")
        lines.append(f"{'  ' * len(label.path)}{label.name}")
        above = label.path
    return lines


@dataclass(frozen=True)
class Group:
    """Put labels into groups.

    Attributes
    ----------
    paths : mapping of int to tuple of str
        Label id -> its path; () takes it out of all groups. A group is spelled as it is spelled already.
    """

    kind: ClassVar[str] = "group"
    paths: Mapping[int, Path]

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Write the edit; see :meth:`red_core.labels.edit_kinds.Edit.write`."""
        changed = put_in_groups(edit, snapshot, self.paths)
        if len(changed) == 1:
            ((label, path),) = changed.items()
            where = f"into {path_in_words(path)!r}" if path else "out of its group"
            return f"put {snapshot.name(label)} {where}"
        groups = len({path for path in changed.values() if path})
        if not groups and changed:
            return f"took {len(changed):,} labels out of their groups"
        return f"put {len(changed):,} labels into {groups:,} group{'s' if groups != 1 else ''}"


@dataclass(frozen=True)
class MoveGroup:
    """Move a group with everything in it, or rename it: all paths that begin with ``group`` begin with ``to`` instead.

    If there is a group ``to`` already, the two become one. A label with the name of the group, beside it, goes along.

    Attributes
    ----------
    group : tuple of str
    to : tuple of str
        The group that ``group`` is in dissolves it.
    """

    kind: ClassVar[str] = "move group"
    group: Path
    to: Path

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Write the edit; see :meth:`red_core.labels.edit_kinds.Edit.write`."""
        to, name = checked_path(self.to), path_in_words(self.group)
        inside = {label: each.path for label, each in snapshot.labels.items() if is_in(each.path, self.group)}
        if not self.group or not inside:
            raise StateError(f"there is no group {name!r} any more.")
        if len(to) > len(self.group) and is_in(to, self.group):
            raise StateError(f"the group {name!r} cannot be inside itself.")
        paths = {label: to + path[len(self.group) :] for label, path in inside.items()}
        own = next((each for each in snapshot.labels.values() if is_of_group(each, self.group)), None)
        dissolved = not to or key_of(to) == key_of(self.group[:-1])
        if own is not None and not dissolved:
            paths[own.id] = to[:-1]
            if name_key(own.name) != name_key(to[-1]):
                edit.rename({own.id: to[-1]})
        put_in_groups(edit, snapshot, paths)
        if dissolved:
            return f"dissolved the group {name!r} of {len(inside):,} labels"
        return f"moved the group {name!r} of {len(inside):,} labels to {path_in_words(to)!r}"


def is_of_group(label: Label, group: Sequence[str]) -> bool:
    """Return whether a label has the name of a group and stands beside it: then the group takes texts."""
    return key_of((*label.path, label.name)) == key_of(group)


def put_in_groups(
    edit: OpenEdit, snapshot: LabelSetSnapshot, paths: Mapping[int, Path], names: Mapping[int, str] | None = None
) -> dict[int, Path]:
    """Write paths of labels, those that change; return them by label id, spelled as groups are spelled already.

    A path that ends with the name of its label puts the label beside the group of this name.

    Parameters
    ----------
    names : mapping of int to str, optional
        The names of labels that this edit adds or renames.
    """
    called = {label: each.name for label, each in snapshot.labels.items()} | dict(names or {})
    spelled: dict[Path, str] = {}
    for each in snapshot.labels.values():
        if each.id not in paths:
            _spelled(each.path, spelled)
    changed = {}
    for label, path in paths.items():
        checked = checked_path(path)
        own = bool(checked) and name_key(checked[-1]) == name_key(called.get(label, ""))
        known = _spelled(checked[:-1] if own else checked, spelled)
        if label in edit.created:
            changed[label] = known
            continue
        snapshot.name(label)  # it is active
        if known != snapshot.labels[label].path:
            changed[label] = known
    edit.put_in_groups(changed)
    return changed


def _spelled(path: Path, spelled: dict[Path, str]) -> Path:
    """Return a path with each group spelled as it was first, and note how the others are spelled."""
    key = key_of(path)
    return tuple(spelled.setdefault(key[: depth + 1], name) for depth, name in enumerate(path))
