from __future__ import annotations

import csv
import errno
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
import unicodedata
import zipfile
from pathlib import Path

import huggingface_hub
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from red_core.data.tables import (
    Columns,
    LeftOut,
    Table,
    choose_columns,
    limits,
    normalise_text,
    read_table,
    text_id,
    usable_rows,
    write_table,
)
from red_core.data.tables.formulas import guarded, unguarded
from red_core.data.tables.source import REMEDIES
from red_core.errors import InputError
from tests.helpers.hostile_files import GOOD, HOSTILE, LINE, bent, excel, parquet
from tests.helpers.paths import DATA, ROOT


def put(tmp_path: Path, name: str, content: bytes | str) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def table(**columns: list[str | None]) -> Table:
    frame = pd.DataFrame(columns, dtype=object)
    return Table("t.csv", "0" * 64, frame, np.arange(2, len(frame) + 2, dtype=np.int64), ())


def cells(read: Table) -> list[list[str | None]]:
    return read.frame.to_numpy().tolist()


# Refusals


@pytest.mark.parametrize("case", HOSTILE.values(), ids=HOSTILE)
def test_hostile_file_is_refused_in_one_line(case, tmp_path, monkeypatch):
    for limit, value in case.limits.items():
        monkeypatch.setattr(limits, limit, value)
    path = put(tmp_path, case.file, case.bytes())
    with pytest.raises(InputError) as caught:
        read_table(path, name=f"my {case.file}")
    line = str(caught.value)
    assert "\n" not in line
    assert line.isprintable()
    place = f"my {case.file}" if case.row is None else f"my {case.file}, row {case.row}"
    assert line.startswith(f"{place}: ")
    assert case.rule in caught.value.rule
    assert case.remedy in caught.value.remedy
    assert caught.value.rule in line or line.endswith("…")
    assert caught.value.remedy


def test_there_are_enough_hostile_files():
    assert len(HOSTILE) >= 60


def test_refusal_of_a_missing_file_names_it_and_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"gone\.csv: it cannot be read: No such file.*Check that the file"):
        read_table(tmp_path / "gone.csv")


def test_refusal_of_a_folder(tmp_path):
    with pytest.raises(InputError, match=r"Is a directory\. Name one file"):
        read_table(tmp_path)


def test_refusal_of_a_path_with_nul():
    with pytest.raises(InputError, match="NUL"):
        read_table("a\0.csv")


