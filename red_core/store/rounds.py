"""Rounds, their frozen training sets, and their beliefs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sqlite_utils import Database

from red_core.errors import StateError
from red_core.records import Floats, Ints, Project, Round, RoundState
from red_core.store.checksums import seal
from red_core.store.database import connection, now, transaction

BEST_STORED = 5
"""Most outcomes of a text whose beliefs are stored."""
Prediction = tuple[int, int, float, int, float, float, float, str]
"""text, label (-1 none of these), belief, runner-up, its belief, belief in none of these, belief before any verdict,
the best five as JSON [[label, belief], ...]."""


def open_round(project: Project, settings: str, judge: str, who: str) -> Round:
    """Return the round that was left open, or open one with the present label set, training set and decisions.

    Raises
    ------
    StateError
        If the last round is still ready for review.
    """
    with transaction(project) as db:
        last = _rounds(db, "WHERE state IN ('open', 'to review')")
        if last and last[-1].state == "open":
            return last[-1]
        if last:
            raise StateError(
                f"round {last[-1].id} is to review. Feed it back (`red feed-back {project.name}`) or close it "
                f"(`red close {project.name}`) first."
            )
        cursor = db.execute(
            "INSERT INTO round (state, label_set_version, settings, judge, last_decision, who, at) VALUES "
            "('open', (SELECT max(version) FROM label_edit), ?, ?, (SELECT coalesce(max(id), 0) FROM decision), ?, ?)",
            [settings, judge, who, now()],
        )
        number = int(cursor.lastrowid or 0)
        db.execute(
            "INSERT INTO training_row (round, text, label, weight) SELECT ?, text, label, weight FROM "
            f"({TRAINING_SET})",
            [number],
        )
        return _rounds(db, "WHERE id = ?", [number])[0]


# Seeds, and the newest fed-back label of each other text, unless a rollback removed it or a decision contradicts it. A
# label fed back by a decision leaves when the decision is undone; audited texts leave for good.
TRAINING_SET = """
    SELECT text, label, 1.0 AS weight FROM seed
    UNION ALL
    SELECT item.text, now.now AS label, item.weight
    FROM feed_back_item item JOIN label now ON now.id = item.label AND now.now IS NOT NULL
    WHERE item.feed_back = (SELECT max(feed_back) FROM feed_back_item newer WHERE newer.text = item.text
        AND newer.feed_back NOT IN (SELECT feed_back FROM rollback))
    AND item.text NOT IN (SELECT text FROM seed)
    AND item.text NOT IN (SELECT text FROM audit WHERE purpose <> 'planted')
    AND (item.source = 'verdict' OR item.text IN (SELECT text FROM decided))
    AND NOT EXISTS (SELECT 1 FROM decided WHERE decided.text = item.text AND decided.label <> now.now)
    AND NOT EXISTS (SELECT 1 FROM ruled_out WHERE ruled_out.text = item.text AND ruled_out.label = now.now)
    AND NOT EXISTS (SELECT 1 FROM refused WHERE refused.text = item.text AND refused.label = item.label)"""


def current_training_rows(project: Project) -> list[tuple[int, int, float]]:
    """Return the training set of a round opened now, as (text, label, weight), ordered by text."""
    with connection(project) as db:
        rows = db.execute(f"SELECT text, label, weight FROM ({TRAINING_SET}) ORDER BY text").fetchall()
    return [(int(t), int(label), float(w)) for t, label, w in rows]


def training_rows(project: Project, round_id: int) -> list[tuple[int, int, float]]:
    """Return the frozen training set of a round, as (text, label, weight), ordered by text."""
    with connection(project) as db:
        rows = db.execute(
            "SELECT text, label, weight FROM training_row WHERE round = ? ORDER BY text", [round_id]
        ).fetchall()
    return [(int(t), int(label), float(w)) for t, label, w in rows]


# Own labels and edits cannot change while a round is open, but decisions can: only those before the round count.
FROZEN_SEEDS = """
    SELECT row.text FROM training_row row JOIN round ON round.id = row.round WHERE round.id = ?
    AND (row.label = (SELECT CASE WHEN min(label) = max(label) THEN min(label) END FROM own_label
            WHERE own_label.text = row.text)
        OR EXISTS (SELECT 1 FROM decision given JOIN label ON label.id = given.label
            WHERE given.edit IS NOT NULL AND given.kind = 'relabel' AND label.now = row.label
            AND given.id = (SELECT max(d.id) FROM decision d WHERE d.text = row.text AND d.id <= round.last_decision
                AND d.kind IN ('accept', 'relabel', 'none') AND NOT EXISTS (SELECT 1 FROM decision u
                    WHERE u.undoes = d.id AND u.id <= round.last_decision))))
    ORDER BY row.text"""


def frozen_seeds(project: Project, round_id: int) -> Ints:
    """Return the texts of a round's training set that were seeds when it opened, shape (n,), ascending."""
    with connection(project) as db:
        rows = db.execute(FROZEN_SEEDS, [round_id]).fetchall()
    return np.asarray(rows, dtype=np.int64).reshape(-1)


