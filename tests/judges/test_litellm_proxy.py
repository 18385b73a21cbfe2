"""A real litellm proxy in front of a judge's server on loopback: connect, test, round, cap, faults that it passes on.

The proxy runs in the interpreter that has ``litellm[proxy]``: this one, or the one that RED_LITELLM_PYTHON names.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
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
from tests.helpers.real_server import real_server
from tests.helpers.small_projects import FAST, count

PYTHON = os.environ.get("RED_LITELLM_PYTHON", sys.executable)
SECONDS = 180
KEY = "sk-of-the-proxy"
SERVE = "from litellm import run_server; run_server()"
HERE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
JUDGED = FAST.model_copy(
    update={"judge": "llm", "self_test_seeds": 10, "canaries": 1, "least_gain": 0.0, "least_bits": 0.0}
)

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def behind() -> Iterator[FaultServer]:
    """The server that the proxy asks."""
    with FaultServer() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(behind: FaultServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the proxy, which is started once."""
    probe = [PYTHON, "-c", "import litellm.proxy.proxy_server"]
    found = subprocess.run(probe, capture_output=True, text=True, timeout=SECONDS, check=False, env=os.environ | HERE)
    if found.returncode:
        pytest.skip(f"no litellm proxy: {found.stderr.strip().splitlines()[-1]}")
    folder = tmp_path_factory.mktemp("litellm")
    asked = {"model": "openai/tiny", "api_base": behind.address, "api_key": "sk-behind"}
    models = [{"model_name": "judge", "litellm_params": asked}]
    (folder / "config.yaml").write_text(
        json.dumps(
            {"model_list": models, "general_settings": {"master_key": KEY}, "router_settings": {"num_retries": 0}}
        )
    )

    def command(port: int) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(port)]
        return [PYTHON, "-c", SERVE, "--config", str(folder / "config.yaml"), *where]

    with real_server(command, folder / "log", SECONDS, health="/health/liveliness", environment=HERE) as address:
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