def test_refusal_without_permission(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    path = put(tmp_path, "a.csv", GOOD)
    monkeypatch.setattr(Path, "open", refuse)  # a superuser may read everything, so permissions cannot be set
    with pytest.raises(InputError, match=r"Permission denied\. Ask for permission"):
        read_table(path)


@pytest.mark.parametrize("failure", [ConnectionError("no route"), ValueError("bad address"), FileNotFoundError("gone")])
def test_refusal_of_a_hub_path_says_what_to_do(failure, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise failure

    monkeypatch.setattr(huggingface_hub.HfFileSystem, "open", refuse)
    with pytest.raises(InputError, match=r"^hf://datasets/a/b/c\.csv: it cannot be downloaded .*or download the file"):
        read_table("hf://datasets/a/b/c.csv")


def test_hub_path_without_a_network_is_an_input_error(monkeypatch):
    errors = __import__("huggingface_hub.errors", fromlist=["HfHubHTTPError"])
    transport = errors.HfHubHTTPError.__bases__[0]  # of whatever HTTP library it uses

    def refuse(*_args, **_kwargs):
        raise transport("Name or service not known")

    monkeypatch.setattr(huggingface_hub.HfFileSystem, "open", refuse)
    with pytest.raises(InputError, match="Name or service not known"):
        read_table("hf://datasets/a/b/c.csv")


def test_hub_path_is_read_like_a_file(monkeypatch):
    monkeypatch.setattr(huggingface_hub.HfFileSystem, "open", lambda *_args, **_kwargs: io.BytesIO(GOOD))
    read = read_table("hf://datasets/a/b/c.csv")
    assert read.name == "hf://datasets/a/b/c.csv"
    assert cells(read) == [["hello there", "greet"], ["bye now", "part"]]


def test_gzip_bomb_is_stopped_while_it_unpacks(tmp_path, monkeypatch):
    path = put(tmp_path, "bomb.csv.gz", gzip.compress(bytes(300_000_000), 1))
    monkeypatch.setattr(limits, "MAX_BYTES", 20_000_000)
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(InputError, match="holds more than 20,000,000 bytes, unpacked"):
        read_table(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60_000_000
    assert time.perf_counter() - start < 2


def test_a_wide_workbook_row_stays_small(tmp_path):
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(["text"])
    for _ in range(20):
        sheet.append(["a", *[""] * 5000])
    book.save(tmp_path / "wide.xlsx")
    assert cells(read_table(tmp_path / "wide.xlsx")) == [["a"]] * 20


# What is read


COLUMNS = {
    "text": ["hello, there", 'say "hi"', "two\nlines", "  é, 007  ", "=1+1", "NA"],
    "label": ["greet", "greet", None, "null", "1e5", "0012"],
    "n": ["1", "2", "3", "4", "5", "6"],
}


def same_table_in_all_formats() -> dict[str, bytes]:
    frame = pd.DataFrame(COLUMNS)
    records = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
    frame_bytes = {
        "a.csv": frame.to_csv(index=False).encode(),
        "a.tsv": frame.to_csv(index=False, sep="\t").encode(),
        "semicolon.csv": frame.to_csv(index=False, sep=";").encode(),
        "bar.txt": frame.to_csv(index=False, sep="|").encode(),
        "crlf.csv": frame.to_csv(index=False, lineterminator="\r\n").encode(),
        "mark.csv": frame.to_csv(index=False).encode("utf-8-sig"),
        "utf16.csv": frame.to_csv(index=False).encode("utf-16"),
        "a.jsonl": "".join(json.dumps(each) + "\n" for each in records).encode(),
        "a.ndjson": "".join(json.dumps(each, ensure_ascii=False) + "\r\n" for each in records).encode(),
        "a.json": json.dumps(records, indent=1).encode(),
        "a.parquet": parquet(**COLUMNS),
        "a.xlsx": excel_of_texts(),
        "no ending": frame.to_csv(index=False).encode(),
        "json without ending": json.dumps(records).encode(),
    }
    return frame_bytes | {f"{name}.gz": gzip.compress(content) for name, content in frame_bytes.items()}


def excel_of_texts() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(list(COLUMNS))
    for row, values in enumerate(zip(*COLUMNS.values(), strict=True), 2):
        for column, value in enumerate(values, 1):
            cell = book.active.cell(row, column)
            cell.value = value
            cell.data_type = "s" if value is not None else cell.data_type  # "=1+1" is a text here
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.mark.parametrize("name", same_table_in_all_formats())
def test_all_formats_read_alike(name, tmp_path):
    read = read_table(put(tmp_path, name, same_table_in_all_formats()[name]))
    assert list(read.frame.columns) == list(COLUMNS)
    assert {column: read.frame[column].tolist() for column in read.frame.columns} == COLUMNS
    first = 1 if "json" in name or "parquet" in name else 2
    assert read.rows.tolist() == list(range(first, first + 6))
    assert read.rows.dtype == np.int64


def test_the_hash_is_that_of_the_file(tmp_path):
    content = gzip.compress(GOOD)
    assert read_table(put(tmp_path, "a.csv.gz", content)).sha256 == hashlib.sha256(content).hexdigest()


def test_values_stay_text_and_empty_cells_are_missing(tmp_path):
    values = ["NA", "null", "None", "007", "1e5", "nan", " ", "TRUE", "1,5", ""]
    path = put(tmp_path, "a.csv", "v,w\n" + "".join(f'"{value}",x\n' for value in values))
    assert read_table(path).frame["v"].tolist() == [*values[:-1], None]


def test_rows_count_records_and_blank_lines_but_not_lines_of_a_field(tmp_path):
    path = put(tmp_path, "a.csv", '\n"te\nxt",label\n"a\r\nb\rc",1\n\n\nd,2\r\ne,3\r')
    read = read_table(path)
    assert read.rows.tolist() == [3, 6, 7]
    assert cells(read) == [["a\r\nb\rc", "1"], ["d", "2"], ["e", "3"]]
    assert list(read.frame.columns) == ["te\nxt", "label"]


def test_json_lines_count_blank_lines(tmp_path):
    assert read_table(put(tmp_path, "a.jsonl", LINE + b"\n" + LINE)).rows.tolist() == [1, 3]


def test_json_values_become_text_as_written(tmp_path):
    values = {
        '"x"': "x",
        "1e5": "1e5",
        "5.10": "5.10",
        "123456789012345678901234567890": "123456789012345678901234567890",
        "-7": "-7",
        "true": "true",
        "false": "false",
        "null": None,
        '""': "",
        '[1, 2.50, "é", null, true, {"a": 1}]': '[1,2.50,"é",null,true,{"a":1}]',
        "[ ]": "[]",
        r'"\ud83d\ude00"': "😀",
        r'"\ud83d"': "�",
        r'["\ud83d"]': '["�"]',
        r'"a\u2028b"': "a\u2028b",
    }
    read = read_table(put(tmp_path, "a.jsonl", "".join(f'{{"v": {value}}}\n' for value in values)))
    assert read.frame["v"].tolist() == list(values.values())
    assert all(type(cell) is str for cell in read.frame["v"] if cell is not None)


def test_json_objects_may_have_different_keys(tmp_path):
    read = read_table(put(tmp_path, "a.jsonl", '{"a": "1"}\n{"b": "2", "a": "3"}\n{}\n'))
    assert list(read.frame.columns) == ["a", "b"]
    assert cells(read) == [["1", None], ["3", "2"], [None, None]]


def test_excel_values_become_text_as_shown(tmp_path):
    day = pd.Timestamp("2024-02-29")
    rows = [
        ("n", "f", "d", "t", "b"),
        (3.0, 2.5, day.to_pydatetime(), pd.Timestamp("2024-02-29 13:00").to_pydatetime(), True),
    ]
    assert cells(read_table(put(tmp_path, "a.xlsx", excel(*rows)))) == [
        ["3", "2.5", "2024-02-29", "2024-02-29 13:00:00", "true"]
    ]


def test_excel_skips_empty_rows_and_counts_them(tmp_path):
    content = excel((), ("text", "label"), ("a", "b"), (), (None, "c"), ("d",), (None, None))
    read = read_table(put(tmp_path, "a.xlsx", content))
    assert read.rows.tolist() == [3, 5, 6]
    assert cells(read) == [["a", "b"], [None, "c"], ["d", None]]


def test_excel_size_declared_wrongly_loses_nothing(tmp_path):
    sound = zipfile.ZipFile(io.BytesIO(excel(("text", "label"), ("a", "b"), ("c", "d"))))
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        for name in sound.namelist():
            archive.writestr(name, sound.read(name).replace(b'ref="A1:B3"', b'ref="A1:A2"'))
    assert cells(read_table(tmp_path / "a.xlsx")) == [["a", "b"], ["c", "d"]]


def test_excel_sheet_is_the_first_or_the_one_named(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["text"])
    book.active.append(["first"])
    book.create_sheet("More").append(["text"])
    book["More"].append(["second"])
    path = tmp_path / "a.xlsx"
    book.save(path)
    assert cells(read_table(path)) == [["first"]]
    assert read_table(path).notes == ("sheet: 'Sheet' (one of 2)",)
    assert cells(read_table(path, sheet="More")) == [["second"]]
    with pytest.raises(InputError, match=r"no sheet 'Other'\. Name one of: Sheet, More"):
        read_table(path, sheet="Other")
    with pytest.raises(InputError, match="only Excel workbooks have sheets"):
        read_table(put(tmp_path, "a.csv", GOOD), sheet="More")


def test_parquet_values_become_text(tmp_path):
    content = parquet(
        i=[1, None], f=[3.0, 2.5], b=[True, False], s=["NA", None], n=[{"a": 1}, None], y=[b"caf\xc3\xa9", None]
    )
    assert cells(read_table(put(tmp_path, "a.parquet", content))) == [
        ["1", "3", "true", "NA", "1", "café"],
        [None, "2.5", "false", None, None, None],
    ]


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_columns_of_bytes_and_maps_do_not_make_a_file_damaged(form, tmp_path):
    picture, pairs = b"\xff\xd8\xff", pa.map_(pa.string(), pa.int64())
    made = pa.table({
        "text": pa.array([b"one", b"two"]), "label": ["a", "b"], "fixed": pa.array([picture] * 2, pa.binary(3)),
        "image": [{"bytes": picture, "path": "x.jpg"}] * 2, "map": pa.array([[("k", 1)], [("l", 2), ("m", 3)]], pairs),
    })  # fmt: skip
    path = tmp_path / f"a.{form}"
    if form == "parquet":
        pq.write_table(made, path)
    else:
        with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, made.schema) as writer:
            writer.write_table(made)
    read = read_table(path)
    assert cells(read) == [["one", "a", "x.jpg", '[["k",1]]'], ["two", "b", "x.jpg", '[["l",2],["m",3]]']]
    assert [note for note in read.notes if "bytes" in note] == [
        "column 'fixed' is left out: it holds bytes and no text",
        "column 'image.bytes' is left out: it holds bytes and no text",
    ]


def test_a_cell_of_bytes_that_are_no_text_is_empty(tmp_path):
    assert cells(read_table(put(tmp_path, "a.parquet", parquet(text=[b"\xff\xfe", b"ok"])))) == [[None], ["ok"]]


FRENCH = "text,label\nJe voudrais un café s'il vous plaît,commande\nOù est l'hôtel ?,où\nélève très âgé,é\n"
RUSSIAN = "text,label\nПривет как дела,да\nЯ хочу заказать пиццу,нет\n"
JAPANESE = "text,label\n今日は天気がいいですね,天気\n東京へ行きたいです,旅行\n" * 10


@pytest.mark.parametrize(
    ("text", "encoding"), [(FRENCH, "cp1252"), (RUSSIAN, "cp1251"), (RUSSIAN, "koi8_r"), (JAPANESE, "cp932")]
)
def test_other_encodings_are_guessed_and_noted(text, encoding, tmp_path):
    read = read_table(put(tmp_path, "a.csv", text.encode(encoding)))
    assert cells(read) == cells(read_table(put(tmp_path, "b.csv", text)))
    assert read.notes == (f"encoding: {encoding} (guessed: check that accents look right)",)


def test_guesses_are_noted_and_certainties_are_not(tmp_path):
    assert read_table(put(tmp_path, "a.csv", GOOD)).notes == ()
    assert read_table(put(tmp_path, "a.csv", GOOD.replace(b",", b";"))).notes == ("delimiter: semicolon (guessed)",)
    assert read_table(put(tmp_path, "a.dat", GOOD)).notes[0] == "format: CSV (guessed from its content)"
    assert read_table(put(tmp_path, "a.dat", LINE)).notes == ("format: JSON (guessed from its content)",)


def test_the_name_given_counts_not_that_of_the_temporary_copy(tmp_path):
    path = put(tmp_path, "upload.tmp", LINE)
    read = read_table(path, name="mine.jsonl")
    assert (read.name, read.notes) == ("mine.jsonl", ())


def test_a_text_per_line_needs_no_quotes_in_txt(tmp_path):
    assert cells(read_table(put(tmp_path, "a.txt", "text\nhello, you\nand; you\n"))) == [["hello, you"], ["and; you"]]


def test_a_name_may_be_a_list_of_delimiters_in_quotes(tmp_path):
    read = read_table(put(tmp_path, "a.csv", 'text,"a;b;c"\nx;y,1\nz,"2;;"\n'))
    assert cells(read) == [["x;y", "1"], ["z", "2;;"]]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.parquet", "a.xlsx"])
def test_progress_ends_at_its_total(name, tmp_path):
    rows = [{"text": f"text {i}"} for i in range(25_000 if name != "a.xlsx" else 10)]
    if name == "a.xlsx":
        put(tmp_path, name, excel(["text"], *[[row["text"]] for row in rows]))
    elif name == "a.json":
        put(tmp_path, name, json.dumps(rows))
    else:
        write_table(tmp_path / name, rows, ["text"])
    calls = []
    read = read_table(tmp_path / name, progress=lambda done, total: calls.append((done, total)))
    assert len(read.frame) == len(rows)
    assert calls[-1][0] == calls[-1][1] > 0
    assert sorted(calls) == calls
    assert len(calls) == (3 if name in ("a.csv", "a.jsonl", "a.json") else len(calls))


def test_a_hundred_thousand_rows_are_read_in_time(tmp_path):
    rows = [{"text": f"please move {i} euros to my savings account", "label": f"l{i % 150}"} for i in range(100_000)]
    write_table(tmp_path / "a.csv", rows, ["text", "label"])
    start = time.process_time()
    read = read_table(tmp_path / "a.csv")
    middle = time.process_time()
    usable, _ = usable_rows(read, choose_columns(read, need_label=True))
    end = time.process_time()
    assert len(usable) == 100_000
    assert middle - start < 4, "processor seconds; expected about half a second"
    assert end - middle < 4, "processor seconds; expected about half a second"


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not here")
def test_a_real_file_is_read():
    read = read_table(DATA / "clinc150.csv.gz")
    assert len(read.frame) == 22_491
    assert (read.rows[0], read.rows[-1]) == (2, 22_492)
    columns = choose_columns(read, need_label=True)
    assert (columns.text, columns.label) == ("text", "label")
    usable, left_out = usable_rows(read, columns)
    assert (len(usable), left_out) == (22_491, [])
    assert usable[0].extra == {"split": "train", "domain": "travel"}


# Any bytes at all


def read_or_refuse(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = put(Path(folder), name, content)
        try:
            read = read_table(path)
        except InputError:
            return
    assert len(read.frame) == len(read.rows) > 0
    assert all(cell is None or type(cell) is str for column in read.frame for cell in read.frame[column])
    for column in read.frame:
        "".join(filter(None, read.frame[column])).encode()  # what is stored must be UTF-8


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet", "a.xlsx", "a.gz", "a"]),
    st.binary(max_size=300),
)
@example("a", b"PAR1" + bytes(50))
@example("a", b"PK\3\4" + bytes(50))
@example("a.csv", b"text\n\xff\xfe")
@example("a.csv", b"\xff\xfe\0\xd8")
def test_any_bytes_give_a_table_or_a_refusal(name, content):
    read_or_refuse(name, content)


@settings(max_examples=300, deadline=None)
@given(bent())
def test_any_bent_file_gives_a_table_or_a_refusal(file):
    read_or_refuse(*file)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.json"]), st.text("abé,;\"'\t\r\n {}[]:0\0\\", max_size=60))
