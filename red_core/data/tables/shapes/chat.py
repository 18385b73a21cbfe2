"""Fine-tuning files of chat models: the last question is the text, the last answer is the label."""

from __future__ import annotations

from collections.abc import Sequence

from red_core.data.tables.shapes.known import Known, Record, list_in
from red_core.data.tables.source import Hints


def recognise(sample: Sequence[Record]) -> Known | None:
    """Return how records with ``messages`` of roles *user* and *assistant* are read."""
    keys = ("messages", "conversations", "contents", "turns")
    key = next((key for key in keys if all(isinstance(record.get(key), list) for record in sample)), None)
    if key is None or not any(_last(record[key], ("user", "human")) for record in sample):
        return None

    def read(record: Record) -> Record:
        turns = list_in(record.get(key))
        cells = {name: value for name, value in record.items() if name != key}
        return cells | {"text": _last(turns, ("user", "human")), "label": _last(turns, ("assistant", "gpt", "model"))}

    note = f"chat messages: text from the last {key} of the user, label from the last of the assistant"
    return Known(note, Hints("text", "label"), read)


def _last(turns: Sequence[object], roles: tuple[str, ...]) -> str | None:
    """Return the content of the last turn of a role."""
    for turn in reversed(turns):
        if isinstance(turn, dict) and (turn.get("role") or turn.get("from")) in roles:
            content = turn.get("content", turn.get("value", turn.get("parts")))
            if isinstance(content, list):  # parts of a message
                content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
            return content if isinstance(content, str) else None
    return None
