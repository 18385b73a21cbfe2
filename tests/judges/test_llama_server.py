"""A real llama.cpp server (``xllamacpp``) with a real small model, which tests/helpers/real_judges.py finds.

Try, test, cap, cancel, resume, probabilities, cache.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from red_core.errors import JudgeError
from red_core.judges.project import judge_check, judge_of, stored_self_test, try_connection
from red_core.judges.server_settings import judge_server
from red_core.rounds.run import run_round
from red_core.store.attempts import spent
from red_core.store.rounds import close_round
from red_core.store.verdicts import verdicts
from tests.helpers.fault_server import use_settings
from tests.helpers.real_judges import JUDGED, cancelled, check_resuming, llama_server
from tests.helpers.small_projects import count
from tests.helpers.workers import kill, no_worker_left_over

__all__ = ["no_worker_left_over"]
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of the server, which is started once, and the name of its model."""
    with llama_server(tmp_path_factory.mktemp("llama")) as found:
        yield found


@pytest.fixture(autouse=True)
def settings(served: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the server the judge's."""
    named = {"OPENAI_BASE_URL": served[0], "RED_JUDGE_MODEL": served[1]}
    use_settings(monkeypatch, named | {"RED_JUDGE_TIMEOUT": "240"})


def test_the_trial_finds_a_form_probabilities_and_how_long_a_reply_takes(project):
    connection = try_connection(project, judge_server())
    assert connection.dialect is not None
    assert connection.dialect.logprobs
    assert (connection.dialect.limit, connection.dialect.system) == ("max_tokens", True)
    assert connection.dialect.seconds > 0
    assert connection.sentences[-1] == "It gives probabilities, which say more than its words."


def test_the_self_test_a_round_its_cap_and_its_end(project):
    found = judge_check(project, JUDGED)
    assert found.pairs == 20
    assert count(project, "SELECT count(*) FROM self_test WHERE p_valid > 0 AND p_valid < 1") >= 20
    assert "an answer is worth" in " ".join(found.sentences())
    each = spent(project).tokens / 23
    capped = run_round(project, JUDGED.model_copy(update={"most_tokens": round(8 * each)}))
    assert spent(project, round_id=capped.id).tokens <= 8 * each
    assert not capped.metrics["complete"]
    before = {(v.text, v.label) for v in verdicts(project)}
    close_round(project)
    done = run_round(project, JUDGED.model_copy(update={"most_questions": 4}))
    assert done.metrics["failed"] == 0
    assert before <= {(v.text, v.label) for v in verdicts(project)}
    assert all(v.p_valid is not None for v in verdicts(project))
    assert stored_self_test(project, judge_of(project, judge_server())) is not None
    assert spent(project).cached > 0  # the instructions are the same in every question


def test_a_round_that_was_cancelled_goes_on(project):
    ended = check_resuming(project, cancelled)
    assert (ended.state, ended.stage) == ("cancelled", "ask")


def test_a_round_whose_worker_was_killed_goes_on(project):
    assert check_resuming(project, kill).state == "interrupted"


def test_a_server_that_is_slow_for_its_timeout_is_given_time(project, monkeypatch):
    monkeypatch.setenv("RED_JUDGE_AT_ONCE", "8")
    assert try_connection(project, judge_server()).form is not None
    monkeypatch.setenv("RED_JUDGE_TIMEOUT", "3")
    done = run_round(project, JUDGED.model_copy(update={"most_questions": 6}))
    assert done.metrics["failed"] == 0


def test_a_wrong_address_is_told(project, monkeypatch, served):
    monkeypatch.setenv("OPENAI_BASE_URL", served[0].replace("http:", "https:"))
    with pytest.raises(JudgeError, match="no https"):
        try_connection(project, judge_server())
