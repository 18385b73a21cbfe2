"""Reads of the page Overview: what was done lately, and verdicts that are out of date. Nothing here writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from red_core.records import Project
from red_core.store.database import connection


def decisions_lately(project: Project) -> dict[str, int]:
    """Return person -> number of standing decisions and audit answers of the last 24 hours, most first."""
    since = (datetime.now(UTC) - timedelta(hours=24)).isoformat(timespec="milliseconds")
    query = """
        SELECT who, count(*) AS n FROM (
            SELECT who, at FROM standing_decision UNION ALL SELECT who, at FROM audit_answer)
        WHERE at >= ? GROUP BY who ORDER BY n DESC, who"""
    with connection(project) as db:
        return {str(who): int(count) for who, count in db.execute(query, [since])}


def outdated_verdicts(project: Project) -> dict[int, int]:
    """Return label id -> number of undecided texts with a verdict that is older than the label's meaning or extent."""
    query = """
        SELECT q.label, count(DISTINCT q.text) FROM proposed q JOIN verdict v ON v.proposal = q.id
        WHERE v.id IN (SELECT id FROM stale_verdict) AND q.text NOT IN (SELECT text FROM decided) GROUP BY q.label"""
    with connection(project) as db:
        return {int(label): int(count) for label, count in db.execute(query)}


def seconds_per_decision(project: Project, who: str) -> tuple[float, int]:
    """Return the median seconds of this person's single decisions, and how many were timed; (0, 0) without any."""
    query = """
        SELECT seconds FROM decision WHERE who = ? AND seconds IS NOT NULL AND belief IS NULL
        AND kind NOT IN ('skip', 'undo') ORDER BY seconds"""
    with connection(project) as db:
        seconds = [float(n) for (n,) in db.execute(query, [who])]
    return (seconds[len(seconds) // 2], len(seconds)) if seconds else (0.0, 0)
