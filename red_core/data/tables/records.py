"""Records of nested data: what other programs wrap around them, and their values as flat columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from red_core.data.tables.examples import of_each_label, of_mapping
from red_core.data.tables.names import TEXT_NAMES
from red_core.data.tables.shapes import known_shape
from red_core.data.tables.source import Source

Record = dict[str, Any]
DEEPEST = 6
"""Levels of objects that are unfolded into columns."""


def flat(record: Mapping[str, Any], prefix: str = "", level: int = 0) -> Record:
    """Return a record whose objects are unfolded: ``{"data": {"text": "x"}}`` becomes ``{"data.text": "x"}``.

    Lists stay as they are. An object inside an object becomes columns of its own, because it is never a text.
    """
    if level == 0 and not any(isinstance(value, dict) for value in record.values()):
        return dict(record)  # the usual case
    cells: Record = {}
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and level < DEEPEST:
            cells |= flat(value, f"{name}.", level + 1)
        else:
            cells[name] = None if value == {} else value
    return cells


def unwrapped(source: Source, value: Any) -> list[Record]:  # noqa: ANN401  JSON is anything
    """Return the records of a JSON value: of a list, or of what pandas and other programs write around a list.

    Raises
    ------
    InputError
        If there are no records in it.
    """
    records, note = _records(value)
    if note:
        source.notes.append(note)
    if not records and value != []:
        raise source.error("this is not a JSON object", 'Write {"text": "…", "label": "…"}', 1)
    for row, record in enumerate(records, 1):
        if not isinstance(record, dict):
            raise source.error("this is not a JSON object", 'Write {"text": "…", "label": "…"}', row)
    listed, note = of_each_label(records)
    if listed:
        source.notes.append(note)
    return listed or records


def _records(value: Any) -> tuple[list[Any], str]:  # noqa: ANN401
    """Return records and a note on where they were found, no records if there are none."""
    if isinstance(value, list):
        return _of_list(value)
    if not isinstance(value, dict) or not value:
        return [], ""
    for find in (_viewer, _split, of_mapping, _lists, _dicts, _of_known_tool, _wrapped):
        records, note = find(value)
        if records:
            return records, note
    if len(value) == 1 and isinstance(only := next(iter(value.values())), dict):
        return _records(only)
    has_values = any(not isinstance(each, list | dict) for each in value.values())
    return [value] if has_values else [], ""


def _of_list(value: list[Any]) -> tuple[list[Any], str]:
    """Return a list of objects; or of pairs [text, {...}] as spaCy has, or of rows of equal length."""
    if value and all(isinstance(each, str) for each in value):
        return [{"text": each} for each in value], "records: texts without labels"
    if not value or not all(isinstance(each, list) for each in value):
        return value, ""
    if all(len(each) == 2 and isinstance(each[0], str) and isinstance(each[1], dict) for each in value):
        return [{"text": text, **rest} for text, rest in value], "records: pairs of a text and an object"
    if len({len(each) for each in value}) == 1 and _scalars(value[0]):
        return _rows(value), "records: rows without column names"
    return value, ""


def _rows(rows: Sequence[Sequence[Any]]) -> list[Record]:
    """Return rows of two as text and label, others with numbered columns."""
    names = ["text", "label"] if len(rows[0]) == 2 else [f"column {number}" for number in range(1, len(rows[0]) + 1)]
    return [dict(zip(names, row, strict=False)) for row in rows]


def _scalars(values: Sequence[Any]) -> bool:
    return not any(isinstance(value, dict | list) for value in values)


def _viewer(value: Record) -> tuple[list[Any], str]:
    """Find the rows of the data set viewer of the Hugging Face hub, with the names of their labels."""
    features, rows = value.get("features"), value.get("rows")
    if not isinstance(features, list) or not isinstance(rows, list) or not rows:
        return [], ""
    if not all(isinstance(each, dict) and isinstance(each.get("row"), dict) for each in rows):
        return [], ""
    names = {
        str(each.get("name")): each["type"]["names"] for each in features
        if isinstance(each, dict) and isinstance(each.get("type"), dict) and isinstance(each["type"].get("names"), list)
    }  # fmt: skip
    found = [{key: _name(cell, names.get(key)) for key, cell in each["row"].items()} for each in rows]
    said = f"; the numbers of '{next(iter(names))}' have names, and the names are used" if names else ""
    return found, f"records: rows of the data set viewer{said}"


def _name(cell: Any, names: list[Any] | None) -> Any:  # noqa: ANN401
    """Return the name of a number, None for -1: there, no label is known."""
    if names is None or not re.fullmatch(r"-?[0-9]{1,9}", str(cell)):
        return cell
    number = int(str(cell))
    return names[number] if 0 <= number < len(names) else None if number == -1 else cell


def _split(value: Record) -> tuple[list[Any], str]:
    """Find pandas' orient='split' and 'table': columns or a schema beside the data."""
    columns, data = value.get("columns"), value.get("data")
    if isinstance(columns, list) and isinstance(data, list) and data and all(isinstance(row, list) for row in data):
        return [dict(zip(map(str, columns), row, strict=False)) for row in data], "records: columns and data apart"
    if isinstance(value.get("schema"), dict) and isinstance(data, list):
        return data, "records: under 'data', beside a schema"
    return [], ""


