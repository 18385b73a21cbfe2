"""Edit the guideline of one label, and take that back: what belongs to it (its meaning), what does not, examples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import ClassVar

from red_core.errors import CardChanged, StateError
from red_core.labels.edits import apply_edit, undo_edit
from red_core.labels.snapshot import LabelSetSnapshot, checked_meaning
from red_core.records import Label, Project
from red_core.store.guidelines import ExampleKind, GuidelineExample, decision_of, guideline_examples
from red_core.store.label_edits import OpenEdit
from red_core.store.label_undo import edit_of_meaning, way_back
from red_core.store.labels import list_labels


@dataclass(frozen=True)
class Mean:
    """The edit that says what belongs to a label, and what does not.

    Verdicts of a judge that read the earlier words are outdated.

    Attributes
    ----------
    label : int
    meaning : str
    excludes : str or None
        What does not belong to it; None: as it is.
    seen : int or None
        The id of the meaning that it replaces; None: whichever there is.
    """

    kind: ClassVar[str] = "meaning"
    label: int
    meaning: str
    seen: int | None = None
    excludes: str | None = None

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Write the edit; see :meth:`red_core.labels.edit_kinds.Edit.write`. The same meaning changes nothing.

        Raises
        ------
        CardChanged
            If the meaning is no longer the one that was seen.
        """
        name, before = snapshot.name(self.label), snapshot.labels[self.label]
        words = self.words(before)
        if words != (before.meaning, before.excludes):
            if self.seen not in {None, before.meaning_id}:
                raise CardChanged(f"somebody edited the meaning of {name} since it was shown")
            edit.mean(self.label, *words)
        return f"gave {name} another meaning" if words[0] != before.meaning else f"said what {name} is not"

    def words(self, before: Label) -> tuple[str, str]:
        """Return what belongs to the label and what does not, after this edit."""
        excludes = before.excludes if self.excludes is None else checked_meaning(self.excludes)
        return checked_meaning(self.meaning), excludes


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
    if (now.meaning, now.excludes) == edit.words(now):
        back = way_back(project)
        if back is None or back.version != edit_of_meaning(project, now.meaning_id):
            raise StateError("the label set was edited after this meaning. Undo the newest edit on the label map.")
        undo_edit(project, who)
    return _now(project, edit.label).meaning_id


@dataclass(frozen=True)
class Show:
    """The edit that puts examples into guidelines, or takes them away. No verdict is outdated by it.

    Attributes
    ----------
    examples : tuple of GuidelineExample
        Each names its label and its text.
    """

    kind: ClassVar[str] = "guideline"
    examples: tuple[GuidelineExample, ...]

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Write the edit; see :meth:`red_core.labels.edit_kinds.Edit.write`.

        Raises
        ------
        StateError
            If a text is in the blind audit: its label must stay hidden. It can still be taken away.
        """
        names = [snapshot.name(example.label) for example in self.examples]
        if any(each.text in snapshot.audited for each in self.examples if each.kind != "removed"):
            raise StateError("this text is in the blind audit, so it cannot be an example.")
        edit.show_examples(self.examples)
        if all(example.kind == "removed" for example in self.examples):
            return f"took an example out of the guideline of {names[0]}"
        parts = [f"{name} ({example.kind})" for name, example in zip(names, self.examples, strict=True)]
        return f"put an example into the guideline of {' and of '.join(parts)}"


def this_is_why(project: Project, request: str, who: str, why: str = "") -> Show:
    """Put the text of a decision into the guidelines of its labels, with its reason; return the edit.

    An accepted text is a good example of its label, and a rejected one a bad example. A text that got another label
    than the suggested one is a good example of the one and a bad example of the other.

    Parameters
    ----------
    request : str
        The id of the key press that decided.
    why : str
        The reason; '' for the reason of the decision.

    Raises
    ------
    StateError
        If there is no such decision, or it names no label; or as :func:`red_core.labels.edits.apply_edit`.
    """
    made = decision_of(project, request)
    if made is None or (made.label is None and made.suggested is None):
        raise StateError("there is no decision about a label to take an example from.")
    kinds: dict[int, ExampleKind] = {}
    if made.suggested is not None and (made.kind in {"reject", "none"} or made.suggested != made.label):
        kinds[made.suggested] = "bad"
    if made.label is not None:
        kinds[made.label] = "bad" if made.kind == "reject" else "good"
    reason = checked_meaning(why or made.reason)
    shown = guideline_examples(project, kinds)
    examples = tuple(GuidelineExample(label, made.text, kind, reason, made.id) for label, kind in kinds.items())
    stored = {(each.label, each.text, each.kind, each.why) for each in chain.from_iterable(shown.values())}
    if any((each.label, each.text, each.kind, each.why) not in stored for each in examples):
        apply_edit(project, Show(examples), who)
    return Show(examples)


def undo_examples(project: Project, examples: Show, who: str) -> None:
    """Take examples out of their guidelines again, those that are still in them."""
    shown = guideline_examples(project, {each.label for each in examples.examples})
    stored = {(each.label, each.text, each.kind) for each in chain.from_iterable(shown.values())}
    removed = [replace(e, kind="removed") for e in examples.examples if (e.label, e.text, e.kind) in stored]
    if removed:
        apply_edit(project, Show(tuple(removed)), who)


def _now(project: Project, label: int) -> Label:
    found = next((each for each in list_labels(project) if each.id == label), None)
    if found is None:
        raise StateError(f"there is no label {label} in project {project.name} any more. Load the page again.")
    return found
