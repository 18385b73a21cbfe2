"""The export of a known tool with any value in any of its places is a table, or is refused in one line."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from red_core.data.choices import Choices
from red_core.data.importing import count_rows
from red_core.data.preparing import read_source
from red_core.errors import InputError
from tests.data.odd_files import ODD_FILES
from tests.helpers.any_json import places, put
from tests.helpers.real_files import LABELLED, REAL_FILES, RealFile

VALUES: list[Any] = [
    None, True, False, 0, 5, -1, 1.5, "", "x", [], ["x"], [1], [None], [[]], [{}], {}, {"x": 1}, {"text": "a"},
]  # fmt: skip
TEXTS = [text for text, _ in LABELLED]


def body_of(file: RealFile) -> Any:
    """Return the records of a file as JSON, None if it holds none."""
    if not file.file.endswith(("json", "jsonl")):
        return None
    content = file.bytes().decode()
    for form in (content, f"[{content.strip().replace(chr(10), ',')}]"):
        with suppress(ValueError):
            return json.loads(form)
    return None


BODIES = {name: body for name, file in {**REAL_FILES, **ODD_FILES}.items() if (body := body_of(file))}


def refusal_of(path: Path, content: bytes) -> str | None:
    """Return why a file is refused, None if it is read."""
    path.write_bytes(content)
    try:
        prepared = read_source(path, role="labelled", choices=Choices())
        count_rows(None, "labelled", prepared)
    except InputError as error:
        return str(error)
    return None


def read(path: Path, content: bytes) -> None:
    refusal = refusal_of(path, content)
    assert refusal is None or (refusal.isprintable() and refusal.startswith(str(path)))


@pytest.mark.parametrize("name", BODIES)
@settings(max_examples=40)
@given(data=st.data())
def test_any_value_in_any_place_of_a_tools_file_is_read_or_refused(name, data, tmp_path_factory):
    body = BODIES[name]
    place = data.draw(st.sampled_from([place for place in places(body) if place]))
    bent = put(body, place, data.draw(st.sampled_from(VALUES)))
    read(tmp_path_factory.getbasetemp() / "odd.json", json.dumps(bent).encode())


COLUMNS = (
    *("label", "labels", "answer", "data", "annotations", "fields", "responses", "suggestions", "cats", "messages"),
    *("contents", "turns", "accept", "options", "content", "projects", "data_row", "label_annotations", "metadata"),
    *("q.responses", "q.responses.users", "q.responses.status", "annotation", "prediction", "status", "_input_hash"),
)
CELLS: list[list[Any]] = [
    [1, 2, 1, 2], [1.5, 2.5, 1.5, None], [True, False, True, False], ["x", "y", "x", "y"], [["x"], ["y"], ["x"], ["y"]],
    [[1], [2], [1], [2]], [{"a": 1}, {"a": 2}, {"a": 1}, {"a": 2}], [None] * 4, [[{"value": "x", "status": ""}]] * 4,
]  # fmt: skip


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(COLUMNS), st.sampled_from(CELLS), min_size=1, max_size=5))
@example({"labels": CELLS[0]})
@example({"label": CELLS[3], "answer": CELLS[4]})
@example({"labels": CELLS[2], "label": CELLS[3]})
def test_any_column_under_a_tools_name_is_read_or_refused_for_another_reason_than_damage(tmp_path_factory, columns):
    folder = tmp_path_factory.getbasetemp()
    out = io.BytesIO()
    pq.write_table(pa.table({"text": TEXTS, **columns}), out)
    assert "damaged" not in (refusal_of(folder / "odd.parquet", out.getvalue()) or "")
    rows = [dict(zip(("text", *columns), cells, strict=True)) for cells in zip(TEXTS, *columns.values(), strict=True)]
    read(folder / "odd.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())


def test_numbers_under_the_name_of_a_tools_lists_are_labels(tmp_path):
    out = io.BytesIO()
    pq.write_table(pa.table({"text": TEXTS, "labels": [1, 1, 2, 2]}), out)
    (tmp_path / "a.parquet").write_bytes(out.getvalue())
    prepared = read_source(tmp_path / "a.parquet", role="labelled")
    assert [row.label for row in prepared.rows] == ["1", "1", "2", "2"]


def test_an_answer_that_is_a_list_makes_no_file_one_of_prodigy(tmp_path):
    rows = [{"text": text, "label": label, "answer": [label]} for text, label in LABELLED]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    prepared = read_source(tmp_path / "a.jsonl", role="labelled")
    assert {row.text: row.label for row in prepared.rows} == dict(LABELLED)


@pytest.mark.parametrize("deep", [900, 990, 2_000])
def test_objects_inside_each_other_are_read_or_refused(deep, tmp_path):
    read(tmp_path / "a.json", b'{"a":' * deep + b'{"text": "x"}' + b"}" * deep)


@pytest.mark.parametrize("label", ["²", "--5", "9" * 5_000])
def test_a_number_of_the_viewer_that_is_none_stays_as_it_is(label, tmp_path):
    names = {"name": "label", "type": {"names": ["a", "b"]}}
    rows = [{"row": {"text": "a text", "label": each}} for each in (label, 0)]
    read(tmp_path / "a.json", json.dumps({"features": [names], "rows": rows}).encode())
