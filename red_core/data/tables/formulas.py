"""Texts that a spreadsheet would run: each gets an apostrophe in CSV and TSV, which can be taken off again."""

from __future__ import annotations

import re

_UNSEEN = r"\x00-\x20\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
_BLANK = rf"[\s'{_UNSEEN}]*"
"""Characters that a spreadsheet may drop before a formula: spaces, apostrophes, and those that nobody sees."""
FORMULA = re.compile(rf"{_BLANK}[=+\-@\t\r\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]")
"""A text that a spreadsheet may run as a formula, also with a full-width sign. With apostrophes before it, it gets one
too, so that exactly the added one can be removed on reading."""
# A spreadsheet that expects another delimiter starts a new cell there, even between quotes, and takes off the quotes
# around it. A smiley such as ;-) is no formula.
_IN_CELL = rf"(?:(?![\t\r\n])[\"\s'{_UNSEEN}])*"  # a line break or a tab begins the next cell
_RUNS = rf"(?={_IN_CELL}(?:[=@\uff1d\uff20\ufe66\ufe6b]|[+\-\uff0b\uff0d\ufe62\ufe63][\w(.\"'=@+-]))"
# Commas in a file of commas are always between quotes, so only another file is cut there.
_IN_COMMAS = re.compile(rf"(?<=[;\t\r\n]){_RUNS}"), re.compile(rf"(?<=[;\t\r\n])'{_RUNS}")
_IN_OTHERS = re.compile(rf"(?<=[,;\t\r\n]){_RUNS}"), re.compile(rf"(?<=[,;\t\r\n])'{_RUNS}")
"""Where an apostrophe is added, and where it was."""


def guarded(text: str, delimiter: str = ",") -> str:
    """Return a text with an apostrophe before everything in it that a spreadsheet may run as a formula.

    Parameters
    ----------
    delimiter : str
        Of the file that the text is written into.
    """
    inside = (_IN_COMMAS if delimiter == "," else _IN_OTHERS)[0].sub("'", text)
    return f"'{inside}" if FORMULA.match(text) else inside


def unguarded(text: str, delimiter: str = ",") -> str:
    """Return the text that :func:`guarded` was called on."""
    inside = (_IN_COMMAS if delimiter == "," else _IN_OTHERS)[1].sub("", text)
    return inside[1:] if inside.startswith("'") and FORMULA.match(inside[1:]) else inside