def test_any_text_gives_a_table_or_a_refusal(name, content):
    read_or_refuse(name, content.encode())


# Columns


@pytest.mark.parametrize(
    ("names", "text", "label"),
    [
        (["id", "utterance", "intent"], "utterance", "intent"),
        (["Text ", "LABEL"], "Text ", "LABEL"),
        (["label", "sentence", "text"], "text", "label"),
        (["customer_message", "intent_label", "message_id"], "customer_message", "intent_label"),
        (["body", "title", "tags"], "body", "tags"),
        (["question", "category"], "question", "category"),
    ],
)
def test_columns_are_guessed_from_their_names(names, text, label):
    read = table(**{name: [f"{name} {i % 3}" for i in range(9)] for name in names})
    assert choose_columns(read, need_label=True) == Columns(
        text,
        label,
        (f"text column: '{text}' (guessed from its name)", f"label column: '{label}' (guessed from its name)"),
    )


def by_content(**more: list[str]) -> Table:
    return table(
        key=[f"{i:032x}" for i in range(30)],
        spoken=[f"please send card {i}" for i in range(30)],
        meant=[["card", "bank", "other"][i % 3] for i in range(30)],
        year=[str(2000 + i % 4) for i in range(30)],
        **more,
    )


def test_columns_are_guessed_from_their_content():
    notice = ["this long notice is in every row and is no text to label"] * 30
    assert choose_columns(by_content(notice=notice), need_label=True) == Columns(
        "spoken",
        "meant",
        ("text column: 'spoken' (guessed from its content)", "label column: 'meant' (guessed from its content)"),
    )


