"""What a format of an export is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Export:
    """What is exported.

    Attributes
    ----------
    columns : sequence of str
    rows : iterator of dict
        Column -> value; each row once.
    labels : tuple of str
        The names of all labels of the project, sorted.
    delimiter : str
        Of CSV for Excel.
    texts : frozenset of str
        The columns whose values are texts, also where they look like numbers or days.
    """

    columns: Sequence[str]
    rows: Iterator[Row]
    labels: tuple[str, ...]
    delimiter: str = ","
    texts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Format:
    """A format: its name on the command line, its words on screens, the endings of its files, and its writer.

    ``write(path, export)`` returns how many rows were written.
    """

    name: str
    words: str
    endings: tuple[str, ...]
    write: Callable[[Path, Export], int]


def labelled(row: Row) -> bool:
    """Return whether a row has a final label."""
    return bool(row.get("label"))


def is_certain(row: Row) -> bool:
    """Return whether the label of a row is from a file or from a person, and not from the classifiers."""
    return str(row.get("source")) in {"seed", "decision", "bulk", "audit"}


def used(row: Row) -> bool:
    """Return whether a row has a text: rows that are left out for their text have none."""
    return bool(row.get("text"))
