"""Flags: texts that a person wants a colleague to look at, each with a comment. A flag is a row, and so is its end."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from red_core.errors import StateError
from red_core.records import Project
from red_core.store.database import connection, now, transaction


@dataclass(frozen=True)
class Flag:
    """The flag of a text: who set it, when (ISO 8601 in UTC), and the comment, which may be empty."""

    who: str
    at: str
    comment: str


def flag_text(project: Project, text: int, comment: str, *, raised: bool = True, who: str, act: str | None) -> None:
    """Flag a text, or take its flag away.

    Parameters
    ----------
    text : int
        Row id of the text.
    comment : str
        For the colleague; a newer flag replaces an older one.
    raised : bool
        False takes the flag away.
    act : str or None
        A unique name of the request: one that arrives twice is stored once.

    Raises
    ------
    StateError
        If there is no such text.
    """
    query = """
        INSERT INTO flag (text, raised, comment, who, at, act) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (act) DO NOTHING"""
    try:
        with transaction(project) as db:
            db.execute(query, [text, int(raised), comment, who, now(), act])
    except sqlite3.IntegrityError as error:
        raise StateError(f"there is no such text in project {project.name}. Load the page again.") from error


def flags(project: Project, texts: Sequence[int]) -> dict[int, Flag]:
    """Return text -> flag for those of these texts that have one."""
    query = "SELECT text, who, at, comment FROM standing_flag WHERE text IN (SELECT value FROM json_each(?))"
    with connection(project) as db:
        rows = db.execute(query, [json.dumps(list(texts))])
        return {int(text): Flag(str(who), str(at), str(comment)) for text, who, at, comment in rows}
