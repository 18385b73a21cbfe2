"""Small files that would stop the server: they are refused in time, and nothing of the reader stays behind."""

from __future__ import annotations

import io
import time
import zipfile

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from red_core.data.tables import child, limits, read_table
from red_core.data.tables.child import read_table_apart
from red_core.errors import Cancelled, InputError
from tests.helpers.real_files import REAL_FILES, book


def small_parquet(rows: int, length: int) -> bytes:
    """Return a few hundred bytes that stand for one text, repeated."""
    out = io.BytesIO()
    column = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * length]))
    pq.write_table(pa.table({"text": column}), out, compression="zstd", store_schema=False)
    return out.getvalue()


def nested_parquet(rows: int, length: int) -> bytes:
    out = io.BytesIO()
    lists = pa.ListArray.from_arrays(pa.array(range(rows + 1), pa.int32()), pa.array(["x" * length] * rows))
    pq.write_table(pa.table({"text": lists}), out, compression="zstd")
    return out.getvalue()


def empty_cells(rows: int, columns: int) -> bytes:
    """Return a workbook of a few kilobytes with very many empty cells."""
    sound = zipfile.ZipFile(io.BytesIO(book({"Sheet": [["text", "label"], ["a", "b"]]})))
    row = b"".join(b"<row>" + b"<c/>" * columns + b"</row>" for _ in range(rows))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sound.namelist():
            archive.writestr(name, sound.read(name).replace(b"</sheetData>", row + b"</sheetData>"))
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("repeated.parquet", lambda: small_parquet(10_000, 5_000_000), "rows or 1,073,741,824 bytes"),
        ("cells.xlsx", lambda: empty_cells(1_300, 16_384), "more than 20,000,000 cells"),
    ],
)
def test_a_small_file_that_unpacks_to_gigabytes_is_refused_before_rows_are_built(name, content, says, tmp_path):
    (path := tmp_path / name).write_bytes(content())
    assert path.stat().st_size < 200_000
    started = time.perf_counter()
    with pytest.raises(InputError, match=says):
        read_table(path)
    assert time.perf_counter() - started < 20


def test_lists_of_repeated_texts_are_refused_by_their_size(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_BYTES", 20_000_000)
    (path := tmp_path / "lists.parquet").write_bytes(nested_parquet(400, 200_000))
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match="rows or 20,000,000 bytes"):
        read_table(path)


def test_a_long_line_of_ascii_takes_no_time_to_guess_the_encoding(tmp_path):
    (path := tmp_path / "a.csv").write_bytes(
        b"text,label\n" + b"x " * 300_000 + b",a\n" + "caf\xe9,b\n".encode("cp1252")
    )
    started = time.perf_counter()
    assert read_table(path).frame["text"].tolist()[1] == "café"
    assert time.perf_counter() - started < 5  # it took minutes


def test_the_process_apart_reads_as_this_one(tmp_path):
    file = REAL_FILES["Excel: read me first.xlsx"]
    (path := tmp_path / file.file).write_bytes(file.bytes())
    here, apart = read_table(path), read_table_apart(path)
    assert apart.frame.equals(here.frame)
    assert (apart.notes, apart.sheets, apart.sheet, apart.header) == (here.notes, here.sheets, here.sheet, here.header)


def test_an_error_of_the_process_apart_is_the_same_line(tmp_path):
    (path := tmp_path / "a.csv").write_bytes(b'text,label\n"never closed\n')
    with pytest.raises(InputError) as caught:
        read_table_apart(path, name="mine.csv")
    assert str(caught.value).startswith("mine.csv, row 2: a quote opens here")


def assert_no_reader_remains() -> None:
    ((server, _),) = child._servers
    end = time.monotonic() + 5
    while psutil.Process(server.pid).children() and time.monotonic() < end:
        time.sleep(0.05)
    assert psutil.Process(server.pid).children() == []


@pytest.fixture
def slow_file(tmp_path):
    """A file whose reading takes longer than any test waits."""
    (path := tmp_path / "slow.csv").write_bytes(b"text\n" + b"some text here\n" * 3_000_000)
    return path


def test_a_file_that_takes_too_long_is_refused_and_its_process_ended(slow_file):
    started = time.perf_counter()
    with pytest.raises(InputError, match="reading takes longer than 1 seconds"):
        read_table_apart(slow_file, seconds=1)
    assert time.perf_counter() - started < 20
    assert_no_reader_remains()


def test_reading_can_be_cancelled_and_reports_its_progress(slow_file):
    calls: list[tuple[int, int]] = []
    with pytest.raises(Cancelled, match="nothing is stored"):
        read_table_apart(
            slow_file,
            seconds=60,
            progress=lambda done, total: calls.append((done, total)),
            cancelled=lambda: bool(calls),
        )
    assert calls[0][0] < calls[0][1]
    assert_no_reader_remains()


def test_more_memory_than_the_limit_is_refused_in_one_line(slow_file, monkeypatch):
    monkeypatch.setattr(limits, "MAX_MEMORY", 64 << 20)
    with pytest.raises(InputError, match="GB of memory"):
        read_table_apart(slow_file, seconds=60)
