"""How long people take to decide."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from red_core.records import Project
from red_core.store.database import connection


def pace(project: Project) -> list[dict[str, Any]]:
    """Return a row per person and queue: ``who``, ``queue``, ``decisions``, and ``p50`` and ``p95`` in seconds.

    Counted is every decision that was timed and made one by one: nothing of a batch, and no skip, which decides
    nothing. A decision that was undone later counts, for its seconds were spent.
    """
    query = """
        SELECT who, queue, seconds FROM decision
        WHERE seconds IS NOT NULL AND belief IS NULL AND kind NOT IN ('skip', 'undo')"""
    taken: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    with connection(project) as db:
        for who, queue, seconds in db.execute(query):
            taken[who, queue].append(seconds)
    return [
        {
            "who": who,
            "queue": queue,
            "decisions": len(seconds),
            "p50": float(np.percentile(seconds, 50)),
            "p95": float(np.percentile(seconds, 95)),
        }
        for (who, queue), seconds in sorted(taken.items())
    ]
