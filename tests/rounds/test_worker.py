"""Real workers, really killed: nothing acknowledged is lost, and the round ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from red_core.data.importing import import_files
from red_core.errors import Cancelled, StateError
from red_core.records import Job, Project
from red_core.review.decisions import decide, undo
from red_core.rounds import jobs, worker
from red_core.rounds.encoder_change import NEXT
from red_core.rounds.jobs import follow_job, log_file, mark_interrupted, process_identity, start_job
from red_core.rounds.run import run_round
from red_core.rounds.worker import NICE, SESSION_NICE
from red_core.settings import DEFAULT_MODEL, Settings
from red_core.store.database import open_project, transaction
from red_core.store.decisions import decided
from red_core.store.jobs import add_job, ask_to_cancel, claim_job, end_job, find_job, newest_job
from red_core.store.labels import current_layout
from red_core.store.rounds import list_rounds
from red_core.store.texts import pool, remember
from red_core.store.vectors import load_vectors, with_vector, without_vector
from red_core.training.encoder_choice import encoder_of
from tests.helpers.hub import save_tiny_encoder
from tests.helpers.prepared_process import forked_workers, prepared_red
from tests.helpers.project_facts import facts, figures, metrics
from tests.helpers.small_projects import (
    EMBEDDING,
    FAST,
    LABELS,
    count,
    embed,
    pool_rows,
    seed_rows,
    small_project,
    write_csv,
)
from tests.helpers.workers import forget_workers, kill, no_worker_left_over, verdict_rows, wait_for

__all__ = ["forked_workers", "no_worker_left_over", "prepared_red"]
pytestmark = pytest.mark.usefixtures("forked_workers")

SLOW = FAST.model_copy(update={"questions_at_once": 2})
"""Many small groups of questions, so that a round can be stopped between any two of them."""


def finish(project: Project, kind: str = "round", settings: Settings = SLOW) -> Job:
    return follow_job(project, start_job(project, kind, settings, "tester"), lambda _: None, 0.1)


def check_round(project: Project, reference: Project) -> None:
    """Check that the only round is to review, that no pair was asked about twice, and that it is as the reference."""
    assert [r.state for r in list_rounds(project)] == ["to review"]
    pairs = "SELECT DISTINCT round, text, label FROM verdict JOIN proposal p ON p.id = proposal"
    assert count(project, "SELECT count(*) FROM verdict") == count(project, f"SELECT count(*) FROM ({pairs})")
    assert facts(project) == facts(reference)
    np.testing.assert_allclose(figures(project), figures(reference), atol=1e-5)
    assert metrics(project) == metrics(reference)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project before its first round; tests work on copies."""
    folder = tmp_path_factory.mktemp("durability")
    return small_project(folder / "workspace", seeds=seed_rows(each=8), pool=pool_rows(each=100))


@pytest.fixture(scope="module")
def reference(untouched: Project, tmp_path_factory: pytest.TempPathFactory, forked_workers: None) -> Project:
    """The same project after a round that nothing interrupted."""
    del forked_workers  # they have begun
    copied = copy_of(untouched, tmp_path_factory.mktemp("reference") / "workspace")
    assert finish(copied).state == "done"
    forget_workers()
    return copied


def copy_of(project: Project, workspace: Path) -> Project:
    shutil.copytree(project.workspace, workspace)
    return open_project(workspace, project.name)


@pytest.fixture
def fresh(untouched: Project, workspace: Path) -> Project:
    return copy_of(untouched, workspace)


def started(project: Project, stage: str, verdicts: int = 0, kind: str = "round") -> int:
    """Start a job and return when it is in this stage with so many verdicts stored."""
    job = start_job(project, kind, SLOW, "tester")
    wait_for(
        lambda: find_job(project, job).stage == stage and count(project, "SELECT count(*) FROM verdict") >= verdicts,
        f"{verdicts} verdicts at the stage {stage}",
    )
    return job


