"""A folder of Parquet files labelled part by part: each part's output is whole or not there, and none is made twice.

A part is one Parquet file. Here or on a cluster, :func:`label_part` is what runs.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs

from red_core.data.tables import Table, choose_columns
from red_core.data.tables.cells import as_text
from red_core.data.tables.formats import BROKEN_PARQUET
from red_core.data.tables.reading import KINDS
from red_core.data.tables.source import ending
from red_core.errors import Cancelled, EmbeddingError, InputError, RedError, one_line
from red_core.records import Project, Report
from red_core.results.predictor import TEXTS_AT_ONCE, Predictor, labelled, make_predictor

TRIES = 3
"""How often a part is tried before it is given up."""
MARK = b"red_workbench"
"""The key in an output's Parquet metadata under which stands what it was made of."""
GUESS_ROWS = 1_000
FOOTERS_AT_ONCE = 16
_PARQUET = re.compile(r"(?:[^._/][^/]*/)*[^._/][^/]*\.(?:parquet|pq)", re.IGNORECASE)  # nothing hidden on the way
_UNFINISHED = re.compile(r"\.red-[0-9a-f]{32}\.tmp")
_FAILURES = (RedError, OSError, pa.ArrowException, RuntimeError, MemoryError)


@dataclass(frozen=True)
class Shard:
    """One Parquet file: where it is, where its output goes (paths with their protocol), its text column and bytes."""

    source: str
    target: str
    text_column: str
    size: int


@dataclass(frozen=True)
class FolderReport:
    """What came of a folder.

    ``parts`` are all, ``done_before`` those that had their output already, ``rows`` those of all outputs that are there
    now, ``failed`` the file of each part that was given up and why.
    """

    parts: int
    done_before: int
    rows: int
    failed: tuple[tuple[str, str], ...]


Outcome = tuple[Shard, int | BaseException]
Run = Callable[[Predictor, Sequence[Shard]], Iterator[Outcome]]
"""Labels parts and yields each with its rows, or with the error of its last try, in any order."""


def is_folder(source: str) -> bool:
    """Tell whether a path names a folder of parts: one that is there, or a URL whose end does not look like a file."""
    return ending(source) not in KINDS if "://" in source else Path(source).is_dir()


def predict_folder(
    project: Project,
    source: str,
    target: str,
    *,
    text_column: str | None = None,
    report: Report = lambda _stage, _done, _total: None,
    run: Run | None = None,
) -> FolderReport:
    """Label every Parquet file of a folder with the last round's classifiers, into the same place of another folder.

    Called again it goes on: a part with an output of the same classifiers, labels, text column and bytes is not done
    again. The other columns keep their types.

    Parameters
    ----------
    source, target : str
        Folders: paths, or URLs that fsspec knows (``s3://bucket/texts``). Files whose names, or whose folders' names,
        begin with a dot or an underscore are no parts.
    text_column : str, optional
        Guessed from the first part unless given; all parts must have it.
    run : callable, optional
        Where parts are labelled: in this process, unless given; see :func:`red_core.results.cluster.on_cluster`.

    Raises
    ------
    StateError
        Before the first round.
    InputError
        If there are no parts, or the target holds Parquet files that others made: of another model, label set or text
        column, or of another program.
    EmbeddingError
        If the model cannot be loaded where parts are labelled.
    Cancelled
        At Ctrl-C; finished parts stay.
    """
    return label_folder(make_predictor(project), source, target, text_column=text_column, report=report, run=run)


