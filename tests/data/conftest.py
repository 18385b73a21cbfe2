"""Fixtures of the tests of backups."""

from __future__ import annotations

from pathlib import Path

import pytest

from red_core.data.backup import back_up
from red_core.labels.edit_kinds import Rename
from red_core.labels.edits import apply_edit
from red_core.records import Project
from red_core.review.audits import answer, deal
from red_core.review.decisions import decide, feed_back, plan_feed_back, undo
from red_core.rounds.run import run_round
from red_core.store.database import transaction
from red_core.store.texts import pool
from red_core.training.embeddings import name_vectors
from tests.helpers.small_projects import EMBEDDING, FAST, fake_encode, small_project

CERTIFICATE = (
    'INSERT INTO certificate (sample, round, threshold, texts, "of", audits, hits, lower, target, error, who, at) '
    "VALUES (1, 2, 0.5, 10, 20, 4, 4, 0.96, 0.95, 0.03, 'ann', '2026-01-01T00:00:00.000+00:00')"
)


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a project that has facts and arrays of every kind, and its backup; tests leave both alone."""
    folder = tmp_path_factory.mktemp("backed up")
    project = small_project(folder / "workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("red_core.training.embeddings.encode", fake_encode)
        name_vectors(project, EMBEDDING, ["refund", "delivery"])
    two_rounds(project)
    back_up(project, folder / "small.zip")
    return folder


def two_rounds(project: Project) -> None:
    """Run two rounds with decisions, an undo, a feed-back and an edit between them; then audit and certify."""
    settings = FAST.model_copy(update={"lexical_dimensions": 4})
    run_round(project, settings, who="ann")
    texts = pool(project).tolist()
    for text in texts[:4]:
        decide(project, text, "accept", label=1, who="ann")
    decide(project, texts[4], "none", who="ann")
    decide(project, texts[5], "reject", label=2, who="ann")
    undo(project, who="ann")
    feed_back(project, plan_feed_back(project, accept_evidence_check=True), who="ann")
    apply_edit(project, Rename(4, "mend"), "ann")
    run_round(project, settings, who="ann")
    for _ in range(4):
        (card,) = deal(project, who="ann", count=1)
        answer(project, card.audit, "label", label=card.options[0], who="ann")
    with transaction(project) as db:
        db.execute(CERTIFICATE)
