"""Google Vertex AI: text items with a classification annotation."""

from __future__ import annotations

from collections.abc import Sequence

from red_core.data.tables.shapes.known import Known, Record
from red_core.data.tables.source import Hints


def recognise(sample: Sequence[Record]) -> Known | None:
    """Return how records with ``textContent`` and ``classificationAnnotation`` are read."""
    keys = {key for record in sample for key in record}
    if "textContent" not in keys or not keys & {"classificationAnnotation", "classificationAnnotations"}:
        return None

    def read(record: Record) -> Record:
        given = record.get("classificationAnnotations") or record.get("classificationAnnotation") or []
        marks = given if isinstance(given, list) else [given]
        names = [str(mark["displayName"]) for mark in marks if isinstance(mark, dict) and mark.get("displayName")]
        cells = {key: value for key, value in record.items() if not key.startswith("classificationAnnotation")}
        return cells | {"label": names}

    return Known(
        "Vertex AI items: text from textContent, label from its annotation", Hints("textContent", "label"), read
    )
