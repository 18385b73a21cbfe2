"""What a model said about a verdict afterwards."""

from __future__ import annotations

from red_core.records import Project
from red_core.store.database import connection, now, transaction


def add_explanation(project: Project, verdict: int, words: str, model: str) -> None:
    """Store an explanation beside its verdict."""
    with transaction(project) as db:
        db.execute(
            "INSERT INTO explanation (verdict, words, model, at) VALUES (?, ?, ?, ?)", [verdict, words, model, now()]
        )


def explanation(project: Project, verdict: int) -> tuple[str, str] | None:
    """Return the words and the model of a verdict's newest explanation; None where there is none."""
    query = "SELECT words, model FROM explanation WHERE verdict = ? ORDER BY id DESC LIMIT 1"
    with connection(project) as db:
        found = db.execute(query, [verdict]).fetchone()
    return None if found is None else (str(found[0]), str(found[1]))
