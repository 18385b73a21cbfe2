"""What every known tool's export is read into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from red_core.data.tables.source import Hints

Record = dict[str, Any]
ANSWER = "answer"
"""The column that says what the label of a row is worth, where the tool has several fields for it."""
ACCEPTED, REJECTED, IGNORED, UNCONFIRMED, DISAGREEMENT = "accept", "reject", "ignore", "pending", "disagreement"
"""Its values; ``answers.py`` reads them."""
BY_ANNOTATOR = "annotations"
"""The column with the label of every annotator, where there is more than one."""


@dataclass(frozen=True)
class Known:
    """The export of a known tool.

    Attributes
    ----------
    note : str
        Its name, and where its text and label are.
    hints : Hints
        The columns of the rows that ``read`` returns.
    read : callable(record)
        Returns a row: values of the record under their own names, and the label as a name or a list of names.
    """

    note: str
    hints: Hints
    read: Callable[[Record], Record]


def agreed(answers: Sequence[tuple[str, list[str]]]) -> Record:
    """Return the label that annotators agree on, as columns ``label``, ``answer`` and ``annotations``.

    Parameters
    ----------
    answers : sequence of (annotator, labels)
        Without those who skipped the text.
    """
    distinct = list(dict.fromkeys(tuple(labels) for _, labels in answers if labels))
    cells: Record = {"label": list(distinct[0]) if distinct else None}
    if len(distinct) > 1:
        cells = {"label": list(dict.fromkeys(label for labels in distinct for label in labels)), ANSWER: DISAGREEMENT}
    if len(answers) > 1:
        cells[BY_ANNOTATOR] = [{"by": by, "label": labels} for by, labels in answers]
    return cells


def names_of(value: Any) -> list[str]:  # noqa: ANN401  JSON is anything
    """Return a label or a list of labels as a list of names, without empty ones."""
    values: Iterable[Any] = value if isinstance(value, list | tuple) else [value]
    return [str(each) for each in values if each not in (None, "") and not isinstance(each, dict | list)]


def list_in(value: Any) -> list[Any]:  # noqa: ANN401  JSON is anything
    """Return a list as it is, and no items for anything else: a file may have another value under a tool's key."""
    return list(value) if isinstance(value, list | tuple) else []


def object_in(value: Any) -> Record:  # noqa: ANN401  JSON is anything
    """Return an object as it is, and one without keys for anything else."""
    return value if isinstance(value, dict) else {}


def have(sample: Sequence[Record], *keys: str) -> bool:
    """Return whether every record has all these keys."""
    return all(key in record for record in sample for key in keys)


def first_text(sample: Sequence[Record], keys: Iterable[str]) -> str | None:
    """Return the first of these keys that usually holds a text."""
    for key in keys:
        values = [record.get(key) for record in sample if record.get(key) is not None]
        if values and all(isinstance(value, str) for value in values):
            return key
    return None
