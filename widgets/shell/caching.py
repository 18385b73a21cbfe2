"""Cache a read of a project until something that it shows has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from threading import Lock
from typing import Any, Concatenate, ParamSpec, TypeVar

import streamlit as st

from red_core.records import Project
from red_core.store import views

PROJECT, IMPORTS, EDITS, MEANINGS = 0, 1, 2, 3
ROUNDS = (-2, -1)
"""Positions in :func:`red_core.store.views.version`: the project's id, imported files, label edits, edited meanings,
rounds."""
Key = tuple[str, tuple[str | int, ...]]
"""The folder of a project, and the part of its version that a read depends on."""
Call = tuple[Key, tuple[Any, ...], dict[str, Any]]
Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")
Read = Callable[Concatenate[Project, Arguments], Value]


class _Calls:
    """The calls of one function that are cached: of each project those of the version that was read last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._of: dict[str, tuple[Key, dict[str, Call]]] = {}
        self._lock = Lock()

    def outdated_by(self, key: Key, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Call]:
        """Note a call, and return the noted ones of this project that belong to another version."""
        with self._lock:
            newest, noted = self._of.get(key[0], (key, {}))
            outdated = [] if newest == key else list(noted.values())
            noted = noted if newest == key else {}
            noted[repr((args, kwargs))] = (key, args, kwargs)
            while len(noted) > self._most:
                noted.pop(next(iter(noted)))
            self._of[key[0]] = (key, noted)
        return outdated


def cached_read(
    changes_with: Sequence[int] | None = None, *, entries: int = 20, shared: bool = False, spinner: str | bool = False
) -> Callable[[Read[Arguments, Value]], Read[Arguments, Value]]:
    """Return a decorator that caches a function of a project by folder, version and the other arguments.

    The version is read on every call. What was cached for an earlier version of the project is dropped when a newer one
    is read. A function that raises is called again the next time.

    Parameters
    ----------
    changes_with : sequence of int, optional
        The positions in the version that the result depends on. None: all of them.
    entries : int
        Results to keep, over all projects, versions and arguments. The oldest is dropped first.
    shared : bool
        All sessions get the same object, and nobody may change it. Otherwise every call returns a copy, which takes
        time for large results.
    spinner : str or bool
        What the page shows while the function runs.
    """
    cache: Any = st.cache_resource if shared else st.cache_data

    def decorate(read: Read[Arguments, Value]) -> Read[Arguments, Value]:
        def keyed(key: object, _project: Project, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:  # noqa: ARG001  Streamlit hashes the key, and nothing whose name begins with _
            return read(_project, *args, **kwargs)

        # Streamlit finds the results of a function by these two names.
        keyed.__module__, keyed.__qualname__ = read.__module__, read.__qualname__
        stored: Callable[..., Value] = cache(max_entries=entries, show_spinner=spinner)(keyed)
        calls = _Calls(entries)

        @wraps(read)
        def current(project: Project, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:
            version = views.version(project)
            if changes_with is not None:
                version = tuple(version[position] for position in (PROJECT, *changes_with))
            key = (project.folder.as_posix(), version)
            for old, old_args, old_kwargs in calls.outdated_by(key, args, kwargs):
                stored.clear(old, project, *old_args, **old_kwargs)  # type: ignore[attr-defined]
            return stored(key, project, *args, **kwargs)

        return current

    return decorate
