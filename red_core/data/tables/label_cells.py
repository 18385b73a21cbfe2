"""Structure in a label cell: lists, objects, fastText's marks, and several labels with a separator between them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from red_core.data.tables.cells import Cell
from red_core.records import NONE_NAMES

SEPARATORS = (",", ";", "|", "#", "\n", "::", "+", "&", "/", " and ", " und ", " et ", " y ")
"""What other programs write between several labels of one text."""
OBJECT, SPANS = "the label is an object and no name", "the labels mark parts of the text"
"""Why a cell has no label that can be used."""
FAST_TEXT = "__label__"
CHOSEN = 0.5
"""From this score on a text has the label."""
LONGEST = 20_000
"""Characters of a cell that is looked into."""
_NAME_KEYS = ("choices", "label", "labels", "name", "displayName", "value", "text", "title", "class", "category",
              "categories", "classname", "class_name", "tag", "intent", "topic")  # fmt: skip
"""Where an object that stands for a label has its name."""
_SCORE_KEYS = ("score", "confidence", "probability")
_CALL = re.compile(r"(?:array|Index|Series|frozenset|set|list|tuple)\((.*)\)", re.DOTALL)
"""A list as NumPy, pandas and Python print it."""
_DTYPE = re.compile(r"\s*dtype=[^()]*")
"""What NumPy and pandas print behind the last comma of a list."""
CELL_ERRORS = frozenset(
    (
        *("#NAME?", "#VALUE!", "#REF!", "#DIV/0!", "#N/A", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#FIELD!"),
        *("#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "#BUSY!", "#GETTING_DATA", "#PYTHON!", "#ERROR!"),
        *("#NV", "#WERT!", "#BEZUG!", "#ZAHL!", "#NOM?", "#VALEUR!", "#NOMBRE!", "#¿NOMBRE?", "#¡VALOR!", "#¡REF!"),
        *("#¡DIV/0!", "#¡NUM!", "#¡NULO!", "#NULO!", "#VALOR!", "#NOME?", "#VALORE!", "#RIF!", "#NAAM?", "#WAARDE!"),
    )
)
"""What spreadsheets show instead of a value, such as #NAME? for a text that begins with = or -; some in the words of
other languages, as a CSV file has them."""
MISSING = frozenset(
    ("nan", "<na>", "nat", "null", "\\n", "[null]", "[none]", *(error.casefold() for error in CELL_ERRORS))
)
"""What programs write for a missing value: no label."""
DOUBTFUL = frozenset(
    (
        *("none", "n/a", "na", "n.a.", "k.a.", "-", "--", "?", ".", "unknown", "unbekannt", "keine"),
        *("-1", "abstain", "unlabeled", "unlabelled", "tbd", "todo"),
    )
)
"""What people write for a missing value, or for a label that is called so."""
_ARRAY = re.compile(r"(?<=[\[\s,(])'((?:[^'\\]|\\.)*)'|(?<=[\[\s,(])\"((?:[^\"\\]|\\.)*)\"")
_TWO_STRINGS = re.compile(r"['\"]\s+['\"]")
"""Between the elements of an array as NumPy prints it."""

Names = tuple[str, ...]


def read_label(cell: Cell, *, lists: bool = False) -> tuple[Names, str]:
    """Return the names in a label cell, and the reason if it has structure without a name.

    An empty list has no names: the row has no label. A list of one is that name. Only quotes make a list:
    ``['a']`` is *a*, but ``[1]`` and ``set(a)`` are names.

    Parameters
    ----------
    lists : bool
        What :func:`are_lists` says about the column. If so, ``[1]`` is the name *1*.
    """
    text = (cell or "").strip()
    if not text or text.casefold() in MISSING:
        return (), ""
    value = _structure(text)
    if value is not None and (lists or _is_quoted(value)):
        return _names(value)
    if text.startswith(FAST_TEXT):
        return tuple(mark.removeprefix(FAST_TEXT) for mark in text.split() if mark != FAST_TEXT), ""
    return (text,), ""


def is_none(name: str) -> bool:
    """Return whether a name means that no label fits, in any case and with any spaces."""
    return " ".join(name.split()).casefold() in NONE_NAMES


def are_lists(cells: Iterable[Cell]) -> bool:
    """Return whether every filled cell of a label column is a list, so that ``[1]`` is one, too, and no name."""
    filled = {cell.strip() for cell in cells if cell and cell.strip() and cell.strip().casefold() not in MISSING}
    return bool(filled) and all(isinstance(_structure(cell), list | tuple | set) for cell in filled)


def unpacked(cells: Iterable[Cell], *, lists: bool) -> list[str]:
    """Return the cells of a label column that are read as the names in them, in the order of the file."""
    filled = [cell.strip() for cell in cells if cell and cell.strip()[-1:] in ("]", ")", "}")]
    inside = {cell: read_label(cell, lists=lists)[0] not in ((), (cell,)) for cell in set(filled)}
    return [cell for cell in filled if inside[cell]]


def _structure(text: str) -> list[Any] | tuple[Any, ...] | set[Any] | dict[Any, Any] | None:
    """Return the list or object that a cell holds, None if it holds none."""
    if text in ("set()", "frozenset()"):  # as Python prints empty ones
        return []
    if len(text) > LONGEST:
        return None
    if text[-1] == ")" and (call := _CALL.fullmatch(text)):
        inside, _, last = call[1].rpartition(",")
        text = (inside if _DTYPE.fullmatch(last) else call[1]).strip()
    if text[:1] not in ("[", "{", "(") or text[-1] not in "]})":
        return None
    value, is_structure = _parsed(text)
    return value if is_structure and isinstance(value, list | tuple | set | dict) else None


def _is_quoted(value: Any) -> bool:  # noqa: ANN401  JSON is anything
    """Return whether a list or an object is empty, or has a string in it, as other programs write names."""
    if isinstance(value, dict):
        return not value or any(map(_is_quoted, (*value, *value.values())))
    if isinstance(value, list | tuple | set):
        return not value or any(map(_is_quoted, value))
    return _is_name(value)


def _parsed(text: str) -> tuple[Any, bool]:
    """Return the value that a cell holds as JSON or as Python prints it, and whether it is one."""
    try:
        return json.loads(text), True
    except (ValueError, RecursionError):
        pass
    if _TWO_STRINGS.search(text):
        found = [one or other for one, other in _ARRAY.findall(text)]
        return found, bool(found)
    try:
        return ast.literal_eval(text), True
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None, False


def _names(value: Any) -> tuple[Names, str]:  # noqa: ANN401  JSON is anything
    if value is None or value == "":
        return (), ""
    if isinstance(value, dict):
        return _of_object(value)
    if isinstance(value, list | tuple | set):
        if value and all(isinstance(each, list | tuple) and not all(map(_is_name, each)) for each in value):
            return (), SPANS
        scored = [each for each in value if isinstance(each, dict) and _score(each) is not None]
        if len(scored) > 1 and len(scored) == len(value):  # as classifiers answer
            value = [each for each in scored if (_score(each) or 0) >= CHOSEN]
        names: list[str] = []
        for each in value:
            inner, problem = _names(each)
            if problem:
                return (), problem
            names += inner
        return tuple(dict.fromkeys(names)), ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return (str(value).strip(),), ""


def _is_name(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, str)


def _score(value: dict[Any, Any]) -> float | None:
    """Return the score between 0 and 1 that an object gives its label, None if it gives none."""
    score = next((value[key] for key in _SCORE_KEYS if key in value), None)
    if not isinstance(score, int | float) or isinstance(score, bool):
        return None
    return float(score) if 0 <= score <= 1 else None


def _of_object(value: dict[Any, Any]) -> tuple[Names, str]:
    """Return the name of an object that stands for a label, or the labels that an object gives scores."""
    if not value:
        return (), ""
    if {"start", "end"} <= value.keys() or {"start_offset", "end_offset"} <= value.keys():
        return (), SPANS
    for key in _NAME_KEYS:
        if isinstance(value.get(key), str | list):
            return _names(value[key])
    strings = [each for each in value.values() if isinstance(each, str) and each.strip()]
    if len(strings) == 1 and not any(isinstance(each, dict | list) for each in value.values()):
        return (strings[0].strip(),), ""  # a name beside numbers, under a key that nobody knows
    scores = list(value.values())
    if all(isinstance(score, bool | int | float) and 0 <= score <= 1 for score in scores):
        return tuple(str(name) for name, score in value.items() if score >= CHOSEN), ""
    return (), OBJECT


def combined(cells: Iterable[Cell], separators: Sequence[str] = SEPARATORS) -> dict[str, Names]:
    """Return the cells of a label column that hold several labels: each part is the label of other rows.

    *anger, joy* is two labels where other rows have *anger* and *joy*; *Billing, refunds* is one where none has
    *refunds*.
    """
    distinct = {cell.strip() for cell in cells if cell and cell.strip()}
    whole = {" ".join(cell.split()).casefold() for cell in distinct}
    found: dict[str, Names] = {}
    for cell in distinct:
        for separator in separators:
            if separator in cell:
                parts = tuple(dict.fromkeys(part.strip() for part in cell.split(separator) if part.strip()))
                if len(parts) > 1 and all(" ".join(part.split()).casefold() in whole for part in parts):
                    found[cell] = parts
                    break
    return found


def doubtful(cells: Iterable[Cell]) -> list[str]:
    """Return the labels of a column that may mean that there is none, in the order of the file."""
    found = dict.fromkeys(cell.strip() for cell in cells if cell and cell.strip().casefold() in DOUBTFUL)
    return list(found)


def joined(text: str) -> str:
    """Return a list of strings in a text cell as one text: sentences or tokens; other cells as they are."""
    if text[:1] != "[" or text[-1:] != "]" or text[1:2] not in "\"'":
        return text
    value, is_structure = _parsed(text)
    if not is_structure or not isinstance(value, list) or not value or not all(map(_is_name, value)):
        return text
    are_tokens = not any(" " in each.strip() for each in value)
    return (" " if are_tokens else "\n").join(value)


def is_object(cell: Cell) -> bool:
    """Return whether a cell holds an object, or a list of objects, as JSON: such a cell is never a text."""
    text = (cell or "").strip()
    if text[:1] not in ("{", "[") or text[-1:] not in ("}", "]") or not re.match(r'[\[\s]*\{\s*["}]', text):
        return False
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(each, dict) for each in value))
