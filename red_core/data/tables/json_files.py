"""Read JSON and JSONL: plain records, what other programs wrap around records, and exports of known tools."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from red_core.data.tables.cells import Cell, JsonNumber, as_text
from red_core.data.tables.delimited import Content
from red_core.data.tables.records import Record, flat, unwrapped
from red_core.data.tables.shapes import LOOKED_AT, known_shape, shaped
from red_core.data.tables.source import Source
from red_core.text import storable

NO_NAME = "no name"
"""The column of values whose key is empty."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items: dict[str, Any] = {}
    for key, value in pairs:
        if key in items:
            raise ValueError(f"the key '{key[:60]}' occurs twice in one object")
        items[key] = value
    return items


def _decoder(source: Source) -> json.JSONDecoder:
    """Return a decoder that reads NaN and infinities, which Python and pandas write, as empty cells."""

    def empty(constant: str) -> None:
        note = f"{constant} is no JSON: read as an empty cell"
        if note not in source.notes:
            source.notes.append(note)

    return json.JSONDecoder(
        object_pairs_hook=_unique, parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=empty
    )


def _load(source: Source, decoder: json.JSONDecoder, text: str, row: int | None) -> Any:  # noqa: ANN401 - JSON is anything
    """Return one JSON value; the error says where it is invalid."""
    try:
        return decoder.decode(text.strip())
    except json.JSONDecodeError as exc:
        place = f"column {exc.colno}" if row else f"line {exc.lineno}, column {exc.colno}"
        rule = f"invalid JSON at {place}: {exc.msg}"
    except ValueError as exc:
        rule = str(exc)
    except RecursionError:
        rule = "its JSON is nested too deep"
    raise source.error(rule, 'Repair it; one line is one object such as {"text": "…", "label": "…"}', row)


def as_columns(source: Source, records: list[tuple[int, Record]]) -> Content:
    """Return columns from records, read as the export of a known tool if they are one, else with paths as names."""
    names: dict[str, None] = {}
    cells: list[dict[str, Cell]] = []
    rows: list[int] = []
    for row, record in shaped(source, records):
        try:
            line = {storable(key) or NO_NAME: as_text(cell) for key, cell in flat(record).items()}
        except RecursionError as exc:
            raise source.error("its JSON is nested too deep", "Flatten it", row) from exc
        cells.append(line)
        rows.append(row)
        if not line.keys() <= names.keys():
            names |= dict.fromkeys(line)
            source.check_names(list(names), row)
    columns = {name: [each.get(name) for each in cells] for name in names}
    for name in [name for name in names if any(other.startswith(f"{name}.") for other in names)]:
        if not any(columns[name]):  # where an object is missing, its name stands for it
            del columns[name]
    return list(columns), list(columns.values()), rows


def of_known_tool(source: Source, names: list[str], columns: list[list[Any]], rows: list[int]) -> Content:
    """Return a table as the export of a known tool is read, or as it is if no known tool wrote it."""
    first = [
        dict(zip(names, cells, strict=True)) for cells in zip(*(column[:LOOKED_AT] for column in columns), strict=True)
    ]
    if known_shape(first) is None:
        return names, columns, rows
    records = [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]
    return as_columns(source, list(zip(rows, records, strict=True)))


def _objects(source: Source, values: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Record]]:
    for row, value in values:
        if not isinstance(value, dict):
            raise source.error("this is not a JSON object", 'Write {"text": "…", "label": "…"}', row)
        yield row, value


def read_jsonl(source: Source) -> Content:
    """Read one object per line."""
    lines, decoder = source.counted(source.text(None)), _decoder(source)
    values = ((row, _load(source, decoder, _bare(line), row)) for row, line in lines if not line.isspace())
    return as_columns(source, list(_objects(source, values)))


def _bare(line: str) -> str:
    """Return a line without the comma that a list would have behind it."""
    line = line.strip()
    return line[:-1] if line.endswith("},") else line


def _one_after_another(source: Source, text: str) -> list[tuple[int, Record]]:
    """Return objects that stand one after another, each over several lines; none if they do not."""
    found: list[tuple[int, Record]] = []
    decoder, at, text = _decoder(source), 0, text.strip()
    while at < len(text):
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return []
        if not isinstance(value, dict):
            return []
        found.append((len(found) + 1, value))
        while end < len(text) and (text[end].isspace() or text[end] == ","):
            end += 1
        at = end
    return found


def read_json(source: Source) -> Content:
    """Read an array of objects, an object around one, or one object per line under the name .json."""
    text = source.text(None).read()
    start = text.lstrip()[:1]
    if start == "{":
        try:
            value = _decoder(source).decode(text.strip())
        except (ValueError, RecursionError):  # more than one object, or a damaged one: the lines tell which
            first = text.lstrip().splitlines()[0].rstrip()
            objects = [] if first.endswith(("}", "},")) else _one_after_another(source, text)
            return as_columns(source, objects) if objects else read_jsonl(source)
    else:
        value = _load(source, _decoder(source), text, None)
    try:
        records = unwrapped(source, value)
    except RecursionError as exc:
        raise source.error("its JSON is nested too deep", "Flatten it") from exc
    return as_columns(source, [(row, record) for row, record in source.counted(records)])
