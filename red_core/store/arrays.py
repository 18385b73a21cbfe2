"""The files of a project beside its database: named arrays in .npz files, without pickle, and the vectors of a model.

A zip stores a CRC-32 of each array. Reading checks it before it looks at the array, so that no damage is overlooked.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from red_core.access import refuse_viewers
from red_core.errors import StoreError
from red_core.records import Project

Array = np.ndarray[Any, Any]
DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    OverflowError,
    SyntaxError,
    RuntimeError,
    UnicodeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)
"""The errors of numpy and zipfile for a damaged file."""
END, END_MARK = struct.Struct("<4s6xH10x"), b"PK\5\6"
"""The last bytes of a zip: its mark and the number of its members."""
LONGEST_HEADER = 10_000
"""Most bytes of an array's header, as numpy allows by default."""
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


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


def load_arrays(path: Path) -> dict[str, Array]:
    """Return the arrays of a file, after checking their checksums.

    Raises
    ------
    StoreError
        If the file is missing, damaged, or not one that :func:`save_arrays` wrote.
    """
    return dict(arrays_in(path))


def arrays_in(path: Path) -> Iterator[tuple[str, Array]]:
    """Yield the name and the content of each array of a file, one after the other; see :func:`load_arrays`."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            file.seek(-END.size, os.SEEK_END)
            if END.unpack(file.read()) != (END_MARK, len(archive.infolist())):  # zipfile does not check the number
                raise ValueError("its list of arrays is damaged")
            for entry in archive.infolist():
                if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
                    raise ValueError(f"{entry.filename!r} is compressed")  # no array of this program is
                yield entry.filename.removesuffix(".npy"), _array(archive.read(entry))  # read checks the CRC-32
    except DAMAGED as error:
        raise StoreError(f"{path} is missing or damaged. Run a round again, or restore a backup.") from error


def _array(content: bytes) -> Array:
    """Return the array of a .npy file, whose header may say no more than its bytes hold."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, in_columns, dtype = read_header(stream, max_header_size=LONGEST_HEADER)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise ValueError("the header does not fit the content")
    if not math.prod(shape) * dtype.itemsize:
        return np.zeros(shape, dtype)
    flat = np.frombuffer(content, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if in_columns else "C").copy()


def array_files(project: Project) -> list[Path]:
    """Return the paths of all array files of a project, sorted."""
    return sorted(path for folder in ("", "rounds/", "map/") for path in project.folder.glob(f"{folder}*.npz"))


def vector_file(project: Project, model: str) -> Path:
    """Return the path of a model's vectors; a hash is added if the model name is not a valid file name."""
    safe = _UNSAFE.sub("_", model)
    if safe != model:
        safe += "-" + hashlib.sha256(model.encode()).hexdigest()[:8]
    return project.folder / f"vectors-{safe}.f32"
