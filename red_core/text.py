"""Characters that cannot be seen but can mislead a reader or a model."""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONE_SURROGATE = re.compile("[\ud800-\udfff]")


LONGEST_TEXT, LONGEST_LABEL = 20_000, 200  # characters


UNSEEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
    # Joiners between signs outside ASCII spell words and emoji in many scripts; anywhere else they only hide.
    "|(?<![^\u0000-\u007f])[\u200c\u200d]|[\u200c\u200d](?![^\u0000-\u007f])"
)
"""One control, zero-width, direction-changing or tag character; line breaks and tabs are seen."""


def normalise_text(raw: str) -> str:
    """Return the text in NFC, with every run of whitespace one space, and storable as UTF-8."""
    return " ".join(unicodedata.normalize("NFC", storable(raw)).split())


def text_id(text: str) -> str:
    """Return the SHA-256, in hexadecimal, of the normalised text: equal texts have equal identities."""
    return hashlib.sha256(normalise_text(text).encode()).hexdigest()


def storable(text: str) -> str:
    """Replace lone surrogates, which neither UTF-8 nor the database can hold."""
    return str(text) if text.isascii() else LONE_SURROGATE.sub("\ufffd", text)
