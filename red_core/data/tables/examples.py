"""Files that list the texts of each label: chat bots, and objects from labels to texts or from texts to labels.

Rasa's YAML and Markdown are read line by line. What is marked inside a text, as in ``[Berlin](city)``, stays in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from red_core.data.tables.cells import Cell
from red_core.data.tables.label_cells import is_object
from red_core.data.tables.names import KNOWN_NAMES
from red_core.data.tables.source import Hints, Source

Record = dict[str, Any]
NAME_KEYS = ("tag", "intent", "name", "label", "category", "displayName", "class", "topic")
LIST_KEYS = (
    *("patterns", "examples", "sampleUtterances", "utterances", "texts", "phrases", "trainingPhrases", "samples"),
    *("training_phrases", "expressions", "questions", "sentences", "queries"),
)
TEXT_KEYS = ("text", "utterance", "value", "phrase", "sentence", "query")
WORDS = re.compile(r"\S\s+\S|[^\x00-\x7f]")
_MARKED = re.compile(r"\[([^\[\]]+)\](?:\([^()]*\)|\{[^{}]*\})")
_YAML_INTENT = re.compile(r"\s*-?\s*intent:\s*+[\"']?(.*?\S)\s*+[\"']?\s*+$")
_MARKDOWN_INTENT = re.compile(r"\s*##\s*intent\s*:\s*+(.*\S)\s*$")
_OTHER_KEY = re.compile(r"\s*(?:-\s*)?(?:[A-Za-z_]+\s*:|##)")
_ITEM = re.compile(r"\s*[-*+]\s++(?:text:\s*+\|?\s*+)?(.*\S)\s*$")
_KEY = re.compile(r"\s*[-*+]\s++text:")
_BLOCK = re.compile(r"text:\s*+[|>][-+]?\s*+$")
"""The lines below this one, which are further in, hold the text."""


def of_each_label(records: Sequence[Record]) -> tuple[list[Record], str]:
    """Return one record per text, and a note, if each record has a label's name and the list of its texts."""
    if len(records) < 2 and not any(_texts(record.get(key)) for record in records for key in LIST_KEYS[:3]):
        return [], ""
    name = next((key for key in NAME_KEYS if all(isinstance(record.get(key), str) for record in records)), None)
    held = [key for key in LIST_KEYS if any(_texts(record.get(key)) for record in records)]
    if name is None or not held or not all(isinstance(record.get(held[0], []), list) for record in records):
        return [], ""
    rows = [{"text": text, "label": record[name]} for record in records for text in _texts(record.get(held[0]))]
    return rows, f"one record per label: label from {name}, texts from {held[0]} ({len(records):,} labels)"


def of_mapping(value: Mapping[str, Any]) -> tuple[list[Record], str]:
    """Return one record per text, and a note, for an object from labels to lists of texts, or from texts to labels."""
    keys = list(value)
    if len(keys) < 2 or any(key.strip().casefold() in KNOWN_NAMES for key in keys):
        return [], ""
    listed = {key: _texts(each) for key, each in value.items()}
    if all(isinstance(each, list) and len(listed[key]) == len(each) > 0 for key, each in value.items()):
        texts = [text for each in listed.values() for text in each]
        if _are_wordy(texts):
            rows = [{"text": text, "label": key} for key, each in listed.items() for text in each]
            return rows, f"an object of {len(keys):,} labels, each with its texts"
    if all(isinstance(each, str) for each in value.values()) and _are_wordy(keys):
        return [{"text": key, "label": each} for key, each in value.items()], "an object from each text to its label"
    return [], ""


def _are_wordy(texts: Sequence[str]) -> bool:
    """Return whether most of these are texts of several words, and no values of a column."""
    return sum(bool(WORDS.search(text)) for text in texts) * 2 > len(texts)


def _texts(value: Any) -> list[str]:  # noqa: ANN401  JSON is anything
    """Return the texts in a list: strings, objects with a text, or objects with the pieces of one."""
    texts = []
    for each in value if isinstance(value, list) else []:
        if isinstance(each, str):
            texts.append(each)
        elif isinstance(each, dict):
            pieces = each.get("data", each.get("parts"))
            whole = next((each[key] for key in TEXT_KEYS if isinstance(each.get(key), str)), None)
            if isinstance(pieces, list) and pieces:
                texts.append("".join(str(piece.get("text", "")) for piece in pieces if isinstance(piece, dict)))
            elif whole is not None:
                texts.append(whole)
    return texts


def is_rasa(sample: str, ending: str) -> bool:
    """Return whether a text is training data of Rasa."""
    lines = sample.splitlines()
    if ending in ("yml", "yaml"):
        return any(_YAML_INTENT.match(line) for line in lines) and any("examples:" in line for line in lines)
    return ending in ("md", "txt") and any(_MARKDOWN_INTENT.match(line) for line in lines)


def read_rasa(source: Source) -> tuple[list[str], list[list[Cell]], list[int]]:
    """Return the examples of every intent in Rasa's training data; stories, rules and lookups are passed over."""
    texts: list[list[str]] = []
    labels: list[Cell] = []
    rows: list[int] = []
    intent: str | None = None
    column: int | None = None  # of the keys of an example, such as text and metadata
    is_text = False  # whether the lines further in than that hold the text
    for number, line in source.counted(source.text(None)):
        indent = len(line) - len(line.lstrip())
        if column is not None and line.strip():
            is_text = is_text and indent > column
            if is_text:
                texts[-1].append(_MARKED.sub(r"\1", line.strip()))
            if indent >= column:
                continue
            column = None
        if (found := _YAML_INTENT.match(line) or _MARKDOWN_INTENT.match(line)) is not None:
            intent = found[1]
        elif (item := _ITEM.match(line)) is not None and intent and not is_object(item[1]) and not _key_only(line):
            column, is_text = indent + 2 if _KEY.match(line) else None, _BLOCK.search(line) is not None
            texts.append([] if is_text else [_MARKED.sub(r"\1", item[1])])
            labels.append(intent)
            rows.append(number)
        elif _OTHER_KEY.match(line) and "examples" not in line and "text:" not in line and "metadata" not in line:
            intent = None
    source.hints = Hints("text", "label")
    source.notes.append("Rasa training data: the examples of each intent; what is marked in them stays as text")
    return ["text", "label"], [[" ".join(lines) or None for lines in texts], labels], rows


def _key_only(line: str) -> bool:
    """Return whether an item of a list begins another part of the file, such as ``- lookup: city``."""
    return bool(re.match(r"\s*-\s*(?:lookup|synonym|regex|story|rule|steps|action|slot_was_set)\s*:", line))
