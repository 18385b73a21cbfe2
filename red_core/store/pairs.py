"""Texts that lie between two labels: a read of the grid that decides many of them at once. Nothing here writes."""

from __future__ import annotations

from dataclasses import dataclass

from red_core.records import Project
from red_core.store.database import connection

MOST_OF_A_PAIR = 500
"""Texts read of one pair; the most uncertain ones."""


@dataclass(frozen=True)
class Between:
    """A text between two labels.

    Attributes
    ----------
    text : int
        Its row id.
    content : str
    label : int
        The machine's label: one of the two.
    first, second : float
        Belief in the first and in the second label, in [0, 1].
    newest : int
        The newest decision about the text, 0 if there is none: to detect changes.
    """

    text: int
    content: str
    label: int
    first: float
    second: float
    newest: int


def between(project: Project, round_id: int, first: int, second: int) -> list[Between]:
    """Return the undecided texts whose best two labels are these, from surely the first to surely the second.

    Parameters
    ----------
    round_id : int
        The round whose beliefs count.
    """
    query = """
        SELECT p.text, text.content, p.label,
            CASE p.label WHEN :first THEN p.belief ELSE p.runner_up_belief END AS of_first,
            CASE p.label WHEN :second THEN p.belief ELSE p.runner_up_belief END AS of_second,
            (SELECT coalesce(max(d.id), 0) FROM decision d WHERE d.text = p.text AND d.kind <> 'skip') AS newest
        FROM prediction p JOIN text ON text.id = p.text
        WHERE p.round = :round AND ((p.label = :first AND p.runner_up = :second)
            OR (p.label = :second AND p.runner_up = :first))
        AND NOT EXISTS (SELECT 1 FROM standing_decision s WHERE s.text = p.text)
        ORDER BY p.belief - p.runner_up_belief, p.text LIMIT :most"""
    values = {"round": round_id, "first": first, "second": second, "most": MOST_OF_A_PAIR}
    with connection(project) as db:
        rows = [
            Between(int(text), str(content), int(label), float(a), float(b), int(newest))
            for text, content, label, a, b, newest in db.execute(query, values)
        ]
    return sorted(rows, key=lambda row: (row.second - row.first, row.text))