def _lists(value: Record) -> tuple[list[Any], str]:
    """Find columns as lists of equal length, or splits of [text, label] pairs."""
    lists = list(value.values())
    if not all(isinstance(each, list) and each for each in lists):
        return [], ""
    if all(isinstance(row, list) and len(row) == 2 and _scalars(row) for each in lists for row in each):
        rows = [{"text": text, "label": label, "split": split} for split, each in value.items() for text, label in each]
        return rows, f"records: pairs of text and label, in {len(value)} splits"
    if (
        len({len(each) for each in lists}) == 1
        and len(value) > 1
        and not any(isinstance(each[0], dict) for each in lists)
    ):
        return [dict(zip(value, row, strict=True)) for row in zip(*lists, strict=True)], "records: one list per column"
    return [], ""


def _dicts(value: Record) -> tuple[list[Any], str]:
    """Find pandas' orient='columns' and 'index': objects of objects with the same keys."""
    inner = list(value.values())
    if len(inner) < 1 or not all(isinstance(each, dict) and each for each in inner):
        return [], ""
    keys = list(inner[0])
    if not all(each.keys() == inner[0].keys() for each in inner):
        common = inner[0].keys() & {*TEXT_NAMES} if all(_scalars(list(each.values())) for each in inner) else set()
        if any(all(name in each for each in inner) for name in common):
            return [{"key": key, **each} for key, each in value.items()], "records: one object per key"
        return [], ""
    if all(key.isdigit() for key in keys) and not all(key.isdigit() for key in value):
        return [{name: column[key] for name, column in value.items()} for key in keys], "records: one object per column"
    if len(inner) > 1 and all(_scalars(list(each.values())) for each in inner):
        return [{"key": key, **each} for key, each in value.items()], "records: one object per key"
    return [], ""


def _of_known_tool(value: Record) -> tuple[list[Any], str]:
    """Find one record of a known tool: it holds lists too."""
    return ([value] if known_shape([value]) is not None else []), ""


def _wrapped(value: Record, path: str = "", level: int = 0) -> tuple[list[Any], str]:
    """Find the longest list of objects inside an object."""
    best: list[Any] = []
    where = ""
    for key, each in value.items():
        name = f"{path}{key}"
        if isinstance(each, list) and each and all(isinstance(one, dict) for one in each):
            found, at = each, name
        elif isinstance(each, dict) and level < 2:
            found, at = _wrapped(each, f"{name}.", level + 1)
        else:
            continue
        if len(found) > len(best):
            best, where = found, at
    is_one_record = level == 0 and any(isinstance(value.get(name), str) for name in ("text", "body", "content"))
    if not best or is_one_record:
        return [], ""
    if level:
        return best, where
    sources = [each.get("_source") for each in best]
    if all(isinstance(each, dict) for each in sources):  # Elasticsearch
        best = [{"_id": each.get("_id"), **each["_source"]} for each in best]
    return best, f"records: under '{where}'"