@pytest.mark.skipif(not Path("/proc/self/autogroup").is_file(), reason="the system does not group by session")
def test_a_worker_steps_back_also_where_sessions_share_the_processor_evenly():
    code = "from red_core.rounds.worker import step_back; step_back(); print(open('/proc/self/autogroup').read())"
    command = [sys.executable, "-c", code]
    own, shared = (
        subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=new).stdout
        for new in (True, False)
    )
    assert own.split()[-1] == str(SESSION_NICE)
    # The session of others stays. The first session of a system has no group: then the file is empty.
    assert shared.split() == Path("/proc/self/autogroup").read_text().split()


# kill -9


@pytest.mark.parametrize(("stage", "verdicts"), [("fit", 0), ("ask", 1), ("ask", 60)])
def test_a_round_killed_and_started_again_ends_as_if_nothing_had_happened(stage, verdicts, fresh, reference):
    job = started(fresh, stage, verdicts)
    assert psutil.Process(find_job(fresh, job).pid).nice() >= NICE  # pages come first
    killed = kill(fresh, job)
    assert (killed.state, killed.error) == ("interrupted", "its process was stopped from outside")
    assert list_rounds(fresh)[-1].state == "open"
    kept = verdict_rows(fresh)
    assert len(kept) >= verdicts
    assert finish(fresh).state == "done"
    assert kept <= verdict_rows(fresh)
    check_round(fresh, reference)


def test_a_worker_leaves_a_core_to_the_server_where_there_are_more_than_two(monkeypatch):
    for cores, limit in ((2, None), (8, "7")):
        monkeypatch.setattr(jobs, "cpu_count", lambda cores=cores: cores)
        assert {jobs._threads().get(name) for name in jobs.THREADS} == {limit}


def test_decisions_made_around_a_kill_are_not_lost(fresh):
    texts = pool(fresh).tolist()
    job = started(fresh, "ask", 1)
    decide(fresh, texts[0], "accept", label=1)
    decide(fresh, texts[1], "relabel", label=2)
    decide(fresh, texts[2], "none")
    kill(fresh, job)
    decide(fresh, texts[3], "accept", label=4)
    undo(fresh)
    assert finish(fresh).state == "done"
    assert decided(fresh) == {texts[0]: 1, texts[1]: 2, texts[2]: -1}


def test_preparing_killed_and_started_again_ends_as_if_nothing_had_happened(fresh, reference):
    job = start_job(fresh, "prepare", SLOW, "tester")
    wait_for(lambda: find_job(fresh, job).state != "waiting", "the worker to begin")
    kill(fresh, job)
    assert finish(fresh, "prepare").state == "done"
    assert facts(fresh)["subsets"] == facts(reference)["subsets"]
    assert count(fresh, "SELECT count(*) FROM label_edit WHERE kind = 'subsets formed'") == 1


def test_a_worker_outlives_whoever_started_it(fresh):
    """Here alone the worker is a new process; elsewhere it is a fork of one that has imported the program."""
    code = (
        "import sys; from pathlib import Path; from red_core.store.database import open_project\n"
        "from red_core.settings import Settings; from red_core.rounds.jobs import start_job; import os\n"
        "project = open_project(Path(sys.argv[1]), sys.argv[2])\n"
        "start_job(project, 'round', Settings.model_validate_json(sys.argv[3]), 'tester'); os._exit(0)"
    )
    arguments = [str(fresh.workspace), fresh.name, SLOW.model_dump_json()]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=60)
    wait_for(lambda: (newest_job(fresh) or find_job(fresh, 1)).state == "done", "the end of the round", every=0.2)
    assert list_rounds(fresh)[-1].state == "to review"


