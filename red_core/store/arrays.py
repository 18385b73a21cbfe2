"""Named arrays in one .npz file, without pickle, written in one step."""

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
"""The errors of numpy and zipfile for a damaged file."""


def save_arrays(path: Path, **arrays: Any) -> None:  # noqa: ANN401  arrays of any type
    """Write arrays to ``path`` (.npz): first to a file beside it, which then replaces it.

    Raises
    ------
    StoreError
        If the file cannot be written; an earlier file is kept.
    AccessError
        If the current user is a viewer.
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
        If the file is missing or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except DAMAGED as error:
        raise StoreError(f"{path} is missing or damaged. Run a round again, or restore a backup.") from error


def array_files(project: Project) -> list[Path]:
    """Return the paths of all array files of a project, sorted."""
    return sorted(path for folder in ("", "rounds/", "map/") for path in project.folder.glob(f"{folder}*.npz"))
