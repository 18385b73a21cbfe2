"""spaCy: ``cats`` with a score for each label, in JSON lines or in pairs of a text and an object."""

from __future__ import annotations

from collections.abc import Sequence

from red_core.data.tables.shapes.known import Known, Record
from red_core.data.tables.source import Hints

CHOSEN = 0.5
"""From this score on a text has the label."""


def recognise(sample: Sequence[Record]) -> Known | None:
    """Return how records with a text and an object ``cats`` are read."""
    if not any(isinstance(record.get("cats"), dict) for record in sample):
        return None
    if not all("text" in record for record in sample):
        return None

    def read(record: Record) -> Record:
        cats = record.get("cats")
        scores = cats if isinstance(cats, dict) else {}
        chosen = [label for label, score in scores.items() if _number(score) >= CHOSEN]
        return {key: value for key, value in record.items() if key != "cats"} | {"label": chosen}

    return Known("spaCy training data: text from text, label from cats", Hints("text", "label"), read)


def _number(score: object) -> float:
    try:
        return float(str(score))
    except ValueError:
        return float(score is True or str(score).casefold() == "true")
