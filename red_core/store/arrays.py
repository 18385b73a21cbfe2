"""Named arrays in one file, without pickle, and never half written."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from red_core.access import refuse_viewers
from red_core.errors import StoreError
from red_core.records import Project

DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    NotImplementedError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)
"""What numpy and zipfile raise where a file is not what save_arrays wrote."""


def save_arrays(path: Path, **arrays: Any) -> None:  # noqa: ANN401  arrays of any type
    """Write arrays to ``path`` (.npz) beside it first, then in its place.

    Raises
    ------
    StoreError
        If it cannot be written; an earlier file stays.
    AccessError
        If a viewer would.
    """
    refuse_viewers()
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise StoreError(f"{path} cannot be written ({error.strerror}). Check its folder and space.") from error


def load_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a file.

    Raises
    ------
    StoreError
        If it is missing or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    except DAMAGED as error:
        raise StoreError(f"{path} is missing or damaged. Run a round again, or restore a backup.") from error


def array_files(project: Project) -> list[Path]:
    """Return all files of arrays a project has, sorted."""
    return sorted(path for place in ("", "rounds/", "map/") for path in project.folder.glob(f"{place}*.npz"))
