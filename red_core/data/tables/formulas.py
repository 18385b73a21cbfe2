"""Texts that a spreadsheet would run: each gets an apostrophe in CSV and TSV, which can be taken off again."""

from __future__ import annotations

import re

_UNSEEN = r"\x00-\x20\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
_BLANK = rf"[\s'{_UNSEEN}]*"
"""Characters that a spreadsheet may drop before a formula: spaces, apostrophes, and those that nobody sees."""
FORMULA = re.compile(rf"{_BLANK}[=+\-@\t\r\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]")
"""A text that a spreadsheet may run as a formula, also with a full-width sign. With apostrophes before it, it gets one
too, so that exactly the added one can be removed on reading."""
# A spreadsheet that expects semicolons starts a new cell there, even between quotes. A smiley such as ;-) is none.
_RUNS = rf"(?={_BLANK}(?:[=@\uff1d\uff20\ufe66\ufe6b]|[+\-\uff0b\uff0d\ufe62\ufe63][\w(.\"'=@+-]))"
_INSIDE, _ADDED_INSIDE = re.compile(rf"(?<=[;\t\r\n]){_RUNS}"), re.compile(rf"(?<=[;\t\r\n])'{_RUNS}")


def guarded(text: str) -> str:
    """Return a text with an apostrophe before everything in it that a spreadsheet may run as a formula."""
    inside = _INSIDE.sub("'", text)
    return f"'{inside}" if FORMULA.match(text) else inside


def unguarded(text: str) -> str:
    """Return the text that :func:`guarded` was called on."""
    inside = _ADDED_INSIDE.sub("", text)
    return inside[1:] if inside.startswith("'") and FORMULA.match(inside[1:]) else inside
