"""refinery: for each labelling task one column of manual and one of weakly supervised labels."""

from __future__ import annotations

import re
from collections.abc import Sequence

from red_core.data.tables.shapes.known import Known, Record, first_text
from red_core.data.tables.source import Hints

_MANUAL = re.compile(r"(.*?)__(.+)__MANUAL")


def recognise(sample: Sequence[Record]) -> Known | None:
    """Return how records with a key such as ``headline__topic__MANUAL`` are read."""
    keys = list(dict.fromkeys(key for record in sample for key in record))
    found = [match for key in keys if (match := _MANUAL.fullmatch(key))]
    usable = [m for m in found if not any(isinstance(record.get(m[0]), list) for record in sample)]
    if not usable:
        return None
    manual = next((m for m in usable if any(record.get(m[0]) for record in sample)), usable[0])
    others = [key for key in keys if "__" not in key and key not in ("running_id", "id")]
    text = manual[1] if manual[1] in keys else None
    if text is None:
        texts = [key for key in others if first_text(sample, [key])]
        text = texts[0] if len(texts) == 1 else None
    where = f"text from {text}, label from {manual[0]}" if text else f"label from {manual[0]}"

    def read(record: Record) -> Record:
        return dict(record)

    return Known(f"refinery export: {where}", Hints(text, manual[0]), read)
