"""What changed between two rounds: the decisions made between them, and the texts with another label. Reads only."""

from __future__ import annotations

from red_core.records import Project
from red_core.store.database import connection

_OPENED = "(SELECT last_decision FROM round WHERE id = {})"


def decided_between(project: Project, before: int, after: int) -> dict[int, str]:
    """Return text -> who decided it last, for decisions that stand and were made between two rounds.

    A decision is between them if it was made after the round ``before`` was opened, and before the round ``after`` was.
    """
    query = f"""
        SELECT text, who FROM standing_decision WHERE kind <> 'reject'
        AND id > {_OPENED.format(":before")} AND id <= {_OPENED.format(":after")} ORDER BY id"""
    with connection(project) as db:
        return {int(text): str(who) for text, who in db.execute(query, {"before": before, "after": after})}


def changed_labels(project: Project, before: int, after: int) -> list[tuple[int, int, int]]:
    """Return (text, label before, label after) of the texts that two rounds label differently; -1 is none of these.

    Texts that were decided when the round ``after`` was opened are left out.
    """
    query = f"""
        SELECT new.text, old.label, new.label FROM prediction new JOIN prediction old ON old.text = new.text
        WHERE old.round = :before AND new.round = :after AND old.label <> new.label
        AND NOT EXISTS (SELECT 1 FROM standing_decision s
            WHERE s.text = new.text AND s.kind <> 'reject' AND s.id <= {_OPENED.format(":after")})
        ORDER BY new.text"""
    rounds = {"before": before, "after": after}
    with connection(project) as db:
        return [(int(text), int(old), int(new)) for text, old, new in db.execute(query, rounds)]
