"""What is counted from the answered texts alone, against a count of every row."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from red_core.errors import RedError
from red_core.records import Project
from red_core.review.audits import deal
from red_core.review.decisions import decide, undo
from red_core.review.desk import apply_key_press
from red_core.review.presses import AuditKeyPress
from red_core.rounds import run_round
from red_core.store.final_labels import ROWS_PER_PAGE, counts_without_answers, results_page, source_counts
from red_core.store.texts import pool, seeds
from red_core.store.views import believed_pairs, confusions
from tests.helpers.small_projects import FAST, label_ids


@pytest.mark.parametrize("seed", range(3))
def test_what_was_counted_before_the_answers_is_still_of_use_after_them(project, seed):
    run_round(project, FAST)
    before, believed = counts_without_answers(project, 1), believed_pairs(project, 1)
    assert source_counts(project, 1) == before == counted(project)
    rng = np.random.default_rng(seed)
    for _ in range(40):
        answer(project, rng)
        assert source_counts(project, 1, before) == counted(project)
        assert confusions(project, 1, believed) == confusions(project, 1)
    assert {"decision", "audit"} <= set(counted(project))


def answer(project: Project, rng: np.random.Generator) -> None:
    """Do one act at random; one that is refused changes nothing."""
    labels = sorted(label_ids(project).values())
    texts = [*pool(project).tolist(), int(seeds(project)[0][0])]
    text, label = int(rng.choice(texts)), int(rng.choice(labels))
    kind = str(rng.choice(["accept", "reject", "relabel", "none", "undo", "audit", "audit: none"]))
    if kind == "undo":
        try:
            undo(project, who="ann")
        except RedError:
            return
    elif kind.startswith("audit"):
        for card in deal(project, who="ann", count=2, rng=rng):
            given = {"kind": "none"} if kind == "audit: none" else {"kind": "label", "label": label}
            press = {"id": rng.bytes(16).hex(), "audit": card.audit, "seconds": 1.0} | given
            apply_key_press(project, AuditKeyPress.model_validate(press), who="ann")
    else:
        decide(project, text, kind, label=None if kind == "none" else label, who="ann")


def counted(project: Project) -> dict[str, int]:
    """Return how many rows of the page *Results* have each source."""
    kinds: Counter[str] = Counter()
    page = 0
    while rows := results_page(project, 1, page=page)[0]:
        kinds.update(row["source"] for row in rows)
        page += 1
        assert len(rows) <= ROWS_PER_PAGE
    return dict(kinds)