def random_kills(project: Project, kind: str, settings: Settings, rng: np.random.Generator, longest: float) -> int:
    """Start a job and kill it after a random time, again and again, then let it finish; return the kills that hit."""
    hit = 0
    for _ in range(int(rng.integers(1, 5))):
        job = start_job(project, kind, settings, "tester")
        wait_for(lambda job=job: find_job(project, job).state != "waiting", "the worker to begin")
        time.sleep(float(rng.uniform(0, longest)))
        if kill(project, job).state == "done":
            break
        hit += 1
        kept = verdict_rows(project)
        assert facts(project)["sources"]
        assert kept <= verdict_rows(project)
    else:
        assert finish(project, kind, settings).state == "done"
    return hit


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(15))
def test_a_round_killed_at_random_moments_ends_as_if_nothing_had_happened(seed, fresh, reference):
    random_kills(fresh, "round", SLOW, np.random.default_rng(seed), 1.5)
    check_round(fresh, reference)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_embedding_and_mapping_killed_at_random_moments_lose_nothing(workspace, tmp_path):
    names = (*LABELS, "praise", "invoice", "return", "advice")
    labelled = write_csv(tmp_path / "a.csv", ["text", "label"], seed_rows(names, 5))
    texts = write_csv(tmp_path / "b.csv", ["text"], [[text] for text, _ in pool_rows(names, 400)])
    project, reference = Project(workspace, "killed"), Project(workspace, "reference")
    for each in (project, reference):
        import_files(workspace, each.name, labelled, texts)
    assert finish(reference, "prepare").state == "done"
    hit = random_kills(project, "prepare", SLOW, np.random.default_rng(1), 15)
    assert hit >= 1
    assert len(without_vector(project, DEFAULT_MODEL)) == 0
    everything = pool(project)
    np.testing.assert_allclose(
        load_vectors(project, DEFAULT_MODEL, everything), load_vectors(reference, DEFAULT_MODEL, everything), atol=1e-5
    )
    assert current_layout(project)[1].tolist() == current_layout(reference)[1].tolist()


@pytest.mark.timeout(300)  # three workers load the encoder
def test_a_change_of_the_encoder_killed_half_way_ends_as_if_nothing_had_happened(workspace, tmp_path):
    tiny = save_tiny_encoder(tmp_path / "tiny", [*LABELS, "please", "case", "message"])
    project = small_project(workspace, seeds=seed_rows(), pool=pool_rows(each=1_200))
    text, line = int(pool(project)[0]), str(tiny)
    decide(project, text, "relabel", label=2)
    before = facts(project)
    reference = copy_of(project, tmp_path / "reference")
    for each in (project, reference):
        remember(each, NEXT, line, anew=True)
    assert finish(reference, "encoder").state == "done"
    job = start_job(project, "encoder", SLOW, "tester")
    wait_for(lambda: len(with_vector(project, line)) > 0, "the first texts with a new vector", every=0.001)
    killed = kill(project, job)
    assert (killed.state, killed.stage) == ("interrupted", "embed")
    kept = with_vector(project, line)
    assert 0 < len(kept) < len(with_vector(project, EMBEDDING))
    assert encoder_of(project) == EMBEDDING
    assert facts(project) == before
    assert finish(project, "encoder").state == "done"
    assert encoder_of(project) == encoder_of(reference) == line
    assert decided(project) == {text: 2}
    everything = with_vector(reference, line)
    assert np.array_equal(with_vector(project, line), everything)
    assert np.array_equal(load_vectors(project, line, everything), load_vectors(reference, line, everything))
    assert np.array_equal(current_layout(project)[2], current_layout(reference)[2])


# Cancel


def test_a_cancelled_round_keeps_its_verdicts_and_goes_on_to_the_same_end(fresh, reference):
    job = started(fresh, "ask", 1)
    ask_to_cancel(fresh, job)
    assert follow_job(fresh, job, lambda _: None, 0.1).state == "cancelled"
    assert list_rounds(fresh)[-1].state == "open"
    kept = verdict_rows(fresh)
    assert finish(fresh).state == "done"
    assert kept <= verdict_rows(fresh)
    check_round(fresh, reference)


def test_a_job_cancelled_before_its_worker_begins_does_nothing(fresh):
    job = start_job(fresh, "round", SLOW, "tester")
    ask_to_cancel(fresh, job)
    assert follow_job(fresh, job, lambda _: None, 0.1).state == "cancelled"
    assert list_rounds(fresh) == []


