"""Which columns hold the text and the label, and which rows can be used."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import pandas as pd

from red_core.data.tables.cells import Cell
from red_core.data.tables.reading import Table
from red_core.errors import InputError
from red_core.text import LONGEST_LABEL, LONGEST_TEXT, normalise_text, storable

GUESS_ROWS = 20_000  # rows looked at to tell texts by what they hold

TEXT_NAMES = (
    *("text", "utterance", "sentence", "message", "body", "question", "description", "content", "query", "title"),
    *("comment", "review", "abstract", "summary", "headline", "subject", "prompt", "phrase", "document", "feedback"),
)
LABEL_NAMES = ("label", "intent", "category", "categories", "class", "classes", "topic", "tag", "target", "theme")
WORDY = r"\S\s+\S|[^\x00-\x7f]"  # several words, or a script that may not put spaces between them


@dataclass(frozen=True)
class Columns:
    """Which columns hold the text and the label, with a note for each guess."""

    text: str
    label: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A usable row; ``extra`` has the other columns that are not empty."""

    row: int
    text: str
    label: str | None
    extra: dict[str, str]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An unusable row: the reason, the beginning of its text, and its other columns."""

    row: int
    reason: str
    text: str
    extra: dict[str, str]


def choose_columns(table: Table, text: str | None = None, label: str | None = None, *, need_label: bool) -> Columns:
    """Return the text and the label column: as named, else by usual names, else by their content.

    Parameters
    ----------
    table : Table
    text, label : str, optional
        Names from the user; case and outer spaces do not matter.
    need_label : bool
        Whether a label column is required. If not, the label column is found by its name only: among unlabelled texts,
        a column such as *channel* would look like labels.

    Raises
    ------
    InputError
        If there is no such column, or it is unclear which one it is.
    """
    notes = []
    frame = table.frame.loc[:, table.frame.notna().any()]
    label = None if label is None else _find(table, label)
    if text is None:
        text, how = _guess(table, "text", frame[[name for name in frame.columns if name != label]])
        notes.append(f"text column: '{text}' (guessed from its {how})")
    else:
        text = _find(table, text)
    if text == label:
        raise InputError(table.name, f"'{text}' cannot be both the text and the label", "Name two columns")
    rest = frame[[name for name in frame.columns if name != text]]
    if label is None and (need_label or _by_name(rest, LABEL_NAMES)):
        label, how = _guess(table, "label", rest)
        notes.append(f"label column: '{label}' (guessed from its {how})")
    return Columns(text, label, tuple(notes))


def _guess(table: Table, what: str, frame: pd.DataFrame) -> tuple[str, str]:
    """Return the column with a known name, else the only one with likely content; and ``name`` or ``content``."""
    known, by_content = GUESSES[what]
    if (match := _by_name(frame, known)) is not None:
        return match, "name"
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


def _by_name(frame: pd.DataFrame, known: Sequence[str]) -> str | None:
    """Return the column with the first known name: as all of its name, else as its last word."""
    whole = [name.strip().casefold() for name in frame.columns]
    last = [re.split(r"[\W_]+", name)[-1] for name in whole]
    for spoken in (whole, last):
        for name in known:
            for column, word in zip(frame.columns, spoken, strict=True):
                if word in (name, name + "s"):
                    return str(column)
    return None


def _longest(frame: pd.DataFrame) -> list[str]:
    """Return the column with the longest values, mostly distinct and mostly of several words."""
    lengths: dict[str, float] = dict.fromkeys(frame.columns, 0) if len(frame.columns) == 1 else {}
    for name, column in frame.iloc[:: max(1, len(frame) // GUESS_ROWS)].items():
        values = column.dropna()
        if values.nunique() * 2 > len(values) and values.str.contains(WORDY).mean() * 2 > 1:
            lengths[str(name)] = values.str.len().mean()
    return sorted(lengths, key=lambda name: -lengths[name])[:1]


def _repeated(frame: pd.DataFrame) -> list[str]:
    """Return the columns of short values that occur at least twice on average; columns of numbers only if no other."""
    likely = []
    for name in frame.columns:
        values = frame[name].dropna()
        if 1 < values.nunique() <= len(values) / 2 and values.str.len().max() <= LONGEST_LABEL:
            likely.append(name)
    return [name for name in likely if not frame[name].dropna().str.fullmatch(r"[\d.,+-]+").all()] or likely


GUESSES = {"text": (TEXT_NAMES, _longest), "label": (LABEL_NAMES, _repeated)}


def usable_rows(table: Table, columns: Columns, *, longest: int = LONGEST_TEXT) -> tuple[list[Row], list[LeftOut]]:
    """Return the usable rows, with normalised texts and labels, and the unusable ones.

    Parameters
    ----------
    table : Table
    columns : Columns
    longest : int
        Most characters of a text.

    Returns
    -------
    tuple of list of Row, list of LeftOut
        Each in the order of the file. Every row of the file is in one of them.
    """
    usable, left_out = [], []
    frame = table.frame
    others = [name for name in frame.columns if name not in (columns.text, columns.label)]
    labels = frame[columns.label] if columns.label is not None else repeat(None, len(frame))
    extras = zip(*(frame[name] for name in others), strict=True) if others else repeat((), len(frame))
    for row, raw, raw_label, extra in zip(table.rows.tolist(), frame[columns.text], labels, extras, strict=True):
        (text, reason), label = usable_text(raw, longest=longest), _bounded(raw_label, LONGEST_LABEL)
        filled = {name: cell for name, cell in zip(others, extra, strict=True) if cell}
        if reason:
            left_out.append(LeftOut(row, reason, text, filled))
        elif len(label) > LONGEST_LABEL:
            reason = f"label too long: {len(label):,} characters, at most {LONGEST_LABEL}"
            left_out.append(LeftOut(row, reason, text[:200], filled))
        else:
            usable.append(Row(row, text, label or None, filled))
    return usable, left_out


def usable_text(raw: Cell, *, longest: int = LONGEST_TEXT) -> tuple[str, str]:
    """Return (normalised text, ''), or (beginning of the text, reason) if it cannot be used."""
    text = _bounded(raw, longest)
    if not text:
        return "", "empty text"
    if len(text) > longest:
        return text[:200], f"too long: {len(text):,} characters, at most {longest:,}"
    return text, ""


def _bounded(raw: Cell, longest: int) -> str:
    """Return the normalised text, or the text as it is if it is far too long: NFC may take quadratic time.

    NFC makes a text at most three times shorter, so a text of more than 3 * ``longest`` characters stays too long.
    """
    flat = " ".join((raw or "").split())
    return normalise_text(flat) if len(flat) <= 3 * longest else storable(flat)
