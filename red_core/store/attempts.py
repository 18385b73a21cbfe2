"""What was asked of a judge's server and what it cost. A row is there before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from sqlite_utils import Database

from red_core.records import Attempt, Project
from red_core.store.database import connection, now, transaction

RequestPurpose = Literal["judge", "self-test", "connect", "meaning", "correction", "explain"]
"""What a request to a judge's server is for, as it is stored."""
QUESTIONS: frozenset[RequestPurpose] = frozenset({"judge", "self-test"})
"""The requests that ask whether one label is right. Their mean cost is what the next question will cost."""


@dataclass(frozen=True)
class Spent:
    """What a judge has cost.

    Attributes
    ----------
    attempts : int
        Requests sent.
    tokens : int
        Read and written, as the server counted; where it did not, the pessimistic reserve.
    money : float or None
        At the prices of the time; None where a price was unknown.
    """

    attempts: int
    tokens: int
    money: float | None


def add_attempts(
    project: Project,
    purpose: RequestPurpose,
    judge: str,
    reserved: Sequence[int],
    *,
    round_id: int | None = None,
    prices: tuple[float | None, float | None] = (None, None),
    caps: tuple[int | None, int | None] = (None, None),
) -> list[int]:
    """Store that requests are about to be sent; return the ids of the first of them, as many as the caps let through.

    Parameters
    ----------
    reserved : sequence of int
        The tokens reserved for each.
    prices : (float or None, float or None)
        Of a million tokens read, and written.
    caps : (int or None, int or None)
        Tokens the round, and the project, may take in all.
    """
    ids: list[int] = []
    with transaction(project) as db:
        room = [cap - _tokens(db, of) for cap, of in zip(caps, (round_id, None), strict=True) if cap is not None]
        for tokens, in_all in zip(reserved, accumulate(reserved), strict=True):
            if room and in_all > min(room):
                break
            cursor = db.execute(
                "INSERT INTO attempt (round, purpose, judge, reserved, price_in, price_out, at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [round_id, purpose, judge, tokens, *prices, now()],
            )
            ids.append(int(cursor.lastrowid or 0))
    return ids


def _tokens(db: Database, round_id: int | None) -> int:
    query = """
        SELECT coalesce(sum(coalesce(tokens_in + tokens_out, reserved)), 0) FROM attempt
        WHERE :round IS NULL OR round = :round"""
    return int(db.execute(query, {"round": round_id}).fetchone()[0])


def settle(db: Database, attempts: Sequence[Attempt], verdict: int | None = None) -> None:
    """Write what the server counted, on an open transaction; where it did not, the reserve stays spent."""
    db.conn.executemany(
        "UPDATE attempt SET tokens_in = ?, tokens_out = ?, verdict = ? WHERE id = ?",
        ((a.tokens_in, a.tokens_out, verdict, a.id) for a in attempts),
    )


def settle_attempts(project: Project, attempts: Sequence[Attempt]) -> None:
    """Write what the server counted of requests that end in no verdict."""
    with transaction(project) as db:
        settle(db, attempts)


def spent(project: Project, *, round_id: int | None = None) -> Spent:
    """Return what was spent, in one round or in the whole project."""
    query = """
        SELECT count(*), coalesce(sum(coalesce(tokens_in + tokens_out, reserved)), 0),
            sum(CASE WHEN tokens_in IS NULL THEN reserved * max(price_in, price_out)
                ELSE tokens_in * price_in + tokens_out * price_out END) / 1e6,
            sum(price_in IS NULL OR price_out IS NULL)
        FROM attempt WHERE :round IS NULL OR round = :round"""
    with connection(project) as db:
        count, tokens, money, unpriced = db.execute(query, {"round": round_id}).fetchone()
    return Spent(int(count), int(tokens), None if unpriced else float(money or 0.0))


def tokens_per_question(project: Project, judge: str) -> float | None:
    """Return the mean tokens of this judge's questions so far, self-test included; None before the first."""
    query = """
        SELECT avg(tokens_in + tokens_out) FROM attempt WHERE judge = ? AND tokens_in + tokens_out > 0
        AND purpose IN (SELECT value FROM json_each(?))"""
    with connection(project) as db:
        mean = db.execute(query, [judge, json.dumps(sorted(QUESTIONS))]).fetchone()[0]
    return None if mean is None else float(mean)