def label_folder(
    predictor: Predictor, source: str, target: str, *, text_column: str | None, report: Report, run: Run | None = None
) -> FolderReport:
    """Do what :func:`predict_folder` does, with a predictor that is there already."""
    source, target = _whole(source), _whole(target)
    if f"{target}/".startswith(f"{source}/") or f"{source}/".startswith(f"{target}/"):
        raise InputError(target, "one of the two folders holds the other", "Put the labels into a folder of its own")
    parts = _parts(source, target, text_column)
    before = _standing(predictor, target, parts)
    todo = [part for part in parts if part.target not in before]
    rows, failed, done = sum(before.values()), [], len(before)
    report("predict", done, len(parts))
    try:
        for part, outcome in (run or run_here)(predictor, todo):
            if isinstance(outcome, EmbeddingError):  # every part would fail alike
                raise outcome
            if isinstance(outcome, BaseException):
                failed.append((part.source, one_line(str(outcome) or type(outcome).__name__)))
            else:
                rows, done = rows + outcome, done + 1
            report("predict", done + len(failed), len(parts))
    except KeyboardInterrupt as stop:
        told = f"cancelled: {done:,} of {len(parts):,} parts are labelled and stay. The same command goes on."
        raise Cancelled(told) from stop
    _sweep(target)
    return FolderReport(len(parts), len(before), rows, tuple(failed))


def run_here(predictor: Predictor, parts: Sequence[Shard]) -> Iterator[Outcome]:
    """Label parts in this process, one after the other."""
    for part in parts:
        outcome: int | BaseException = 0
        for _ in range(TRIES):
            try:
                outcome = label_part(predictor, part)
                break
            except _FAILURES as error:
                outcome = error
        yield part, outcome


def label_part(predictor: Predictor, part: Shard) -> int:
    """Label one part and return its rows; memory does not grow with them. If it is done, nothing is done.

    The output is written under a hidden name beside its own, and renamed when it is whole.

    Raises
    ------
    InputError
        If it is no Parquet file, or lacks the text column.
    OSError
        If it cannot be read or written.
    """
    mark = {"fingerprint": predictor.fingerprint, "origin": predictor.origin, "text": part.text_column}
    mark |= {"bytes": str(part.size)}
    there, path = url_to_fs(part.target)
    if there.exists(path):  # by a worker that was lost before it could say so
        made, rows = _footer(part.target)
        if made == mark:
            return rows
    folder = posixpath.dirname(path)
    there.makedirs(folder, exist_ok=True)
    unfinished = f"{folder}/.red-{uuid.uuid4().hex}.tmp"
    try:
        with there.open(unfinished, "wb") as out:
            rows = _write(out, predictor, part, {MARK: json.dumps(mark).encode()})
        there.mv(unfinished, path)
    finally:
        with suppress(FileNotFoundError):  # as it is when all went well
            there.rm_file(unfinished)
    return rows


def _write(out: Any, predictor: Predictor, part: Shard, metadata: dict[bytes, bytes]) -> int:  # noqa: ANN401
    tables = _tables(part.source, TEXTS_AT_ONCE)
    head = next(tables)
    if part.text_column not in head.column_names:
        raise InputError(part.source, f"it has no column {part.text_column!r}", "Every part needs the same text column")
    schema = labelled(predictor, head, part.text_column).schema.with_metadata(metadata)
    rows = 0
    with pq.ParquetWriter(out, schema) as writer:
        for table in tables:
            numbers = np.arange(rows + 1, rows + len(table) + 1)
            writer.write_table(labelled(predictor, table, part.text_column, numbers).replace_schema_metadata(metadata))
            rows += len(table)
    out.flush()
    with suppress(AttributeError, OSError):  # a file of this machine outlives a power cut once it has its name
        os.fsync(out.fileno())
    return rows


def _tables(source: str, rows: int) -> Iterator[pa.Table]:
    """Yield a part's columns as a table without rows, then its rows, some at a time."""
    filesystem, path = url_to_fs(source)
    with filesystem.open(path, "rb") as raw:
        try:
            file = pq.ParquetFile(raw)
            yield file.schema_arrow.empty_table()
            for batch in file.iter_batches(batch_size=rows):
                yield pa.Table.from_batches([batch])
        except BROKEN_PARQUET as error:
            raise InputError(source, f"it cannot be read as Parquet ({str(error)[:120]})", "Write it again") from error


