"""The file format of a backup: an uncompressed zip, so that no member can grow when it is unpacked.

Its ``manifest.json`` has the length and the SHA-256 of each member.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from red_core.errors import InputError, StoreError, one_line

Moved = Callable[[int], None]
"""moved(count): this many more bytes were copied."""

DATABASE = "project.db"
MEMBER = re.compile(rf"{re.escape(DATABASE)}|vectors-[\w.-]+\.f32|((rounds|map)/)?[A-Za-z0-9][\w.-]*\.npz", re.ASCII)
"""The allowed names of a project's files: only these two folders, no hidden files, no parent folders."""
_MANIFEST = "manifest.json"
_LONGEST_MANIFEST = 8 * 2**20
_UTF8_NAME = 0x800
_BLOCK = 2**20


class Member(BaseModel):
    """One file of a backup."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """The manifest of a backup; ``files`` has the names of the files in the project's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    program: str
    project: str
    at: str
    files: dict[str, Member]

    @property
    def bytes(self) -> int:
        """The length of all files together."""
        return sum(member.bytes for member in self.files.values())


def pack(archive: Path, project: str, files: Mapping[str, tuple[Path, int | None]], moved: Moved) -> Manifest:
    """Write an archive and return its manifest; only the owner may read the archive.

    Parameters
    ----------
    files : mapping of str to (Path, int or None)
        Name in the archive -> path and bytes to copy; None for the whole file, which another one may replace meanwhile.

    Raises
    ------
    StoreError
        If a file is shorter than its bytes to copy, or was removed.
    """
    archive.touch(mode=0o600)
    members = {}
    with archive.open("r+b") as raw:
        with zipfile.ZipFile(raw, "w") as zipped:
            for name, (path, known) in files.items():
                with _opened(path) as source:
                    length = os.fstat(source.fileno()).st_size if known is None else known
                    with zipped.open(_entry(name, length), "w") as target:
                        members[name] = Member(bytes=length, sha256=_copy(source, target, length, moved))
                    if source.tell() != length:
                        raise StoreError(f"{path} became shorter while it was read. Try again.")
            manifest = Manifest(
                program=version("red-workbench"),
                project=project,
                at=datetime.now(UTC).isoformat(timespec="seconds"),
                files=members,
            )
            zipped.writestr(_entry(_MANIFEST, 0), manifest.model_dump_json(indent=1))
        raw.flush()
        os.fsync(raw.fileno())
    return manifest


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError as error:  # vectors that the newest round does not use
        raise StoreError(f"{path} was removed meanwhile, because a round has finished. Try again.") from error


def _entry(name: str, length: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, datetime.now(UTC).timetuple()[:6])
    entry.external_attr = (stat.S_IFREG | 0o600) << 16
    entry.file_size = length  # so that zipfile uses the 64-bit header for long files
    return entry


def _copy(source: IO[bytes], target: IO[bytes], length: int, moved: Moved) -> str:
    """Copy ``length`` bytes, or as many as there are; return their SHA-256."""
    seen = hashlib.sha256()
    while length and (block := source.read(min(length, _BLOCK))):
        target.write(block)
        seen.update(block)
        length -= len(block)
        moved(len(block))
    return seen.hexdigest()


def read_manifest(file: str, zipped: zipfile.ZipFile, length: int) -> Manifest:
    """Return the manifest of a backup after a check that the archive has exactly its files, under allowed names.

    Raises
    ------
    InputError
        If the check fails. Errors of zipfile and pydantic are turned into InputError by :func:`whole`.
    """
    entries = {entry.filename: entry for entry in zipped.infolist()}
    if len({name.casefold() for name in entries}) != len(zipped.infolist()):
        raise refusal(file, "two of its members have the same name")
    for entry in entries.values():
        kind = stat.S_IFMT(entry.external_attr >> 16)
        plain = entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & ~_UTF8_NAME
        if not plain or entry.compress_size != entry.file_size or kind not in {0, stat.S_IFREG}:
            raise refusal(file, f"its member {entry.filename!r} is compressed, encrypted or not a plain file")
    if sum(entry.file_size for entry in entries.values()) > length:
        raise refusal(file, "its members are longer than the file")
    listed = entries.get(_MANIFEST)
    if listed is None or listed.file_size > _LONGEST_MANIFEST:
        raise refusal(file, f"it has no usable {_MANIFEST}")
    manifest = Manifest.model_validate_json(zipped.read(listed))
    if stray := sorted(name for name in manifest.files if not MEMBER.fullmatch(name)):
        raise refusal(file, f"it names {stray[0]!r}, which is not a file of a project")
    lengths = {name: member.bytes for name, member in manifest.files.items()}
    if DATABASE not in lengths or lengths | {_MANIFEST: listed.file_size} != {
        n: e.file_size for n, e in entries.items()
    }:
        raise refusal(file, "its members are not those its manifest names")
    return manifest


def unpack(file: str, zipped: zipfile.ZipFile, manifest: Manifest, folder: Path, moved: Moved) -> None:
    """Write every file of a backup into ``folder``, a new folder.

    Raises
    ------
    InputError
        If the SHA-256 of a file differs from the manifest.
    """
    for name, member in manifest.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipped.open(name) as source, path.open("xb") as target:
            digest = _copy(source, target, member.bytes, moved)
            target.flush()
            os.fsync(target.fileno())
        if digest != member.sha256:
            raise refusal(file, f"its member {name!r} is damaged: its SHA-256 differs from the manifest")


def refusal(file: str, rule: str) -> InputError:
    """Return the InputError for a backup that cannot be restored."""
    return InputError(file, rule, "Take another copy of the backup; nothing was restored")


@contextmanager
def whole(file: str) -> Iterator[None]:
    """Turn the errors of a damaged zip into InputError."""
    try:
        yield
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, struct.error) as error:
        raise refusal(file, f"it is not a complete backup ({one_line(str(error), 120)})") from error
