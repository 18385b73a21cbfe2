"""Texts that lie between two labels, and the texts of one label: what the grid shows that decides many of them at once.

Nothing here writes.
"""

from __future__ import annotations

from dataclasses import dataclass

from red_core.records import Project
from red_core.store.database import connection

MOST_OF_A_GRID = 500
"""Texts read of one pair or label; the most uncertain ones."""


@dataclass(frozen=True)
class Between:
    """A text between two labels.

    Attributes
    ----------
    text : int
        Its row id.
    content : str
    label : int
        The machine's label. In the grid of a pair, it is one of the two.
    runner_up : int
        The second most likely label; -1 for none of these.
    first, second : float
        Belief in the first and in the second label, in [0, 1]. In the grid of one label, the second is the runner-up.
    newest : int
        The newest decision about the text, 0 if there is none: to detect changes.
    """

    text: int
    content: str
    label: int
    runner_up: int
    first: float
    second: float
    newest: int


_UNDECIDED = """
    SELECT p.text, text.content, p.label, p.runner_up,
        CASE p.label WHEN :first THEN p.belief ELSE p.runner_up_belief END,
        CASE p.label WHEN :first THEN p.runner_up_belief ELSE p.belief END,
        (SELECT coalesce(max(d.id), 0) FROM decision d WHERE d.text = p.text AND d.kind <> 'skip')
    FROM prediction p JOIN text ON text.id = p.text
    WHERE p.round = :round AND {condition}
    AND NOT EXISTS (SELECT 1 FROM standing_decision s WHERE s.text = p.text)
    ORDER BY p.belief - p.runner_up_belief, p.text LIMIT :most"""
_OF_A_PAIR = "((p.label = :first AND p.runner_up = :second) OR (p.label = :second AND p.runner_up = :first))"


def between(project: Project, round_id: int, first: int, second: int) -> list[Between]:
    """Return the undecided texts whose best two labels are these, from surely the first to surely the second.

    Parameters
    ----------
    round_id : int
        The round whose beliefs count.
    """
    return _read(project, _OF_A_PAIR, {"round": round_id, "first": first, "second": second})


def of_label(project: Project, round_id: int, label: int) -> list[Between]:
    """Return the undecided texts with this label, from surely this label to surely not.

    Parameters
    ----------
    round_id : int
        The round whose beliefs count.
    """
    return _read(project, "p.label = :first", {"round": round_id, "first": label})


def _read(project: Project, condition: str, values: dict[str, int]) -> list[Between]:
    query = _UNDECIDED.format(condition=condition)
    with connection(project) as db:
        rows = [
            Between(int(text), str(content), int(label), int(rival), float(first), float(second), int(newest))
            for text, content, label, rival, first, second, newest in db.execute(
                query, values | {"most": MOST_OF_A_GRID}
            )
        ]
    return sorted(rows, key=lambda row: (row.second - row.first, row.text))