def test_after_a_cancelled_job_the_next_can_start_at_once(fresh):
    job = add_job(fresh, "round", "{}", "tester")
    ask_to_cancel(fresh, job)
    assert finish(fresh, "prepare").state == "done"


def test_a_round_left_open_still_ends_after_a_label_was_imported(fresh, tmp_path):
    def stop_at_the_first_answers(stage: str, done: int, _total: int) -> None:
        if stage == "ask" and done:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        run_round(fresh, SLOW, stop_at_the_first_answers)
    more = write_csv(tmp_path / "more.csv", ["text", "label"], seed_rows(("praise",), 3))
    with contextlib.suppress(StateError):  # to refuse it until the round has ended would be fine, too
        import_files(fresh.workspace, fresh.name, more, embedding=EMBEDDING)
    assert run_round(embed(fresh), SLOW).state == "to review"


# How jobs end


def test_a_job_that_cannot_be_done_fails_with_one_line(workspace, tmp_path):
    labelled = write_csv(tmp_path / "a.csv", ["text", "label"], seed_rows())
    import_files(workspace, "p", labelled, embedding=EMBEDDING)
    project = open_project(workspace, "p")
    with pytest.raises(StateError, match=r"project p has no pool\. `red import p --pool FILE` adds one"):
        finish(project)
    failed = newest_job(project)
    assert failed is not None
    assert failed.state == "failed"
    assert "\n" not in failed.error


def test_a_worker_with_an_unexpected_error_leaves_its_last_words(fresh):
    impossible = Settings.model_construct(**(SLOW.model_dump() | {"subset_size": -1}))  # as if of another version
    with pytest.raises(StateError, match=r"the job was interrupted: .*details: .*Nothing stored was lost") as caught:
        finish(fresh, settings=impossible)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_jobs_of_two_projects_with_one_number_are_told_apart(fresh, untouched, tmp_path):
    other = copy_of(untouched, tmp_path / "other")
    first = started(fresh, "ask", 1)
    second = start_job(other, "prepare", SLOW, "tester")
    pid = find_job(fresh, first).pid or 0
    os.kill(pid, signal.SIGKILL)
    try:
        follow_job(other, second, lambda _: None, 0.1)
        assert state_now(fresh) == "interrupted"
    finally:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def claimed(project: Project, pid: int, began: float) -> int:
    job = add_job(project, "round", "{}", "tester")
    claim_job(project, job, pid, began)
    return job


def state_now(project: Project) -> str:
    job = mark_interrupted(project)
    assert job is not None
    return job.state


def test_a_job_of_a_living_process_is_left_alone(fresh):
    claimed(fresh, os.getpid(), process_identity(os.getpid()))
    assert state_now(fresh) == "running"


def test_a_job_whose_process_is_gone_was_interrupted(fresh):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    claimed(fresh, ended.pid, time.time())
    assert state_now(fresh) == "interrupted"


def test_a_job_whose_process_number_belongs_to_another_now_was_interrupted(fresh):
    claimed(fresh, os.getpid(), process_identity(os.getpid()) - 1)
    assert state_now(fresh) == "interrupted"


def test_a_worker_that_ends_before_it_claims_its_job_is_missed_at_once(fresh, monkeypatch):
    monkeypatch.setattr("red_core.rounds.jobs.sys.executable", shutil.which("false"))
    start_job(fresh, "round", SLOW, "tester")
    wait_for(lambda: state_now(fresh) == "interrupted", "the job to be interrupted")


def test_a_job_whose_process_nobody_waited_for_was_interrupted(fresh):
    ended = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert ended.stdout is not None
    began = process_identity(ended.pid)
    ended.stdout.read()
    wait_for(lambda: psutil.Process(ended.pid).status() == psutil.STATUS_ZOMBIE, "the process to be a zombie")
    claimed(fresh, ended.pid, began)
    assert state_now(fresh) == "interrupted"
    ended.stdout.close()
    ended.wait()


