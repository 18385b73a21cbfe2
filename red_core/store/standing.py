"""The state of a project at one moment: two of them show what an edit changes."""

from __future__ import annotations

from dataclasses import dataclass

from sqlite_utils import Database

from red_core.store.rounds import TRAINING_SET
from red_core.store.verdicts import newest_comparisons, newest_verdicts

Given = dict[int, int]
"""Text -> label."""


@dataclass(frozen=True)
class Standing:
    """The state of a project at one moment.

    Attributes
    ----------
    names : dict of label id to name
        The active labels.
    seeds, decided, predicted : dict of text to label
        ``decided`` may be -1, none of these; ``predicted`` is the newest round's best outcome.
    ruled_out : set of (text, label)
    training : dict of text to (label, weight)
    verdicts : set of int
        The newest verdict of each text and active label, unless it is stale; comparisons as negative numbers.
    subsets : dict of label id to subset number
    """

    names: dict[int, str]
    seeds: Given
    decided: Given
    predicted: Given
    ruled_out: frozenset[tuple[int, int]]
    training: dict[int, tuple[int, float]]
    verdicts: frozenset[int]
    subsets: dict[int, int]


def standing(db: Database) -> Standing:
    """Return the present state."""

    def read(query: str) -> list[tuple[int, ...]]:
        return db.execute(query).fetchall()

    return Standing(
        names={int(id_): str(name) for id_, name in db.execute("SELECT id, name FROM label WHERE now = id")},
        seeds=dict(db.execute("SELECT text, label FROM seed").fetchall()),
        decided=dict(db.execute("SELECT text, label FROM decided").fetchall()),
        predicted=dict(
            db.execute(
                "SELECT text, label FROM prediction WHERE round = (SELECT max(round) FROM prediction)"
            ).fetchall()
        ),
        ruled_out=frozenset((text, label) for text, label in read("SELECT text, label FROM ruled_out")),
        training={text: (label, weight) for text, label, weight in read(TRAINING_SET)},
        verdicts=frozenset(
            [verdict.id for verdict in newest_verdicts(db) if not verdict.stale]
            + [-compared.id for compared in newest_comparisons(db) if not compared.stale]
        ),
        subsets=dict(
            db.execute(
                "SELECT label, subset FROM label_place WHERE version = (SELECT max(version) FROM label_place)"
            ).fetchall()
        ),
    )
