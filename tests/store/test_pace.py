"""How long people take, against numpy's own percentiles and by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from red_core.records import Project
from red_core.store.database import connection
from red_core.store.texts import pool
from red_core.store.views import pace
from tests.helpers.small_projects import small_project


def timed(project: Project, seconds: float | None, *, kind: str = "accept", who: str = "ann", queue: str = "to decide",
          belief: float | None = None) -> int:  # fmt: skip
    """Store a decision about the first text of the pool, as the desk would, and return its id."""
    with connection(project) as db:
        cursor = db.execute(
            "INSERT INTO decision (text, kind, label, reason, who, at, seconds, queue, belief) "
            "VALUES (?, ?, 1, '', ?, '2026-01-01T00:00:00.000+00:00', ?, ?, ?)",
            [int(pool(project)[0]), kind, who, seconds, queue, belief],
        )
        db.conn.commit()
        return int(cursor.lastrowid or 0)


def undo(project: Project, decision: int) -> None:
    with connection(project) as db:
        db.execute(
            "INSERT INTO decision (text, kind, undoes, reason, who, at, seconds) "
            "SELECT text, 'undo', id, '', who, at, 50.0 FROM decision WHERE id = ?",
            [decision],
        )
        db.conn.commit()


def test_before_the_first_timed_decision_there_is_no_pace(project):
    timed(project, None)
    assert pace(project) == []


def test_pace_is_told_for_each_person_and_queue(project):
    for seconds in (1.0, 2.0, 6.0):
        timed(project, seconds)
    timed(project, 4.0, queue="stale")
    timed(project, 9.0, who="bob")
    assert pace(project) == [
        {"who": "ann", "queue": "stale", "decisions": 1, "p50": 4.0, "p95": 4.0},
        {"who": "ann", "queue": "to decide", "decisions": 3, "p50": 2.0, "p95": pytest.approx(5.6)},
        {"who": "bob", "queue": "to decide", "decisions": 1, "p50": 9.0, "p95": 9.0},
    ]


@pytest.mark.parametrize("kind", ["accept", "relabel", "none", "reject"])
def test_every_kind_of_decision_counts(kind, project):
    timed(project, 3.0, kind=kind)
    assert pace(project)[0]["decisions"] == 1


def test_a_skip_decides_nothing(project):
    timed(project, 3.0, kind="skip")
    assert pace(project) == []


def test_what_was_decided_in_bulk_is_outside(project):
    timed(project, 0.01, belief=0.9)
    assert pace(project) == []


def test_an_undone_decision_took_its_time_and_the_undo_takes_none(project):
    undo(project, timed(project, 3.0))
    assert [(row["decisions"], row["p50"]) for row in pace(project)] == [(1, 3.0)]


@given(st.lists(st.floats(0, 1e4, allow_subnormal=False), min_size=1, max_size=12))
def test_the_percentiles_lie_where_they_should(tmp_path_factory, seconds):
    project = small_project(tmp_path_factory.mktemp("pace") / "w")
    for each in seconds:
        timed(project, each)
    (row,) = pace(project)
    assert row["decisions"] == len(seconds)
    assert min(seconds) <= row["p50"] <= row["p95"] <= max(seconds)
    assert sum(each <= row["p50"] for each in seconds) >= len(seconds) / 2
    assert sum(each <= row["p95"] for each in seconds) >= 0.95 * len(seconds) - 1
