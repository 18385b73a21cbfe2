"""What is read of a few rows alone, the counts of the answered texts and the least certain rows, against all rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from red_core.errors import RedError
from red_core.records import Project
from red_core.review.audits import deal
from red_core.review.decisions import decide, undo
from red_core.review.desk import apply_key_press
from red_core.review.presses import AuditKeyPress
from red_core.rounds import run_round
from red_core.store import final_labels
from red_core.store.checksums import seal
from red_core.store.database import connection, transaction
from red_core.store.final_labels import ROWS_PER_PAGE, counts_without_answers, results_page, source_counts
from red_core.store.texts import pool, seeds
from red_core.store.views import believed_pairs, confusions
from tests.helpers.small_projects import FAST, label_ids, pool_rows


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


@pytest.mark.parametrize("seed", range(3))
def test_the_least_certain_texts_come_first_on_every_page(make_project, seed, monkeypatch):
    monkeypatch.setattr(final_labels, "ROWS_PER_PAGE", 7)
    project = make_project(pool=[*pool_rows(), *pool_rows()[:9]])  # some texts come twice
    run_round(project, FAST)
    rng = np.random.default_rng(seed)
    with transaction(project) as db:  # equal beliefs: then the order of the files counts
        db.execute("UPDATE prediction SET belief = round(belief, 1)")
        seal(db, predictions=True)
    for turn in range(25):
        answer(project, rng)
        if turn % 5 == 0:
            in_bulk(project, int(rng.choice(pool(project))), float(rng.choice([0.3, 0.7, 0.9])))
        in_files, total = every_page(project)
        assert every_page(project, lowest_first=True) == (
            sorted(in_files, key=lambda row: (row["belief"] is None, row["belief"] or 0.0)), total
        )  # fmt: skip
    assert {"bulk", "decision", "audit", "classifiers"} <= {row["source"] for row in in_files}


def test_the_least_certain_texts_are_read_without_the_others(project):
    plan = "EXPLAIN QUERY PLAN " + final_labels._LEAST_CERTAIN
    with connection(project) as db:
        steps = [str(row[3]) for row in db.execute(plan, {"round": 1, "limit": 50, "offset": 0})]
    assert "SEARCH p USING COVERING INDEX prediction_belief (round=?)" in steps
    assert not [step for step in steps if step.startswith("SCAN prediction") or step == "SCAN p"]


def every_page(project: Project, *, lowest_first: bool = False) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of all pages, and how many there are."""
    rows: list[dict[str, Any]] = []
    total = 0
    while True:
        more, found = results_page(project, 1, page=len(rows) // 7, lowest_first=lowest_first)
        rows += more
        total = max(total, found)
        if not more or len(rows) == total:
            return rows, total


def in_bulk(project: Project, text: int, belief: float) -> None:
    """Store a decision as a batch does."""
    decide(project, text, "accept", label=1, who="ann")
    with transaction(project) as db:
        db.execute("UPDATE decision SET belief = ? WHERE id = (SELECT max(id) FROM decision)", [belief])
        db.execute("DELETE FROM checksum WHERE facts = 'decision'")  # so that it is stored like this


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
