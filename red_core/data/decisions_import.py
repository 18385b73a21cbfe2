"""Restore decisions from a JSONL export, into the same project or another one with the same texts."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from red_core.data.tables import limits
from red_core.data.tables.source import disk_error, ending
from red_core.errors import InputError
from red_core.records import LONGEST_SECONDS, NAMES_LABEL, BatchKind, NewDecisionKind, Project
from red_core.store.restoring import MadeDecision, Restored, add_restored
from red_core.text import LONGEST_LABEL, LONGEST_TEXT, is_time

GZIP, BOM = b"\x1f\x8b", b"\xef\xbb\xbf"
LONGEST_NAME = 1_000
"""Most characters of a person's or a queue's name."""
REMEDY = "Give a JSONL export as it was downloaded"


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a NUL character")
    return text


def _moment(text: str) -> str:
    """Return a time with a time zone in the format of the store."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None and is_time(stored := moment.astimezone(UTC).isoformat(timespec="milliseconds")):
            return stored
    except (ValueError, OverflowError):
        pass
    raise ValueError("it is not a time with a time zone, such as 2026-01-31T12:00:00.000+00:00")


Name = Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(_storable)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class _Decision(_Strict):
    kind: NewDecisionKind
    label: Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL), AfterValidator(_storable)] | None
    who: Name
    at: Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(_moment)]
    reason: Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_storable)] = ""
    queue: Name = ""
    seconds: Annotated[float, Field(ge=0, le=LONGEST_SECONDS)] | None = None
    belief: Annotated[float, Field(ge=0, le=1)] | None = None
    undone: bool

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.label is None) == (self.kind in NAMES_LABEL):
            raise ValueError(f"to {self.kind} takes {'a' if self.kind in NAMES_LABEL else 'no'} label")
        if self.belief is not None and self.kind not in get_args(BatchKind):
            raise ValueError(f"only decisions of a batch have a belief, and a batch cannot {self.kind}")
        return self


class _Row(_Strict):
    text_id: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    decisions: list[_Decision]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.text_id is None and self.decisions:
            raise ValueError("it has decisions but no text")
        return self


def restore_decisions(project: Project, path: str | Path, who: str, *, name: str | None = None) -> Restored:
    """Add the decisions of a JSONL export that were not undone, for texts that the project has; return the counts.

    Each keeps its person, time, reason, queue, seconds and, for a batch, belief. Decisions that the project already has
    are not added again, so a file may be restored twice, also into its own project. A decision is left out if the
    project has a newer one about the text.

    Parameters
    ----------
    path : path
        A .jsonl or .jsonl.gz file of :func:`red_core.results.exports.export`.
    who : str
        The person who restores; stored with the file name.
    name : str, optional
        What the user calls the file, when ``path`` is a temporary copy.

    Raises
    ------
    InputError
        If the file cannot be read or is not such an export; then nothing is added.
    StateError
        If a job is running.
    """
    shown = name or str(path)
    by_text: dict[str, dict[str, MadeDecision]] = {}
    for row, line in _lines(path, shown):
        try:
            read = _Row.model_validate_json(line.decode())
        except UnicodeDecodeError:
            raise InputError(shown, "a character is not valid UTF-8", REMEDY, row) from None
        except ValidationError as error:
            raise InputError(shown, _rule(error), REMEDY, row) from None
        if read.text_id is not None and read.decisions:  # rows with equal texts have the same decisions
            by_text.setdefault(read.text_id, {}).update(
                (decision.act, decision) for decision in _standing(read.text_id, read.decisions)
            )
    decisions = {identity: list(decision.values()) for identity, decision in by_text.items() if decision}
    return add_restored(project, decisions, file=shown, who=who)


def _standing(text_id: str, decisions: list[_Decision]) -> Iterator[MadeDecision]:
    """Yield the decisions that were not undone, each with an id that is the same at every restore."""
    before = Counter[tuple[str, ...]]()
    for decision in decisions:
        key = (decision.kind, decision.label or "", decision.who, decision.at)
        turn = before[key]
        before[key] += 1
        if not decision.undone:
            named = "\0".join((text_id, *key, str(turn)))
            queue = decision.queue if decision.belief is None else "bulk"
            yield MadeDecision(
                decision.kind, decision.label, decision.who, decision.at, decision.reason, queue, decision.seconds,
                decision.belief, f"restored:{hashlib.sha256(named.encode()).hexdigest()}", turn,
            )  # fmt: skip


def _rule(error: ValidationError) -> str:
    """Return the first rule that a row breaks, with its position in the row."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = list(first["loc"])
    message = first["msg"].removeprefix("Value error, ").replace("at line 1 column", "at column")
    if len(place) > 1:
        place[:2] = [f"decision {int(place[1]) + 1}"]
    return ": ".join([*(str(part) for part in place), message])


def _lines(path: str | Path, name: str) -> Iterator[tuple[int, bytes]]:
    """Yield (line number, line) of a file, unpacked while it is read; empty lines are counted but not yielded."""
    if ending(name) != "jsonl":
        raise InputError(name, "it is not a JSONL file", "Give a file that ends in .jsonl or .jsonl.gz")
    if "\0" in str(path):
        raise InputError(name, "its path holds a NUL character", "Check the path")
    try:
        with Path(path).open("rb") as raw:
            zipped = raw.peek(2).startswith(GZIP)
            named_gzip = name.lower().endswith(".gz")
            if zipped and not named_gzip:
                raise InputError(name, "it is gzipped but its name does not say so", "Add .gz to its name")
            if named_gzip and not zipped:
                raise InputError(name, "its name ends in .gz but it is not gzipped", "Take .gz off its name")
            yield from _bounded(gzip.GzipFile(fileobj=raw) if zipped else raw, name)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(name, f"its gzip is damaged ({error})", "Download it again") from error
    except OSError as error:
        raise disk_error(name, "read", error) from error


def _bounded(stream: BinaryIO | gzip.GzipFile, name: str) -> Iterator[tuple[int, bytes]]:
    """Yield lines while the line and the file are within the limits, so that a zip bomb is stopped early."""
    size, empty = 0, True
    for row, line in enumerate(iter(lambda: stream.readline(limits.MAX_FIELD + 1), b""), 1):
        size += len(line)
        if len(line) > limits.MAX_FIELD:
            raise InputError(name, f"a line is longer than {limits.MAX_FIELD:,} bytes", REMEDY, row)
        if size > limits.MAX_BYTES or row > limits.MAX_ROWS:
            rule = f"more than {limits.MAX_BYTES:,} bytes or {limits.MAX_ROWS:,} rows, unpacked"
            raise InputError(name, rule, "Split the file, and restore its parts", row)
        if b"\0" in line:
            raise InputError(name, "a NUL byte: binary data, or UTF-16", REMEDY, row)
        if content := line.removeprefix(BOM if row == 1 else b"").strip():
            empty = False
            yield row, content
    if empty:
        raise InputError(name, "the file is empty", "Check that this is the right file")
