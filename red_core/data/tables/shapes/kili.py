"""Kili: assets with the answers of every annotator under ``jsonResponse``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from red_core.data.tables.shapes.known import ANSWER, Known, Record, agreed, list_in
from red_core.data.tables.source import Hints


def recognise(sample: Sequence[Record]) -> Known | None:
    """Return how assets with ``content`` and ``labels`` with a ``jsonResponse`` are read."""
    labels = [each for record in sample for each in list_in(record.get("labels")) if isinstance(each, dict)]
    if not any(isinstance(each.get("jsonResponse"), dict) for each in labels):
        return None
    if not all(isinstance(record.get("content"), str) for record in sample):
        return None
    job = next((job for each in labels for job in _chosen(each)), "")

    def read(record: Record) -> Record:
        given = [each for each in list_in(record.get("labels")) if isinstance(each, dict)]
        newest = [each for each in given if each.get("isLatestLabelForUser", True)]
        reviewed = [each for each in newest if each.get("labelType") == "REVIEW"]
        answers = [(_who(each), _chosen(each).get(job, [])) for each in reviewed or newest]
        cells = {key: value for key, value in record.items() if key not in ("labels", "jsonContent")}
        return cells | agreed(answers)

    return Known(f"Kili export: text from content, label from {job}", Hints("content", "label", ANSWER), read)


def _chosen(label: Record) -> dict[str, list[str]]:
    """Return job -> names of the chosen categories."""
    response: Any = label.get("jsonResponse")
    jobs = response.items() if isinstance(response, dict) else ()
    return {
        str(name): [str(each["name"]) for each in job["categories"] if isinstance(each, dict) and each.get("name")]
        for name, job in jobs if isinstance(job, dict) and isinstance(job.get("categories"), list)
    }  # fmt: skip


def _who(label: Record) -> str:
    author = label.get("author")
    return str(author.get("email") or author.get("id") or "") if isinstance(author, dict) else ""
