"""Characters that cannot be seen but can mislead a reader or a model."""

from __future__ import annotations

import re

UNSEEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
    # Joiners between signs outside ASCII spell words and emoji in many scripts; anywhere else they only hide.
    "|(?<![^\u0000-\u007f])[\u200c\u200d]|[\u200c\u200d](?![^\u0000-\u007f])"
)
"""One control, zero-width, direction-changing or tag character; line breaks and tabs are seen."""