def test_without_need_a_label_is_only_guessed_from_its_name():
    assert choose_columns(by_content(), need_label=False).label is None
    assert choose_columns(by_content(intent=["a", "b"] * 15), need_label=False).label == "intent"


def test_two_likely_labels_are_not_guessed():
    with pytest.raises(InputError, match=r"which column is the label \(columns: meant, part\)\. Pass --label"):
        choose_columns(by_content(part=["train", "test"] * 15), need_label=True)


def test_no_likely_text_is_not_guessed():
    with pytest.raises(InputError, match=r"which column is the text \(columns: a, b\)\. Pass --text"):
        choose_columns(table(a=["1", "2"], b=["x", "y"]), need_label=False)


def test_no_likely_label_is_not_guessed():
    with pytest.raises(InputError, match="Pass --label"):
        choose_columns(table(text=["a b", "c d"], other=["x", "y"]), need_label=True)


def test_the_only_column_is_the_text():
    assert choose_columns(table(q=["a", "b"]), need_label=False).text == "q"


def test_an_empty_column_is_never_guessed():
    read = table(text=[None, None], words=["what is this", "and what is that"])
    assert choose_columns(read, need_label=False).text == "words"


def test_named_columns_are_taken_whatever_their_case():
    read = table(**{"My Text": ["a", "b"], "kind": ["x", "y"]})
    assert choose_columns(read, " my text", "KIND", need_label=True) == Columns("My Text", "kind", ())


