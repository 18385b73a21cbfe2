"""Rules for every text of a project: normal form, identity, longest length, unseen characters; and for its times."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a UTF-16 pair: neither UTF-8 nor the database can hold it."""

LONGEST_TEXT, LONGEST_LABEL = 20_000, 200
"""Most characters of a text, and of a label's name, after normalisation."""
LONGEST_MEANING = 4_000
"""Most characters of a label's meaning, after normalisation: as many as the prompt shows the judge.

Version 0.1.0 stored up to 1,200 characters as they were typed or written by a model. Normalisation (NFC) makes them at
most three times as long, so this limit refuses none of them.
"""

UNSEEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
    # Zero-width joiners are part of words and emoji between two characters outside ASCII. Elsewhere they only hide.
    "|(?<![^\u0000-\u007f])[\u200c\u200d]|[\u200c\u200d](?![^\u0000-\u007f])"
)
"""One character that a reader cannot see: control, zero-width, direction-changing or tag; not line breaks and tabs."""

UNSPACED = re.compile(
    "[\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecd\u1000-\u109f\u1780-\u17d3\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
"""One character of a script without spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""


def normalise_text(raw: str) -> str:
    """Return the text in NFC, with one space for every run of whitespace, and storable as UTF-8."""
    return " ".join(unicodedata.normalize("NFC", storable(raw)).split())


def listed(names: Sequence[str], most: int) -> str:
    """Return the first ``most`` names in one sentence, and how many more there are: ``a, b and 3 more``."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def folded(text: str) -> str:
    """Return the text in NFC and without case, to compare it: *Straße* and *STRASSE* are equal."""
    return unicodedata.normalize("NFC", text).casefold()


def text_id(text: str) -> str:
    """Return the SHA-256 of the normalised text in hexadecimal: equal texts have equal ids."""
    return id_of_normalised(normalise_text(text))


def id_of_normalised(text: str) -> str:
    """Return the id of a text that is normalised already."""
    return hashlib.sha256(text.encode()).hexdigest()


def storable(text: str) -> str:
    """Return the text with U+FFFD for every lone surrogate, so that UTF-8 and the database can hold it."""
    return str(text) if text.isascii() else LONE_SURROGATE.sub("\ufffd", text)


def is_time(stored: str) -> bool:
    """Return whether a text is a time (ISO 8601) with a time zone, in a year that every other time zone has, too."""
    try:
        moment = datetime.fromisoformat(stored)
    except ValueError:
        return False
    return moment.tzinfo is not None and 1 < moment.year < 9999
