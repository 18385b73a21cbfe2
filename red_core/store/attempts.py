"""Requests to a judge's server and their cost. A row is stored before the request is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
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
    """The cost of a judge.

    Attributes
    ----------
    attempts : int
        Requests sent.
    tokens : int
        Tokens in and out as the server reported them; the reserve for requests without a report.
    money : float or None
        At the prices of the time of the request; None if a price is unknown.
    cached : int
        Those of the tokens that servers had in their caches.
    """

    attempts: int
    tokens: int
    money: float | None
    cached: int = 0


@dataclass(frozen=True)
class MeanTokens:
    """What a question takes on average: tokens read, tokens written, and those of the read ones that were cached."""

    read: float
    written: float
    cached: float

    @property
    def total(self) -> float:
        """Tokens read and written."""
        return self.read + self.written


@dataclass(frozen=True)
class Prices:
    """The prices of a million tokens, at the time of a request; None where one is not known."""

    tokens_in: float | None = None
    tokens_out: float | None = None
    cached: float | None = None


def add_attempts(  # the row of a request: each value is one column
    project: Project,
    purpose: RequestPurpose,
    judge: str,
    reserved: Sequence[int],
    *,
    round_id: int | None = None,
    prices: Prices = Prices(),
    caps: tuple[int | None, int | None] = (None, None),
    also: Callable[[Database, list[int]], object] = lambda _db, _ids: None,
) -> list[int]:
    """Store requests before they are sent; return the ids of those that fit the limits, from the first on.

    Parameters
    ----------
    reserved : sequence of int
        The tokens reserved for each request.
    prices : Prices
    caps : (int or None, int or None)
        Most tokens of the round, and of the project; None for no limit.
    also : callable(db, ids)
        Stores more in the same transaction, if at least one request fits.
    """
    ids: list[int] = []
    with transaction(project) as db:
        room = [cap - _tokens(db, of) for cap, of in zip(caps, (round_id, None), strict=True) if cap is not None]
        for tokens, in_all in zip(reserved, accumulate(reserved), strict=True):
            if room and in_all > min(room):
                break
            cursor = db.execute(
                "INSERT INTO attempt (round, purpose, judge, reserved, price_in, price_out, price_cached, at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [round_id, purpose, judge, tokens, prices.tokens_in, prices.tokens_out, prices.cached, now()],
            )
            ids.append(int(cursor.lastrowid or 0))
        if ids:
            also(db, ids)
    return ids


def _tokens(db: Database, round_id: int | None) -> int:
    query = """
        SELECT coalesce(sum(coalesce(tokens_in + tokens_out, reserved)), 0) FROM attempt
        WHERE :round IS NULL OR round = :round"""
    return int(db.execute(query, {"round": round_id}).fetchone()[0])


def settle(
    db: Database, attempts: Sequence[Attempt], verdict: int | None = None, comparison: int | None = None
) -> None:
    """Store the token counts that the server reported, in an open transaction; without them the reserve counts."""
    db.conn.executemany(
        "UPDATE attempt SET tokens_in = ?, tokens_out = ?, tokens_cached = ?, verdict = ?, comparison = ? WHERE id = ?",
        ((a.tokens_in, a.tokens_out, a.tokens_cached, verdict, comparison, a.id) for a in attempts),
    )


def settle_attempts(project: Project, attempts: Sequence[Attempt]) -> None:
    """Store the reported token counts of requests that lead to no verdict."""
    with transaction(project) as db:
        settle(db, attempts)


def unsettled_attempts(project: Project, attempts: Sequence[int]) -> set[int]:
    """Return those of these requests for which no answer and no token counts are stored."""
    query = """
        SELECT id FROM attempt WHERE id IN (SELECT value FROM json_each(?))
        AND tokens_in IS NULL AND verdict IS NULL AND comparison IS NULL"""
    with connection(project) as db:
        return {int(id_) for (id_,) in db.execute(query, [json.dumps(list(attempts))])}


PAID = """(
    (tokens_in - coalesce(tokens_cached, 0)) * price_in + tokens_out * price_out
    + coalesce(tokens_cached, 0) * coalesce(price_cached, price_in))"""
"""What an attempt cost, in millionths of the unit of its prices."""


def spent(project: Project, *, round_id: int | None = None) -> Spent:
    """Return the cost of one round, or of the whole project."""
    query = f"""
        SELECT count(*), coalesce(sum(coalesce(tokens_in + tokens_out, reserved)), 0),
            sum(CASE WHEN tokens_in IS NULL THEN reserved * max(price_in, price_out)
                ELSE {PAID} END) / 1e6,
            sum(price_in IS NULL OR price_out IS NULL), coalesce(sum(tokens_cached), 0)
        FROM attempt WHERE :round IS NULL OR round = :round"""
    with connection(project) as db:
        count, tokens, money, unpriced, cached = db.execute(query, {"round": round_id}).fetchone()
    return Spent(int(count), int(tokens), None if unpriced else float(money or 0.0), int(cached))


def tokens_per_question(project: Project, judge: str) -> MeanTokens | None:
    """Return the mean tokens of this judge's questions so far, self-test included; None if there are none."""
    query = """
        SELECT avg(tokens_in), avg(tokens_out), avg(coalesce(tokens_cached, 0)) FROM attempt
        WHERE judge = ? AND tokens_in + tokens_out > 0 AND purpose IN (SELECT value FROM json_each(?))"""
    with connection(project) as db:
        read, written, cached = db.execute(query, [judge, json.dumps(sorted(QUESTIONS))]).fetchone()
    return None if read is None else MeanTokens(float(read), float(written), float(cached))