def list_rounds(project: Project) -> list[Round]:
    """Return all rounds, oldest first."""
    with connection(project) as db:
        return _rounds(db)


def finished_rounds(project: Project) -> list[Round]:
    """Return the rounds that were scored and have metrics, oldest first."""
    return [each for each in list_rounds(project) if each.metrics]


def last_finished_round(project: Project) -> Round | None:
    """Return the newest round that was scored and has metrics, None before the first."""
    finished = finished_rounds(project)
    return finished[-1] if finished else None


def require_finished_round(project: Project) -> Round:
    """Return the newest round that was scored and has metrics.

    Raises
    ------
    StateError
        If there is none yet.
    """
    last = last_finished_round(project)
    if last is None:
        raise StateError(f"project {project.name} has no finished round. Run one with `red round {project.name}`.")
    return last


def finish_round(
    project: Project, round_id: int, predictions: Iterable[Prediction], metrics: Mapping[str, Any]
) -> None:
    """Store the beliefs and metrics of a round and mark it as ready for review, in one transaction."""
    with transaction(project) as db:
        db.execute("DELETE FROM prediction WHERE round = ?", [round_id])
        db.conn.executemany(
            "INSERT INTO prediction (round, text, label, belief, runner_up, runner_up_belief, none_belief, prior, top) "
            f"VALUES ({int(round_id)}, ?, ?, ?, ?, ?, ?, ?, ?)",
            predictions,
        )
        _move(db, round_id, "open", "to review")
        db.execute("UPDATE round SET metrics = ? WHERE id = ?", [json.dumps(metrics), round_id])
        seal(db, predictions=True)


def close_round(project: Project) -> int:
    """Close the round that is ready for review or still open, without feed-back; return its number.

    Raises
    ------
    StateError
        If there is none, or a job is running.
    """
    with transaction(project) as db:
        refuse_while_job_runs(db, project)
        last = _rounds(db, "WHERE state IN ('open', 'to review')")
        if not last:
            raise StateError("no round is open. Start one with `red round`.")
        _move(db, last[-1].id, last[-1].state, "closed")
        return last[-1].id


def refuse_in_mid_round(project: Project) -> None:
    """Raise StateError while a job runs or a round is open, because the round needs its label set and pool."""
    with connection(project) as db:
        refuse_unfinished(db, project)


def refuse_unfinished(db: Database, project: Project) -> None:
    """Do what :func:`refuse_in_mid_round` does, on an open connection."""
    refuse_while_job_runs(db, project)
    left = _rounds(db, "WHERE state = 'open'")
    if left:
        raise StateError(
            f"round {left[-1].id} of project {project.name} is not finished. "
            f"Continue it (`red round {project.name}`) or close it (`red close {project.name}`) first."
        )


