"""An unpacked file that is read into a table, its errors, and helpers that reading shares with writing."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
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


@dataclass(frozen=True)
class Hints:
    """What a file of a known tool says about its columns; None where it says nothing.

    Attributes
    ----------
    text, label : str or None
        The columns with the text and the label.
    answer : str or None
        The column that says what the label of a row is worth; see ``answers.py``.
    """

    text: str | None = None
    label: str | None = None
    answer: str | None = None


NO_HINTS = Hints()


@dataclass
class Source:
    """An unpacked file that is being read into a table.

    Readers add to ``notes`` what they guessed. They set ``hints`` for the file of a known tool, ``sheets`` and
    ``header`` for a file whose sheet and header row a person may correct, and ``delimiter`` for a delimited file.
    """

    name: str
    data: bytes
    sheet: str | None = None
    header_row: int | None = None  # as the user wants it; 0 is no header
    progress: Callable[[int, int], None] | None = None
    encoding: str = "utf-8"
    notes: list[str] = field(default_factory=list)
    hints: Hints = field(default_factory=Hints)
    sheets: tuple[str, ...] = ()
    header: int | None = None  # as it was found; 0 is no header
    delimiter: str | None = None  # of a delimited file
    buffer: io.BytesIO = field(default_factory=io.BytesIO)
    reader: io.TextIOWrapper | None = None  # kept, because it closes the buffer when it is deleted

    @property
    def ending(self) -> str:
        """The ending of its name, in lower case."""
        return ending(self.name)

    def error(self, rule: str, remedy: str, row: int | None = None) -> InputError:
        """Return an InputError about this file, for the caller to raise."""
        return InputError(self.name, rule, remedy, row)

    def text(self, newline: str | None = "") -> io.TextIOWrapper:
        """Return the content as a text stream, from its beginning."""
        self.buffer = io.BytesIO(self.data)
        self.reader = io.TextIOWrapper(self.buffer, self.encoding, newline=newline)
        return self.reader

    def counted(self, records: Iterable[T]) -> Iterator[tuple[int, T]]:
        """Yield (number, record), report progress, and raise InputError above the row limit."""
        for number, record in enumerate(records, 1):
            if number > limits.MAX_ROWS + 1:  # one for the header
                raise self.error(f"more than {limits.MAX_ROWS:,} rows", "Split the file")
            if self.progress is not None and number % limits.EVERY == 0:
                self.progress(self.buffer.tell(), len(self.data))
            yield number, record

    def check_names(self, names: Sequence[str], row: int | None = None) -> None:
        """Raise InputError for too many columns and for duplicate names."""
        self.check_count(names, row)
        for position, name in enumerate(names, 1):
            if name in names[: position - 1]:
                raise self.error(f"two columns are named '{name[:60]}'", "Give every column its own name", row)

    def check_count(self, names: Sequence[str], row: int | None = None) -> None:
        """Raise InputError for too many columns."""
        if len(names) > limits.MAX_COLUMNS:
            raise self.error(f"more than {limits.MAX_COLUMNS} columns", "Keep the text, the label and a few more", row)

    def check_width(self, found: int, wanted: int, row: int) -> None:
        """Raise InputError if a row and the header have different numbers of fields."""
        if found != wanted:
            remedy = (
                "Quote fields that hold the delimiter; name all columns" if found > wanted else "Add what is missing"
            )
            plural = "field" if found == 1 else "fields"
            raise self.error(f"{found} {plural} where the header has {wanted}", remedy, row)


def ending(name: str) -> str:
    """Return the ending of a file name, in lower case, without .gz."""
    return name.lower().removesuffix(".gz").rpartition(".")[2]


def refuse_same(read: str | Path, written: str | Path) -> None:
    """Raise InputError if a file that is written is the one that is read, also through a link or another spelling."""
    try:
        same = Path(read).samefile(written)
    except (OSError, ValueError):  # one of them does not exist
        return
    if same:
        raise InputError(str(written), "this is the file that is read", "Write into another file")


def disk_error(name: str, doing: str, exc: OSError) -> InputError:
    """Return the InputError for a file that cannot be 'read' or 'written'."""
    remedy = REMEDIES.get(exc.errno or 0, "Check the path and the disk")
    return InputError(name, f"it cannot be {doing}: {exc.strerror or exc}", remedy)
