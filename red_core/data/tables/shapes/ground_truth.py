"""Amazon SageMaker Ground Truth: an augmented manifest with the name of the class in the metadata of the job."""

from __future__ import annotations

from collections.abc import Sequence

from red_core.data.tables.shapes.known import Known, Record
from red_core.data.tables.source import Hints

_METADATA = "-metadata"


def recognise(sample: Sequence[Record]) -> Known | None:
    """Return how records with ``source`` and ``JOB-metadata`` with a ``class-name`` are read."""
    jobs = [
        key.removesuffix(_METADATA) for record in sample for key, value in record.items()
        if key.endswith(_METADATA) and isinstance(value, dict) and ("class-name" in value or "class-map" in value)
    ]  # fmt: skip
    if not jobs or not all("source" in record for record in sample):
        return None
    job = jobs[0]

    def read(record: Record) -> Record:
        facts = record.get(f"{job}{_METADATA}")
        facts = facts if isinstance(facts, dict) else {}
        several = facts.get("class-map")
        cells = {key: value for key, value in record.items() if key not in (job, f"{job}{_METADATA}")}
        label = facts.get("class-name") or (list(several.values()) if isinstance(several, dict) else None)
        return cells | {"label": label, "confidence": facts.get("confidence")}

    note = f"SageMaker Ground Truth manifest: text from source, label from {job}{_METADATA}"
    return Known(note, Hints("source", "label"), read)
