"""The label set as a file: export names, groups, guidelines, subsets, seeds; import edits of them, and new labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import ClassVar

from red_core.data.tables import Table, read_table, write_table
from red_core.errors import InputError, StateError
from red_core.labels.edit_kinds import Add
from red_core.labels.file_rows import COLUMNS, LabelRow, in_row, label_rows, pasted_rows
from red_core.labels.group_sources import listed_in_quotes
from red_core.labels.groups import Group, Path, put_in_groups
from red_core.labels.placement import LabelLayout
from red_core.labels.snapshot import LabelSetSnapshot
from red_core.records import FEWEST_EXAMPLES, Floats, Label, Project
from red_core.store.guidelines import guideline_examples
from red_core.store.label_edits import OpenEdit
from red_core.store.labels import active_by_name, current_layout, list_labels, path_in_words
from red_core.store.texts import contents, seeds
from red_core.text import normalise_text
from red_core.training.training_set import has_word

PASTED = "the pasted text"
"""How messages name what is no file."""
TREE = 'Write a list such as [{"name": "Cards", "children": [{"name": "card declined"}]}]'


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


def read_label_set(
    project: Project, path: str | FilePath, *, name: str | None = None, read: Callable[..., Table] = read_table
) -> Apply:
    """Return the edit that a file of labels describes, to be previewed or applied.

    A row is about the label with its ``id``, else about the label with its ``name``. If neither exists, the row adds a
    label; without ``seeds``, its name is its first example. A row with an id may rename that label. An empty cell
    changes nothing, and a label without a row stays as it is. A row that only names a group of other rows is passed
    over. The ``seeds`` of existing labels are not read, and no examples of guidelines.

    Parameters
    ----------
    path : path
        A table with a column ``name``, and any of COLUMNS. A path may end with the name of its label. Instead of
        ``path``, there may be ``parent``: a path, or the name of the label or group that a label is in. In JSON, the
        labels and groups that are in another one may be a list in its field ``children``.
    name : str, optional
        What the user calls the file, when ``path`` is a temporary copy.
    read : callable
        Reads the table; a server reads it in a process of its own.

    Raises
    ------
    InputError
        If the file cannot be read, or a row breaks a rule.
    """
    try:
        table = read(path, name=name)
    except InputError as error:
        if not error.remedy.startswith("Write {"):
            raise
        raise InputError(error.file, error.rule, TREE, error.row) from error  # the remedy for texts would be wrong
    rows, unread = label_rows(table, LabelSetSnapshot(project))
    return Apply(table.name, tuple(rows), tuple(unread))


def with_new_labels(edit: Group, names: Mapping[str, Path]) -> Apply:
    """Return the edit that puts labels into groups as ``edit`` does, and adds labels, by name with their groups.

    The name of a new label is its first example.
    """
    rows = [LabelRow(0, None, name, path=path) for name, path in names.items()]
    rows += [LabelRow(0, label, "", path=path) for label, path in edit.paths.items()]
    return Apply(PASTED, tuple(rows))


def from_pasted(project: Project, text: str) -> tuple[list[int], Apply]:
    """Return the labels that a pasted column names, and the edit that adds the other names as new labels.

    A line is a name or a path. In further columns, after tabs, it may have examples of a new label. If there are fewer
    than two, the name is one more.

    Raises
    ------
    StateError
        If a name is not allowed, or is on two lines.
    """
    known = active_by_name(project)
    rows = pasted_rows(text, known)
    return list(dict.fromkeys(row.label for row in rows if row.label is not None)), Apply(
        PASTED, tuple(row for row in rows if row.label is None)
    )


@dataclass(frozen=True)
class Apply:
    """Apply the rows of a file: first names, then guidelines, new labels, groups, and subsets.

    Attributes
    ----------
    file : str
        As messages name it.
    rows : tuple of LabelRow
    unread : tuple of str
        Columns of the file that say nothing about a label set.
    """

    kind: ClassVar[str] = "file"
    file: str
    rows: tuple[LabelRow, ...]
    unread: tuple[str, ...] = ()

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
        vectors, added = dict[int, Floats | None](), dict[int, str]()
        paths = {label: row.path for label, row in existing.items() if row.path is not None}
        for row in self.rows:
            if row.label is None:
                label, vectors[label] = self._create(edit, snapshot, row)
                added[label] = row.name
                if row.path:
                    paths[label] = row.path
                if len(layout.labels):
                    layout = layout.added(label, vectors[label], snapshot.vectors, row.subset)
        grouped = put_in_groups(edit, snapshot, paths, names | added)
        alone = snapshot.write_layout(edit, layout.moved(moved), vectors) if vectors or moved else ""
        edit.about.extend(moved)
        counts = {
            f"added ({listed_in_quotes(list(added.values()))})": len(added), "renamed": len(names),
            "put into groups": len(grouped), "new guidelines": len(meanings), "moved to another subset": len(moved),
        }  # fmt: skip
        changes = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        passed = f"; the program does not read the columns {listed_in_quotes(self.unread)}" if self.unread else ""
        return f"applied {self.file!r}: {changes or 'nothing changes'}{alone}{passed}"

    def _create(self, edit: OpenEdit, snapshot: LabelSetSnapshot, row: LabelRow) -> tuple[int, Floats | None]:
        """Write the new label of a row; return its id and its vector."""
        try:
            label, texts, _ = Add(row.name, row.meaning, None, row.seeds or (row.name,)).create(
                edit, snapshot, FEWEST_EXAMPLES if row.seeds or not has_word(row.name) else 1
            )
            if row.excludes:
                edit.mean(label, row.meaning, row.excludes)
        except StateError as error:
            if not row.row:
                raise StateError(f"{row.name!r}: {error}") from error
            raise in_row(self.file, row.row, error) from error
        return label, snapshot.mean_vector(texts)
