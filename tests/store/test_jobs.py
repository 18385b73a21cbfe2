from __future__ import annotations

import threading

import pytest

from red_core.errors import StateError
from red_core.records import Project
from red_core.store.database import create_project, open_project
from red_core.store.jobs import add_job, ask_to_cancel, claim_job, end_job, find_job, newest_job, report_progress

ENDS = ["done", "cancelled", "failed", "interrupted"]


@pytest.fixture
def project(workspace) -> Project:
    return create_project(workspace, "p")


def running_job(project: Project) -> int:
    job = add_job(project, "round", "{}", "tester")
    assert claim_job(project, job, 1, 2.0) is not None
    return job


def test_before_the_first_job_there_is_none(project):
    assert newest_job(project) is None


def test_a_new_job_waits_with_its_settings_and_who_started_it(project):
    job = find_job(project, add_job(project, "prepare", '{"a": 1}', "Zoë"))
    assert (job.kind, job.state, job.settings, job.who, job.pid, job.cancel_asked) == (
        "prepare", "waiting", '{"a": 1}', "Zoë", None, False,
    )  # fmt: skip


@pytest.mark.parametrize("claimed", [False, True])
def test_a_second_job_is_refused_while_one_waits_or_runs(claimed, project):
    job = running_job(project) if claimed else add_job(project, "round", "{}", "tester")
    with pytest.raises(StateError, match=r"a job is already running in project p\. Wait for it, or cancel it"):
        add_job(project, "prepare", "{}", "tester")
    assert newest_job(project) == find_job(project, job)


@pytest.mark.parametrize("end", ENDS)
def test_a_job_that_ended_makes_room_for_the_next(end, project):
    end_job(project, running_job(project), end)
    assert find_job(project, add_job(project, "round", "{}", "tester")).state == "waiting"


def test_projects_do_not_keep_each_other_waiting(project, workspace):
    running_job(project)
    other = create_project(workspace, "q")
    assert find_job(other, add_job(other, "round", "{}", "tester")).state == "waiting"


def test_of_many_who_add_a_job_at_once_one_does(project):
    added, refused = [], []

    def try_to_add() -> None:
        try:
            added.append(add_job(project, "round", "{}", "tester"))
        except StateError as error:
            refused.append(error)

    threads = [threading.Thread(target=try_to_add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(added), len(refused)) == (1, 7)


def test_of_many_who_claim_a_job_at_once_one_gets_it(project):
    job, taken = add_job(project, "round", "{}", "tester"), []
    threads = [threading.Thread(target=lambda n=n: taken.append(claim_job(project, job, n, 0.0))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [each for each in taken if each is not None]
    assert len(winners) == 1
    assert find_job(project, job).pid == winners[0].pid


def test_a_claimed_job_knows_its_process(project):
    job = add_job(project, "round", "{}", "tester")
    claimed = claim_job(project, job, 123, 4.5)
    assert claimed is not None
    assert (claimed.state, claimed.pid, claimed.process_started) == ("running", 123, 4.5)
    assert claimed.heartbeat > 0


def test_progress_is_there_for_the_next_reader(project, workspace):
    job = running_job(project)
    report_progress(project, job, "score", 3, 9)
    seen = find_job(open_project(workspace, "p"), job)
    assert (seen.stage, seen.done, seen.total) == ("score", 3, 9)


def test_progress_says_whether_to_stop(project):
    job = running_job(project)
    assert not report_progress(project, job, "fit", 0, 1)
    ask_to_cancel(project, job)
    assert report_progress(project, job, "fit", 1, 1)


def test_a_running_job_asked_to_cancel_runs_until_it_stops_itself(project):
    job = running_job(project)
    ask_to_cancel(project, job)
    assert (find_job(project, job).state, find_job(project, job).cancel_asked) == ("running", True)


def test_a_waiting_job_is_cancelled_at_once_and_cannot_be_claimed(project):
    job = add_job(project, "round", "{}", "tester")
    ask_to_cancel(project, job)
    assert find_job(project, job).state == "cancelled"
    assert claim_job(project, job, 1, 0.0) is None


@pytest.mark.parametrize("first", ENDS)
@pytest.mark.parametrize("second", ENDS)
def test_a_job_keeps_its_first_end(first, second, project):
    job = running_job(project)
    end_job(project, job, first, "the first reason")
    end_job(project, job, second, "another")
    assert (find_job(project, job).state, find_job(project, job).error) == (first, "the first reason")