@pytest.mark.parametrize(("silent", "state"), [(5, "waiting"), (120, "interrupted")])
def test_a_job_nobody_claims_was_interrupted_after_a_minute(silent, state, fresh):
    job = add_job(fresh, "round", "{}", "tester")
    with transaction(fresh) as db:
        db.execute("UPDATE job SET heartbeat = ? WHERE id = ?", [time.time() - silent, job])
    assert state_now(fresh) == state


def test_a_job_that_has_ended_is_never_marked(fresh):
    end_job(fresh, claimed(fresh, 1, 0.0), "done")
    assert state_now(fresh) == "done"


def test_before_the_first_job_there_is_nothing_to_mark(fresh):
    assert mark_interrupted(fresh) is None


def test_a_traceback_in_the_log_is_told_in_one_line(fresh):
    job = claimed(fresh, os.getpid(), 0.0)
    log = log_file(fresh, job)
    log.parent.mkdir()
    log.write_text("Traceback (most recent call last):\n  File ...\nValueError: two\tlines\n")
    mark_interrupted(fresh)
    assert find_job(fresh, job).error == f"ValueError: two lines (details: {log})"


def test_the_figures_of_a_round_can_be_written_as_json(reference):
    assert json.loads(json.dumps(list_rounds(reference)[0].metrics)) == list_rounds(reference)[0].metrics


def test_a_change_of_the_wall_clock_is_not_taken_for_another_process(fresh, monkeypatch):
    claimed(fresh, os.getpid(), process_identity(os.getpid()))
    for seconds in (-3600.0, -1.0, 1.0, 3600.0):
        monkeypatch.setattr(psutil.Process, "create_time", lambda _self, by=seconds: time.time() + by)
        assert state_now(fresh) == "running"


def test_every_process_has_an_identity_of_its_own():
    pairs = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(3)]
    try:
        assert len({(each.pid, process_identity(each.pid)) for each in pairs}) == 3
        assert process_identity(pairs[0].pid) == process_identity(pairs[0].pid)
    finally:
        for each in pairs:
            each.communicate(b"\n")
    with pytest.raises(psutil.NoSuchProcess):
        process_identity(pairs[0].pid)


def test_a_worker_that_lost_its_claim_stops_with_one_line(project, monkeypatch, capsys):
    job = add_job(project, "prepare", FAST.model_dump_json(), "tester")

    def taken_for_dead(_project, _settings, progress, _who):
        end_job(project, job, "interrupted", "taken for dead")
        progress("embed", 0, 1)
        raise AssertionError("it went on")

    monkeypatch.setitem(worker.WORK, "prepare", taken_for_dead)
    worker.run_job(project, job)
    assert capsys.readouterr().err == f"job {job} is not this worker's any more: it was marked as ended. It stops.\n"
    assert find_job(project, job).state == "interrupted"


def test_a_second_worker_of_a_project_does_no_work(project, monkeypatch):
    """Liveness may be wrong; the lock on the project's folder is not."""
    monkeypatch.setattr(worker, "SECONDS_FOR_THE_LOCK", 0.1)
    monkeypatch.setitem(worker.WORK, "prepare", lambda *_: pytest.fail("two workers"))
    holder = (
        "import sys; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]): print('held', flush=True); sys.stdin.readline()"
    )
    command = [sys.executable, "-c", holder, str(project.folder / worker.LOCK)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        job = add_job(project, "prepare", FAST.model_dump_json(), "tester")
        worker.run_job(project, job)
        other.communicate(b"\n")
    ended = find_job(project, job)
    assert (ended.state, ended.error) == (
        "failed", "an earlier worker of this project is still running. Try again in a minute.",
    )  # fmt: skip
    again = add_job(project, "prepare", FAST.model_dump_json(), "tester")
    monkeypatch.setitem(worker.WORK, "prepare", lambda *_: None)
    worker.run_job(project, again)
    assert find_job(project, again).state == "done"
