"""A real litellm proxy in front of a judge's server on loopback: connect, test, round, cap, faults that it passes on.

In front of a real llama.cpp server with a real small model: probabilities, cache, cancel, resume. Both are found as
tests/helpers/real_judges.py says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from red_core.errors import JudgeError
from red_core.judges.project import judge_check, try_connection
from red_core.judges.server_settings import judge_server
from red_core.rounds.run import run_round
from red_core.store.attempts import spent
from red_core.store.rounds import close_round
from red_core.store.verdicts import verdicts
from tests.helpers.fault_server import FaultServer, honest, in_turn, refused
from tests.helpers.real_judges import JUDGED, KEY, cancelled, check_resuming, litellm_proxy, llama_server
from tests.helpers.small_projects import count
from tests.helpers.workers import kill, no_worker_left_over

__all__ = ["no_worker_left_over"]
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def behind() -> Iterator[FaultServer]:
    """The server that the proxy asks."""
    with FaultServer() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(behind: FaultServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the proxy, which is started once."""
    with litellm_proxy(tmp_path_factory.mktemp("litellm"), behind.address) as address:
        yield address


@pytest.fixture(scope="module")
def proxy_of_a_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a proxy in front of a llama.cpp server."""
    folders = tmp_path_factory.mktemp("llama"), tmp_path_factory.mktemp("litellm")
    with llama_server(folders[0]) as (behind, _), litellm_proxy(folders[1], behind) as address:
        yield address


@pytest.fixture(autouse=True)
def settings(proxy: str, behind: FaultServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the proxy the judge's server, and the server behind it honest."""
    for name, value in {"OPENAI_BASE_URL": proxy, "OPENAI_API_KEY": KEY, "RED_JUDGE_MODEL": "judge"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RED_JUDGE_FORMAT", "auto")
    behind.behave = honest
    yield
    behind.behave = honest


def test_the_trial_the_self_test_a_round_and_its_cap(project):
    connection = try_connection(project, judge_server())
    assert connection.form == "json_schema"
    test = judge_check(project, JUDGED)
    assert (test.pairs, test.right, test.wrong) == (20, {"valid": 10}, {"invalid": 10})
    each = spent(project).tokens / spent(project).attempts
    assert each == 105  # the proxy passes on what the server behind it counted
    capped = run_round(project, JUDGED.model_copy(update={"most_tokens": 10_000}))
    assert spent(project, round_id=capped.id).tokens <= 10_000
    close_round(project)
    done = run_round(project, JUDGED.model_copy(update={"most_questions": 8}))
    assert done.metrics["failed"] == 0
    assert {v.outcome for v in verdicts(project)} == {"valid", "invalid"}
    assert count(project, "SELECT count(*) FROM attempt WHERE tokens_in IS NULL") == 0


def test_faults_behind_the_proxy_that_pass_are_waited_for(project, behind):
    assert try_connection(project, judge_server()).form is not None
    behind.behave = in_turn(refused(429), refused(503), refused(500))
    done = run_round(project, JUDGED.model_copy(update={"most_questions": 4}))
    assert (done.metrics["failed"], done.metrics["questions"]) == (0, 4)


def test_a_key_and_a_model_that_the_proxy_refuses_are_told(project, monkeypatch):
    monkeypatch.setenv("RED_JUDGE_MODEL", "nobody")
    with pytest.raises(JudgeError, match="nobody"):
        run_round(project, JUDGED)
    monkeypatch.setenv("RED_JUDGE_MODEL", "judge")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    found = try_connection(project, judge_server())
    assert found.form is None
    assert re.search(r"did not work, status 4\d\d", found.sentences[0])  # without a database it knows its own key only


@pytest.fixture
def real_model(proxy_of_a_model: str, settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the proxy in front of a real model the judge's server."""
    del settings  # they come first
    monkeypatch.setenv("OPENAI_BASE_URL", proxy_of_a_model)
    monkeypatch.setenv("RED_JUDGE_TIMEOUT", "240")


@pytest.mark.usefixtures("real_model")
def test_the_probabilities_and_the_cached_tokens_of_a_model_come_through(project):
    connection = try_connection(project, judge_server())
    assert connection.dialect is not None
    assert connection.dialect.logprobs
    assert judge_check(project, JUDGED).pairs == 20
    done = run_round(project, JUDGED.model_copy(update={"most_questions": 4}))
    assert done.metrics["failed"] == 0
    assert all(v.p_valid is not None for v in verdicts(project))
    assert spent(project).cached > 0


@pytest.mark.usefixtures("real_model")
@pytest.mark.parametrize(("stop", "state"), [(cancelled, "cancelled"), (kill, "interrupted")])
def test_a_round_of_a_model_that_was_stopped_goes_on(stop, state, project):
    assert check_resuming(project, stop).state == state
