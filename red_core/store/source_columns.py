"""Columns of the source files beside text and label, such as a ticket's id: their names, and the values of texts."""

from __future__ import annotations

import json
from collections.abc import Sequence

from red_core.records import Project
from red_core.store.database import connection
from red_core.store.exports import ORIGINAL


def column_names(project: Project) -> list[str]:
    """Return the names of the columns, sorted; it reads every row."""
    query = "SELECT DISTINCT c.key FROM source_row r JOIN json_each(r.extra) c WHERE r.extra IS NOT NULL ORDER BY 1"
    with connection(project) as db:
        return [str(name) for (name,) in db.execute(query) if name != ORIGINAL]


def column_values(project: Project, texts: Sequence[int], names: Sequence[str]) -> dict[int, list[tuple[str, str]]]:
    """Return text -> (column, value) pairs: the columns in the order given, a text's different values in file order."""
    if not names:
        return {}
    query = """
        SELECT r.text, c.key, c.value FROM source_row r JOIN json_each(r.extra) c
        WHERE r.text IN (SELECT value FROM json_each(?)) AND c.key IN (SELECT value FROM json_each(?))
        AND r.extra IS NOT NULL AND trim(coalesce(c.value, '')) <> '' ORDER BY r.source, r.row"""
    found: dict[int, dict[tuple[str, str], None]] = {}
    with connection(project) as db:
        for text, name, value in db.execute(query, [json.dumps(list(texts)), json.dumps(list(names))]):
            found.setdefault(int(text), {})[str(name), str(value)] = None
    return {text: sorted(pairs, key=lambda pair: names.index(pair[0])) for text, pairs in found.items()}


def values_by_label(project: Project) -> dict[str, dict[int, list[str]]]:
    """Return column -> label id -> its different values in the rows that came with this label; it reads every row."""
    query = """
        SELECT c.key, label.now, c.value FROM source_row r JOIN label ON label.id = r.label JOIN json_each(r.extra) c
        WHERE r.extra IS NOT NULL AND label.now IS NOT NULL AND trim(coalesce(c.value, '')) <> ''
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
    found: dict[str, dict[int, list[str]]] = {}
    with connection(project) as db:
        for name, label, value in db.execute(query):
            if name != ORIGINAL:
                found.setdefault(str(name), {}).setdefault(int(label), []).append(str(value))
    return found
