"""Exports of other labelling tools: each is recognised by its structure and read into plain rows.

A module of this package knows one tool. Its ``recognise`` looks at the first records of a file and returns a
:class:`~red_core.data.tables.shapes.known.Known`, or None if they are not of this tool. To add a tool, add a module and
name it in ``SHAPES``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from red_core.data.tables.shapes import (
    argilla,
    chat,
    doccano,
    ground_truth,
    kili,
    label_studio,
    labelbox,
    potato,
    prodigy,
    refinery,
    spacy,
    vertex,
    wide,
)
from red_core.data.tables.shapes.known import DISAGREEMENT, IGNORED, UNCONFIRMED, Known, Record
from red_core.data.tables.source import Source

SHAPES = (
    label_studio, argilla, prodigy, kili, doccano, refinery, potato, spacy, chat, ground_truth, vertex, labelbox, wide,
)  # fmt: skip
"""The known tools. The first one that fits reads the file."""
LOOKED_AT = 200
"""Records from which the tool is told."""
_SAID = {
    DISAGREEMENT: ("has annotators who disagree", "have annotators who disagree"),
    IGNORED: ("was skipped or discarded", "were skipped or discarded"),
    UNCONFIRMED: ("has no confirmed label", "have no confirmed label"),
}


def known_shape(records: Sequence[Record]) -> Known | None:
    """Return how the first records of a file are read, None if no known tool wrote them."""
    sample = [record for record in records[:LOOKED_AT] if isinstance(record, dict)]
    if not sample:
        return None
    return next((known for shape in SHAPES if (known := shape.recognise(sample)) is not None), None)


def shaped(source: Source, records: list[tuple[int, Record]]) -> list[tuple[int, Record]]:
    """Return the records of a known tool as plain rows, with its name in the notes; others as they are."""
    known = known_shape([record for _, record in records[:LOOKED_AT]])
    if known is None:
        return records
    rows = [(row, _with_bare_label(known.read(record), known.hints.label)) for row, record in records]
    source.hints = known.hints
    counts = Counter(str(record.get(known.hints.answer or "")) for _, record in rows)
    parts = [f"{counts[answer]:,} {said[counts[answer] != 1]}" for answer, said in _SAID.items() if counts.get(answer)]
    source.notes.append("; ".join([known.note, *parts]))
    return rows


def _with_bare_label(row: Record, label: str | None) -> Record:
    """Return a row with the name of its label instead of a list of one."""
    names = row.get(label or "")
    is_one = isinstance(names, list) and len(names) == 1 and isinstance(names[0], str)
    return row | {label: names[0]} if label is not None and is_one and isinstance(names, list) else row
