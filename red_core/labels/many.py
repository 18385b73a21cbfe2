"""Many labels at once: merge and retire by list, find the labels that nobody uses, and labels that may be the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import chain
from math import log
from typing import ClassVar, Literal, TypeVar

import numpy as np

from red_core.errors import StateError
from red_core.labels.snapshot import LabelSetSnapshot
from red_core.records import Floats, Label
from red_core.store.label_edits import OpenEdit
from red_core.store.labels import name_key
from red_core.store.views import Confusion
from red_core.text import listed

Key = TypeVar("Key", str, list[str])
NEAR_NAME = 0.85
"""Names are near from this share of equal characters on; see :class:`difflib.SequenceMatcher`."""
NEAR_WORDS = 0.8
"""Written meanings are near from this share of equal words on."""
NEIGHBOURS = 5
"""A name or a meaning is compared with so many that follow it in alphabetical order."""
NEAR_MEANING = 0.9
"""Labels are near from this cosine similarity of their examples on."""
MOST_PAIRS = 200
NAMES_LISTED = 3
"""The message of an edit names so many labels or pairs."""


@dataclass(frozen=True)
class RetireList:
    """Retire several labels in one edit."""

    kind: ClassVar[str] = "retire list"
    labels: tuple[int, ...]

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Write the edit; see :meth:`red_core.labels.edit_kinds.Edit.write`."""
        names = [snapshot.name(label) for label in self.labels]
        if not names:
            raise StateError("choose labels to retire.")
        snapshot.keep_two(len(names))
        for label in self.labels:
            edit.retire(label)
        alone = snapshot.write_layout(edit, snapshot.layout.without(self.labels))
        count = f"{len(names):,} labels: " if len(names) > 1 else ""
        return f"retired {count}{listed(names, NAMES_LISTED)}{alone}"


@dataclass(frozen=True)
class MergePairs:
    """Merge several labels, each into another one, in one edit.

    Attributes
    ----------
    into : mapping of int to int
        Label id -> the label that it becomes. That label may become another one in turn.
    """

    kind: ClassVar[str] = "merge pairs"
    into: Mapping[int, int]

    def write(self, edit: OpenEdit, snapshot: LabelSetSnapshot) -> str:
        """Write the edit; see :meth:`red_core.labels.edit_kinds.Edit.write`."""
        for label in {*self.into, *self.into.values()}:
            snapshot.name(label)
        merged: dict[int, list[int]] = {}
        for label in self.into:
            merged.setdefault(self._end(label, snapshot), []).append(label)
        if not merged:
            raise StateError("choose pairs of labels to merge.")
        snapshot.keep_two(len(self.into))
        for target, labels in merged.items():
            edit.merge(labels, target)
        alone = snapshot.write_layout(edit, snapshot.layout.without(list(self.into)))
        pairs = [
            f"{snapshot.name(label)} into {snapshot.name(target)}"
            for target, labels in merged.items()
            for label in labels
        ]
        return f"merged {listed(pairs, NAMES_LISTED)}{alone}"

    def _end(self, label: int, snapshot: LabelSetSnapshot) -> int:
        seen = {label}
        while label in self.into:
            label = self.into[label]
            if label in seen:
                raise StateError(f"{snapshot.name(label)} cannot be merged into itself.")
            seen.add(label)
        return label


def unused(rows: Iterable[Mapping[str, int]]) -> list[int]:
    """Return the ids of the labels that no text has: neither a person nor the last round gave it to one.

    Parameters
    ----------
    rows : iterable of mapping
        From :func:`red_core.store.views.label_table`.
    """
    return [row["id"] for row in rows if not (row["labelled"] or row["decided"] or row["fed_back"])]


@dataclass(frozen=True)
class Duplicate:
    """Two labels that may be the same.

    Attributes
    ----------
    labels : (int, int)
        Label ids, ascending.
    reason : {"names", "meanings", "examples", "confused"}
        Near names, near written meanings, near examples, or confused with each other in rounds.
    value : float
        Share of equal characters, share of equal words, cosine similarity, or number of confused texts.
    """

    labels: tuple[int, int]
    reason: Literal["names", "meanings", "examples", "confused"]
    value: float


