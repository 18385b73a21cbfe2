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
    named = names or {}

    def now(label: str) -> str:
        return named.get(name_key(label), label)

    labels_of: dict[str, dict[str, str]] = defaultdict(dict)
    for identity, text in known.items():
        labels_of[identity] = {name_key(each): each for each in text.labels}
    for row in rows:
        if row.text_id is not None and row.label is not None:
            labels_of[row.text_id].setdefault(name_key(now(row.label)), now(row.label))
    used: set[str] = set()
    left_out: list[tuple[int, str, str]] = []
    folded = 0
    for row in rows:
        if row.text_id is None:
            beginning = next(iter((row.extra or {}).values()), "")
            left_out.append((row.row, row.left_out or "", beginning[:200]))
            continue
        identity = row.text_id
        labels = labels_of[identity]
        if len(labels) > 1 and not (identity in known and known[identity].decided):
            left_out.append((row.row, f"under two labels: {', '.join(sorted(labels.values()))}", row.content[:200]))
        elif identity in used or identity in known:
            folded += 1
        else:
            used.add(identity)
    kept = {key for row in rows if row.text_id and len(labels_of[row.text_id]) == 1 for key in labels_of[row.text_id]}
    rejected = sum(row.rejected is not None and row.text_id is not None for row in rows)
    return Tally(len(rows), len(used), folded, tuple(left_out), len(kept), rejected)
