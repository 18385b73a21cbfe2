"""Label Studio: the full JSON export, and JSON-MIN and CSV with one row per annotation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from red_core.data.tables.shapes.known import (
    ANSWER,
    IGNORED,
    Known,
    Record,
    agreed,
    first_text,
    list_in,
    names_of,
    object_in,
)
from red_core.data.tables.source import Hints

MIN_KEYS = ("annotation_id", "lead_time")
_CHOICES = ("choices", "taxonomy", "labels", "text")
"""Where the value of a result holds labels; *text* is what somebody typed."""


def recognise(sample: Sequence[Record]) -> Known | None:
    """Return how tasks with ``data`` and ``annotations``, or rows with an ``annotation_id``, are read."""
    if all(isinstance(record.get("data"), dict) for record in sample) and any(_is_task(record) for record in sample):
        return _full(sample)
    if any("data" not in record and all(key in record for key in MIN_KEYS) for record in sample):
        return _minimal(sample)
    return None


def _is_task(record: Record) -> bool:
    return any(isinstance(record.get(key), list) for key in ("annotations", "completions", "predictions"))


def _full(sample: Sequence[Record]) -> Known:
    control, *others = dict.fromkeys(name for record in sample for name in _controls(record)) or ("",)
    data = [record["data"] for record in sample]
    keys = list(dict.fromkeys(key for each in data for key in each))
    text = "text" if "text" in keys else first_text(data, keys)

    def read(record: Record) -> Record:
        cells: Record = {"id": record.get("id")}
        cells |= {f"data.{key}": value for key, value in object_in(record.get("data")).items()}
        answers, skipped = [], 0
        for annotation in list_in(record.get("annotations")) or list_in(record.get("completions")):
            if isinstance(annotation, dict):
                if annotation.get("was_cancelled") or annotation.get("skipped"):
                    skipped += 1
                else:
                    answers.append((_who(annotation), _labels(annotation, control)))
        cells |= agreed(answers)
        if skipped and not answers:
            cells[ANSWER] = IGNORED
        for prediction in list_in(record.get("predictions"))[:1]:
            if isinstance(prediction, dict):
                cells["prediction"] = _labels(prediction, control) or None
                cells["prediction.score"] = prediction.get("score")
        if record.get("meta"):
            cells["meta"] = record["meta"]
        return cells

    place = f"annotations[0].{control}" if control else "annotations[0]"
    where = f"text from data.{text}, label from {place}" if text else f"label from {place}"
    if others:
        where += f"; not read, because a text has one label: {', '.join(others)}"
    return Known(f"Label Studio export: {where}", Hints(f"data.{text}" if text else None, "label", ANSWER), read)


def _results(annotation: Record) -> list[Record]:
    return [result for result in list_in(annotation.get("result")) if isinstance(result, dict)]


def _controls(record: Record) -> list[str]:
    """Return the names of the controls with which labels were chosen, choices first."""
    found = [
        (result.get("type") != "choices", str(result.get("from_name", "")))
        for kind in ("annotations", "completions", "predictions")
        for annotation in list_in(record.get(kind))
        for result in (_results(annotation) if isinstance(annotation, dict) else [])
        if result.get("type") in ("choices", "taxonomy")
    ]
    return [name for _, name in sorted(found, key=lambda each: each[0])]


def _labels(annotation: Record, control: str) -> list[str]:
    labels: list[str] = []
    for result in _results(annotation):
        value = result.get("value")
        if str(result.get("from_name", "")) != control or not isinstance(value, dict):
            continue
        for key in _CHOICES:
            for chosen in list_in(value.get(key)):
                path = names_of(chosen)  # a taxonomy gives the path to the label
                labels += [" / ".join(path)] if path else []
    return list(dict.fromkeys(labels))


def _who(annotation: Record) -> str:
    by: Any = annotation.get("completed_by") or annotation.get("created_username") or ""
    if isinstance(by, dict):
        by = by.get("email") or by.get("username") or by.get("id") or ""
    return str(by)


def _minimal(sample: Sequence[Record]) -> Known | None:
    """Return how JSON-MIN is read: what was chosen stands between ``id`` and ``annotator``, in CSV by the alphabet."""
    keys = list(dict.fromkeys(key for record in sample for key in record))
    ours = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "user"}
    between = keys[keys.index("id") + 1 : keys.index("annotator")] if "id" in keys and "annotator" in keys else []
    free = [key for key in between if key not in ours]
    others = [key for key in keys if key not in ours]
    label = free[0] if free and keys.index("id") > 0 and len(free) < len(others) else None
    text = first_text(sample, [key for key in others if key != label and (label or key == "text")])
    if label is None and text is not None and len(others) == 2:
        label = next(key for key in others if key != text)

    def read(record: Record) -> Record:
        chosen = record.get(label or "")
        return record | {label: chosen.get("choices")} if label and isinstance(chosen, dict) else dict(record)

    where = "; ".join(part for part in (f"text from {text}" * bool(text), f"label from {label}" * bool(label)) if part)
    note = f"Label Studio export, one row per annotation{': ' if where else ''}{where}"
    return Known(note, Hints(text, label), read)