def test_an_exact_name_wins_over_another_case():
    read = table(Text=["a"], text=["b"])
    assert choose_columns(read, "text", need_label=False).text == "text"
    assert choose_columns(read, "TEXT", need_label=False).text == "Text"  # the first of those that fit


def test_an_unknown_column_lists_those_there_are_and_the_closest():
    read = table(**{f"column {i}": ["a"] for i in range(12)}, utterance=["b"])
    with pytest.raises(InputError) as caught:
        choose_columns(read, "uterance", need_label=False)
    assert "no column 'uterance' (columns: column 0, " in str(caught.value)
    assert "column 9, …)" in str(caught.value)
    assert "Did you mean 'utterance'?" in str(caught.value)
    with pytest.raises(InputError, match="Name one of these columns"):
        choose_columns(read, "zzz", need_label=False)


def test_one_column_cannot_be_both():
    with pytest.raises(InputError, match="cannot be both"):
        choose_columns(table(a=["x"], b=["y"]), "a", "A", need_label=True)


def test_a_column_named_as_label_is_not_guessed_as_text():
    columns = choose_columns(table(text=["x y", "z w"], words=["a b", "c d"]), label="text", need_label=True)
    assert (columns.text, columns.label) == ("words", "text")


# Texts


def test_equal_texts_have_equal_ids_whatever_their_form_and_spaces():
    nfc = "Où est l'hôtel ?"
    nfd = unicodedata.normalize("NFD", nfc)
    assert nfc != nfd
    assert text_id(nfc) == text_id(nfd) == text_id(f"\n {nfd.replace(' ', chr(0xA0) + chr(9))}\u2003")
    assert text_id("a b") != text_id("ab")
    assert text_id("a") != text_id("A")


