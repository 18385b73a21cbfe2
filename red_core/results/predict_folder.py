"""Label a folder of Parquet files, in this process or on a cluster; called again, it continues where it stopped."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from fsspec.core import url_to_fs

from red_core.data.tables import Table, choose_columns
from red_core.data.tables.cells import as_text
from red_core.data.tables.reading import KINDS
from red_core.data.tables.source import ending
from red_core.errors import Cancelled, EmbeddingError, InputError, one_line
from red_core.records import Project, Report
from red_core.results.predict_shard import Shard, label_shard, read_mark, read_tables
from red_core.results.predictor import Predictor, make_predictor
from red_core.training.parts import Run, run_here

GUESS_ROWS = 1_000
"""Rows from which the text column is guessed."""
FOOTERS_AT_ONCE = 16
_PARQUET = re.compile(r"(?:[^._/][^/]*/)*[^._/][^/]*\.(?:parquet|pq)", re.IGNORECASE)  # no file or folder is hidden
_VERSIONS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "modified", "modify", "created")
"""Where file systems of fsspec say that a file was written again, the surest first."""
_UNFINISHED = re.compile(r"\.red-[0-9a-f]{32}\.tmp")


@dataclass(frozen=True)
class FolderReport:
    """The result of labelling a folder.

    Attributes
    ----------
    parts : int
        All files.
    done_before : int
        Files that had an output already.
    rows : int
        Rows of all outputs that exist now.
    failed : tuple of (str, str)
        Each file that was given up, and why.
    """

    parts: int
    done_before: int
    rows: int
    failed: tuple[tuple[str, str], ...]


def is_folder(source: str) -> bool:
    """Return whether a path is a folder of files: an existing one, or a URL that does not end like a table file."""
    return ending(source) not in KINDS if "://" in source else Path(source).is_dir()


def predict_folder(
    project: Project,
    source: str,
    target: str,
    *,
    text_column: str | None = None,
    report: Report = lambda _stage, _done, _total: None,
    run: Run = run_here,
) -> FolderReport:
    """Label every Parquet file of a folder with the last round's classifiers, into files of the same names elsewhere.

    Called again, it continues: a file is skipped if its output was made with the same classifiers, labels and text
    column, and if the file was not written again since. The other columns keep their types.

    Parameters
    ----------
    source, target : str
        Folders: paths, or URLs that fsspec knows (``s3://bucket/texts``). Files are ignored if their name, or a folder
        on their path, begins with a dot or an underscore.
    text_column : str, optional
        All files must have it; by default it is guessed from the first file with rows.
    run : callable, optional
        Where files are labelled, such as :func:`red_core.results.dask_cluster.on_cluster`; by default in this process.

    Raises
    ------
    StateError
        Before the first round.
    InputError
        If there are no files, or the target holds Parquet files that were made by another program, or with another
        model, label set or text column.
    EmbeddingError
        If the embedding model cannot be loaded where files are labelled.
    Cancelled
        At Ctrl-C; finished outputs stay.
    """
    return label_folder(make_predictor(project), source, target, text_column=text_column, report=report, run=run)


def label_folder(
    predictor: Predictor, source: str, target: str, *, text_column: str | None, report: Report, run: Run = run_here
) -> FolderReport:
    """Do what :func:`predict_folder` does, with a predictor instead of a project."""
    source, target = _with_protocol(source), _with_protocol(target)
    if f"{target}/".startswith(f"{source}/") or f"{source}/".startswith(f"{target}/"):
        raise InputError(target, "one of the two folders contains the other", "Write the labels into a separate folder")
    shards = _shards(source, target, text_column)
    finished = _finished(predictor, target, shards)
    remaining = [shard for shard in shards if shard.target not in finished]
    rows, failed, count = sum(finished.values()), [], len(finished)
    report("predict", count, len(shards))
    try:
        for shard, outcome in run(label_shard, predictor, remaining):
            if isinstance(outcome, EmbeddingError):  # every file would fail in the same way
                raise outcome
            if isinstance(outcome, BaseException):
                failed.append((shard.source, one_line(str(outcome) or type(outcome).__name__)))
            else:
                rows, count = rows + outcome, count + 1
            report("predict", count + len(failed), len(shards))
    except KeyboardInterrupt as stop:
        message = (
            f"cancelled: {count:,} of {len(shards):,} files are labelled and kept. Run the command again to continue."
        )
        raise Cancelled(message) from stop
    _remove_unfinished(target)
    return FolderReport(len(shards), len(finished), rows, tuple(failed))


def _with_protocol(path: str) -> str:
    """Return a folder as an absolute URL, so that it means the same on another machine."""
    try:
        filesystem, inner = url_to_fs(path if "://" in path else str(Path(path).resolve()))
    except (ValueError, ImportError) as error:  # no such protocol, or its package is missing
        raise InputError(path, str(error), "Check the address, or install the package it needs") from error
    return str(filesystem.unstrip_protocol(inner)).rstrip("/")


def _shards(source: str, target: str, text_column: str | None) -> list[Shard]:
    files = _parquet_files(source)
    if not files:
        raise InputError(source, "no Parquet files in this folder", "Give a folder of .parquet files")
    column = choose_columns(_head(source, files), text_column, need_label=False).text
    return [Shard(f"{source}/{name}", f"{target}/{name}", column, *state) for name, state in files.items()]


def _head(source: str, names: Iterable[str]) -> Table:
    """Return the first rows of the first file that has any."""
    for name in names:
        with suppress(InputError):  # it is reported when the file is labelled
            _, *first = islice(read_tables(f"{source}/{name}", GUESS_ROWS), 2)
            if first:
                cells = {key: [as_text(cell) for cell in first[0][key].to_pylist()] for key in first[0].column_names}
                rows = np.arange(1, len(first[0]) + 1)
                return Table(f"{source}/{name}", "", pd.DataFrame(cells, dtype=object), rows, ())
    raise InputError(source, "no file of this folder can be read and has rows", "Write them again")


def _parquet_files(folder: str) -> dict[str, tuple[int, str]]:
    """Return path below the folder -> bytes and version of each Parquet file that is not hidden, sorted by path."""
    filesystem, top = url_to_fs(folder)
    try:
        files = filesystem.find(top, detail=True)
    except FileNotFoundError:
        return {}
    below = {path.removeprefix(f"{top.rstrip('/')}/"): info for path, info in sorted(files.items())}
    return {
        name: (int(info["size"] or 0), next((str(info[key]) for key in _VERSIONS if info.get(key)), ""))
        for name, info in below.items()
        if _PARQUET.fullmatch(name)
    }


def _finished(predictor: Predictor, target: str, shards: Sequence[Shard]) -> dict[str, int]:
    """Return output -> rows of the files that are labelled already.

    Raises
    ------
    InputError
        If the target holds Parquet files that were made otherwise.
    """
    state_of, column = {shard.target: shard.state for shard in shards}, shards[0].text_column
    outputs = [f"{target}/{name}" for name in _parquet_files(target)]
    rows_of: dict[str, int] = {}
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
        for path, (mark, rows) in zip(outputs, pool.map(read_mark, outputs), strict=True):
            if not mark:
                rule = "this file exists, and `red predict` did not make it"
                raise InputError(path, rule, "Name another folder")
            if (mark.get("fingerprint"), mark.get("text")) != (predictor.fingerprint, column):
                rule = f"it was made from column {mark.get('text')!r} by {mark.get('origin')}"
                now = f"now it would be column {column!r} and {predictor.origin}"
                raise InputError(path, f"{rule}; {now}", "Name another folder, or delete this one")
            state = state_of.get(path, {"bytes": None})
            if all(mark.get(name, now) == now for name, now in state.items()):  # version 0.1 stored the size alone
                rows_of[path] = rows
    return rows_of


def _remove_unfinished(target: str) -> None:
    """Remove the unfinished outputs of workers that were lost."""
    filesystem, top = url_to_fs(target)
    for path in filesystem.find(top) if filesystem.exists(top) else ():
        if _UNFINISHED.fullmatch(posixpath.basename(path)):
            with suppress(FileNotFoundError):
                filesystem.rm_file(path)
