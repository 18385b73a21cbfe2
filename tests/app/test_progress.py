"""The progress of the work: it never goes back, and every page says how the work ended."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from red_core.encoders import EncoderSpec
from red_core.records import Job, Project
from red_core.rounds.encoder_change import begin_encoder_change
from red_core.rounds.worker import WORK as WORK_OF_THE_WORKER
from red_core.store.jobs import add_job, end_job, newest_job, report_progress
from red_core.store.texts import facts
from tests.helpers.app_projects import WHO
from tests.helpers.hub import save_tiny_encoder
from tests.helpers.rendered import without_joiners, words_on
from tests.helpers.small_projects import FAST, LABELS
from widgets.shell import progress
from widgets.shell.facts_line import WORK
from widgets.shell.progress import STAGES_OF, seconds_of, share_of
from widgets.shell.words import STAGES

COUNTS = {"labels": 100, "seeds": 1000, "pool": 10_000}
InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]


def job(kind: str, stage: str, done: int, total: int = 10) -> Job:
    return Job(1, kind, "running", stage, done, total, "", False, None, None, 0.0, "{}", WHO)


def test_every_kind_of_work_has_its_words_and_its_stages() -> None:
    assert set(STAGES_OF) == set(WORK) == set(WORK_OF_THE_WORKER)
    assert {stage for stages in STAGES_OF.values() for stage in stages} <= set(STAGES)


def share(kind: str, stage: str, done: int, total: int = 10) -> float:
    return share_of(job(kind, stage, done, total), seconds_of(kind, COUNTS))


@pytest.mark.parametrize("kind", STAGES_OF)
def test_the_progress_goes_from_nothing_to_everything(kind: str) -> None:
    at = [share(kind, stage, done) for stage in STAGES_OF[kind] for done in (0, 5, 10)]
    assert at == sorted(at)
    assert (at[0], at[-1]) == (0.0, pytest.approx(1.0))


def test_waiting_for_a_batch_is_a_part_of_asking() -> None:
    assert share("round", "wait for the batch", 5) == share("round", "ask", 5)


def test_the_time_left_follows_the_speed_of_this_machine_and_not_a_stage_without_work(
    in_state: InState, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = in_state("round running")
    clock = [1000.0]
    monkeypatch.setattr(progress, "monotonic", lambda: clock[0])
    app = open_app("results")

    def words(stage: str, done: int, later: float) -> str:
        clock[0] += later
        report_progress(project, newest_job(project).id, stage, done, 100)
        (bar,) = app.run().get("progress")
        return str(bar.proto.text)

    whole = seconds_of("round", facts(project))
    assert "left" not in words("embed", 0, 0.0) + words("embed", 100, 0.1)  # every text has its vector
    assert "left" not in words("fit", 0, 0.1)
    rest = sum(whole[stage] for stage in ("score", "believe"))
    tenfold = 10 * whole["fit"]  # this machine is ten times slower
    said = words("fit", 50, tenfold / 2)
    assert f"about {10 * ceil((tenfold / 2 + 10 * rest) / 10)} s left" in said
    assert "50% · " in said


def test_the_duration_of_a_round_leaves_out_what_the_import_did(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "facts", lambda _: {"labels": 1000, "seeds": 10_000, "pool": 90_000})
    assert progress.duration_in_words(project).startswith("It takes about 5 minutes")  # with the embedding: 10


@pytest.mark.parametrize("kind", ["prepare", "encoder", "round"])
def test_the_stages_of_real_work_never_go_back(
    kind: str, project: Project, tmp_path: Path, no_worker: list[list[str]]
) -> None:
    if kind == "encoder":
        tiny = save_tiny_encoder(tmp_path / "tiny", [*LABELS])
        begin_encoder_change(project, EncoderSpec(str(tiny)), WHO)
        assert no_worker
    seen: list[tuple[str, int, int]] = []
    WORK_OF_THE_WORKER[kind](project, FAST, lambda *each: seen.append(each), WHO)
    at = [share(kind, *each) for each in seen if each[0] != "ask"]  # see the next test
    assert at == sorted(at)
    assert at[-1] == pytest.approx(1.0)


def test_more_questions_than_expected_do_not_take_the_progress_back(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("round running")
    shown = []
    app = open_app("results")
    for done, total in ((9, 10), (10, 40), (40, 40)):
        report_progress(project, newest_job(project).id, "ask", done, total)
        (bar,) = app.run().get("progress")
        shown.append(bar.proto.value)
    assert shown == sorted(shown)
    assert shown[0] == shown[1] < shown[2]


@pytest.mark.parametrize("page", ["overview", "results"])
def test_every_page_says_that_work_failed_and_why(page: str, in_state: InState, open_app: OpenApp) -> None:
    project = in_state("preparing")
    app = open_app(page)
    end_job(project, newest_job(project).id, "failed", "the disk is full. Free some space.")
    app.run()
    (said,) = app.toast
    assert without_joiners(said.value).replace("\\", "") == (
        "The import failed: the disk is full. Free some space. See Data."
    )
    assert not app.run().toast  # once


def test_every_page_says_that_work_is_done(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("round running")
    app = open_app("results")
    end_job(project, newest_job(project).id, "done")
    assert [said.value for said in app.run().toast] == ["The round is done."]
    assert not open_app("results").toast  # another session never saw it running


def test_a_later_round_that_failed_before_it_began_is_said(in_state: InState, open_app: OpenApp) -> None:
    project = in_state("closed")
    work = add_job(project, "round", FAST.model_dump_json(), WHO)
    end_job(project, work, "failed", "the encoder cannot be loaded.")
    assert "The round failed: the encoder cannot be loaded." in words_on(open_app("rounds"))
