"""Tables with several columns of labels: one column per label with 0 and 1, or one column per annotator."""

from __future__ import annotations

import re
from collections.abc import Sequence

from red_core.data.tables.names import KNOWN_NAMES, LABEL_NAMES, last_word
from red_core.data.tables.shapes.known import ANSWER, Known, Record, agreed, names_of
from red_core.data.tables.source import Hints

YES, NO = {"1", "1.0", "true"}, {"0", "0.0", "false", "none", ""}
FEWEST = 3
"""Columns with 0 and 1 from which they are labels: one or two are more often flags."""
_FLAG = re.compile(r"(?:is|has|was|num|no)[ _]", re.IGNORECASE)
_ANNOTATOR = re.compile(
    r"(?:rater|annotator|coder|labell?er|judge|reviewer|expert|label|annotation|rating)[ _-]?(?:\d{1,2}|[A-Ea-e])",
    re.IGNORECASE,
)


def recognise(sample: Sequence[Record]) -> Known | None:
    """Return how rows without a column of labels are read, if several columns have them together."""
    keys = list(dict.fromkeys(key for record in sample for key in record))
    if any(key.strip().casefold() in LABEL_NAMES or last_word(key) in LABEL_NAMES for key in keys):
        return None
    annotators = [key for key in keys if _ANNOTATOR.fullmatch(key.strip())]
    if len(annotators) > 1 and not any(_is_long(record.get(key)) for record in sample for key in annotators):
        return _of_annotators(annotators)
    flags = [key for key in keys if _is_flag(key, [record.get(key) for record in sample])]
    used = [key for key in flags if any(_is_yes(record.get(key)) for record in sample)]
    chosen = [sum(_is_yes(record.get(key)) for key in flags) for record in sample]
    if len(used) >= FEWEST and sum(count == 1 for count in chosen) * 2 > sum(count > 0 for count in chosen):
        return _of_flags(flags)
    return None


def _is_flag(name: str, values: Sequence[object]) -> bool:
    """Return whether a column has 0 and 1, and a name that is no usual flag."""
    given = {str("" if value is None else value).strip().casefold() for value in values}
    usual = name.strip().casefold() in KNOWN_NAMES or _FLAG.match(name) is not None
    return not usual and given <= YES | NO and bool(given - {""} & NO)


def _is_yes(value: object) -> bool:
    return str(value).strip().casefold() in YES


def _is_long(value: object) -> bool:
    return isinstance(value, str) and len(value) > 200


def _of_flags(flags: Sequence[str]) -> Known:
    """Return how one column per label is read: a row without a 1 has no label."""

    def read(record: Record) -> Record:
        others = {key: value for key, value in record.items() if key not in flags}
        return others | {"label": [key.strip() for key in flags if _is_yes(record.get(key))]}

    listed = ", ".join(flags[:4]) + (", …" if len(flags) > 4 else "")
    return Known(f"one column per label, with 0 and 1: {listed} ({len(flags)} labels)", Hints(None, "label"), read)


def _of_annotators(annotators: Sequence[str]) -> Known:
    """Return how one column per annotator is read: the label is what they agree on."""

    def read(record: Record) -> Record:
        answers = [(key, names_of(record.get(key))) for key in annotators]
        return dict(record) | agreed([(who, labels) for who, labels in answers if labels])

    note = f"one column per annotator ({', '.join(annotators[:4])}): the label is what they agree on"
    return Known(note, Hints(None, "label", ANSWER), read)