def test_ids_do_not_change_between_versions():
    assert text_id(" caf\u0065\u0301  noir ") == "ec1259cc2e6c783e9cb7f5cb9894ec2e741cfa1d42290c66390f5cfe64510a07"


@given(st.text(st.characters()))
def test_normalising_twice_changes_nothing_and_the_result_can_be_stored(raw):
    once = normalise_text(raw)
    assert normalise_text(once) == once
    assert once.encode().decode() == once
    assert text_id(raw) == text_id(once)


def test_control_characters_stay_and_lone_surrogates_go():
    assert normalise_text("a\x07b \ud800c") == "a\x07b \ufffdc"


def test_rows_that_cannot_be_used_are_left_out_with_a_reason():
    read = table(
        text=[" a  b ", None, " \n", "x" * 1_000_000, "ok", "fine"],
        label=[" l ", "l", "l", "l", "y" * 201, " "],
        more=["1", "2", "3", "4", None, ""],
        other=["z"] * 6,
    )
    usable, left_out = usable_rows(read, Columns("text", "label", ()))
    assert [(row.row, row.text, row.label, row.extra) for row in usable] == [
        (2, "a b", "l", {"more": "1", "other": "z"}),
        (7, "fine", None, {"other": "z"}),
    ]
    assert [(out.row, out.reason, len(out.text)) for out in left_out] == [
        (3, "empty text", 0),
        (4, "empty text", 0),
        (5, "too long: 1,000,000 characters, at most 20,000", 200),
        (6, "label too long: 201 characters, at most 200", 2),
    ]


def test_a_row_left_out_keeps_its_other_columns():
    read = table(
        text=[None, "x" * 6, "ok"],
        label=["l", "l", "y" * 201],
        more=["1", None, ""],
        other=["a", "b", "c"],
    )
    assert usable_rows(read, Columns("text", "label", ()), longest=5) == (
        [],
        [
            LeftOut(2, "empty text", "", {"more": "1", "other": "a", "label": "l"}),
            LeftOut(3, "too long: 6 characters, at most 5", "xxxxxx", {"other": "b", "label": "l"}),
            LeftOut(4, "label too long: 201 characters, at most 200", "ok", {"other": "c", "label": "y" * 201}),
        ],
    )


def test_the_longest_text_is_counted_after_normalising():
    read = table(text=["e\u0301 " * 10, "é" * 21])
    usable, left_out = usable_rows(read, Columns("text", None, ()), longest=20)
    assert [row.text for row in usable] == [" ".join("é" * 10)]
    assert [out.row for out in left_out] == [3]


def test_a_run_of_combining_marks_takes_no_time():
    read = table(text=["a" + "\u0300\u0316" * 500_000], label=["a" + "\u0300\u0316" * 500_000])
    start = time.perf_counter()
    usable, left_out = usable_rows(read, Columns("text", "label", ()))
    assert (len(usable), len(left_out)) == (0, 1)
    assert time.perf_counter() - start < 2


# Out and in again

STORABLE = st.text(st.characters(exclude_categories=["Cs"]))
ROWS = st.lists(st.fixed_dictionaries({"text": STORABLE, "label": st.none() | STORABLE}), min_size=1, max_size=8)


def there_and_back(name: str, rows: list[dict[str, str | None]]) -> list[dict[str, str | None]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        assert write_table(path, iter(rows), ["text", "label"]) == len(rows)
        assert list(Path(folder).iterdir()) == [path]
        read = read_table(path)
    return read.frame.to_dict("records")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["a.jsonl", "a.jsonl.gz", "a.parquet"]), ROWS)
