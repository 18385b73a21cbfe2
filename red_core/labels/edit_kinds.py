"""The kinds of edit of the label set, each with its rules; :mod:`red_core.labels.edits` applies them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from red_core.errors import StateError
from red_core.labels.placement import LabelLayout
from red_core.labels.snapshot import LabelSetSnapshot, checked_meaning, checked_name
from red_core.records import FEWEST_EXAMPLES, Floats
from red_core.store.decisions import rejected
from red_core.store.label_edits import OpenEdit


class Edit(Protocol):
    """An edit of the label set.

    Attributes
    ----------
    kind : str
        Its name in the stored history.
    """

    kind: ClassVar[str]

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Check the rules and write the edit; return what it did, in one line.

        Raises
        ------
        StateError
            If a rule is broken.
        """


@dataclass(frozen=True)
class Rename:
    """Give a label another name."""

    kind: ClassVar[str] = "rename"
    label: int
    name: str

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Write the edit; see :meth:`Edit.write`."""
        before, name = snapshot.name(self.label), checked_name(self.name)
        edit.rename({self.label: name})
        return f"renamed {before} to {name!r}"


@dataclass(frozen=True)
class Merge:
    """Merge labels into another one, which keeps its name, its meaning and its map point.

    A text rejected for one of them is ruled out for the merged label only if it was rejected for all of them.
    """

    kind: ClassVar[str] = "merge"
    labels: tuple[int, ...]
    into: int

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Write the edit; see :meth:`Edit.write`."""
        names, target = [snapshot.name(label) for label in self.labels], snapshot.name(self.into)
        if not names or self.into in self.labels or len(set(self.labels)) < len(names):
            raise StateError("choose labels to merge, each once, and another one to merge them into.")
        snapshot.keep_two(len(names))
        edit.merge(self.labels, self.into)
        alone = snapshot.write_layout(edit, snapshot.layout.without(self.labels))
        return f"merged {', '.join(names)} into {target}{alone}"


@dataclass(frozen=True)
class Retire:
    """Remove a label: its seeds return to the pool, and decisions for it no longer count."""

    kind: ClassVar[str] = "retire"
    label: int

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Write the edit; see :meth:`Edit.write`."""
        name = snapshot.name(self.label)
        snapshot.keep_two(1)
        edit.retire(self.label)
        return f"retired {name}{snapshot.write_layout(edit, snapshot.layout.without([self.label]))}"


@dataclass(frozen=True)
class Move:
    """Put a label into another subset, numbered from 0."""

    kind: ClassVar[str] = "move"
    label: int
    subset: int

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Write the edit; see :meth:`Edit.write`."""
        name = snapshot.name(self.label)
        snapshot.check_subset(self.subset)
        if self.label not in snapshot.layout.labels:
            raise StateError(f"{name} has no subset yet. The next round gives it one.")
        if snapshot.layout.subset(self.label) == self.subset:
            raise StateError(f"{name} is in subset {self.subset + 1} already.")
        edit.about.append(self.label)
        alone = snapshot.write_layout(edit, snapshot.layout.moved({self.label: self.subset}))
        return f"moved {name} to subset {self.subset + 1}{alone}"


