"""Sign-ins that ended by signing out. Every tab of such a sign-in is out, and its cookie stays worthless.

The list is a file in the workspace, so that it outlives a restart of the server.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from red_core.errors import AccessError

FILE = ".ended-sign-ins"
LONGEST_HOURS = 720.0
"""The longest that a sign-in can last: older lines are dropped."""
_here: set[str] = set()  # ended by this process, also where the file cannot be written
_lock = Lock()


def ended_file() -> Path:
    """Return the path of the list, which need not exist."""
    return Path(os.environ.get("RED_WORKSPACE", "workspace")) / FILE


def has_ended(claims: Mapping[str, Any]) -> bool:
    """Return whether the sign-in with these claims ended by signing out.

    Raises
    ------
    AccessError
        If the list cannot be read.
    """
    name = _name_of(claims)
    return name in _here or name in _stored(*_state_of(ended_file()))


def end_sign_in(claims: Mapping[str, Any]) -> None:
    """End the sign-in with these claims: add it to the list. If the file cannot be written, it ends in this process."""
    name, path = _name_of(claims), ended_file()
    with _lock:
        _here.add(name)
        with suppress(OSError, AccessError):
            kept = {
                line: at for line, at in _stored(*_state_of(path)).items() if time.time() - at < LONGEST_HOURS * 3600
            }
            lines = [f"{at:.0f} {line}" for line, at in {**kept, name: time.time()}.items()]
            partial = path.with_name(f"{FILE}.partial")
            partial.write_text("\n".join(lines) + "\n", "ascii")
            partial.replace(path)


def _name_of(claims: Mapping[str, Any]) -> str:
    """Return a name of one sign-in: the provider issues another ``nonce`` or time for each."""
    of_sign_in = [claims.get(name) for name in ("iss", "sub", "email", "iat", "nonce")]
    return hashlib.sha256(json.dumps(of_sign_in, default=str).encode()).hexdigest()


def _state_of(path: Path) -> tuple[Path, int, int]:
    try:
        state = path.stat()
    except FileNotFoundError:
        return path, 0, 0
    except OSError as error:
        raise AccessError(f"{path} cannot be read ({error.strerror}). Check the file and its folder.") from None
    return path, state.st_mtime_ns, state.st_ino


@lru_cache(maxsize=4)
def _stored(path: Path, _changed: int, _number: int) -> dict[str, float]:
    """Return name -> when it ended, of each line of the file."""
    try:
        lines = path.read_text("ascii").splitlines() if path.exists() else []
        return {name: float(at) for at, name in (line.split() for line in lines)}
    except (OSError, ValueError):
        raise AccessError(
            f"{path} cannot be read. Delete it; everybody who signed out must then sign out again."
        ) from None
