"""Update the newest round's beliefs after label edits: merged labels are summed, retired labels are removed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlite_utils import Database

from red_core.records import NONE_OF_THESE

Belief = tuple[int, float]
_COLUMNS = "text, label, belief, runner_up, runner_up_belief, none_belief, prior, top"
_NEWEST = "(SELECT max(round) FROM prediction)"


def read_as_now(best: Sequence[Belief], is_now: Mapping[int, int | None]) -> list[Belief]:
    """Return the outcomes and their beliefs for the labels as they are now, best first.

    The belief of a merged label is added to its target. A retired label is removed, and the others keep their belief:
    its texts may belong to any of them, or to none.
    """
    summed: dict[int, float] = {}
    for label, belief in best:
        now = label if label == NONE_OF_THESE else is_now[label]
        if now is not None:
            summed[now] = summed.get(now, 0.0) + belief
    return sorted(summed.items(), key=lambda pair: -pair[1])


def reread(db: Database, edit: int, changed: Iterable[int]) -> None:
    """Update the newest round's predictions that name a merged or retired label; keep the old ones for an undo.

    A text whose best label was retired has no prediction until the next round.

    Parameters
    ----------
    edit : int
        The version of the edit that is being written.
    changed : iterable of int
        The labels that it changed. Earlier edits have updated the predictions of theirs.
    """
    is_now = {int(id_): now for id_, now in db.execute("SELECT id, now FROM label")}
    gone = [label for label in changed if is_now[label] != label]
    if not gone:
        return
    touched = f"""
        WITH gone AS MATERIALIZED (SELECT value FROM json_each(:gone))
        SELECT {_COLUMNS} FROM prediction WHERE round = {_NEWEST} AND (label IN gone OR runner_up IN gone
            OR EXISTS (SELECT 1 FROM json_each(top) best WHERE json_extract(best.value, '$[0]') IN gone))"""
    rows = db.execute(touched, {"gone": json.dumps(gone)}).fetchall()
    db.conn.executemany(
        f"INSERT OR IGNORE INTO prediction_before (edit, round, {_COLUMNS}) "
        f"SELECT ?, round, {_COLUMNS} FROM prediction WHERE round = {_NEWEST} AND text = ?",
        ((edit, row[0]) for row in rows),
    )
    (round_id,) = db.execute(f"SELECT {_NEWEST}").fetchone()
    db.conn.executemany("DELETE FROM prediction WHERE round = ? AND text = ?", ((round_id, row[0]) for row in rows))
    read = (_as_now(row, is_now) for row in rows)
    db.conn.executemany(
        f"INSERT INTO prediction (round, {_COLUMNS}) VALUES ({round_id or 0}, ?, ?, ?, ?, ?, ?, ?, ?)",
        (row for row in read if row is not None),
    )


def _as_now(row: Sequence[Any], is_now: Mapping[int, int | None]) -> tuple[Any, ...] | None:
    text, label, belief, runner_up, runner_up_belief, none_belief, prior, top = row
    if label != NONE_OF_THESE and is_now[label] is None:
        return None
    exact = {label: belief, runner_up: runner_up_belief}  # the stored best five are rounded
    best = {int(n): float(share) for n, share in json.loads(top)} | exact
    read = read_as_now(list(best.items()), is_now)
    spare = next(n for n in (NONE_OF_THESE, *is_now) if n != read[0][0] and is_now.get(n, n) == n)
    if len(read) < 2:
        read.append((spare, none_belief if spare == NONE_OF_THESE else 0.0))
    stored = json.dumps([[n, round(share, 5)] for n, share in read])
    return (text, *read[0], *read[1], none_belief, prior, stored)


def put_back(db: Database, edit: int) -> None:
    """Restore the predictions from before an edit."""
    db.execute(
        f"INSERT OR REPLACE INTO prediction (round, {_COLUMNS}) "
        f"SELECT round, {_COLUMNS} FROM prediction_before WHERE edit = ?",
        [edit],
    )
