"""Folders of Parquet files, and an encoder that logs the texts it gets. Dask workers load this file too."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from red_core.training import embeddings, features
from tests.helpers.small_projects import LABELS, fake_encode

LOG, SECONDS = "RED_TEST_LOG", "RED_TEST_SECONDS"
EXPLODES = "explode"
COUNT, ROWS = 12, 8


def encode(model: str, texts: Sequence[str]) -> np.ndarray[Any, Any]:
    """Return what ``fake_encode`` returns, after a pause if one is set; log the first text, and fail on EXPLODES."""
    with Path(os.environ[LOG]).open("a", encoding="utf-8") as log:
        log.write(f"{os.getpid()} {texts[0]}\n")
    time.sleep(float(os.environ.get(SECONDS, "0")))
    if any(EXPLODES in text for text in texts):
        raise RuntimeError("the encoder exploded")
    return fake_encode(model, texts)


def seen(log: Path) -> list[str]:
    """Return the first text of every logged call."""
    return [line.partition(" ")[2] for line in log.read_text("utf-8").splitlines()] if log.is_file() else []


def first_text(part: int) -> str:
    """Return the first text of a part; no other part has it."""
    return f"{LABELS[0]} row 0 of part {part}"


def write_parts(folder: Path, count: int = COUNT) -> list[Path]:
    """Write parts of ROWS texts with a number and a list each, every other part in a subfolder; return the paths."""
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
    """Return relative path -> table of every Parquet file; fail if there are other files."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".parquet"}
    return {str(path.relative_to(folder)): pq.ParquetFile(path).read() for path in sorted(files)}


def dask_setup(_worker: object) -> None:
    """Use this encoder in a Dask worker; ``dask worker --preload`` calls a function of this name."""
    features.encode = embeddings.encode = encode
