"""Count the rows of a file: each one is used, folded or left out. The preview and the result of an import show this."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from red_core.store.labels import name_key
from red_core.store.texts import KnownText, SourceRow


@dataclass(frozen=True)
class Tally:
    """What becomes of the rows of a file.

    Attributes
    ----------
    rows : int
        Always used + folded + left out.
    used : int
        Rows whose text is new in the project.
    folded : int
        Rows whose text the project, or an earlier row, has already.
    left_out : tuple of (int, str, str)
        Row number, reason and beginning of the text of each row that is not used.
    labels : int
        Labels that the used rows have.
    rejected : int
        Rows that rule out a label for their text.
    """

    rows: int
    used: int
    folded: int
    left_out: tuple[tuple[int, str, str], ...]
    labels: int
    rejected: int


def tally(
    rows: Sequence[SourceRow], known: Mapping[str, KnownText] | None = None, names: Mapping[str, str] | None = None
) -> Tally:
    """Count the rows of a file that is about to be imported.

    Parameters
    ----------
    rows : sequence of SourceRow
    known : mapping of text_id to KnownText, optional
        What the project has already, of the texts of these rows; nothing by default.
    names : mapping of name key to name, optional
        The labels of the project: a former name means the label that it is now.
    """
    known = known or {}
    spelled: dict[str, str] = {}
    first, torn = _labels(rows, known, _Keys(names or {}, spelled))
    used: set[str] = set()
    left_out: list[tuple[int, str, str]] = []
    for row in rows:
        if row.text_id is None:
            beginning = next(iter((row.extra or {}).values()), "")
            left_out.append((row.row, row.left_out or "", beginning[:200]))
        elif row.text_id in torn:
            labels = ", ".join(sorted(spelled[key] for key in torn[row.text_id]))
            left_out.append((row.row, f"under two labels: {labels}", row.content[:200]))
        elif row.text_id not in known:
            used.add(row.text_id)
    identities = {row.text_id for row in rows if row.text_id is not None}
    kept = {key for identity, key in first.items() if identity in identities and identity not in torn}
    rejected = sum(row.rejected is not None and row.text_id is not None for row in rows)
    folded = len(rows) - len(used) - len(left_out)
    return Tally(len(rows), len(used), folded, tuple(left_out), len(kept), rejected)


def _labels(
    rows: Sequence[SourceRow], known: Mapping[str, KnownText], keys: _Keys
) -> tuple[dict[str, str], dict[str, set[str]]]:
    """Return text_id -> the key of its first label, and text_id -> its labels where two of them contradict."""
    first: dict[str, str] = {}
    torn: dict[str, set[str]] = defaultdict(set)
    for identity, text in known.items():
        for name in text.labels:
            _add_label(identity, keys[name], first, torn)
    for row in rows:
        if row.text_id is not None and row.label is not None:
            _add_label(row.text_id, keys[row.label], first, torn)
    for identity, text in known.items():
        if text.decided:
            torn.pop(identity, None)
    return first, torn


class _Keys(dict[str, str]):
    """Label as it is written -> key of the label that it is now; each spelling is looked up once."""

    def __init__(self, names: Mapping[str, str], spelled: dict[str, str]) -> None:
        super().__init__()
        self._names, self._spelled = names, spelled

    def __missing__(self, label: str) -> str:
        name = self._names.get(name_key(label), label)
        key = name_key(name)
        self._spelled.setdefault(key, name)
        self[label] = key
        return key


def _add_label(identity: str, key: str, first: dict[str, str], torn: dict[str, set[str]]) -> None:
    before = first.setdefault(identity, key)
    if before != key:
        torn[identity] |= {before, key}
