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
    """One answer about a right pair, a wrong pair, or a canary (a wrong pair with an injected instruction).

    A comparison of the label with another has that one as ``rival``, and ``p_valid`` is the probability of the label's
    letter. ``tokens`` are those that the server counted, None if it did not.
    """

    text: int
    label: int
    kind: Kind
    outcome: Outcome
    p_valid: float | None
    question_key: str
    rival: int | None = None
    tokens: int | None = None


def add_tested(
    project: Project, judge: str, answers: Sequence[tuple[int, int, Kind, Answer]], rivals: Sequence[int | None] = ()
) -> None:
    """Store (text, label, kind, answer) with the cost; of a failed answer only the cost is stored.

    Parameters
    ----------
    rivals : sequence of int or None
        The other label of each answer that compares two; () if none does.
    """
    with transaction(project) as db:
        for (text, label, kind, a), rival in zip(answers, rivals or [None] * len(answers), strict=True):
            settle(db, a.attempts)
            if a.outcome != "failed":
                db.execute(
                    "INSERT INTO self_test (judge, prompt_version, text, label, kind, outcome, p_valid, model, raw, "
                    "question_key, at, rival, tokens) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [judge, a.prompt_version, text, label, kind, a.outcome, a.p_valid, a.model, a.raw,
                     a.question_key, now(), rival, _tokens(a)],
                )  # fmt: skip


def _tokens(answer: Answer) -> int | None:
    """Return the tokens of the last request for an answer; None if the server did not count them."""
    if not answer.attempts or answer.attempts[-1].tokens_in is None:
        return None
    return answer.attempts[-1].tokens_in + (answer.attempts[-1].tokens_out or 0)


def tested(project: Project, judge: str, prompt_version: str) -> list[Tested]:
    """Return the newest answer of one judge and prompt for each pair and kind, oldest first.

    Pairs with a merged or retired label are left out, and wrong pairs that a merge made right.
    """
    return _tested(project, judge, prompt_version, "rival IS NULL")


def tested_comparisons(project: Project, judge: str, prompt_version: str) -> list[Tested]:
    """Return the newest answers that compare two labels, as :func:`tested` does those about one."""
    return _tested(project, judge, prompt_version, "rival IN (SELECT id FROM label WHERE now = id)")


def _tested(project: Project, judge: str, prompt_version: str, condition: str) -> list[Tested]:
    query = f"""
        SELECT text, label, kind, outcome, p_valid, question_key, rival, tokens, max(id) FROM self_test t
        WHERE judge = ? AND prompt_version = ? AND {condition} AND label IN (SELECT id FROM label WHERE now = id)
        AND NOT (kind <> 'right' AND label IN (SELECT label FROM label_extent)
            AND EXISTS (SELECT 1 FROM own_label o WHERE o.text = t.text AND o.label = t.label))
        GROUP BY text, label, kind ORDER BY max(id)"""
    with connection(project) as db:
        return [Tested(*row[:8]) for row in db.execute(query, [judge, prompt_version])]
