"""Batches of a round that was closed: ended at the server, paid for what ran, and never named again."""

from __future__ import annotations

from contextlib import suppress

import pytest
from click.testing import CliRunner

from red_core.cli import main
from red_core.judges import batch_api, batch_judge
from red_core.judges.project import cancel_batches
from red_core.records import Project
from red_core.rounds.run import run_round
from red_core.store.attempts import spent
from red_core.store.database import connection
from red_core.store.rounds import close_round
from tests.helpers.batch_server import GONE, IN_BATCHES, RESERVED, KilledError, batch_server
from tests.helpers.fault_server import TOKENS, refused
from tests.helpers.small_projects import count

EACH = IN_BATCHES.questions_at_once


def killed(project: Project) -> int:
    """Run a round until its first batch is under way; return how many attempts came before that batch."""

    def dies(stage: str, _done: int, _total: int) -> None:
        if stage == "wait for the batch":
            raise KilledError

    with suppress(KilledError):
        run_round(project, IN_BATCHES, dies)
    return count(project, "SELECT count(*) FROM attempt") - EACH


def red(project: Project, verb: str) -> str:
    done = CliRunner().invoke(main, ["--workspace", str(project.workspace), verb, project.name])
    assert done.exit_code in {0, 1}, done.output
    return done.output


def costs(project: Project, skip: int) -> list[tuple[int, int]]:
    """Return the tokens of the attempts of the first batch, sorted; (-1, -1) where the reserve counts."""
    query = "SELECT coalesce(tokens_in, -1), coalesce(tokens_out, -1) FROM attempt ORDER BY id LIMIT ? OFFSET ?"
    with connection(project) as db:
        return sorted(tuple(row) for row in db.execute(query, [EACH, skip]))


def unread(project: Project) -> int:
    return count(project, "SELECT count(*) FROM judge_batch WHERE NOT ended")


def test_close_ends_a_batch_that_the_server_has_carried_out(project):
    with batch_server(looks=1) as server:
        before = killed(project)
        assert "round 1 is closed" in red(project, "close")
        assert server.files == {}
        assert server.steps["cancel"] == 0
        assert costs(project, before) == [TOKENS] * EACH
        assert unread(project) == 0
        assert "no job is running in project" in red(project, "cancel")


@pytest.mark.parametrize("by", ["round", "cancel"])
def test_a_batch_that_was_being_cancelled_is_ended_later(by, project):
    with batch_server(looks=3, share=0.5) as server:
        before = killed(project)
        red(project, "close")
        (first,) = server.batches.values()
        assert first["status"] == "cancelling"
        assert costs(project, before) == [RESERVED] * EACH
        assert unread(project) == 1
        if by == "cancel":
            assert "is asked to stop" in red(project, "cancel")
            assert costs(project, before) == [GONE] * 3 + [TOKENS] * 2
            assert "no job is running in project" in red(project, "cancel")
        server.looks, server.share = 1, 1.0
        if by == "round":
            server.share = 0.5
            server._look(first["id"])
            server.share = 1.0
        assert run_round(project, IN_BATCHES).metrics["failed"] == 0
    assert server.files == {}
    assert unread(project) == 0
    assert costs(project, before) == [GONE] * 3 + [TOKENS] * 2
    assert count(project, "SELECT count(*) FROM attempt WHERE tokens_in IS NULL") == 0
    assert server.steps["cancel"] == 1


def test_what_a_closed_round_reserved_makes_room_under_the_limit_of_the_project(project):
    with batch_server(looks=1):
        before = killed(project)
        limit = spent(project).tokens + 20  # no room for another batch unless this one is settled
        red(project, "close")
        assert spent(project).tokens == limit - 20 - reserved(project, before) + EACH * sum(TOKENS)
        again = run_round(project, IN_BATCHES.model_copy(update={"most_tokens_project": limit}))
    assert again.metrics["questions"] > 0


def reserved(project: Project, skip: int) -> int:
    """Return the tokens that were reserved for the first batch."""
    return count(project, f"SELECT sum(reserved) FROM (SELECT * FROM attempt ORDER BY id LIMIT {EACH} OFFSET {skip})")


@pytest.mark.parametrize("fault", [{"look": [refused(503)]}, {"cancel": [refused(503)], "look": []}])
def test_a_server_that_is_away_is_asked_again_the_next_time(fault, project):
    with batch_server(looks=9, share=0.0) as server:
        before = killed(project)
        server.instead = fault
        red(project, "close")
        assert unread(project) == 1
        assert cancel_batches(project) == 1
        (first,) = server.batches.values()
        assert first["status"] == "cancelling"
        first["left"] = 1
        assert cancel_batches(project) == 1
        assert cancel_batches(project) == 0
    assert costs(project, before) == [GONE] * EACH
    assert server.files == {}


def test_a_batch_that_the_server_has_forgotten_leaves_its_reserve_spent(project):
    with batch_server() as server:
        before = killed(project)
        server.batches.clear()
        red(project, "close")
    assert costs(project, before) == [RESERVED] * EACH
    assert server.files == {}
    assert unread(project) == 0


@pytest.mark.parametrize(("module", "name"), [(batch_api, "create"), (batch_judge, "name_batch")])
def test_a_batch_without_a_name_is_found_and_ended(module, name, project, monkeypatch):
    def dies(*_values, **_more):
        raise KilledError

    with batch_server(looks=1) as server:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, dies)
            before = killed(project)
        red(project, "close")
    assert costs(project, before) == [GONE if name == "create" else TOKENS] * EACH
    assert server.files == {}
    assert unread(project) == 0


def test_answers_that_were_stored_before_the_kill_keep_their_cost_and_their_verdict(project, monkeypatch):
    def dies(*_values):
        raise KilledError

    with batch_server(looks=1) as server:
        with monkeypatch.context() as patch:
            patch.setattr(batch_judge, "end_judge_batch", dies)
            with pytest.raises(KilledError):
                run_round(project, IN_BATCHES)
        answered = "SELECT count(*) FROM attempt WHERE verdict IS NOT NULL AND tokens_in > 0"
        stored = count(project, answered)
        assert stored == EACH
        close_round(project)
        cancel_batches(project)
    assert count(project, answered) == stored
    assert server.files == {}
    assert unread(project) == 0
