"""spaCy: ``cats`` with a score for each label, in JSON lines or in pairs of a text and an object."""

from __future__ import annotations

from collections.abc import Sequence

from red_core.data.tables.shapes.known import Known, Record
from red_core.data.tables.source import Hints

KEYS = ("cats", "labels", "label", "classification", "scores")
CHOSEN = 0.5
"""From this score on a text has the label."""


def recognise(sample: Sequence[Record]) -> Known | None:
    """Return how records with a text and an object ``cats`` are read."""
    key = next((key for key in KEYS if any(_are_scores(record.get(key)) for record in sample)), None)
    if key is None or not all("text" in record for record in sample):
        return None

    def read(record: Record) -> Record:
        cats = record.get(key)
        scores = cats if isinstance(cats, dict) else {}
        chosen = [label for label, score in scores.items() if _number(score) >= CHOSEN]
        return {name: value for name, value in record.items() if name != key} | {"label": chosen}

    tool = "spaCy training data" if key == "cats" else "an object from labels to yes and no"
    return Known(f"{tool}: text from text, label from {key}", Hints("text", "label"), read)


def _are_scores(value: object) -> bool:
    """Return whether a value is an object of numbers from 0 to 1, or of yes and no."""
    return isinstance(value, dict) and bool(value) and all(_is_share(each) for each in value.values())


def _is_share(value: object) -> bool:
    try:
        return isinstance(value, bool) or 0 <= float(str(value)) <= 1
    except ValueError:
        return str(value).casefold() in ("true", "false")


def _number(score: object) -> float:
    try:
        return float(str(score))
    except ValueError:
        return float(score is True or str(score).casefold() == "true")
