"""Folders of Parquet parts, and an encoder for them that tells which texts it saw; workers load this file too."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from red_core.training import features
from tests.helpers.small_projects import LABELS, fake_encode

LOG, SECONDS = "RED_TEST_LOG", "RED_TEST_SECONDS"
EXPLODES = "explode"
COUNT, ROWS = 12, 8


def encode(model: str, texts: Sequence[str]) -> np.ndarray[Any, Any]:
    """Return what ``fake_encode`` does, slowly if asked; note the first text of each call, and fail at some."""
    with Path(os.environ[LOG]).open("a", encoding="utf-8") as log:
        log.write(f"{os.getpid()} {texts[0]}\n")
    time.sleep(float(os.environ.get(SECONDS, "0")))
    if any(EXPLODES in text for text in texts):
        raise RuntimeError("the encoder exploded")
    return fake_encode(model, texts)


def seen(log: Path) -> list[str]:
    """Return the first text of every call."""
    return [line.partition(" ")[2] for line in log.read_text("utf-8").splitlines()] if log.is_file() else []


def first_text(part: int) -> str:
    """Return the first text of a part, which no other part has."""
    return f"{LABELS[0]} row 0 of part {part}"


def write_parts(folder: Path, count: int = COUNT) -> list[Path]:
    """Write parts of ROWS texts each, every other one in a folder below, with a number and a list beside each text."""
    written = []
    for part in range(count):
        texts = [f"{LABELS[row % len(LABELS)]} row {row} of part {part}" for row in range(ROWS)]
        texts[ROWS - 1] = ""
        path = folder / ("below" if part % 2 else "") / f"part-{part:03}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        numbers = pa.array([1000 * part + row for row in range(ROWS)], pa.int32())
        table = {"body": texts, "label": ["theirs"] * ROWS, "number": numbers, "tags": [["a", "b"]] * ROWS}
        pq.write_table(pa.table(table), path)
        written.append(path)
    return written


def outputs(folder: Path) -> dict[str, pa.Table]:
    """Return path below the folder -> table of every Parquet file; there must be nothing else."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".parquet"}
    return {str(path.relative_to(folder)): pq.ParquetFile(path).read() for path in sorted(files)}


def dask_setup(_worker: object) -> None:
    """Give a Dask worker this encoder: the name is what ``dask worker --preload`` looks for."""
    features.encode = encode
