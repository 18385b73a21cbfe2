"""Potato: annotated instances as JSON lines, and tables with one column per label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from red_core.data.tables.shapes.known import Known, Record
from red_core.data.tables.source import Hints

SCHEMA = ":::"
"""Between the name of a scheme and of a label in the columns of a table."""
_NO = ("", "0", "false", "no", "none", "nan")


def recognise(sample: Sequence[Record]) -> Known | None:
    """Return how instances with ``label_annotations``, or columns such as ``topic:::refund``, are read."""
    schemes = [name for record in sample for name in _schemes(record)]
    if not schemes:
        return None
    scheme = schemes[0]

    def read(record: Record) -> Record:
        machinery = ("label_annotations", "span_annotations", "behavioral_data")
        cells = {key: value for key, value in record.items() if key not in machinery and SCHEMA not in key}
        return cells | {"label": [label for label, value in _schemes(record).get(scheme, {}).items() if _is_set(value)]}

    text = "displayed_text" if any("displayed_text" in record for record in sample) else None
    where = f"text from {text}, label from {scheme}" if text else f"label from {scheme}"
    return Known(f"Potato export: {where}", Hints(text, "label"), read)


def _schemes(record: Record) -> dict[str, dict[str, Any]]:
    """Return scheme -> label -> value of one instance."""
    annotations = record.get("label_annotations")
    if isinstance(annotations, dict):
        return {str(name): labels for name, labels in annotations.items() if isinstance(labels, dict)}
    schemes: dict[str, dict[str, Any]] = {}
    for key, value in record.items():
        scheme, separator, label = key.partition(SCHEMA)
        if separator:
            schemes.setdefault(scheme, {})[label] = value
    return schemes


def _is_set(value: Any) -> bool:  # noqa: ANN401
    return value is not None and str(value).strip().casefold() not in _NO