def duplicates(labels: Sequence[Label], similarity: Floats | None, confused: Iterable[Confusion]) -> list[Duplicate]:
    """Return pairs of labels that may be the same: near names, near meanings, near examples, the most confused pairs.

    Each pair comes once, for the first of these reasons.

    Parameters
    ----------
    similarity : ndarray of shape (L, L) or None
        Cosine similarity of the labels' examples, in the order of ``labels``.
    """
    found = _near_names(labels) + _near_meanings(labels)
    if similarity is not None:
        rows, columns = np.nonzero(np.triu(similarity, 1) >= NEAR_MEANING)
        pairs = sorted(zip(rows.tolist(), columns.tolist(), strict=True), key=lambda pair: -similarity[pair])
        found += [
            Duplicate(_pair(labels[one].id, labels[other].id), "examples", float(similarity[one, other]))
            for one, other in pairs[:MOST_PAIRS]
        ]
    found += [Duplicate(_pair(*pair.labels), "confused", pair.texts) for pair in confused if pair.texts >= 1]
    first: dict[tuple[int, int], Duplicate] = {}
    for each in found:
        first.setdefault(each.labels, each)
    return list(first.values())[:MOST_PAIRS]


def _near_names(labels: Sequence[Label]) -> list[Duplicate]:
    """Return the pairs with near names, the nearest first; the order of the words does not count.

    Compared are names that stand near each other in alphabetical order, as they are or with their words sorted.
    """
    nearest: dict[tuple[int, int], float] = {}
    for key in (name_key, _sorted_words):
        for (one, first), (other, second) in _neighbours((key(label.name), label.id) for label in labels):
            share, pair = SequenceMatcher(None, one, other).ratio(), _pair(first, second)
            if share >= max(NEAR_NAME, nearest.get(pair, 0.0)):
                nearest[pair] = share
    return [Duplicate(pair, "names", share) for pair, share in sorted(nearest.items(), key=lambda item: -item[1])]


def _near_meanings(labels: Sequence[Label]) -> list[Duplicate]:
    """Return the pairs with near meanings, the nearest first: they share most words, and a rare word counts more.

    Compared are meanings that stand near each other in alphabetical order, as they are or with the rarest word first.
    """
    words = {label.id: frozenset(re.findall(r"\w+", name_key(label.meaning))) for label in labels}
    words = {label: found for label, found in words.items() if found}
    count = Counter(chain.from_iterable(words.values()))
    weight = {word: log(1 + len(words) / times) for word, times in count.items()}
    rarest_first = {label: sorted(found, key=lambda word: (count[word], word)) for label, found in words.items()}
    as_it_is = ((name_key(label.meaning), label.id) for label in labels if label.id in words)
    nearest: dict[tuple[int, int], float] = {}
    for (_, one), (_, other) in chain(_neighbours(as_it_is), _neighbours((w, n) for n, w in rarest_first.items())):
        both = sum(weight[word] for word in words[one] & words[other])
        share = 2 * both / sum(weight[word] for label in (one, other) for word in words[label])
        if share >= NEAR_WORDS:
            nearest[_pair(one, other)] = share
    return [Duplicate(pair, "meanings", share) for pair, share in sorted(nearest.items(), key=lambda item: -item[1])]


def _neighbours(keys: Iterable[tuple[Key, int]]) -> Iterator[tuple[tuple[Key, int], tuple[Key, int]]]:
    """Yield the pairs of (key, label) that are at most NEIGHBOURS places from each other in the order of the keys."""
    ordered = sorted(keys)
    for index, one in enumerate(ordered):
        for other in ordered[index + 1 : index + 1 + NEIGHBOURS]:
            yield one, other


def _sorted_words(name: str) -> str:
    return " ".join(sorted(re.findall(r"\w+", name_key(name))))


def _pair(one: int, other: int) -> tuple[int, int]:
    return (one, other) if one < other else (other, one)
