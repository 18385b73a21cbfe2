"""Prodigy: binary text classification with an answer, and choices among options."""

from __future__ import annotations

from collections.abc import Sequence

from red_core.data.tables.shapes.known import ANSWER, IGNORED, REJECTED, Known, Record, list_in, names_of
from red_core.data.tables.source import Hints

ANSWERS = {"accept", "reject", "ignore"}
_MACHINERY = ("_input_hash", "_task_hash", "config", "options", "tokens", "_is_binary", "priority")
"""Keys for the program itself."""


def recognise(sample: Sequence[Record]) -> Known | None:
    """Return how tasks with Prodigy's hashes, view or answers are read."""
    answers = {str(record.get(ANSWER)) for record in sample}
    marked = any("_input_hash" in record or "_view_id" in record for record in sample)
    if not all(isinstance(record.get("text"), str) for record in sample):
        return None
    if not (marked or (answers and answers <= ANSWERS)):
        return None
    is_choice = any(isinstance(record.get("accept"), list) for record in sample)
    label = "accept" if is_choice else "label"

    def read(record: Record) -> Record:
        cells = {key: value for key, value in record.items() if key not in _MACHINERY and key != "accept"}
        if is_choice:
            texts = {
                str(each.get("id")): str(each.get("text") or each.get("id"))
                for each in list_in(record.get("options")) if isinstance(each, dict)
            }  # fmt: skip
            chosen = names_of(list_in(record.get("accept")))
            cells["label"] = [texts.get(each, each) if each.lstrip("-").isdigit() else each for each in chosen]
            if record.get(ANSWER) == REJECTED:  # the whole task was refused, not one label
                cells[ANSWER] = IGNORED
        return cells

    note = f"Prodigy export: text from text, label from {label}, whether it is right from answer"
    return Known(note, Hints("text", "label", ANSWER), read)
