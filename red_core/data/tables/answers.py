"""A column that says what the label of a row is worth: accepted, rejected, to be left out, not confirmed."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from red_core.data.tables.cells import Cell
from red_core.data.tables.names import last_word

Worth = Literal["accept", "reject", "ignore", "pending", "disagreement", "unknown"]
"""*accept*: the label is right. *reject*: it is wrong. *ignore*: the row is not used. *pending*: nobody confirmed the
label, so the row has none. *disagreement*: annotators gave different labels. *unknown*: no word of this list."""

WORDS: dict[str, Worth] = {
    **dict.fromkeys(
        ("accept", "accepted", "approve", "approved", "validated", "confirmed", "correct", "gold"), "accept"
    ),
    **dict.fromkeys(("submitted", "completed", "edited", "done", "finished", "verified", "reviewed", "gold"), "accept"),
    **dict.fromkeys(("reject", "rejected", "incorrect", "wrong", "refused", "invalid", "declined", "denied"), "reject"),
    **dict.fromkeys(("ignore", "ignored", "skip", "skipped", "discard", "discarded", "cancelled"), "ignore"),
    **dict.fromkeys(("deleted", "duplicate", "unsure", "spam", "canceled"), "ignore"),
    **dict.fromkeys(("pending", "default", "draft", "unconfirmed", "unverified", "todo", "new"), "pending"),
    "disagreement": "disagreement",
}
TELLING = {"reject", "ignore", "accept", "disagreement"}
"""Of a column of words, some must mean one of these; *new* and *pending* alone are the states of tickets."""
VAGUE = {"new", "pending", "done", "completed", "finished", "submitted", "spam", "duplicate", "invalid", "default"}
"""Words that other columns use too: a column of only these says nothing about labels."""
NAMES = (
    *("answer", "status", "record_status", "label_status", "annotation_status", "review_status", "review", "decision"),
    *("verdict", "assignmentstatus", "approval", "outcome", "state", "quality", "validation", "judgement", "judgment"),
)
YES_NO = {
    **dict.fromkeys(("true", "yes", "1", "y", "ja", "wahr"), "accept"),
    **dict.fromkeys(("false", "no", "0", "n", "nein", "falsch"), "pending"),
}
CONFIRMED_NAMES = (
    *("is_confirmed", "confirmed", "is_approved", "approved", "is_verified", "verified", "is_valid", "is_gold"),
    *("accepted", "is_accepted", "reviewed", "is_reviewed", "bestätigt", "geprüft"),
)
SKIPPED_NAMES = ("was_cancelled", "skipped", "is_skipped", "ignored", "is_discarded", "discarded", "deleted")


def worth_of(cell: Cell, column: str) -> Worth | None:
    """Return what the cell of such a column says, None if it is empty and that says nothing.

    An empty cell of a column such as *verified* is a label that nobody has confirmed.
    """
    word = (cell or "").strip().casefold()
    name = last_word(column) if ":" in column else column.strip().casefold()
    if not word:
        return "pending" if name in CONFIRMED_NAMES else None
    if word in WORDS:
        return WORDS[word]
    yes = YES_NO.get(word)
    if yes is None:
        return "unknown"
    if name in SKIPPED_NAMES:
        return "ignore" if yes == "accept" else "accept"
    return "accept" if yes == "accept" else "pending"


def find_answers(frame: pd.DataFrame) -> str | None:
    """Return the column that says what labels are worth: by its name, if all its values are such words."""
    named = {last_word(str(name)): str(name) for name in frame.columns if ":" in str(name)}  # as Toloka writes them
    named |= {str(name).strip().casefold(): str(name) for name in frame.columns}
    for name in (*NAMES, *CONFIRMED_NAMES, *SKIPPED_NAMES):
        column = named.get(name)
        if column is None:
            continue
        words = {str(cell).strip().casefold() for cell in frame[column].dropna().unique()[:50]} - {""}
        if not words:
            continue
        if name in NAMES:
            means = {WORDS[word] for word in words if word in WORDS}
            if words <= WORDS.keys() and means & TELLING and not words <= VAGUE:
                return column
        elif words <= YES_NO.keys() | WORDS.keys():
            return column
    return None
