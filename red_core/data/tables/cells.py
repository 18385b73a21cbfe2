"""Cells of tables as text, None for an empty cell."""

from __future__ import annotations

import datetime as dt
import json
import math

import numpy as np
import pandas as pd

from red_core.text import storable

Cell = str | None


class JsonNumber(str):
    """A JSON number as it was written: 1e5 and 5.10 stay as they are."""

    __slots__ = ()


def as_text(value: object) -> Cell:
    """Return a cell as text: 3.0 is "3", True is "true", a nested value is compact JSON; None for bytes of no text."""
    if isinstance(value, str):
        return storable(value)
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool | np.bool_ | dict | list | tuple):
        return as_json(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")  # in Excel, a day is its midnight
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return _decoded(value) if isinstance(value, bytes) else str(value)


def _decoded(value: bytes) -> Cell:
    try:
        return value.decode()
    except UnicodeDecodeError:  # such as a picture
        return None


_encode = json.JSONEncoder(ensure_ascii=False).encode


def as_json(value: object) -> str:
    """Return any value as compact JSON, storable as UTF-8; NaN and infinity become null."""
    if type(value) is str:  # the most common case; a JsonNumber is a str as well
        return _encode(storable(value))
    if isinstance(value, dict):
        return "{" + ",".join(f"{as_json(str(key))}:{as_json(cell)}" for key, cell in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(as_json, value)) + "]"
    if isinstance(value, JsonNumber):
        return str(value)
    if isinstance(value, bytes):
        return as_json(_decoded(value))
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return "null"  # JSON has no NaN and no infinity
    return json.dumps(storable(value) if isinstance(value, str) else value, ensure_ascii=False, default=str)
