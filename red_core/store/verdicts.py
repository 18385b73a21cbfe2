"""Proposals with their evidence, and the judge's verdicts about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlite_utils import Database

from red_core.records import Answer, Outcome, Project, Question, Verdict
from red_core.store.attempts import settle
from red_core.store.database import connection, now, transaction


@dataclass(frozen=True)
class Comparison:
    """A judge's stored answer to the question whether it is this label rather than its rival.

    Attributes
    ----------
    outcome : Outcome
        *valid*: rather the label; *invalid*: rather the rival.
    chance : float or None
        Of the label, if it is one of the two and both were equally likely before, in (0, 1); None without an answer.
    toward_label, toward_rival : float
        Added to the logits of the two labels; those of all other labels stay.
    stale : bool
        True if the meaning or extent of one of the labels changed after the answer.
    """

    id: int
    round_id: int
    text: int
    label: int
    rival: int
    judge: str
    outcome: Outcome
    chance: float | None
    toward_label: float
    toward_rival: float
    stale: bool = False


def add_proposals(project: Project, round_id: int, questions: Sequence[Question]) -> list[int]:
    """Store selected pairs with their evidence, before the judge is asked; return their ids."""
    with transaction(project) as db:
        db.conn.executemany(
            "INSERT OR IGNORE INTO proposal "
            "(round, text, label, runner_up, belief, runner_up_belief, reason, gain, evidence) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    round_id,
                    q.text,
                    q.label.id,
                    q.runner_up.id,
                    q.belief,
                    q.runner_up_belief,
                    q.reason,
                    q.gain,
                    _evidence(q),
                )
                for q in questions
            ),
        )
        rows = db.execute("SELECT id, text, label FROM proposal WHERE round = ?", [round_id])
        ids = {(int(text), int(label)): int(id_) for id_, text, label in rows}
    return [ids[q.text, q.label.id] for q in questions]


def _evidence(question: Question) -> str:
    """Return the evidence of both labels as JSON: [[text id, similarity, origin], ...] for each."""
    shown = {
        "label": [[e.text, round(e.similarity, 4), e.origin] for e in question.examples],
        "runner_up": [[e.text, round(e.similarity, 4), e.origin] for e in question.rival_examples],
    }
    return json.dumps(shown)


def add_verdicts(
    project: Project,
    judge: str,
    answers: Sequence[tuple[int, Answer]],
    comparisons: Sequence[tuple[int, Question, Answer]] = (),
) -> None:
    """Store answers with their cost; a failed answer is not a verdict, only its cost is stored.

    Parameters
    ----------
    answers : sequence of (proposal, Answer)
    comparisons : sequence of (round, Question, Answer)
        Of questions that compare two labels; they have no proposal.
    """
    with transaction(project) as db:
        for round_id, q, a in comparisons:
            compared = None
            if a.outcome != "failed":
                row = (
                    round_id, q.text, q.label.id, q.runner_up.id, q.belief, q.runner_up_belief, _evidence(q), judge,
                    a.model, a.prompt_version, a.outcome, a.p_valid, a.log_likelihood_ratio, a.toward_rival, a.raw,
                    a.question_key, int(a.cut), a.meaning_id, a.rival_meaning_id, now(),
                )  # fmt: skip
                compared = db.conn.execute(_INSERT_COMPARISON, row).lastrowid
            settle(db, a.attempts, comparison=compared)
        for proposal, a in answers:
            verdict = None
            if a.outcome != "failed":
                values = (
                    proposal, judge, a.model, a.prompt_version, a.outcome, a.p_valid, a.log_likelihood_ratio, a.raw,
                    a.question_key, int(a.cut), a.meaning_id, now(),
                )  # fmt: skip
                verdict = db.conn.execute(_INSERT, values).lastrowid
            settle(db, a.attempts, verdict)


_INSERT = """
    INSERT INTO verdict (proposal, judge, model, prompt_version, outcome, p_valid, log_likelihood_ratio, raw,
        question_key, cut, meaning, at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


_INSERT_COMPARISON = """
    INSERT INTO comparison (round, text, label, rival, belief, rival_belief, evidence, judge, model, prompt_version,
        outcome, chance, toward_label, toward_rival, raw, question_key, cut, meaning, rival_meaning, at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


def comparisons(project: Project) -> list[Comparison]:
    """Return the newest comparison of every text and two labels, oldest first."""
    with connection(project) as db:
        return newest_comparisons(db)


def newest_comparisons(db: Database) -> list[Comparison]:
    """Return what :func:`comparisons` returns, on an open connection."""
    query = """
        SELECT max(id) AS id, round AS round_id, text, label, rival, judge, outcome, chance, toward_label,
            toward_rival, stale
        FROM compared GROUP BY text, min(label, rival), max(label, rival) ORDER BY 1"""
    return [Comparison(**(row | {"stale": bool(row["stale"])})) for row in db.query(query)]


def comparison_count(project: Project, round_id: int) -> int:
    """Return how many comparisons a round has."""
    with connection(project) as db:
        return int(db.execute("SELECT count(*) FROM comparison WHERE round = ?", [round_id]).fetchone()[0])


def verdicts(project: Project) -> list[Verdict]:
    """Return the newest verdict of every (text, label) pair, oldest first."""
    with connection(project) as db:
        return newest_verdicts(db)


def newest_verdicts(db: Database) -> list[Verdict]:
    """Return what :func:`verdicts` returns, on an open connection."""
    query = """
        SELECT max(verdict.id) AS id, round, text, label, judge, outcome, p_valid, log_likelihood_ratio,
            verdict.id IN (SELECT id FROM stale_verdict) AS stale
        FROM verdict JOIN proposed ON proposed.id = proposal GROUP BY text, label ORDER BY verdict.id"""
    return [
        Verdict(
            r["id"],
            r["round"],
            r["text"],
            r["label"],
            r["judge"],
            r["outcome"],
            r["p_valid"],
            r["log_likelihood_ratio"],
            bool(r["stale"]),
        )
        for r in db.query(query)
    ]


@dataclass(frozen=True)
class Proposed:
    """A stored proposal: its text and label, the rule and score that selected it, and whether it has a verdict."""

    text: int
    label: int
    gain: float
    reason: str
    answered: bool


def proposals_of(project: Project, round_id: int) -> list[Proposed]:
    """Return the proposals of a round, oldest first."""
    query = """
        SELECT text, label, gain, reason, id IN (SELECT proposal FROM verdict) FROM proposal
        WHERE round = ? ORDER BY id"""
    with connection(project) as db:
        rows = db.execute(query, [round_id]).fetchall()
    return [Proposed(text, label, gain, reason, bool(done)) for text, label, gain, reason, done in rows]


def confirmations(project: Project, round_id: int) -> int:
    """Return how many texts with a high confidence the judge of a round was asked to confirm."""
    query = "SELECT count(*) FROM proposal WHERE round = ? AND reason = 'confirm'"
    with connection(project) as db:
        return int(db.execute(query, [round_id]).fetchone()[0])


def outcome_counts(project: Project, round_id: int) -> dict[str, int]:
    """Return outcome -> number of verdicts in a round."""
    query = """
        SELECT outcome, count(*) FROM verdict JOIN proposal ON proposal.id = proposal
        WHERE round = ? GROUP BY outcome"""
    with connection(project) as db:
        return dict(db.execute(query, [round_id]).fetchall())


def add_explanation(project: Project, verdict: int, words: str, model: str) -> None:
    """Store a model's explanation of a verdict."""
    with transaction(project) as db:
        db.execute(
            "INSERT INTO explanation (verdict, words, model, at) VALUES (?, ?, ?, ?)", [verdict, words, model, now()]
        )


def explanation(project: Project, verdict: int) -> tuple[str, str] | None:
    """Return the text and the model of a verdict's newest explanation; None if there is none."""
    query = "SELECT words, model FROM explanation WHERE verdict = ? ORDER BY id DESC LIMIT 1"
    with connection(project) as db:
        row = db.execute(query, [verdict]).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))