def _whole(path: str) -> str:
    """Return a folder with its protocol, so that it means the same on another machine."""
    try:
        filesystem, inner = url_to_fs(path if "://" in path else str(Path(path).resolve()))
    except (ValueError, ImportError) as error:  # no such protocol, or its package is missing
        raise InputError(path, str(error), "Check the address, or install the package it needs") from error
    return str(filesystem.unstrip_protocol(inner)).rstrip("/")


def _parts(source: str, target: str, text_column: str | None) -> list[Shard]:
    found = _parquet_files(source)
    if not found:
        raise InputError(source, "no Parquet files in this folder", "Give a folder of .parquet files")
    column = choose_columns(_head(source, found), text_column, need_label=False).text
    return [Shard(f"{source}/{name}", f"{target}/{name}", column, size) for name, size in found.items()]


def _head(source: str, names: Iterable[str]) -> Table:
    """Return the first rows of the first part that has any."""
    for name in names:
        with suppress(InputError):  # it will be reported with the others
            _, *first = islice(_tables(f"{source}/{name}", GUESS_ROWS), 2)
            if first:
                cells = {key: [as_text(cell) for cell in first[0][key].to_pylist()] for key in first[0].column_names}
                rows = np.arange(1, len(first[0]) + 1)
                return Table(f"{source}/{name}", "", pd.DataFrame(cells, dtype=object), rows, ())
    raise InputError(source, "no part of this folder can be read and has rows", "Write them again")


def _parquet_files(folder: str) -> dict[str, int]:
    """Return path below the folder -> bytes of every Parquet file that is not hidden, by path."""
    filesystem, top = url_to_fs(folder)
    try:
        found = filesystem.find(top, detail=True)
    except FileNotFoundError:
        return {}
    named = {path.removeprefix(f"{top.rstrip('/')}/"): int(about["size"] or 0) for path, about in found.items()}
    return {name: size for name, size in sorted(named.items()) if _PARQUET.fullmatch(name)}


def _footer(path: str) -> tuple[dict[str, str], int]:
    """Return what a Parquet file says it was made of, {} where it says nothing of the kind, and its rows."""
    filesystem, inner = url_to_fs(path)
    try:
        with filesystem.open(inner, "rb") as raw:
            found = pq.read_metadata(raw)
    except BROKEN_PARQUET as error:
        raise InputError(path, f"it is damaged ({str(error)[:120]})", "Delete it, and it is made again") from error
    return json.loads((found.metadata or {}).get(MARK, b"{}")), found.num_rows


def _standing(predictor: Predictor, target: str, parts: Sequence[Shard]) -> dict[str, int]:
    """Return target -> rows of the parts that are done; refuse a folder that holds what others made."""
    size_of = {part.target: str(part.size) for part in parts}
    there = [f"{target}/{name}" for name in _parquet_files(target)]
    found: dict[str, int] = {}
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
        for path, (made, rows) in zip(there, pool.map(_footer, there), strict=True):
            if not made:
                raise InputError(path, "this file is there, and `red predict` did not make it", "Name another folder")
            if (made.get("fingerprint"), made.get("text")) != (predictor.fingerprint, parts[0].text_column):
                rule = f"it was made from column {made.get('text')!r} by {made.get('origin')}"
                now = f"now it would be column {parts[0].text_column!r} and {predictor.origin}"
                raise InputError(path, f"{rule}; {now}", "Name another folder, or delete this one")
            if made.get("bytes") == size_of.get(path):
                found[path] = rows
    return found


def _sweep(target: str) -> None:
    """Remove what workers that were lost left unfinished."""
    filesystem, top = url_to_fs(target)
    for path in filesystem.find(top) if filesystem.exists(top) else ():
        if _UNFINISHED.fullmatch(posixpath.basename(path)):
            with suppress(FileNotFoundError):
                filesystem.rm_file(path)
