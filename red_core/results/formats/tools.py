"""The files that other labelling tools import, with our labels as annotations or as suggestions.

A label from a file or a person is an annotation. A label of the classifiers is a suggestion with its confidence. Every
record carries the ``text_id``, so that what comes back finds its text.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from red_core.data.tables import write_table
from red_core.data.tables.cells import as_json
from red_core.data.tables.writing import whole_file
from red_core.results.formats.format import Export, Row, is_certain, labelled, used

CONTROL, OBJECT = "label", "text"
"""Names of the choice and of the text in Label Studio's labelling configuration."""
OUR_MODEL = "R.E.D."
META = ("text_id", "file", "row", "source", "belief")
"""What every record tells about a row."""


def _meta(row: Row) -> Row:
    return {name: row[name] for name in META if row.get(name) is not None}


def _write_array(path: Path, records: Iterator[Row]) -> int:
    """Write one JSON array, each record on a line of its own."""
    count = 0
    with whole_file(path) as out:
        out.write(b"[")
        for record in records:
            out.write(b",\n" if count else b"\n")
            out.write(as_json(record).encode())
            count += 1
        out.write(b"\n]\n")
    return count


def label_studio(path: Path, export: Export) -> int:
    """Write tasks: certain labels are annotations, others are predictions with a score."""

    def tasks() -> Iterator[Row]:
        for row in export.rows:
            if not used(row):
                continue
            result = [
                {
                    "id": hashlib.sha256(str(row["text_id"]).encode()).hexdigest()[:10],
                    "from_name": CONTROL, "to_name": OBJECT, "type": "choices",
                    "value": {"choices": [row.get("label")]},
                }
            ]  # fmt: skip
            task: Row = {"data": {"text": row["text"], **_meta(row)}, "annotations": [], "predictions": []}
            if labelled(row) and is_certain(row):
                task["annotations"] = [{"result": result}]
            elif labelled(row):
                task["predictions"] = [{"model_version": OUR_MODEL, "score": row.get("belief"), "result": result}]
            yield task

    return _write_array(path, tasks())


def labelling_configuration(labels: tuple[str, ...]) -> str:
    """Return the labelling configuration that a Label Studio project needs for these tasks."""
    from xml.sax.saxutils import quoteattr  # noqa: PLC0415  only here

    choices = "".join(f"\n    <Choice value={quoteattr(name)}/>" for name in labels)
    return (
        f'<View>\n  <Text name="{OBJECT}" value="$text"/>\n'
        f'  <Choices name="{CONTROL}" toName="{OBJECT}" choice="single">{choices}\n  </Choices>\n</View>\n'
    )


def prodigy(path: Path, export: Export) -> int:
    """Write binary tasks: certain labels are accepted; the labels of the classifiers wait for an answer."""
    count = 0
    with whole_file(path) as out:
        for row in export.rows:
            if used(row):
                answer = "accept" if labelled(row) and is_certain(row) else None
                task = {"text": row["text"], "label": row.get("label"), "answer": answer, "meta": _meta(row)}
                out.write(as_json({key: value for key, value in task.items() if value is not None}).encode() + b"\n")
                count += 1
    return count


def argilla(path: Path, export: Export) -> int:
    """Write records with suggestions and responses, as ``Dataset.from_dict`` and ``Record.from_dict`` read them."""

    def records() -> Iterator[Row]:
        for row in export.rows:
            if not used(row):
                continue
            record: dict[str, Any] = {
                "id": f"{row['file']}:{row['row']}", "fields": {"text": row["text"]}, "metadata": _meta(row),
                "suggestions": {}, "responses": {}, "vectors": {},
            }  # fmt: skip
            if labelled(row) and is_certain(row):
                user = str(uuid.uuid5(uuid.NAMESPACE_URL, row.get("who") or ""))
                record["responses"] = {"label": [{"value": row["label"], "user_id": user, "status": "submitted"}]}
            elif labelled(row):
                suggestion = {"value": row["label"], "score": row.get("belief"), "agent": OUR_MODEL}
                record["suggestions"] = {"label": suggestion}
            yield record

    return _write_array(path, records())


def doccano(path: Path, export: Export) -> int:
    """Write lines with a list of labels."""

    def lines() -> Iterator[Row]:
        for number, row in enumerate(export.rows, 1):
            if used(row):
                yield {
                    "id": number,
                    "text": row["text"],
                    "label": [row["label"]] if labelled(row) else [],
                    **_meta(row),
                }

    return write_table(path, lines(), ("id", "text", "label", *META))
