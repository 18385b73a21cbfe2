"""Projects to audit, and answers to their audits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from red_core.records import Project
from red_core.review.audits import answer
from red_core.store.audits import AuditCard
from red_core.store.database import connection
from red_core.store.rounds import close_round
from red_core.store.texts import truths
from tests.helpers.small_projects import count, label_ids, reviewed_round, seed_rows

ANN, BOB = "ann", "bob"


def truth(project: Project) -> dict[int, int]:
    ids = label_ids(project)
    return {text: ids[name] for text, name in sorted(truths(project).items()) if name in ids}


def labelled(project: Project, wrong: Iterable[int] = (), judge: str = "evidence") -> Project:
    """Put a round to review whose machine labels are true, except for the texts in ``wrong``."""
    wrong, true = set(wrong), truth(project)
    reviewed_round(
        project, {t: (label % 4 + 1 if t in wrong else label, 0.9) for t, label in true.items()}, judge=judge
    )
    return project


def again(project: Project, wrong: Iterable[int] = ()) -> Project:
    close_round(project)
    return labelled(project, wrong)


def tell(project: Project, cards: Sequence[AuditCard], who: str = ANN, misses: int = 0) -> None:
    """Answer with the true labels, except for the last ``misses`` audits."""
    true, names = truth(project), dict(seed_rows())
    for place, card in enumerate(cards):
        label = true.get(card.text) or label_ids(project)[names[card.content]]
        missed = place >= len(cards) - misses
        answer(project, card.audit, "label", label=label % 4 + 1 if missed else label, who=who)


def purposes(project: Project) -> dict[int, str]:
    with connection(project) as db:
        return dict(db.execute("SELECT text, purpose FROM audit").fetchall())


def rows(project: Project, table: str = "audit_answer") -> int:
    return count(project, f"SELECT count(*) FROM {table}")