def test_jsonl_and_parquet_give_back_the_same_rows(name, rows):
    assert there_and_back(name, rows) == rows


def as_text(cell: str | None) -> str | None:
    """A cell as CSV can hold it: an empty text and none are the same."""
    return (cell or "").replace("\0", "\ufffd") or None


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["a.csv", "a.csv.gz", "a.tsv"]), ROWS)
@example("a.csv", [{"text": "a\rb", "label": None}, {"text": '"', "label": "\n"}, {"text": "\r\n", "label": '"",'}])
@example("a.csv", [{"text": "", "label": None}])
def test_csv_gives_back_the_same_rows_but_for_apostrophes(name, rows):
    back = [
        {column: unguarded(cell or "") or None for column, cell in row.items()} for row in there_and_back(name, rows)
    ]
    assert back == [{column: as_text(cell) for column, cell in row.items()} for row in rows]


@pytest.mark.parametrize(
    "formula",
    [
        *(
            "=1+1",
            "+1",
            "-1",
            "@A1",
            "\tx",
            "\rx",
            "  =1",
            "'=1",
            "' '@1",
            "\u00a0=1",
            "\uff1d1+1",
            "\uff20A1",
            "\u200b=1",
        ),
        "\ufeff\u2060=1",
        "\u202e@A1",
    ],
)
def test_no_text_becomes_a_formula(formula, tmp_path):
    write_table(tmp_path / "a.csv", [{"text": formula, "=n": -1.5}], ["text", "=n"])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as stream:
        assert list(csv.reader(stream)) == [["text", "'=n"], [f"'{formula}", "-1.5"]]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("help;=1+1", "help;'=1+1"),
        ("a; \u200b@SUM(1)", "a;' \u200b@SUM(1)"),
        ("x;\uff1dcmd|'/c calc'!A0", "x;'\uff1dcmd|'/c calc'!A0"),
        ("a\n=1", "a\n'=1"),
        ("\n=cmd", "'\n'=cmd"),
        ("a\t+1;-2", "a\t'+1;'-2"),
        ('a;"=HYPERLINK(0,0);b', "a;'\"=HYPERLINK(0,0);b"),
        (';"=1+1\n""@x', ';\'"=1+1\n\'""@x'),
        ("thanks ;-) bye; - yes", "thanks ;-) bye; - yes"),
        ("a, =b: 1 = 2", "a, =b: 1 = 2"),
    ],
)
def test_no_part_of_a_text_becomes_a_formula_where_cells_end_at_semicolons(text, written, tmp_path):
    write_table(tmp_path / "a.csv", [{"text": text}], ["text"])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as stream:
        assert list(csv.reader(stream)) == [["text"], [written]]
    assert unguarded(written) == text


CELL = st.text(alphabet="=+-@,;'\" \t\na1(\u200b\uff1d", max_size=12)


@given(CELL, st.sampled_from([",", ";", "\t"]))
def test_what_was_added_against_formulas_can_be_taken_off_again(text, delimiter):
    assert unguarded(guarded(text, delimiter), delimiter) == text


SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\ufe66", "\ufe62", "\ufe63", "\ufe6b", ";=", ",=")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_behind_every_character_a_formula_is_guarded_in_a_file(delimiter, tmp_path):
    texts = [f"{chr(code)}{sign}1" for code in [*range(0xD800), *range(0xE000, 0x10000)] for sign in SIGNS[::4]]
    texts += [f"{chr(code)}{sign}1" for code in range(0x3000) for sign in SIGNS if not 0xD800 <= code < 0xE000]
    write_table(tmp_path / "a.csv", ({"text": text} for text in texts), ["text"], delimiter=delimiter)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as stream:
        written = [row[0] for row in csv.reader(stream, delimiter=delimiter)][1:]
    assert written == [guarded(text.replace("\0", "\ufffd"), delimiter) for text in texts]


def test_what_no_file_can_hold_is_replaced_in_csv(tmp_path):
    rows = [{"text": "a\ud800b", "n": float("nan"), "m": float("inf")}, {"text": "ab\0", "n": 2.0, "m": True}]
    write_table(tmp_path / "a.csv", rows, ["text", "n", "m"])
    assert (tmp_path / "a.csv").read_text("utf-8").splitlines() == ["text,n,m", "a\ufffdb,,inf", "ab\ufffd,2.0,true"]


