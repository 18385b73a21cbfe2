"""Cache a read of a project until something that it shows has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import streamlit as st

from red_core.records import Project
from red_core.store import views

IMPORTS, EDITS, MEANINGS = 0, 1, 2
ROUNDS = (-2, -1)
"""Positions in :func:`red_core.store.views.version`: imported files, label edits, edited meanings, rounds."""
Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")
Read = Callable[Concatenate[Project, Arguments], Value]


def cached_read(
    changes_with: Sequence[int] | None = None, *, entries: int = 20, shared: bool = False, spinner: str | bool = False
) -> Callable[[Read[Arguments, Value]], Read[Arguments, Value]]:
    """Return a decorator that caches a function of a project by folder, version and the other arguments.

    The version is read on every call. A function that raises is called again the next time.

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

        @wraps(read)
        def current(project: Project, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:
            version = views.version(project)
            if changes_with is not None:
                version = tuple(version[position] for position in changes_with)
            return stored((project.folder.as_posix(), version), project, *args, **kwargs)

        return current

    return decorate
