"""Proposals with their evidence, and the judge's verdicts about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlite_utils import Database

from red_core.records import Answer, Project, Question, Verdict
from red_core.store.attempts import settle
from red_core.store.database import connection, now, transaction


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


def add_verdicts(project: Project, judge: str, answers: Sequence[tuple[int, Answer]]) -> None:
    """Store answers to proposals with their cost; a failed answer is not a verdict, only its cost is stored."""
    with transaction(project) as db:
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
