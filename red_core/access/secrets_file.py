"""The secrets file: .streamlit/secrets.toml beside the app, or the one RED_SECRETS names.

Its tables are ``[judge]`` (where the LLM judge is), ``[auth]`` (Streamlit's own: who signs people in) and ``[access]``
(who is let in). There is nothing outside a table: Streamlit would put that into the environment of every process.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import tomlkit


def secrets_path() -> Path:
    """Return where the secrets are kept; the file need not be there."""
    beside_app = Path(__file__).resolve().parents[2] / ".streamlit" / "secrets.toml"
    return Path(os.environ.get("RED_SECRETS", beside_app))


def read_table(name: str) -> dict[str, Any]:
    """Return a table of the secrets file, empty where there is none.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, is no TOML, or has something else of that name.
    """
    path = secrets_path()
    if not path.is_file():
        return {}
    table = tomlkit.parse(path.read_text("utf-8")).unwrap().get(name, {})
    if not isinstance(table, dict):
        raise ValueError(f"[{name}] is no table")  # noqa: TRY004  one kind of error for whatever the file holds
    return table


def keep_in_table(name: str, values: Mapping[str, Any]) -> Path:
    """Write values into a table, or take out those that are None; what else the file holds stays as it is.

    The file is replaced as a whole, so that who is let in is never half written; only its owner may read it.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read or written.
    """
    path = secrets_path()
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no file", str(path))  # a device would be replaced by one
    held = tomlkit.parse(path.read_text("utf-8")) if path.is_file() else tomlkit.document()
    table = held.setdefault(name, tomlkit.table())
    for key, value in values.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
    place = path.resolve()  # what a link leads to is replaced, not the link
    place.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", encoding="utf-8", dir=place.parent, prefix=".secrets-", delete=False) as file:
        try:  # made with mode 600
            file.write(tomlkit.dumps(held))
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(place)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise
    return path
