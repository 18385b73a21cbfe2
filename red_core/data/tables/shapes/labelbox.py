"""Labelbox: rows of an export with classifications under each project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from red_core.data.tables.shapes.known import ANSWER, Known, Record, agreed, list_in, object_in
from red_core.data.tables.source import Hints


def recognise(sample: Sequence[Record]) -> Known | None:
    """Return how records with ``data_row`` and ``projects`` are read."""
    if not all(isinstance(r.get("data_row"), dict) and isinstance(r.get("projects"), dict) for r in sample):
        return None

    def read(record: Record) -> Record:
        row = object_in(record.get("data_row"))
        cells = {"id": row.get("global_key") or row.get("id"), "text": row.get("row_data")}
        return cells | agreed(list(_answers(object_in(record.get("projects")))))

    note = "Labelbox export: text from data_row.row_data, label from the classifications"
    return Known(note, Hints("text", "label", ANSWER), read)


def _answers(projects: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield (annotator, labels) of every label of every project."""
    for project in projects.values():
        for label in map(object_in, list_in(object_in(project).get("labels"))):
            marks = list_in(object_in(label.get("annotations")).get("classifications"))
            by = str(object_in(label.get("label_details")).get("created_by") or "")
            yield by, [name for mark in marks if isinstance(mark, dict) for name in _names(mark)]


def _names(mark: dict[str, Any]) -> list[str]:
    single, several = mark.get("radio_answer"), mark.get("checklist_answers")
    chosen = [single] if isinstance(single, dict) else several if isinstance(several, list) else []
    return [str(each["name"]) for each in chosen if isinstance(each, dict) and each.get("name")]