@dataclass(frozen=True)
class Add:
    """Add a label with its first examples.

    Attributes
    ----------
    name, meaning : str
    subset : int or None
        None: the subset least like the label.
    examples : tuple of int or str
        Row ids of pool texts, or texts as typed.
    """

    kind: ClassVar[str] = "add"
    name: str
    meaning: str = ""
    subset: int | None = None
    examples: tuple[int | str, ...] = ()

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Write the edit; see :meth:`Edit.write`."""
        if self.subset is not None:
            snapshot.check_subset(self.subset)
        label, chosen, typed = self.create(edit, snapshot)
        if len(snapshot.layout.labels):
            vector = snapshot.mean_vector(chosen)
            layout = snapshot.layout.added(label, vector, snapshot.vectors, self.subset)
            snapshot.write_layout(edit, layout, {label: vector})
        return f"added {checked_name(self.name)!r} with {len(chosen) + typed} examples"

    def create(
        self, edit: OpenEdit, snapshot: LabelSetSnapshot, fewest: int = FEWEST_EXAMPLES
    ) -> tuple[int, list[int], int]:
        """Write the label and at least ``fewest`` examples, but no subset.

        Returns
        -------
        int
            The label's id.
        list of int
            Row ids of the examples from the pool.
        int
            How many examples were typed.
        """
        name, meaning = checked_name(self.name), checked_meaning(self.meaning)
        chosen, typed = snapshot.sort_examples(self.examples, fewest)
        label = edit.create(name, meaning)
        edit.decide(chosen, "relabel", label, f"example of the new label {name!r}")
        if typed:
            edit.add_typed(name, typed)
        return label, chosen, len(typed)


@dataclass(frozen=True)
class Split:
    """Split a label: give its seeds, and texts that decisions gave it, to new labels.

    Texts that are not assigned stay with the label. The label is retired if ``retire`` is set or no text is left; its
    remaining texts then have no label.

    Attributes
    ----------
    label : int
    parts : mapping of str to sequence of int
        Name of a new label -> row ids of its texts.
    retire : bool
    """

    kind: ClassVar[str] = "split"
    label: int
    parts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    retire: bool = False

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Write the edit; see :meth:`Edit.write`."""
        name, parts = snapshot.name(self.label), self._checked_parts(snapshot)
        remaining = set(snapshot.samples[self.label]).difference(*parts.values())
        retired = self.retire or not remaining
        if not retired and len(remaining - snapshot.audited) < FEWEST_EXAMPLES:
            raise StateError(f"{name} would keep fewer than {FEWEST_EXAMPLES} texts. Assign them too, or retire it.")
        if retired:
            edit.retire(self.label)
        else:
            edit.extent_changed(self.label)
        vectors = self._create(edit, parts, snapshot)
        alone = snapshot.write_layout(edit, self._layout(snapshot, vectors, retired=retired), vectors)
        outcome = "which is retired" if retired else f"which keeps {len(remaining)} texts"
        return f"split {', '.join(map(repr, parts))} from {name}, {outcome}{alone}"

    def _create(
        self, edit: OpenEdit, parts: Mapping[str, Sequence[int]], snapshot: LabelSetSnapshot
    ) -> dict[int, Floats | None]:
        """Write the new labels, the largest first; return their ids with their vectors.

        A text rejected for the split label is rejected for every new one.
        """
        name = snapshot.name(self.label)
        ruled_out = sorted(text for text, label in rejected(snapshot.project) if label == self.label)
        vectors: dict[int, Floats | None] = {}
        for part, texts in sorted(parts.items(), key=lambda item: -len(item[1])):
            label = edit.create(part, "")
            if path := snapshot.labels[self.label].path:
                edit.put_in_groups({label: path})
            edit.decide(texts, "relabel", label, f"split from {name}")
            edit.decide(ruled_out, "reject", label, f"rejected for {name}, which was split")
            vectors[label] = snapshot.mean_vector(texts)
        return vectors

    def _layout(
        self, snapshot: LabelSetSnapshot, vectors: Mapping[int, Floats | None], *, retired: bool
    ) -> LabelLayout:
        """Return the layout with the new labels, each in another subset where possible, since they look alike."""
        layout = snapshot.layout
        if self.label not in layout.labels:
            return layout  # the next round gives the new labels their subsets
        subset = layout.subset(self.label)
        taken = set() if retired else {subset}
        if retired:
            layout = layout.without([self.label])
        for label, vector in vectors.items():
            inherits = retired and not taken  # the largest takes the subset of the retired label
            joined = subset if inherits else layout.least_alike(vector, snapshot.vectors, avoid=taken)
            layout = layout.joined(label, joined, snapshot.layout.point_for(vector, snapshot.vectors, subset))
            taken.add(joined)
        return layout

    def _checked_parts(self, snapshot: LabelSetSnapshot) -> dict[str, list[int]]:
        parts = {checked_name(name): list(texts) for name, texts in self.parts.items()}
        if not parts or len(parts) < len(self.parts):
            raise StateError("name each part of the label; no two parts may have the same name.")
        assigned = [text for texts in parts.values() for text in texts]
        if len(set(assigned)) < len(assigned):
            raise StateError("a text can be assigned to one part only.")
        if set(assigned) - set(snapshot.samples[self.label]):
            raise StateError(
                f"only labelled examples and decided texts of {snapshot.name(self.label)} can be assigned."
            )
        for name, texts in parts.items():
            if len(set(texts) - snapshot.audited) < FEWEST_EXAMPLES:
                raise StateError(f"{name!r} needs at least {FEWEST_EXAMPLES} texts that are not in the blind audit.")
        return parts


EDITS: Mapping[str, type[Edit]] = {edit.kind: edit for edit in (Rename, Merge, Retire, Move, Add, Split)}
"""Every edit of one kind; :class:`red_core.labels.file.Apply` combines several of them."""
