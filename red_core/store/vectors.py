"""Vectors by (model, text): an append-only float32 file and an index in the database. Bytes first, then the index."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import numpy as np

from red_core.errors import StoreError
from red_core.records import Floats, Ints, Project
from red_core.store.database import connection, transaction

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


def vector_file(project: Project, model: str) -> Path:
    """Return the path of a model's vectors; a hash is added if the model name is not a valid file name."""
    safe = _UNSAFE.sub("_", model)
    if safe != model:
        safe += "-" + hashlib.sha256(model.encode()).hexdigest()[:8]
    return project.folder / f"vectors-{safe}.f32"


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
            "INSERT INTO vector (model, text, row) VALUES (?, ?, ?)",
            ((model, int(text), first + offset) for offset, text in enumerate(ids)),
        )


def load_vectors(project: Project, model: str, ids: Ints) -> Floats:
    """Return the vectors of these texts, shape (n, d), float32, in the same order.

    Raises
    ------
    KeyError
        If a text has no vector of this model.
    StoreError
        If the file is missing or too short.
    """
    with connection(project) as db:
        rows = db.execute("SELECT text, row FROM vector WHERE model = ? ORDER BY text", [model]).fetchall()
        known = db.execute("SELECT dimensions FROM vector_model WHERE model = ?", [model]).fetchone()
    dimensions = int(known[0]) if known else 0
    if not len(ids):
        return np.zeros((0, dimensions), dtype=np.float32)
    index = np.asarray(rows, dtype=np.int64).reshape(-1, 2)
    position = np.searchsorted(index[:, 0], ids)
    if not len(index) or (index[np.minimum(position, len(index) - 1), 0] != ids).any():
        raise KeyError(f"texts without a vector of {model}")
    stored = int(index[:, 1].max()) + 1  # a process that died before its commit may have left more bytes
    path = vector_file(project, model)
    if not path.is_file() or path.stat().st_size < stored * dimensions * 4:
        raise StoreError(f"{path} is missing or too short. Restore it from a backup.")
    whole = np.memmap(path, dtype="<f4", mode="r", shape=(stored, dimensions))
    return np.asarray(whole[index[position, 1]], dtype=np.float32)
