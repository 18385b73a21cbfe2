from __future__ import annotations

from red_core.labels.edit_kinds import Retire
from red_core.labels.edits import apply_edit
from red_core.rounds.run import run_round
from red_core.store.rounds import close_round
from red_core.store.texts import pool
from tests.helpers.small_projects import FAST, reviewed_round


def test_a_round_after_one_that_kept_no_confidence_has_no_change_to_tell(project):
    reviewed_round(project, dict.fromkeys(pool(project).tolist(), (1, 0.9)))
    apply_edit(project, Retire(1), "ann")
    close_round(project)
    assert run_round(project, FAST).metrics["information_gain"] is None
