"""Connections that a server keeps open between operations: SQLite reads the whole schema whenever one is opened.

A command opens and closes its own. A server calls :func:`keep_connections` once. Who acts is asked at every operation,
and a connection is used again only for the same role and the same file: a replaced database is another file.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakSet

MOST = 8
"""Most idle connections; the one that was used least recently is closed first."""
Key = tuple[str, int, int, bool]
"""The path of the database, its device and inode, and whether the connection may write."""


class KeptConnection(sqlite3.Connection):
    """A connection that knows its cursors: an open one would keep an old snapshot of the database."""

    key: Key

    def __init__(self, *how: Any, **named: Any) -> None:  # noqa: ANN401  as sqlite3.Connection
        super().__init__(*how, **named)
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, *how: Any, **named: Any) -> Any:  # noqa: ANN401  as sqlite3.Connection
        """Return a new cursor."""
        made = super().cursor(*how, **named)
        self._cursors.add(made)
        return made

    def execute(self, *how: Any) -> Any:  # noqa: ANN401  as sqlite3.Connection
        """Execute a statement with a cursor that is known."""
        return self.cursor().execute(*how)

    def executemany(self, *how: Any) -> Any:  # noqa: ANN401  as sqlite3.Connection
        """Execute a statement for many values with a cursor that is known."""
        return self.cursor().executemany(*how)

    def end_reading(self) -> None:
        """Close every cursor."""
        for cursor in list(self._cursors):
            cursor.close()


_idle: list[KeptConnection] = []
_lock = Lock()
_keeps = False


def keep_connections(*, keep: bool = True) -> None:
    """Keep connections open from now on; with ``keep=False``, close those that are idle and keep none."""
    global _keeps  # noqa: PLW0603  one per process: a server or a command
    with _lock:
        _keeps = keep
        while not keep and _idle:
            _idle.pop().close()


def key_of(database: Path, *, may_write: bool) -> Key | None:
    """Return the key of a connection; None if none are kept, or there is no such file."""
    if not _keeps:
        return None
    with suppress(OSError):
        state = database.stat()
        return str(database), state.st_dev, state.st_ino, may_write
    return None


def take(key: Key) -> KeptConnection | None:
    """Return an idle connection, None if there is none; those to an earlier file under this path are closed."""
    with _lock:
        for kept in [kept for kept in _idle if kept.key[0] == key[0] and kept.key[1:3] != key[1:3]]:
            _idle.remove(kept)
            kept.close()
        for kept in reversed(_idle):
            if kept.key == key:
                _idle.remove(kept)
                return kept
    return None


def give_back(connection: sqlite3.Connection) -> None:
    """Keep a connection for the next operation, or close it."""
    if not isinstance(connection, KeptConnection) or not _keeps or connection.in_transaction:
        connection.close()
        return
    connection.end_reading()
    with _lock:
        _idle.append(connection)
        while len(_idle) > MOST:
            _idle.pop(0).close()
