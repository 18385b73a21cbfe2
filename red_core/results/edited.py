"""An export that people edited outside comes back: what differs is shown, and applied as decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from red_core.data.preparing import without_apostrophes
from red_core.data.tables import Table, normalise_text, read_table
from red_core.data.tables.formulas import guarded
from red_core.data.tables.label_cells import read_label
from red_core.errors import InputError
from red_core.records import NONE_NAMES, Decision, NewDecisionKind, Project
from red_core.results.exports import EXPORTED
from red_core.store.decisions import add_decisions, undone_acts
from red_core.store.exports import NONE_NAME, opened_export
from red_core.store.labels import list_labels, name_key
from red_core.store.rounds import last_finished_round
from red_core.store.texts import texts_by_identity

Change = Literal["label", "none", "emptied", "unknown label", "several labels", "changed here", "unknown text"]
"""*label* and *none* can be applied. The others are listed: the label was emptied, or is not in the project, or there
are several; the project has another label since the export; or the text is not in the project."""
APPLIED: tuple[Change, ...] = ("label", "none")
IDENTITY = ("text_id", "data.text_id", "metadata.text_id", "meta.text_id")
"""Where the id of a text is in an export, and in the files of other tools that carry it."""
DELIMITERS = (";", ",")
"""Of files in which names may have apostrophes: see :func:`red_core.data.tables.formulas.guarded`."""


@dataclass(frozen=True)
class Difference:
    """A row whose label was edited.

    Attributes
    ----------
    row : int
        In the edited file.
    text_id, text : str
    before, after : str
        The label as it is in the project now, and as it is in the file; '' for none.
    change : Change
    """

    row: int
    text_id: str
    text: str
    before: str
    after: str
    change: Change


@dataclass(frozen=True)
class Edited:
    """What an edited export changes.

    Attributes
    ----------
    file, sha256 : str
    rows : int
        Rows of the file.
    differences : tuple of Difference
        In the order of the file; of rows with equal texts, the first.
    """

    file: str
    sha256: str
    rows: int
    differences: tuple[Difference, ...]

    def sentence(self) -> str:
        """Return the counts in one line."""
        counts = {change: sum(each.change == change for each in self.differences) for change in Change.__args__}  # type: ignore[attr-defined]
        can = sum(counts[change] for change in APPLIED)
        listed = [f"{count:,} {change}" for change, count in counts.items() if count and change not in APPLIED]
        return f"{self.rows:,} rows, {can:,} changed labels" + (f"; not applied: {', '.join(listed)}" if listed else "")


def read_edited(
    project: Project, path: str | Path, *, name: str | None = None, read: Callable[..., Table] = read_table
) -> Edited:
    """Compare an edited export with the project; nothing is stored.

    Rows are matched by ``text_id``. A label is edited if it differs from the column ``exported_label``; without that
    column, if it differs from the label that the project has now.

    Parameters
    ----------
    path : path
    name : str, optional
        What the user calls the file, when ``path`` is a temporary copy.
    read : callable
        Reads the table; a server reads it in a process of its own.

    Raises
    ------
    InputError
        If the file cannot be read, or has no column with the ids of texts or with labels.
    """
    return compare(project, read(path, name=name))


def compare(project: Project, table: Table) -> Edited:
    """Do what :func:`read_edited` does, with a table."""
    table = without_apostrophes(table)
    names = list(table.frame.columns)
    identity = next((column for column in IDENTITY if column in names), None)
    label = table.hints.label if table.hints.label in names else "label" if "label" in names else None
    if identity is None or label is None:
        missing = "text_id" if identity is None else "label"
        raise InputError(table.name, f"it has no column {missing!r}", "Give an export of this project, edited")
    current = _current(project)
    known = _spelled(each.name for each in list_labels(project))
    exported = table.frame[EXPORTED] if EXPORTED in names else None
    differences: dict[str, Difference] = {}
    for place, (row, text_id, cell) in enumerate(
        zip(table.rows.tolist(), table.frame[identity], table.frame[label], strict=True)
    ):
        if not text_id:
            continue
        text, now = current.get(text_id, ("", None))
        was = now if exported is None else _named(exported.iloc[place] or "", known)
        difference = _difference(row, text_id, text, now, was, cell, known)
        if difference is not None:
            differences.setdefault(text_id, difference)
    return Edited(table.name, table.sha256, len(table.rows), tuple(differences.values()))


def _current(project: Project) -> dict[str, tuple[str, str]]:
    """Return text_id -> its text and its final label now, '' for none."""
    last = last_finished_round(project)
    with opened_export(project, last.id if last else 0) as (_, rows):
        return {row["text_id"]: (row["text"], row["label"] or "") for row in rows if row["text_id"] is not None}


def _difference(  # each is a fact of the row
    row: int, text_id: str, text: str, now: str | None, was: str | None, cell: str | None, known: dict[str, str]
) -> Difference | None:
    whole = normalise_text(cell or "")
    names, problem = ((whole,), "") if name_key(whole) in known else read_label(cell)
    after = _named(normalise_text(names[0]), known) if len(names) == 1 else ", ".join(names)
    if name_key(after) == name_key(was or "") and not problem:
        return None
    none = name_key(after) in NONE_NAMES and name_key(after) not in known
    change: Change
    if now is None:
        change = "unknown text"
    elif len(names) > 1 or problem:
        change = "several labels"
    elif name_key(now) != name_key(was or ""):
        change = "changed here"
    elif not after:
        change = "emptied"
    elif none:
        change = "none"
    else:
        change = "label" if name_key(after) in known else "unknown label"
    return Difference(row, text_id, text, now or "", NONE_NAME if none else after, change)


def _spelled(names: Iterable[str]) -> dict[str, str]:
    """Return name_key -> label, also for the names with the apostrophes that keep a spreadsheet from running them."""
    labels = list(names)
    known = {name_key(guarded(name, delimiter)): name for delimiter in DELIMITERS for name in labels}
    return known | {name_key(name): name for name in labels}


def _named(name: str, known: dict[str, str]) -> str:
    """Return the label that a name in a file means, spelled as in the project; a name that is no label as it is."""
    return known.get(name_key(name), name)


def apply_edited(project: Project, edited: Edited, who: str) -> int:
    """Store the edited labels as decisions; return how many are new.

    Applied twice, nothing is added, except for texts whose decision of the first time was undone.

    Raises
    ------
    StateError
        If a job is running.
    """
    return add_decisions(project, list(_decisions(project, edited, who)))


def _decisions(project: Project, edited: Edited, who: str) -> Iterator[Decision]:
    ids = {name_key(label.name): label.id for label in list_labels(project)}
    wanted = [each for each in edited.differences if each.change in APPLIED]
    rows = texts_by_identity(project, [each.text_id for each in wanted])
    file = f"edited:{edited.sha256}:"
    undone = Counter(act.removeprefix(file).partition(":")[0] for act in undone_acts(project, file))
    reason = f"edited in {edited.file.replace(chr(92), '/').rpartition('/')[2]}"
    for each in wanted:
        kind: NewDecisionKind = "none" if each.change == "none" else "relabel"
        label = None if kind == "none" else ids[name_key(each.after)]
        times = undone[each.text_id]
        act = f"{file}{each.text_id}:{times}" if times else f"{file}{each.text_id}"
        yield Decision(rows[each.text_id], kind, label, who=who, reason=reason, act=act)
