"""Edit the meaning of one label, and take that edit back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from red_core.errors import CardChanged, StateError
from red_core.labels.edits import apply_edit, undo_edit
from red_core.labels.snapshot import LabelSetSnapshot, checked_meaning
from red_core.records import Label, Project
from red_core.store.label_edits import OpenEdit
from red_core.store.label_undo import edit_of_meaning, way_back
from red_core.store.labels import list_labels


@dataclass(frozen=True)
class Mean:
    """The edit that gives a label another meaning. Verdicts of a judge that read the earlier one are outdated.

    Attributes
    ----------
    label : int
    meaning : str
    seen : int or None
        The id of the meaning that it replaces; None: whichever there is.
    """

    kind: ClassVar[str] = "meaning"
    label: int
    meaning: str
    seen: int | None = None

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Write the edit; see :meth:`red_core.labels.edit_kinds.Edit.write`. The same meaning changes nothing.

        Raises
        ------
        CardChanged
            If the meaning is no longer the one that was seen.
        """
        name, meaning = snapshot.name(self.label), checked_meaning(self.meaning)
        before = snapshot.labels[self.label]
        if before.meaning != meaning:
            if self.seen not in {None, before.meaning_id}:
                raise CardChanged(f"somebody edited the meaning of {name} since it was shown")
            edit.mean(self.label, meaning)
        return f"gave {name} another meaning"


def edit_meaning(project: Project, edit: Mean, who: str) -> int:
    """Apply an edit of a meaning, once however often it comes; return the id of the meaning that the label has then.

    Raises
    ------
    StateError
        As :func:`red_core.labels.edits.apply_edit`; CardChanged as :meth:`Mean.write`.
    """
    apply_edit(project, edit, who)
    return _now(project, edit.label).meaning_id


def undo_meaning(project: Project, edit: Mean, who: str) -> int:
    """Take an edit of a meaning back; return the id of the meaning that the label has then.

    The meaning before it counts again, with its verdicts. Nothing happens if the label has another meaning by now.

    Raises
    ------
    StateError
        If the label set was edited since, or as :func:`red_core.labels.edits.undo_edit`.
    """
    now = _now(project, edit.label)
    if now.meaning == checked_meaning(edit.meaning):
        back = way_back(project)
        if back is None or back.version != edit_of_meaning(project, now.meaning_id):
            raise StateError("the label set was edited after this meaning. Undo the newest edit on the label map.")
        undo_edit(project, who)
    return _now(project, edit.label).meaning_id


def _now(project: Project, label: int) -> Label:
    found = next((each for each in list_labels(project) if each.id == label), None)
    if found is None:
        raise StateError(f"there is no label {label} in project {project.name} any more. Load the page again.")
    return found
