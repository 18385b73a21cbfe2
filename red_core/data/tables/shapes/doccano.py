"""doccano: JSONL and JSON with a list of labels for each text."""

from __future__ import annotations

from collections.abc import Sequence

from red_core.data.tables.shapes.known import Known, Record, first_text
from red_core.data.tables.source import Hints


def recognise(sample: Sequence[Record]) -> Known | None:
    """Return how records with ``id``, a text, and ``label`` or ``labels`` as a list are read."""
    label = next(
        (key for key in ("label", "labels", "cats") if all(isinstance(r.get(key), list) for r in sample)), None
    )
    text = first_text(sample, ("text", "data"))
    if label is None or text is None or not all("id" in record for record in sample):
        return None
    spans = [each for record in sample for each in record[label] if isinstance(each, list | dict)]
    if spans or any("title" in record or "body" in record for record in sample):
        return None  # marks of parts of a text, or the issues of a tracker
    note = f"doccano export: text from {text}, label from {label}"

    def read(record: Record) -> Record:
        return {key: value for key, value in record.items() if not (key == "Comments" and not value)}

    return Known(note, Hints(text, label), read)
