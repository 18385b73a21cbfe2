"""Which labels are taken for each other: by the classifiers' beliefs, and by verdicts that were overturned."""

from __future__ import annotations

from dataclasses import dataclass

from red_core.records import Project
from red_core.store.database import connection

LEAST = 0.1
"""Texts under which two labels are not called confused: of a thousand labels every two are a little."""

_BELIEVED = """
    SELECT min(label, runner_up) AS one, max(label, runner_up) AS other, sum(runner_up_belief) AS expected, 0 AS n
    FROM prediction WHERE round = ? AND label > 0 AND runner_up > 0 AND text NOT IN (SELECT text FROM decided)
    GROUP BY 1, 2"""
# Found valid, and a person gave it another label; or found invalid, and a person gave it that very label.
_OVERTURNED = """
    SELECT min(label, instead) AS one, max(label, instead) AS other, 0 AS expected, count(DISTINCT text) AS n FROM
        (SELECT d.text, q.label, CASE v.outcome WHEN 'valid' THEN d.label ELSE q.runner_up END AS instead
        FROM decided d JOIN proposed q ON q.text = d.text JOIN verdict v ON v.proposal = q.id
        WHERE d.label > 0 AND CASE v.outcome WHEN 'valid' THEN d.label <> q.label
            WHEN 'invalid' THEN d.label = q.label ELSE 0 END)
    WHERE instead > 0 AND instead <> label GROUP BY 1, 2"""


@dataclass(frozen=True)
class Confusion:
    """Two labels that are taken for each other.

    Attributes
    ----------
    labels : (int, int)
        Label ids, ascending.
    expected : float
        Undecided texts that are believed to be of the one and are expected to be of the other: the sum of the belief
        in the runner-up.
    overturned : int
        Texts about which a person overturned the judge: it took the one for the other.
    """

    labels: tuple[int, int]
    expected: float
    overturned: int

    @property
    def texts(self) -> float:
        """All of them."""
        return self.expected + self.overturned

    def other(self, label: int) -> int:
        """Return the other of the two."""
        return self.labels[self.labels[0] == label]


def confusions(project: Project, round_id: int) -> list[Confusion]:
    """Return the pairs of labels that are confused, about LEAST texts or more, most texts first.

    Parameters
    ----------
    round_id : int
        The round whose beliefs count; 0 before the first.
    """
    query = f"""
        SELECT one, other, sum(expected) AS expected, sum(n) AS n FROM ({_BELIEVED} UNION ALL {_OVERTURNED})
        GROUP BY one, other HAVING sum(expected) + sum(n) >= {LEAST} ORDER BY sum(expected) + sum(n) DESC, one, other"""
    with connection(project) as db:
        return [
            Confusion((int(one), int(other)), float(expected), int(n))
            for one, other, expected, n in db.execute(query, [round_id])
        ]
