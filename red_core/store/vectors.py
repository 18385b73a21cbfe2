"""Vectors by (model, text): an append-only float32 file and an index in the database. Bytes first, then the index.

The index holds the CRC-32 of each vector, which is checked whenever the vector is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path

import numpy as np

from red_core.errors import StoreError
from red_core.records import Floats, Ints, Project
from red_core.store.arrays import vector_file
from red_core.store.checksums import crc_of, vector_blocks
from red_core.store.database import connection, transaction

NEIGHBOUR_LISTS = "nearest-"
"""How the names of stored lists of neighbours begin. Version 0.1 stored mean vectors instead, as "near-"."""


def without_vector(project: Project, model: str) -> Ints:
    """Return the row ids of texts that have no vector of this model yet, ascending."""
    with connection(project) as db:
        rows = db.execute(
            "SELECT id FROM text WHERE id NOT IN (SELECT text FROM vector WHERE model = ?) ORDER BY id", [model]
        ).fetchall()
    return np.asarray(rows, dtype=np.int64).reshape(-1)


def with_vector(project: Project, model: str) -> Ints:
    """Return the row ids of texts that have a vector of this model, ascending."""
    with connection(project) as db:
        rows = db.execute("SELECT text FROM vector WHERE model = ? ORDER BY text", [model]).fetchall()
    return np.asarray(rows, dtype=np.int64).reshape(-1)


def vector_models(project: Project) -> list[str]:
    """Return the names of all models that have vectors."""
    with connection(project) as db:
        return [str(name) for (name,) in db.execute("SELECT model FROM vector_model ORDER BY model")]


def vector_dimensions(project: Project) -> dict[str, int]:
    """Return model -> dimensions of each model that has vectors."""
    with connection(project) as db:
        return {str(model): int(d) for model, d in db.execute("SELECT model, dimensions FROM vector_model")}


def indexed_bytes(project: Project) -> dict[Path, int]:
    """Return path -> bytes of each vector file according to the index; bytes after them are ignored."""
    with connection(project) as db:
        rows = db.execute(
            "SELECT m.model, m.dimensions * (SELECT coalesce(max(v.row) + 1, 0) FROM vector v WHERE v.model = m.model) "
            "FROM vector_model m ORDER BY m.model"
        ).fetchall()
    return {vector_file(project, str(model)): int(numbers) * 4 for model, numbers in rows if numbers}


def append_vectors(project: Project, model: str, ids: Ints, vectors: Floats) -> None:
    """Store vectors of shape (n, d) for these texts; bytes that a crash left behind are overwritten."""
    with transaction(project) as db:
        db.execute("INSERT OR IGNORE INTO vector_model (model, dimensions) VALUES (?, ?)", [model, vectors.shape[1]])
        known = db.execute("SELECT dimensions FROM vector_model WHERE model = ?", [model]).fetchone()[0]
        if known != vectors.shape[1]:
            raise StoreError(f"vectors of {model} have {known} numbers; these have {vectors.shape[1]}. None is stored.")
        first = int(db.execute("SELECT coalesce(max(row) + 1, 0) FROM vector WHERE model = ?", [model]).fetchone()[0])
        path = vector_file(project, model)
        start = first * vectors.shape[1] * 4
        try:
            with path.open("r+b" if path.exists() else "w+b") as file:
                file.seek(start)
                file.write(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            if path.exists():
                os.truncate(path, start)  # on a full disk a partial write would take the space that the database needs
            raise
        db.conn.executemany(
            "INSERT INTO vector (model, text, row, crc) VALUES (?, ?, ?, ?)",
            (
                (model, int(text), row, crc)
                for row, (text, crc) in enumerate(zip(ids, crc_of(vectors), strict=True), first)
            ),
        )


def load_vectors(project: Project, model: str, ids: Ints) -> Floats:
    """Return the vectors of these texts, shape (n, d), float32, in the same order.

    Raises
    ------
    KeyError
        If a text has no vector of this model.
    StoreError
        If the file is missing or too short, or one of these vectors is damaged.
    """
    query = """
        SELECT v.row, v.crc FROM json_each(?) wanted LEFT JOIN vector v ON v.model = ? AND v.text = wanted.value
        ORDER BY wanted.key"""
    with connection(project) as db:
        index = db.execute(query, [json.dumps(np.asarray(ids).tolist()), model]).fetchall()
        known = db.execute("SELECT dimensions FROM vector_model WHERE model = ?", [model]).fetchone()
    dimensions = int(known[0]) if known else 0
    if not index:
        return np.zeros((0, dimensions), dtype=np.float32)
    if any(row is None for row, _ in index):
        raise KeyError(f"texts without a vector of {model}")
    rows = np.array([row for row, _ in index], dtype=np.int64)
    needed, path = int(rows.max()) + 1, vector_file(project, model)
    if not path.is_file() or path.stat().st_size < needed * dimensions * 4:
        raise StoreError(f"{path} is missing or too short. Restore the project from a backup.")
    whole = np.memmap(path, dtype="<f4", mode="r", shape=(needed, dimensions))
    vectors = np.asarray(whole[rows], dtype=np.float32)
    if crc_of(vectors) != [crc for _, crc in index]:
        raise StoreError(f"{path} is damaged: its content has changed on the disk. Restore the project from a backup.")
    return vectors


def forget_vectors(project: Project, models: Collection[str]) -> None:
    """Remove the vectors of these models, and every vector file without an index: a kill may have left one behind.

    The index first: a file without an index is never read, and an index without its file would be damage.
    """
    with transaction(project) as db:
        for model in models:
            db.execute("DELETE FROM vector WHERE model = ?", [model])
            db.execute("DELETE FROM vector_model WHERE model = ?", [model])
    with transaction(project) as db:  # nobody can add a file meanwhile
        indexed = {vector_file(project, str(name)) for (name,) in db.execute("SELECT model FROM vector_model")}
        for path in project.folder.glob("vectors-*.f32"):
            if path not in indexed:
                path.unlink()


def damaged_vectors(project: Project) -> dict[str, int]:
    """Return file name -> number of vectors that are missing or damaged, of each model that has any; reads all."""
    with connection(project) as db:
        known = db.execute("SELECT model, dimensions FROM vector_model ORDER BY model").fetchall()
        index = {
            str(model): dict(db.execute("SELECT row, crc FROM vector WHERE model = ?", [model])) for model, _ in known
        }
    damaged = {}
    for model, dimensions in known:
        path, wanted = vector_file(project, str(model)), index[str(model)]
        right = sum(
            row in wanted and wanted[row] == crc
            for first, block in vector_blocks(path, int(dimensions))
            for row, crc in enumerate(crc_of(block), first)
        )
        if right != len(wanted):
            damaged[path.name] = len(wanted) - right
    return damaged
