"""The examples in the guideline of a label: texts that belong there and texts that do not, each with its decision."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from red_core.records import Project
from red_core.store.database import connection

ExampleKind = Literal["good", "bad", "removed"]


@dataclass(frozen=True)
class GuidelineExample:
    """An example in a guideline.

    Attributes
    ----------
    label, text : int
    kind : ExampleKind
        ``good`` belongs to the label, ``bad`` does not; ``removed`` takes an example away.
    why : str
        The reason, in a person's words; '' for none.
    decision : int or None
        The decision behind it.
    content, who, at : str
        The text, and who made it an example, and when; '' before it is stored.
    decided, given : str
        The kind of the decision behind it, and the name of its label; '' where there is none.
    """

    label: int
    text: int
    kind: ExampleKind
    why: str = ""
    decision: int | None = None
    content: str = ""
    who: str = ""
    at: str = ""
    decided: str = ""
    given: str = ""

    @property
    def day(self) -> str:
        """The day on which it was made an example, in UTC."""
        return self.at[:10]

    @property
    def source(self) -> str:
        """Who made it an example, on which day, and what was decided, as people read it."""
        what = {"": "", "none": "none of these", "reject": f"not {self.given}"}.get(self.decided, self.given)
        return ", ".join(filter(None, (self.who, self.day, what and f"decided: {what}")))


def guideline_examples(project: Project, labels: Collection[int] | None = None) -> dict[int, list[GuidelineExample]]:
    """Return label id -> the examples of its guideline: the good ones first, the newest of each kind first.

    Parameters
    ----------
    labels : collection of int, optional
        Only of these labels; None: of all.
    """
    query = """
        SELECT e.label, e.text, e.kind, e.why, e.decision, text.content, e.who, e.at,
            coalesce(d.kind, ''), coalesce(given.name, '')
        FROM standing_example e JOIN text ON text.id = e.text LEFT JOIN decision d ON d.id = e.decision
        LEFT JOIN label given ON given.id = (SELECT now FROM label WHERE label.id = d.label)
        WHERE :labels IS NULL OR e.label IN (SELECT value FROM json_each(:labels))
        ORDER BY e.kind DESC, e.id DESC"""
    examples: defaultdict[int, list[GuidelineExample]] = defaultdict(list)
    with connection(project) as db:
        for row in db.execute(query, {"labels": None if labels is None else json.dumps(list(labels))}):
            examples[int(row[0])].append(GuidelineExample(*row))
    return dict(examples)


@dataclass(frozen=True)
class DecisionMade:
    """A decision that was stored: its id, text, kind and label, the label that was suggested, and its reason."""

    id: int
    text: int
    kind: str
    label: int | None
    suggested: int | None
    reason: str


def decision_of(project: Project, request: str) -> DecisionMade | None:
    """Return the decision that a key press made, its labels as they are now; None if it was undone or is unknown.

    Parameters
    ----------
    request : str
        The id of the key press.
    """
    query = """
        SELECT d.id, d.text, d.kind, (SELECT now FROM label WHERE id = d.label),
            (SELECT label FROM proposed WHERE proposed.id = d.proposal), d.reason
        FROM kept_decision d WHERE d.act = ?"""
    with connection(project) as db:
        row = db.execute(query, [request]).fetchone()
    return None if row is None else DecisionMade(*row)