@settings(max_examples=200)
@given(CELL, CELL, st.sampled_from([",", ";", "\t"]), st.sampled_from([",", ";", "\t"]))
@example('a;b,"=1', "", ";", ",")
@example('a,"=1', ',"@x', "\t", ",")
def test_no_cell_is_a_formula_whatever_delimiter_a_spreadsheet_expects(text, other, delimiter, expected):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        write_table(path, [{"text": text, "other": other}], ["text", "other"], delimiter=delimiter)
        with path.open(newline="", encoding="utf-8") as stream:
            cells = [cell.strip() for row in csv.reader(stream, delimiter=expected) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "@"))]


def test_csv_cells_of_other_types(tmp_path):
    row = {"i": -3, "f": float("nan"), "b": True, "n": None, "d": {"a": [1]}, "np": np.float32(-0.5), "x": np.int64(7)}
    write_table(tmp_path / "a.csv", [row], [*row, "not there"])
    assert cells(read_table(tmp_path / "a.csv")) == [["-3", None, "true", None, '{"a":[1]}', "-0.5", "7", None]]


def test_jsonl_keeps_types_and_writes_only_json(tmp_path):
    row = {"i": 3, "f": float("nan"), "b": True, "n": None, "d": {"a": [np.int64(1), float("inf")]}, "s": "\ud800é"}
    write_table(tmp_path / "a.jsonl", [row], list(row))
    written = (tmp_path / "a.jsonl").read_text(encoding="utf-8")
    assert json.loads(written) == {"i": 3, "f": None, "b": True, "n": None, "d": {"a": [1, None]}, "s": "\ufffdé"}


def test_parquet_columns_have_one_type(tmp_path):
    rows = [
        {"i": 1, "f": 0.5, "b": True, "mixed": 1, "none": None, "big": 2**70},
        {"i": None, "f": None, "b": None, "mixed": "x", "none": None, "big": 1},
    ]
    write_table(tmp_path / "a.parquet", rows, list(rows[0]))
    frame = pd.read_parquet(tmp_path / "a.parquet", dtype_backend="pyarrow")
    assert [str(kind) for kind in frame.dtypes] == [
        *("int64[pyarrow]", "double[pyarrow]", "bool[pyarrow]", "string[pyarrow]", "string[pyarrow]", "string[pyarrow]")
    ]
    assert frame["big"].tolist() == [str(2**70), "1"]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_no_rows_can_be_written(name, tmp_path):
    assert write_table(tmp_path / name, [], ["text"]) == 0
    assert (tmp_path / name).exists()


def test_writing_twice_gives_the_same_bytes(tmp_path, monkeypatch):
    for name, now in (("a.csv.gz", 1e9), ("b.csv.gz", 2e9)):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        write_table(tmp_path / name, [{"text": "x"}], ["text"])
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.gz", "a.parquet.gz", "a.txt"])
def test_unknown_endings_are_refused(name, tmp_path):
    with pytest.raises(InputError, match=r"End it in \.csv, \.tsv, \.jsonl"):
        write_table(tmp_path / name, [{"text": "x"}], ["text"])
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_stays_until_the_new_one_is_complete(tmp_path):
    path = put(tmp_path, "a.csv", b"old")

    def rows():
        yield {"text": "new"}
        assert path.read_bytes() == b"old"
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write_table(path, rows(), ["text"])
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]
    assert write_table(path, [{"text": "new"}], ["text"]) == 1
    assert path.read_bytes() == b"text\r\nnew\r\n"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_failing_disk_leaves_nothing_behind(code, tmp_path, monkeypatch):
    def fail(_descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    remedy = REMEDIES.get(code, "Check the path and the disk")
    with pytest.raises(InputError, match=rf"cannot be written: {os.strerror(code)}\. {remedy}"):
        write_table(tmp_path / "a.jsonl", [{"text": "x"}], ["text"])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_and_a_folder_as_target_are_refused(tmp_path):
    with pytest.raises(InputError, match="Check that the file and its folder exist"):
        write_table(tmp_path / "no" / "a.csv", [], ["text"])
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(InputError, match="Name one file in that folder"):
        write_table(tmp_path / "b.csv", [], ["text"])
    put(tmp_path, "file", b"")
    with pytest.raises(InputError, match="cannot be written"):
        write_table(tmp_path / "file" / "a.csv", [], ["text"])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="a superuser may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="folder of your own"):
        write_table(tmp_path / "a.csv", [], ["text"])
    tmp_path.chmod(0o700)


def test_the_hub_library_is_only_imported_when_needed():
    code = "import sys, red_core.data.tables; sys.exit('huggingface_hub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
