"""Files that must be refused, with the expected words of each error message.

The name of a case says what is wrong with the file. ``limits`` lowers limits of red_core.data.tables for one case, so
that no test needs a gigabyte.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GOOD = b"text,label\nhello there,greet\nbye now,part\n"


@dataclass(frozen=True)
class Hostile:
    """A file and its expected error: the row (None: the whole file), and words of the rule and of the remedy."""

    file: str
    content: Callable[[], bytes] | bytes
    row: int | None
    rule: str
    remedy: str
    limits: dict[str, int] = field(default_factory=dict)

    def bytes(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content()


def excel(*rows: Sequence[object]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def parquet(**columns: Sequence[object]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({name: list(cells) for name, cells in columns.items()}), out)
    return out.getvalue()


def parquet_with_twins() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), out)
    return out.getvalue()


def parquet_with_broken_utf8() -> bytes:
    damaged = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]
    )
    out = io.BytesIO()
    pq.write_table(pa.table({"text": damaged}), out)
    return out.getvalue()


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("a.csv")
        member.size = len(GOOD)
        archive.addfile(member, io.BytesIO(GOOD))
    return out.getvalue()


def damaged(content: bytes, start: int, length: int) -> bytes:
    return content[:start] + b"\x55" * length + content[start + length :]


def damaged_in_the_middle(content: bytes) -> bytes:
    return damaged(content, len(content) // 4, len(content) // 2)


def noise() -> bytes:
    return np.random.default_rng(3).integers(128, 256, 3000, dtype=np.uint8).tobytes()


def nested(depth: int) -> bytes:
    return b'{"text": ' + b"[" * depth + b"]" * depth + b"}\n"


LINE = b'{"text": "a", "label": "b"}\n'
BOOK = [("text", "label"), ("hello", "greet")]

HOSTILE = {
    # Nothing in it
    "empty file": Hostile("a.csv", b"", None, "the file is empty", "right file"),
    "only blank lines": Hostile("a.csv", b"\n \r\n\n", None, "the file is empty", "right file"),
    "empty file, gzipped": Hostile("a.csv.gz", gzip.compress(b""), None, "the file is empty", "right file"),
    "header without rows": Hostile("a.csv", b"text,label\n", None, "no rows of data", "right file"),
    "empty JSON array": Hostile("a.json", b"[]", None, "no rows of data", "right file"),
    "JSON lines without a key": Hostile("a.jsonl", b"{}\n{}\n", None, "no rows of data", "right file"),
    "empty workbook": Hostile("a.xlsx", excel, None, "no rows of data", "right file"),
    "Parquet without rows": Hostile("a.parquet", lambda: parquet(text=[]), None, "no rows of data", "right file"),
    # Delimited text
    "two columns of one name": Hostile("a.csv", b"text,text\na,b\n", 1, "two columns are named 'text'", "its own name"),
    "too many fields": Hostile("a.csv", GOOD + b"a,b,c\n", 4, "3 fields where the header has 2", "Quote"),
    "too few fields": Hostile("a.csv", GOOD + b"a\n", 4, "1 field where the header has 2", "Add what is missing"),
    "too few fields in a semicolon file": Hostile("a.csv", b"text;label\na;b\nc;d\ne\n", 4, "1 field", "Add"),
    "too few fields after a blank line": Hostile("a.csv", GOOD + b"\na\n", 5, "1 field", "Add"),
    "too few fields after a field of three lines": Hostile(
        "a.csv", b'text,label\n"one\ntwo\nthree",b\nc\n', 3, "1 field where the header has 2", "Add"
    ),
    "too many fields with mixed line ends": Hostile("a.csv", b"t,l\r\na,b\nc,d\re,f,g\n", 4, "3 fields", "Quote"),
    "a quote that is never closed": Hostile(
        "a.csv", GOOD + b'"never,closed\nx,y\nz,w\n', 4, "a quote opens here and is never closed", "Close the quote"
    ),
    "a quote closed two rows too late": Hostile(
        "a.csv", GOOD + b'"late,b\nx,y\nc,"d"\n', 4, "text goes on after a closing quote", "Close the quote"
    ),
    "text after a closing quote": Hostile("a.csv", GOOD + b'"a" b,c\n', 4, "text goes on after", "write a quote twice"),
    "a field beyond the limit": Hostile(
        "a.csv", GOOD + b"x" * 3000 + b",b\n", 4, "a field is longer than", "Close", {"MAX_FIELD": 2000}
    ),
    "more rows than the limit": Hostile("a.csv", GOOD * 20, None, "more than 30 rows", "Split", {"MAX_ROWS": 30}),
    "more columns than the limit": Hostile(
        "a.csv", ",".join(f"c{i}" for i in range(201)).encode(), 1, "more than 200 columns", "Keep the text"
    ),
    # Characters
    "a NUL byte": Hostile("a.csv", GOOD + b"a\0b,c\n", 4, "a NUL byte", "Save it as UTF-8"),
    "a NUL byte in JSON lines": Hostile("a.jsonl", LINE + b'{"text": "a\0"}\n', 2, "a NUL byte", "Save it as UTF-8"),
    "UTF-16 without its mark, cut": Hostile(
        "a.csv", GOOD.decode().encode("utf-16-le")[:-1], 1, "a NUL byte", "Save it as UTF-8"
    ),
    "UTF-16 cut in the middle": Hostile(
        "a.csv", GOOD.decode().encode("utf-16")[:-1], 3, "a character is not valid UTF-16", "save as UTF-16"
    ),
    "one broken byte in UTF-8": Hostile(
        "a.csv",
        "text,label\ncafé crème,b\n".encode() + b"th\xe9,c\n",
        3,
        "not valid UTF-8",
        "Repair",
    ),
    "one broken byte after a field of two lines": Hostile(
        "a.csv", 'text,label\n"é\nüß",b\n'.encode() + b"th\xff,c\n", 3, "not valid UTF-8", "Repair it"
    ),
    "a broken byte after the UTF-8 mark": Hostile(
        "a.csv", b"\xef\xbb\xbf" + GOOD + b"\xff,c\n", 4, "not valid UTF-8", "save as UTF-8"
    ),
    "one broken byte in JSON lines": Hostile(
        "a.jsonl", LINE + '{"text": "éüß"}\n'.encode() + b'{"text": "\xff"}\n', 3, "not valid UTF-8", "Repair it"
    ),
    "rows in two encodings": Hostile(
        "a.csv",
        GOOD + "café,a\n".encode() + "café,b\nnaïve,a\ncrème,b\n".encode("cp1252"),
        4,
        "this row is UTF-8",
        "Save all",
    ),
    "bytes in no encoding": Hostile("a.csv", noise, None, "its encoding is unclear", "Save it as UTF-8"),
    # JSON
    "invalid JSON": Hostile("a.jsonl", LINE * 2 + b'{"text": "a",}\n', 3, "invalid JSON at column", "Repair it"),
    "invalid JSON after a blank line": Hostile("a.jsonl", LINE + b"\n{\n", 3, "invalid JSON", "one object"),
    "a JSON line that is a list": Hostile("a.jsonl", LINE + b'["a", "b"]\n', 2, "this is not a JSON object", "Write {"),
    "a JSON line that is a number": Hostile("a.jsonl", LINE + b"7\n", 2, "this is not a JSON object", "Write {"),
    "a key twice in one object": Hostile(
        "a.jsonl", LINE + b'{"text": "a", "text": "b"}\n', 2, "the key 'text' occurs twice", "Repair it"
    ),
    "JSON nested past the parser": Hostile("a.jsonl", LINE + nested(100_000), 2, "nested too deep", "one object"),
    "JSON nested past the writer": Hostile("a.jsonl", LINE + nested(700), 2, "nested too deep", "Flatten it"),
    "a broken JSON array": Hostile(
        "a.json", b'[{"text": "a"},\n{"text": }]', None, "at line 2, column 10", "Repair it"
    ),
    "a JSON array of texts": Hostile("a.json", b'[{"text": "a"}, "b"]', 2, "this is not a JSON object", "Write {"),
    "one JSON object over many lines": Hostile("a.json", b'{\n"rows": []\n}', 1, "not a JSON object", "Write"),
    "a JSON field beyond the limit": Hostile(
        "a.jsonl", LINE + b'{"text": "' + b"x" * 3000 + b'"}\n', 2, "a field is longer", "Shorten", {"MAX_FIELD": 2000}
    ),
    # Something else under this name
    "a workbook named .csv": Hostile("a.csv", lambda: excel(*BOOK), None, "holds an Excel workbook", "Rename it"),
    "Parquet named .csv": Hostile("a.csv", lambda: parquet(text=["a"]), None, "holds Parquet", "Rename it"),
    "Parquet named .xlsx": Hostile("a.xlsx", lambda: parquet(text=["a"]), None, "holds Parquet", "Rename it"),
    "JSON lines named .parquet": Hostile("a.parquet", LINE, None, "holds JSON", "Rename it"),
    "CSV named .xlsx": Hostile("a.xlsx", GOOD, None, "holds plain text", "Rename it"),
    "CSV named .parquet": Hostile("a.parquet", GOOD, None, "holds plain text", "Rename it"),
    "gzip named .csv": Hostile("a.csv", gzip.compress(GOOD), None, "gzipped but its name", "Add .gz"),
    "CSV named .gz": Hostile("a.csv.gz", GOOD, None, "it is not gzipped", "Take .gz off"),
    "a zip archive of a CSV": Hostile("a.zip", lambda: zipped(a=GOOD), None, "a zip archive, not a table", "Unpack it"),
    "an old workbook": Hostile("a.xls", b"\xd0\xcf\x11\xe0" + bytes(600), None, "old or password-protected", ".xlsx"),
    "a PDF": Hostile("a.csv", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", None, "this is a PDF", "Get the table as"),
    "a picture": Hostile("a.csv", b"\x89PNG\r\n\x1a\n\0\xe2\xe3", None, "this is a picture", "Get the table as"),
    "a web page": Hostile("a.csv", b"\n<!DOCTYPE html><html>404", None, "this is a web page", "Get the table as"),
    "a Git LFS pointer": Hostile(
        "a.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", None, "Git LFS pointer", "Get the table"
    ),
    # Archives
    "a bzip2 archive": Hostile("a.csv.bz2", bz2.compress(GOOD), None, "this is a bzip2 archive", "Unpack it"),
    "an xz archive": Hostile("a.csv.xz", lzma.compress(GOOD), None, "this is an xz archive", "Unpack it"),
    "a Zstandard archive": Hostile("a.csv.zst", b"\x28\xb5\x2f\xfd\4\0" + GOOD, None, "a Zstandard archive", "Unpack"),
    "a 7-Zip archive": Hostile("a.csv", b"7z\xbc\xaf\x27\x1c\0\4" + GOOD, None, "this is a 7-Zip archive", "Unpack it"),
    "a tar archive": Hostile("a.tar", tarred, None, "this is a tar archive", "Unpack it and import a file from it"),
    "a gzipped tar archive": Hostile(
        "a.tgz", lambda: gzip.compress(tarred()), None, "this is a tar archive", "Unpack it"
    ),
    "an old pickle": Hostile("a.csv", pickle.dumps(["a"], 2), None, "a Python pickle, which can run code", "as CSV"),
    "a new pickle": Hostile("a.csv", pickle.dumps(["a"], 5), None, "a Python pickle, which can run code", "as CSV"),
    "ORC data": Hostile("a.csv", b"ORC\n\1\2" + bytes(99) + b"\x08ORC\x17", None, "this is ORC data", "Get the table"),
    "a NumPy array": Hostile("a.csv", b"\x93NUMPY\1\0v\0{'descr'", None, "this is a NumPy array", "Get the table as"),
    "a WebAnno file": Hostile(
        "a.tsv",
        b"#FORMAT=WebAnno TSV 3.3\n\n#Text=Hi\n1-1\t0-2\tHi\t_\n",
        None,
        "a WebAnno file of INCEpTION",
        "as CSV",
    ),
    "a gzip file cut short": Hostile("a.csv.gz", gzip.compress(GOOD)[:-9], None, "its gzip is damaged", "again"),
    "a gzip file with damage": Hostile(
        "a.csv.gz", damaged(gzip.compress(GOOD), 15, 8), None, "its gzip is damaged", "again"
    ),
    "gzip in gzip": Hostile("a.csv.gz", gzip.compress(gzip.compress(GOOD)), None, "gzipped twice", "Unpack it once"),
    "a gzip bomb": Hostile(
        "a.csv.gz",
        lambda: gzip.compress(bytes(50_000_000)),
        None,
        "more than 1,000,000 bytes",
        "Split",
        {"MAX_BYTES": 10**6},
    ),
    # Workbooks and Parquet
    "a workbook bomb": Hostile(
        "a.xlsx",
        lambda: zipped(**{"xl/workbook.xml": bytes(50_000_000)}),
        None,
        "more than 1,000,000 bytes",
        "Split it",
        {"MAX_BYTES": 10**6},
    ),
    "a workbook cut short": Hostile("a.xlsx", lambda: excel(*BOOK)[:-200], None, "archive is damaged", "again"),
    "a workbook with damage": Hostile(
        "a.xlsx", lambda: damaged_in_the_middle(excel(*BOOK)), None, "is damaged", "again"
    ),
    "a workbook without sheets": Hostile(
        "a.xlsx", lambda: zipped(**{"xl/a": b"b"}), None, "is damaged", "Save it again"
    ),
    "a workbook with two columns of one name": Hostile(
        "a.xlsx", lambda: excel((), ("text", "text"), ("a", "b")), 2, "two columns are named", "its own name"
    ),
    "a workbook with too many rows": Hostile(
        "a.xlsx", lambda: excel(*BOOK * 20), None, "more than 30 rows", "Split the file", {"MAX_ROWS": 30}
    ),
    "Parquet cut short": Hostile("a.parquet", lambda: parquet(text=["a"])[:-9], None, "Parquet is damaged", "again"),
    "Parquet with two columns of one name": Hostile(
        "a.parquet", parquet_with_twins, None, "two columns are named 'text'", "its own name"
    ),
    "Parquet with broken UTF-8": Hostile("a.parquet", parquet_with_broken_utf8, None, "Parquet is damaged", "again"),
    "Parquet with too many rows": Hostile(
        "a.parquet", lambda: parquet(text=["a"] * 50_000), None, "more than 30 rows", "Split the file", {"MAX_ROWS": 30}
    ),
    "Parquet that unpacks to too much": Hostile(
        "a.parquet", lambda: parquet(text=["a" * 900] * 5000), None, "1,000,000 bytes", "Split", {"MAX_BYTES": 10**6}
    ),
}

VALID_FILES = {
    "a.csv": GOOD,
    "a.jsonl": LINE * 3,
    "a.json": b"[" + LINE.strip() + b"]",
    "a.parquet": parquet(text=["a", "b"] * 20, n=[1, 2] * 20),
    "a.xlsx": excel(("text", "n"), ("a", 1), ("b", 2.5)),
    "a.csv.gz": gzip.compress(GOOD),
}


@st.composite
def bent(draw) -> tuple[str, bytes]:
    """Return the name of a valid file, and its content with a few bytes changed, cut or repeated."""
    name = draw(st.sampled_from(sorted(VALID_FILES)))
    content = bytearray(VALID_FILES[name])
    for _ in range(draw(st.integers(1, 4))):
        where = draw(st.integers(0, len(content)))
        content[where : where + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return name, bytes(content)
