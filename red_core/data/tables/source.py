"""A file on its way to a table, and how to refuse it; also what reading shares with writing."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from red_core.data.tables import limits
from red_core.errors import InputError

REMEDIES = {
    errno.ENOENT: "Check that the file and its folder exist",
    errno.EACCES: "Ask for permission, or use a folder of your own",
    errno.EROFS: "Use a folder that can be written to",
    errno.EISDIR: "Name one file in that folder",
    errno.ENOSPC: "Free some disk space",
}

T = TypeVar("T")


@dataclass
class Source:
    """An unpacked file on its way to a table."""

    name: str
    data: bytes
    sheet: str | None = None
    progress: Callable[[int, int], None] | None = None
    encoding: str = "utf-8"
    notes: list[str] = field(default_factory=list)
    buffer: io.BytesIO = field(default_factory=io.BytesIO)
    reader: io.TextIOWrapper | None = None  # kept, as it closes the buffer when it goes

    @property
    def ending(self) -> str:
        """What its name says it is, in lower case."""
        return ending(self.name)

    def error(self, rule: str, remedy: str, row: int | None = None) -> InputError:
        """Return the refusal of this file, for the caller to raise."""
        return InputError(self.name, rule, remedy, row)

    def text(self, newline: str | None = "") -> io.TextIOWrapper:
        """Open the content as text, from its beginning."""
        self.buffer = io.BytesIO(self.data)
        self.reader = io.TextIOWrapper(self.buffer, self.encoding, newline=newline)
        return self.reader

    def counted(self, records: Iterable[T]) -> Iterator[tuple[int, T]]:
        """Yield each record with its number, report progress, and stop above the row limit."""
        for number, record in enumerate(records, 1):
            if number > limits.MAX_ROWS + 1:  # one for the header
                raise self.error(f"more than {limits.MAX_ROWS:,} rows", "Split the file")
            if self.progress is not None and number % limits.EVERY == 0:
                self.progress(self.buffer.tell(), len(self.data))
            yield number, record

    def check_names(self, names: Sequence[str], row: int | None = None) -> None:
        """Refuse columns that could not be told apart or asked for."""
        if len(names) > limits.MAX_COLUMNS:
            raise self.error(f"more than {limits.MAX_COLUMNS} columns", "Keep the text, the label and a few more", row)
        for position, name in enumerate(names, 1):
            if not name.strip():
                raise self.error(f"column {position} has no name", "Name every column in the header", row)
            if name in names[: position - 1]:
                raise self.error(f"two columns are named '{name[:60]}'", "Give every column its own name", row)

    def check_width(self, found: int, wanted: int, row: int) -> None:
        """Refuse a row that is not as wide as the header."""
        if found != wanted:
            remedy = (
                "Quote fields that hold the delimiter; name all columns" if found > wanted else "Add what is missing"
            )
            plural = "field" if found == 1 else "fields"
            raise self.error(f"{found} {plural} where the header has {wanted}", remedy, row)


def ending(name: str) -> str:
    """Return what follows the last dot of a name, in lower case and before any .gz."""
    return name.lower().removesuffix(".gz").rpartition(".")[2]


def disk_error(name: str, doing: str, exc: OSError) -> InputError:
    """Return the refusal of a file that cannot be 'read' or 'written', with what to do about it."""
    remedy = REMEDIES.get(exc.errno or 0, "Check the path and the disk")
    return InputError(name, f"it cannot be {doing}: {exc.strerror or exc}", remedy)
