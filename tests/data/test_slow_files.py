"""No content of a file takes much longer than its length: patterns go through it once, whatever is repeated in it."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from red_core.data.tables import limits, read_table
from red_core.data.tables.delimited import is_fast_text
from red_core.data.tables.examples import read_rasa
from red_core.data.tables.formulas import guarded
from red_core.data.tables.header import find_header
from red_core.data.tables.label_cells import read_label
from red_core.data.tables.mail import is_mail, written
from red_core.data.tables.source import Source
from red_core.errors import InputError
from tests.helpers.real_files import book

MANY = 200_000
"""Repeated characters: with a pattern that starts anew at each of them, minutes."""
SECONDS = 5


@contextmanager
def soon() -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize(
    "text", ["\n" * MANY + "x", " \n" * MANY + "x", "> a\n" + "\n" * MANY + "x", "--\n" * MANY, "-" * MANY + "x"]
)
def test_mail_is_told_in_time(text):
    with soon():
        is_mail([text])


@pytest.mark.parametrize(
    "line",
    ["\n", "On ", "On x wrote ", "Am " * 90 + "schrieb\n", "On " * 90 + "\n", "Am " * 50 + "schrieb " * 9 + "\n"],
)
def test_the_newest_reply_is_found_in_time(line):
    with soon():
        written("> a\n" + line * (MANY // len(line)) + "x")


def test_a_long_line_stays_in_a_reply_and_a_too_long_one_keeps_its_length():
    paragraph = "word " * 200
    assert written(f"{paragraph}\n\n\n\nOn 1 May Ann wrote:\n> old\n").split() == paragraph.split()
    assert written("\ue0007\ue000 is kept\n> old\n").startswith("\ue0007\ue000 is kept")
    assert len(written("On 1 May " * MANY + "\n> old")) > MANY


@pytest.mark.parametrize("text", ["a" + "\n" * MANY + "x", "a" + "\t" * MANY, ";" + "\r" * MANY, ";" + "'" * MANY])
def test_formulas_are_found_in_time(text):
    with soon():
        assert guarded(text)


def test_a_label_that_looks_like_a_list_is_read_in_time():
    with soon():
        assert read_label("list(" + ",dtype=" * MANY + ")")[0]


def test_lines_of_fast_text_are_told_in_time():
    with soon():
        assert not is_fast_text("__label__a" + " " * MANY + "\n")


def test_a_header_is_told_in_time():
    with soon():
        find_header([["1" + " " * MANY + "x", "b"], ["c", "d"]])


@pytest.mark.parametrize("line", ["-" + " " * MANY, "- text: a" + " " * MANY + "b", "- intent: a" + " " * MANY + "b"])
def test_training_data_of_rasa_are_read_in_time(line):
    with soon():
        read_rasa(Source("nlu.yml", f"nlu:\n- intent: a\n  examples: |\n    - x\n{line}\n".encode()))


STRINGS = "xl/sharedStrings.xml"
OF_STRINGS = (
    b'<Override PartName="/xl/sharedStrings.xml" '
    b'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/>'
)


def workbook(change: Callable[[str, bytes], bytes]) -> bytes:
    """Return a workbook with other XML in its parts."""
    rows = [["text", "label"], *[[f"text {number}", "a"] for number in range(2_000)]]
    sound = zipfile.ZipFile(io.BytesIO(book({"Sheet": rows})))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sound.namelist():
            archive.writestr(name, change(name, sound.read(name).replace(b"</Types>", OF_STRINGS + b"</Types>")))
        archive.writestr(STRINGS, change(STRINGS, b"<sst></sst>"))
    return out.getvalue()


def inside(part: str, end: bytes, more: bytes) -> Callable[[str, bytes], bytes]:
    """Return what puts more XML before an end tag of a part."""
    return lambda name, content: content.replace(end, more + end) if name.startswith(part) else content


OVERLAPPING = b"".join(b'<mergeCell ref="A2:A%d"/>' % (1_048_576 - number) for number in range(20_000))
WORKBOOKS = {
    "merged cells that overlap": (
        lambda n, c: c.replace(b"</sheetData>", b"</sheetData><mergeCells>" + OVERLAPPING + b"</mergeCells>")
        if n.startswith("xl/worksheets/") else c,
        "its merged cells overlap"),
    "texts that no cell shows": (
        inside(STRINGS, b"</sst>", b"<si/>" * 3_000_000), "has more than 100,000 cells"),
    "pieces of one text": (
        inside(STRINGS, b"</sst>", b"<si>" + b"<r/>" * 3_000_000 + b"</si>"), "than 100,000 cells"),
    "styles": (inside("xl/styles.xml", b"</cellXfs>", b"<xf/>" * 3_000_000), "or too many styles"),
}  # fmt: skip


@pytest.mark.parametrize("name", WORKBOOKS)
def test_a_small_workbook_that_takes_minutes_is_refused(name, tmp_path, monkeypatch):
    change, says = WORKBOOKS[name]
    monkeypatch.setattr(limits, "MAX_CELLS", 100_000)
    (path := tmp_path / "a.xlsx").write_bytes(workbook(change))
    assert path.stat().st_size < 500_000
    with soon(), pytest.raises(InputError, match=says):
        read_table(path)


def test_blanks_behind_a_formula_take_no_time(tmp_path):
    formula = b'<row><c r="A9999"><f>A1</f>' + b" " * 900_000 + b"<v>1</v></c></row>"
    (path := tmp_path / "a.xlsx").write_bytes(workbook(inside("xl/worksheets/", b"</sheetData>", formula)))
    with soon():
        assert len(read_table(path).frame) == 2_001