def refuse_while_job_runs(db: Database, project: Project) -> None:
    """Raise StateError if a job is waiting or running."""
    if db.execute("SELECT 1 FROM job WHERE state IN ('waiting', 'running')").fetchone():
        raise StateError(f"a job is running in project {project.name}. Wait for it, or cancel it first.")


def round_to_review(db: Database) -> Round:
    """Return the round that is ready for review.

    Raises
    ------
    StateError
        If there is none.
    """
    last = _rounds(db, "WHERE state = 'to review'")
    if not last:
        raise StateError("no round is to review. Run one with `red round`.")
    return last[-1]


def move_to_fed_back(db: Database, round_id: int) -> None:
    """Mark a round as fed back."""
    _move(db, round_id, "to review", "fed back")


def take_back(db: Database, round_id: int) -> None:
    """Mark a fed-back round as ready for review again; as closed if a newer round exists."""
    db.execute(
        "UPDATE round SET state = CASE id WHEN (SELECT max(id) FROM round) THEN 'to review' ELSE 'closed' END "
        "WHERE id = ? AND state = 'fed back'", [round_id]
    )  # fmt: skip


def best_beliefs(project: Project, round_id: int) -> list[tuple[int, str]]:
    """Return (text, its best five beliefs as JSON [[label, belief], ...]) of one round, ordered by text."""
    with connection(project) as db:
        return list(db.execute("SELECT text, top FROM prediction WHERE round = ? ORDER BY text", [round_id]))


def _rounds(db: Database, where: str = "", values: list[Any] | None = None) -> list[Round]:
    return [
        Round(
            id=r["id"], state=r["state"], label_set_version=r["label_set_version"], settings=r["settings"],
            judge=r["judge"], started_at=r["at"], metrics=json.loads(r["metrics"]),
        )
        for r in db.query(f"SELECT * FROM round {where} ORDER BY id", values or [])
    ]  # fmt: skip


def _move(db: Database, round_id: int, before: RoundState, after: RoundState) -> None:
    moved = db.execute("UPDATE round SET state = ? WHERE id = ? AND state = ? RETURNING id", [after, round_id, before])
    if moved.fetchone() is None:
        raise sqlite3.IntegrityError(f"round {round_id} is not {before}")


def beliefs_of_judged_valid(project: Project, round_id: int) -> dict[tuple[int, int], float]:
    """Return (text, label) -> belief in a round, for the best five labels of texts with a *valid* verdict.

    A comparison that prefers one label counts, too.
    """
    query = """
        SELECT text, top FROM prediction WHERE round = ? AND text IN (SELECT proposal.text FROM proposal
        JOIN verdict ON verdict.proposal = proposal.id WHERE verdict.outcome = 'valid'
        UNION ALL SELECT text FROM comparison WHERE outcome IN ('valid', 'invalid'))"""
    with connection(project) as db:
        rows = db.execute(query, [round_id]).fetchall()
    return {(int(text), int(label)): float(share) for text, top in rows for label, share in json.loads(top)}


_PREDICTION = np.dtype([("text", np.int64), ("label", np.int64), ("belief", np.float64)])


def predicted_labels(project: Project, round_id: int) -> tuple[Ints, Ints]:
    """Return the texts and their machine labels in one round, both of shape (n,); -1 is none of these."""
    return predictions(project, round_id)[:2]


def predictions(project: Project, round_id: int) -> tuple[Ints, Ints, Floats]:
    """Return the texts, ascending, their machine labels, and the beliefs in these, each of shape (n,), in one round."""
    query = "SELECT text, label, belief FROM prediction WHERE round = ? ORDER BY text"
    with connection(project) as db:
        rows = np.fromiter(db.execute(query, [round_id]), dtype=_PREDICTION)
    return rows["text"].copy(), rows["label"].copy(), rows["belief"].copy()
