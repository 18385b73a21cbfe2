"""Work that falls into parts: in this process here, on the workers of a cluster in ``results/dask_cluster.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from red_core.errors import EmbeddingError, RedError

Shared = TypeVar("Shared")
Part = TypeVar("Part")
Result = TypeVar("Result")
TRIES = 3
"""Attempts on a part before it is given up."""
_FAILURES = (RedError, OSError, RuntimeError, ValueError, MemoryError)  # an error of pyarrow is one of these


Work = Callable[[Shared, Part], Result]
"""Does one part with what all parts share: a function that another process can import."""


class Run(Protocol):
    """Does all parts and yields each with its result, or with the error of its last attempt, in any order."""

    def __call__(
        self, work: Work[Shared, Part, Result], shared: Shared, parts: Iterable[Part], /
    ) -> Iterator[tuple[Part, Result | BaseException]]:
        """Yield the parts as they are done."""


def run_here(
    work: Work[Shared, Part, Result], shared: Shared, parts: Iterable[Part]
) -> Iterator[tuple[Part, Result | BaseException]]:
    """Do the parts in this process, one after the other; see :class:`Run`."""
    for part in parts:
        yield part, _tried(work, shared, part)


def _tried(work: Work[Shared, Part, Result], shared: Shared, part: Part) -> Result | BaseException:
    for attempt in range(1, TRIES + 1):
        try:
            return work(shared, part)
        except EmbeddingError as error:  # every part would fail in the same way
            return error
        except _FAILURES as error:
            if attempt == TRIES:
                return error
    raise AssertionError  # not reached: TRIES is at least 1
