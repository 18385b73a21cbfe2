"""Answers of a judge's self-test: pairs of a text and a label whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from red_core.records import Answer, Outcome, Project
from red_core.store.attempts import settle
from red_core.store.database import connection, now, transaction

Kind = Literal["right", "wrong", "canary"]


@dataclass(frozen=True)
class Tested:
    """One answer about a right pair, a wrong pair, or a canary (a wrong pair with an injected instruction)."""

    text: int
    label: int
    kind: Kind
    outcome: Outcome
    p_valid: float | None
    question_key: str


def add_tested(project: Project, judge: str, answers: Sequence[tuple[int, int, Kind, Answer]]) -> None:
    """Store (text, label, kind, answer) with the cost; of a failed answer only the cost is stored."""
    with transaction(project) as db:
        for text, label, kind, a in answers:
            settle(db, a.attempts)
            if a.outcome != "failed":
                db.execute(
                    "INSERT INTO self_test (judge, prompt_version, text, label, kind, outcome, p_valid, model, raw, "
                    "question_key, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [judge, a.prompt_version, text, label, kind, a.outcome, a.p_valid, a.model, a.raw,
                     a.question_key, now()],
                )  # fmt: skip


def tested(project: Project, judge: str, prompt_version: str) -> list[Tested]:
    """Return the newest answer of one judge and prompt for each pair and kind, oldest first.

    Pairs with a merged or retired label are left out, and wrong pairs that a merge made right.
    """
    query = """
        SELECT text, label, kind, outcome, p_valid, question_key, max(id) FROM self_test t
        WHERE judge = ? AND prompt_version = ? AND label IN (SELECT id FROM label WHERE now = id)
        AND NOT (kind <> 'right' AND label IN (SELECT label FROM label_extent)
            AND EXISTS (SELECT 1 FROM own_label o WHERE o.text = t.text AND o.label = t.label))
        GROUP BY text, label, kind ORDER BY max(id)"""
    with connection(project) as db:
        return [Tested(*row[:6]) for row in db.execute(query, [judge, prompt_version])]
