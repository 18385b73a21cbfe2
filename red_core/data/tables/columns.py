"""Which columns hold the text, the label, and what the label is worth."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from red_core.data.tables.answers import find_answers
from red_core.data.tables.label_cells import is_object
from red_core.data.tables.names import LABEL_NAMES, NEVER_LABELS, TEXT_NAMES, is_predicted, last_word
from red_core.data.tables.reading import Table
from red_core.errors import InputError
from red_core.text import LONGEST_LABEL

GUESS_ROWS = 20_000  # rows looked at to tell texts by what they hold
WORDY = r"\S\s+\S|[^\x00-\x7f]"  # several words, or a script that may not put spaces between them
NUMBER = r"\s*[\d.,+-]+\s*"
EMPTY = ("[]", "{}", "null", "''", '""')
NO_COLUMN = "none"
"""What a user names as the column of answers if no column is one."""


@dataclass(frozen=True)
class Columns:
    """Which columns hold the text, the label and its worth (see ``answers.py``), with a note for each guess."""

    text: str
    label: str | None
    notes: tuple[str, ...]
    answer: str | None = None


def choose_columns(
    table: Table, text: str | None = None, label: str | None = None, *, need_label: bool, answer: str | None = None
) -> Columns:
    """Return the columns: as named, else as a known tool has them, else by usual names, else by their content.

    Parameters
    ----------
    table : Table
    text, label, answer : str, optional
        Names from the user; case and outer spaces do not matter. ``answer`` may be ``none``.
    need_label : bool
        Whether a label column is required. If not, the label column is found by its name only: among unlabelled texts,
        a column such as *channel* would look like labels.

    Raises
    ------
    InputError
        If there is no such column, it is unclear which one it is, or the cells of the text column hold objects.
    """
    notes: list[str] = []
    frame = table.frame.loc[:, [_holds_something(table.frame[name]) for name in table.frame.columns]]
    label = None if label is None else _find(table, label)
    known_text, known_label = table.hints.text, table.hints.label
    if text is not None:
        found = _find(table, text)
    elif known_text is not None and known_text in frame.columns and known_text != label:
        found = known_text
    else:
        found, how = _guess(table, "text", frame[[name for name in frame.columns if name not in (label, known_label)]])
        notes.append(f"text column: '{found}' (guessed from its {how})")
    text = found
    if text == label:
        raise InputError(table.name, f"'{text}' cannot be both the text and the label", "Name two columns")
    _refuse_objects(table, text)
    rest = frame[[name for name in frame.columns if name != text]]
    if label is None and known_label in rest.columns:
        label = known_label
    elif label is None and need_label and not len(rest.columns):
        rule = f"only column '{text[:40]}' is filled, so there are no labels"
        raise InputError(table.name, rule, "Import it as unlabelled texts, or check what separates its columns")
    elif label is None and (need_label or _by_name(rest, LABEL_NAMES)):
        label, how = _guess(table, "label", rest)
        notes.append(f"label column: '{label}' (guessed from its {how})")
        if is_predicted(label):
            notes.append(f"column '{label}' seems to hold labels of a model: import the texts without them if so")
    worth = _answers(table, rest, label, answer)
    if worth is not None and worth != table.hints.answer:
        notes.append(f"column '{worth}' says whether each label is right: accepted, rejected, skipped or not confirmed")
    return Columns(text, label, tuple(notes), worth)


def _answers(table: Table, frame: pd.DataFrame, label: str | None, wanted: str | None) -> str | None:
    if wanted is not None:
        return None if wanted.strip().casefold() == NO_COLUMN else _find(table, wanted)
    if table.hints.answer in frame.columns:
        return table.hints.answer
    if label is None or table.hints.answer is not None:  # a known tool keeps its answers in that column only
        return None
    return find_answers(frame[[name for name in frame.columns if name != label]])


def _refuse_objects(table: Table, text: str) -> None:
    """Raise InputError if most cells of the text column hold objects: an object is never a text."""
    cells = table.frame[text].dropna()
    first = cells.iloc[:50]
    if len(first) and sum(map(is_object, first)) * 2 > len(first):
        rule = f"the cells of column '{text[:40]}' hold objects and no texts"
        raise InputError(table.name, rule, "Name the column or path with the texts with --text")


def _guess(table: Table, what: str, frame: pd.DataFrame) -> tuple[str, str]:
    """Return the column with a known name, else the only one with likely content; and ``name`` or ``content``."""
    known, by_content = GUESSES[what]
    matches = [name for name in _by_name(frame, known) if what == "text" or not is_predicted(name)]
    if matches:
        return PICKS[what](frame, matches), "name"
    likely = by_content(frame)
    if len(likely) == 1:
        return likely[0], "content"
    rule = f"it is unclear which column is the {what} ({_listed(likely or list(frame.columns))})"
    raise InputError(table.name, rule, f"Pass --{what} with the column's name")


def _listed(names: Sequence[str]) -> str:
    return "columns: " + ", ".join(name[:40] for name in names[:10]) + (", …" if names[10:] else "")


def _find(table: Table, wanted: str) -> str:
    """Return the column with this name, ignoring case and outer spaces."""
    names = list(table.frame.columns)
    folded = {name.strip().casefold(): name for name in reversed(names)}
    key = wanted.strip().casefold()
    if wanted in names or key in folded:
        return wanted if wanted in names else folded[key]
    close = difflib.get_close_matches(key, list(folded), n=1)
    remedy = f"Did you mean '{folded[close[0]][:40]}'?" if close else "Name one of these columns"
    raise InputError(table.name, f"no column '{wanted[:40]}' ({_listed(names)})", remedy)


def _by_name(frame: pd.DataFrame, known: Sequence[str]) -> list[str]:
    """Return the columns with known names, the likeliest first: as all of its name, else as its last word."""
    whole = [name.strip().casefold() for name in frame.columns]
    found: dict[str, None] = {}
    for spoken in (whole, [last_word(name) for name in whole]):
        for name in known:
            for column, word in zip(frame.columns, spoken, strict=True):
                if word in (name, name + "s"):
                    found[str(column)] = None
    return list(found)


def _distinct(frame: pd.DataFrame, matches: Sequence[str]) -> str:
    """Return the first column whose values mostly differ, as texts do; else the first one."""
    few = frame.iloc[:: max(1, len(frame) // GUESS_ROWS)]
    return next((name for name in matches if few[name].nunique() * 2 > few[name].notna().sum()), matches[0])


def _named_rather(frame: pd.DataFrame, matches: Sequence[str]) -> str:
    """Return the first column; if it has numbers, the column beside it that has a name for each of them."""
    first = next((name for name in matches if len(frame[name].dropna().unique()) > 1), matches[0])
    if not is_number(frame[first]):
        return first
    for name in matches:
        if name == first:
            continue
        pairs = frame[[first, name]].dropna().drop_duplicates()
        if len(pairs) > 1 and not is_number(pairs[name]) and pairs[first].is_unique and pairs[name].is_unique:
            return name
    return first


def is_number(column: pd.Series[str]) -> bool:
    """Return whether every filled cell of a column is a number."""
    return bool(column.dropna().str.fullmatch(NUMBER).all())


def _holds_something(column: pd.Series[str]) -> bool:
    """Return whether a column has a cell that is not empty and no empty list."""
    filled = column.dropna()
    return bool(len(filled)) and not (filled.iloc[0] in EMPTY and filled.isin(EMPTY).all())


def _longest(frame: pd.DataFrame) -> list[str]:
    """Return the column with the longest values, mostly distinct and mostly of several words."""
    lengths: dict[str, float] = dict.fromkeys(frame.columns, 0) if len(frame.columns) == 1 else {}
    for name, column in frame.iloc[:: max(1, len(frame) // GUESS_ROWS)].items():
        values = column.dropna()
        if not len(values) or sum(map(is_object, values.iloc[:20])) * 2 > len(values.iloc[:20]):
            continue
        if values.nunique() * 2 > len(values) and values.str.contains(WORDY).mean() * 2 > 1:
            lengths[str(name)] = values.str.len().mean()
    return sorted(lengths, key=lambda name: -lengths[name])[:1]


def _repeated(frame: pd.DataFrame) -> list[str]:
    """Return the columns of short values that occur at least twice on average; columns of numbers only if no other."""
    likely = []
    for name in frame.columns:
        values = frame[name].dropna()
        if name.strip().casefold() in NEVER_LABELS or last_word(name) in NEVER_LABELS:
            continue
        if 1 < values.nunique() <= len(values) / 2 and values.str.len().max() <= LONGEST_LABEL:
            likely.append(name)
    return [name for name in likely if not is_number(frame[name])] or likely


GUESSES = {"text": (TEXT_NAMES, _longest), "label": (LABEL_NAMES, _repeated)}
PICKS = {"text": _distinct, "label": _named_rather}
