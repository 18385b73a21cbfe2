"""The secrets file: the one that RED_SECRETS names, or .streamlit/secrets.toml beside the app of a clone, or at home.

Its tables are ``[judge]`` (the LLM judge's server), ``[auth]`` (the sign-in providers) and ``[access]``
(who may use the app). Nothing stands outside a table, because Streamlit copies top-level keys into the environment.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import tomlkit

_CLONE = Path(__file__).resolve().parents[2]
_DEFAULT = (_CLONE if (_CLONE / "pyproject.toml").is_file() else Path.home()) / ".streamlit" / "secrets.toml"
"""Found once, because every connection asks for it."""


def secrets_path() -> Path:
    """Return the path of the secrets file, which need not exist."""
    return Path(os.environ.get("RED_SECRETS", _DEFAULT))


def read_table(name: str) -> dict[str, Any]:
    """Return a table of the secrets file as a dict, empty if the file or the table does not exist.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, is not TOML, or that name is not a table.
    """
    path = secrets_path()
    if not path.is_file():
        return {}
    table = tomlkit.parse(path.read_text("utf-8")).unwrap().get(name, {})
    if not isinstance(table, dict):
        raise ValueError(f"[{name}] is not a table")  # noqa: TRY004  callers catch one type for a bad file
    return table


def keep_in_table(name: str, values: Mapping[str, Any]) -> Path:
    """Write values into a table, remove those that are None, and leave the rest of the file; return its path.

    The file is replaced in one step, so that it is never half written. Only its owner may read it.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read or written.
    """
    path = secrets_path()
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a file", str(path))  # replacing would destroy a device
    document = tomlkit.parse(path.read_text("utf-8")) if path.is_file() else tomlkit.document()
    table = document.setdefault(name, tomlkit.table())
    for key, value in values.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
    target = path.resolve()  # replace the file that a link points to, not the link
    target.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, prefix=".secrets-", delete=False) as file:
        try:  # NamedTemporaryFile creates it with mode 600
            file.write(tomlkit.dumps(document))
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(target)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise
    return path
