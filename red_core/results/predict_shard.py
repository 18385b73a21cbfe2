"""Label one Parquet file of a folder: a shard. Its output is complete or absent, and it is never labelled twice."""

from __future__ import annotations

import json
import os
import posixpath
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs

from red_core.data.tables.arrow_files import BROKEN_PARQUET
from red_core.errors import InputError
from red_core.results.predictor import TEXTS_AT_ONCE, Predictor, labelled

MARK = b"red_workbench"
"""Key of an output's Parquet metadata; its value says what the output was made from."""


@dataclass(frozen=True)
class Shard:
    """One Parquet file to label.

    Attributes
    ----------
    source, target : str
        The file and its output: paths with their protocol.
    text_column : str
    size : int
        Bytes of the file.
    version : str
        What changes when the file is written again: its ETag, or when it was written; '' if nobody says.
    """

    source: str
    target: str
    text_column: str
    size: int
    version: str = ""

    @property
    def state(self) -> dict[str, str]:
        """What the output stores of the file, to find later whether the file was written again."""
        return {"bytes": str(self.size), "version": self.version}


def label_shard(predictor: Predictor, shard: Shard) -> int:
    """Label one file and return its number of rows; if its output exists, nothing is done.

    Memory does not grow with the rows. The output is written under a hidden name and renamed when it is complete.

    Raises
    ------
    InputError
        If it is not a Parquet file, or lacks the text column.
    OSError
        If it cannot be read or written.
    """
    mark = {"fingerprint": predictor.fingerprint, "origin": predictor.origin, "text": shard.text_column}
    mark |= shard.state
    filesystem, path = url_to_fs(shard.target)
    if filesystem.exists(path):  # a worker wrote it, but was lost before it could report that
        stored_mark, rows = read_mark(shard.target)
        if stored_mark == mark:
            return rows
    folder = posixpath.dirname(path)
    filesystem.makedirs(folder, exist_ok=True)
    unfinished = f"{folder}/.red-{uuid.uuid4().hex}.tmp"
    try:
        with filesystem.open(unfinished, "wb") as out:
            rows = _write(out, predictor, shard, {MARK: json.dumps(mark).encode()})
        filesystem.mv(unfinished, path)
    finally:
        with suppress(FileNotFoundError):  # it was renamed
            filesystem.rm_file(unfinished)
    return rows


def _write(out: Any, predictor: Predictor, shard: Shard, metadata: dict[bytes, bytes]) -> int:  # noqa: ANN401
    tables = read_tables(shard.source, TEXTS_AT_ONCE)
    head = next(tables)
    if shard.text_column not in head.column_names:
        rule = f"it has no column {shard.text_column!r}"
        raise InputError(shard.source, rule, "All files of the folder need the same text column")
    schema = labelled(predictor, head, shard.text_column).schema.with_metadata(metadata)
    rows = 0
    with pq.ParquetWriter(out, schema) as writer:
        for table in tables:
            numbers = np.arange(rows + 1, rows + len(table) + 1)
            writer.write_table(labelled(predictor, table, shard.text_column, numbers).replace_schema_metadata(metadata))
            rows += len(table)
    out.flush()
    with suppress(AttributeError, OSError):  # a local file must be on disk before it is renamed; others cannot sync
        os.fsync(out.fileno())
    return rows


def read_tables(source: str, rows: int) -> Iterator[pa.Table]:
    """Yield a Parquet file's columns as a table without rows, then tables of at most ``rows`` rows.

    Raises
    ------
    InputError
        If it cannot be read as Parquet.
    """
    filesystem, path = url_to_fs(source)
    with filesystem.open(path, "rb") as raw:
        try:
            file = pq.ParquetFile(raw)
            yield file.schema_arrow.empty_table()
            for batch in file.iter_batches(batch_size=rows):
                yield pa.Table.from_batches([batch])
        except BROKEN_PARQUET as error:
            raise InputError(source, f"it cannot be read as Parquet ({str(error)[:120]})", "Write it again") from error


def read_mark(path: str) -> tuple[dict[str, str], int]:
    """Return what a Parquet file was made from, {} if this program did not write it, and its number of rows.

    Raises
    ------
    InputError
        If it is damaged.
    """
    filesystem, inner = url_to_fs(path)
    try:
        with filesystem.open(inner, "rb") as raw:
            metadata = pq.read_metadata(raw)
    except BROKEN_PARQUET as error:
        raise InputError(path, f"it is damaged ({str(error)[:120]})", "Delete it, and it is made again") from error
    return json.loads((metadata.metadata or {}).get(MARK, b"{}")), metadata.num_rows
