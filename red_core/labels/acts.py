"""What an analyst can do to the label set, each act with its rules; :mod:`red_core.labels.edits` carries them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from red_core.data.tables import normalise_text, text_id
from red_core.errors import StateError
from red_core.labels.placement import LabelLayout
from red_core.labels.snapshot import LabelSetSnapshot
from red_core.records import FEWEST_EXAMPLES, Floats
from red_core.store.decisions import rejected
from red_core.store.label_edits import OpenEdit
from red_core.store.texts import pool, texts_by_identity
from red_core.text import LONGEST_LABEL, LONGEST_MEANING, LONGEST_TEXT


class Edit(Protocol):
    """An edit of the label set: its kind, and how it is written; ``write`` returns what it did, in one line."""

    kind: ClassVar[str]

    def write(self, to: OpenEdit, known: LabelSetSnapshot) -> str:
        """Check the rules and write; StateError where one is broken."""


@dataclass(frozen=True)
class Rename:
    """Give a label another name."""

    kind: ClassVar[str] = "rename"
    label: int
    name: str

    def write(self, to: OpenEdit, known: LabelSetSnapshot) -> str:
        """Write it."""
        before, name = known.name(self.label), checked_name(self.name)
        to.rename({self.label: name})
        return f"renamed {before} to {name!r}"


@dataclass(frozen=True)
class Merge:
    """Make labels part of another one, which keeps its name, its meaning and its place."""

    kind: ClassVar[str] = "merge"
    labels: tuple[int, ...]
    into: int

    def write(self, to: OpenEdit, known: LabelSetSnapshot) -> str:
        """Write it."""
        names, target = [known.name(label) for label in self.labels], known.name(self.into)
        if not names or self.into in self.labels or len(set(self.labels)) < len(names):
            raise StateError("choose labels to merge, each once, and another one to merge them into.")
        to.merge(self.labels, self.into)
        alone = known.place(to, known.placed.without(self.labels))
        return f"merged {', '.join(names)} into {target}{alone}"


@dataclass(frozen=True)
class Retire:
    """Take a label out: its seeds become pool again, and no decision for it stands."""

    kind: ClassVar[str] = "retire"
    label: int

    def write(self, to: OpenEdit, known: LabelSetSnapshot) -> str:
        """Write it."""
        name = known.name(self.label)
        if len(known.labels) <= 2:
            raise StateError(f"{name} is one of the last two labels. Add another label first.")
        to.retire(self.label)
        return f"retired {name}{known.place(to, known.placed.without([self.label]))}"


@dataclass(frozen=True)
class Move:
    """Put a label into another subset."""

    kind: ClassVar[str] = "move"
    label: int
    subset: int

    def write(self, to: OpenEdit, known: LabelSetSnapshot) -> str:
        """Write it."""
        name = known.name(self.label)
        check_subset(known, self.subset)
        if self.label not in known.placed.labels:
            raise StateError(f"{name} has no subset yet. The next round gives it one.")
        if known.placed.subset(self.label) == self.subset:
            raise StateError(f"{name} is in subset {self.subset + 1} already.")
        to.about.append(self.label)
        alone = known.place(to, known.placed.moved({self.label: self.subset}))
        return f"moved {name} to subset {self.subset + 1}{alone}"


@dataclass(frozen=True)
class Add:
    """Add a label with its first examples: row ids of pool texts, or texts as they are typed.

    ``subset`` None joins it to the subset it is least like.
    """

    kind: ClassVar[str] = "add"
    name: str
    meaning: str = ""
    subset: int | None = None
    examples: tuple[int | str, ...] = ()

    def write(self, to: OpenEdit, known: LabelSetSnapshot) -> str:
        """Write it."""
        if self.subset is not None:
            check_subset(known, self.subset)
        label, chosen, typed = self.create(to, known)
        if len(known.placed.labels):
            vector = known.vector_of(chosen)
            subset = known.placed.least_alike(vector, known.vectors) if self.subset is None else self.subset
            spot = known.placed.spot_for(vector, known.vectors, subset)
            known.place(to, known.placed.joined(label, subset, spot), {label: vector})
        return f"added {checked_name(self.name)!r} with {len(chosen) + typed} examples"

    def create(self, to: OpenEdit, known: LabelSetSnapshot) -> tuple[int, list[int], int]:
        """Write the label and its examples without a place; return its id, its pool texts and how many were typed."""
        name, meaning = checked_name(self.name), checked_meaning(self.meaning)
        chosen, typed = sorted_examples(known, self.examples)
        label = to.create(name, meaning)
        to.decide(chosen, "relabel", label, f"example of the new label {name!r}")
        if typed:
            to.add_typed(name, typed)
        return label, chosen, len(typed)


@dataclass(frozen=True)
class Split:
    """Give texts of a label to new ones: seeds, and texts that decisions gave it.

    What is not assigned stays with the label; where ``retire`` is so, or nothing is left, the label is retired and
    the rest is open again.
    """

    kind: ClassVar[str] = "split"
    label: int
    parts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    retire: bool = False

    def write(self, to: OpenEdit, known: LabelSetSnapshot) -> str:
        """Write it."""
        whole, parts = known.name(self.label), self._checked(known)
        left = set(known.samples[self.label]).difference(*parts.values())
        retired = self.retire or not left
        if not retired and len(left - known.audited) < FEWEST_EXAMPLES:
            raise StateError(f"{whole} would keep fewer than {FEWEST_EXAMPLES} texts. Assign them too, or retire it.")
        if retired:
            to.retire(self.label)
        else:
            to.extent_changed(self.label)
        given = self._create(to, whole, parts, known)
        alone = known.place(to, self._placed(known, given, retired=retired), given)
        kept = "which is retired" if retired else f"which keeps {len(left)} texts"
        return f"split {', '.join(map(repr, parts))} from {whole}, {kept}{alone}"

    def _create(
        self, to: OpenEdit, whole: str, parts: Mapping[str, Sequence[int]], known: LabelSetSnapshot
    ) -> dict[int, Floats | None]:
        """Write the parts, the largest first; return their ids with their vectors.

        What was rejected for the whole is rejected for each part.
        """
        ruled_out = sorted(text for text, label in rejected(known.project) if label == self.label)
        given: dict[int, Floats | None] = {}
        for name, texts in sorted(parts.items(), key=lambda part: -len(part[1])):
            label = to.create(name, "")
            to.decide(texts, "relabel", label, f"split from {whole}")
            to.decide(ruled_out, "reject", label, f"rejected for {whole}, which was split")
            given[label] = known.vector_of(texts)
        return given

    def _placed(self, known: LabelSetSnapshot, given: Mapping[int, Floats | None], *, retired: bool) -> LabelLayout:
        """Return the parts beside the others: alike as they are, each in another subset where that can be."""
        placed = known.placed
        if not len(placed.labels) or self.label not in placed.labels:
            return placed  # the next round gives the parts their subsets
        own = placed.subset(self.label)
        taken = set() if retired else {own}
        if retired:
            placed = placed.without([self.label])
        for label, vector in given.items():
            first = retired and not taken  # the largest takes the place of the whole
            beside = own if first else placed.least_alike(vector, known.vectors, avoid=taken)
            placed = placed.joined(label, beside, known.placed.spot_for(vector, known.vectors, own))
            taken.add(beside)
        return placed

    def _checked(self, known: LabelSetSnapshot) -> dict[str, list[int]]:
        parts = {checked_name(name): list(texts) for name, texts in self.parts.items()}
        if not parts or len(parts) < len(self.parts):
            raise StateError("name each part of the label, every one otherwise.")
        given = [text for texts in parts.values() for text in texts]
        if len(set(given)) < len(given):
            raise StateError("a text can be assigned to one part only.")
        if set(given) - set(known.samples[self.label]):
            raise StateError(f"only seeds and decided texts of {known.name(self.label)} can be assigned.")
        for name, texts in parts.items():
            if len(set(texts) - known.audited) < FEWEST_EXAMPLES:
                raise StateError(f"{name!r} needs at least {FEWEST_EXAMPLES} texts that are not in the blind audit.")
        return parts


def checked_name(name: str) -> str:
    """Return a name as an import would store it.

    Raises
    ------
    StateError
        If it is empty, too long, or holds NUL.
    """
    found = normalise_text(name)
    if not found or "\0" in found or len(found) > LONGEST_LABEL:
        raise StateError(f"a label's name has 1 to {LONGEST_LABEL} characters, and no NUL.")
    return found


def checked_meaning(meaning: str) -> str:
    """Return a meaning, in NFC and on one line.

    Raises
    ------
    StateError
        If it is too long, or holds NUL.
    """
    found = normalise_text(meaning)
    if "\0" in found or len(found) > LONGEST_MEANING:
        raise StateError(f"a meaning has at most {LONGEST_MEANING:,} characters, and no NUL.")
    return found


def sorted_examples(known: LabelSetSnapshot, examples: Sequence[int | str]) -> tuple[list[int], dict[str, str]]:
    """Return the examples that are pool texts, as row ids, and the others, typed, as text_id -> content.

    Raises
    ------
    StateError
        If one cannot be an example, or there are too few.
    """
    typed: dict[str, str] = {}
    for content in (normalise_text(example) for example in examples if isinstance(example, str)):
        if not content or "\0" in content or len(content) > LONGEST_TEXT:
            raise StateError(f"an example has 1 to {LONGEST_TEXT:,} characters, and no NUL.")
        typed[text_id(content)] = content
    there = texts_by_identity(known.project, list(typed))
    open_texts, own = set(pool(known.project).tolist()), {t for texts in known.samples.values() for t in texts}
    chosen = {example for example in examples if not isinstance(example, str)}
    chosen |= {text for text in there.values() if text in open_texts or text in own}
    for text in chosen:
        if text not in open_texts:
            raise StateError(f"text {text} is not in the pool: an example has no label of its own yet.")
        if text in known.audited:
            raise StateError(f"text {text} is in the blind audit, which never trains. Choose another example.")
    typed = {identity: content for identity, content in typed.items() if there.get(identity) not in chosen}
    if len(chosen) + len(typed) < FEWEST_EXAMPLES:
        raise StateError(f"a new label needs at least {FEWEST_EXAMPLES} different examples.")
    return sorted(chosen), typed


def check_subset(known: LabelSetSnapshot, subset: int) -> None:
    """Raise StateError if there is no subset of this number."""
    if not len(known.placed.labels):
        raise StateError(f"project {known.project.name} has no subsets yet. Prepare its texts first.")
    if not (known.placed.subset_of == subset).any():
        raise StateError(f"there is no subset {subset + 1}.")
