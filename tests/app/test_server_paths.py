"""Why something failed, on the screens: the reason, without the folder of the projects."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from red_core.errors import StoreError
from red_core.records import Project
from red_core.rounds.jobs import process_identity
from red_core.store.jobs import add_job, claim_job, end_job
from tests.helpers.app_projects import WHO
from tests.helpers.rendered import words_on
from tests.helpers.small_projects import FAST
from widgets.shell.reasons import reason_of, without_folder

InState = Callable[..., Project]
OpenApp = Callable[..., AppTest]

SHOWN_ON = {
    "prepare": "data", "encoder": "data", "compare encoders": "data",
    "round": "rounds", "judge-check": "rounds", "meanings": "label_map",
}  # fmt: skip
"""The page that says why a job of this kind failed."""


def failed_job(project: Project, kind: str, error: str) -> None:
    job = add_job(project, kind, FAST.model_dump_json(), WHO)
    claim_job(project, job, os.getpid(), process_identity(os.getpid()))
    end_job(project, job, "failed", error)


@pytest.mark.parametrize("kind", SHOWN_ON)
def test_a_failed_job_is_explained_without_a_path_of_the_server(
    kind: str, in_state: InState, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("RED_JUDGE_MODEL", "some-model")
    project = in_state("prepared")
    failed_job(project, kind, f"ValueError: it broke (details: {project.folder}/jobs/7.log)")
    app = open_app(SHOWN_ON[kind])
    if kind == "judge-check":
        app.radio(key="judge").set_value("llm").run()
    said = words_on(app)
    assert "ValueError: it broke (details: small/jobs/7.log)" in said
    assert str(project.workspace) not in said


@pytest.mark.parametrize("given", ["link", "link/../link", "there"])
def test_the_folder_goes_under_each_of_its_names(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")  # a worker gets the folder without its links
    monkeypatch.setenv("RED_WORKSPACE", str(tmp_path / given))
    message = f"{tmp_path / 'there'}/small/project.db: it cannot be written"
    assert without_folder(message) == "small/project.db: it cannot be written"
    assert (
        reason_of(StoreError(f"there is none in {tmp_path / 'there'}")) == "there is none in the folder of the projects"
    )
    assert reason_of(OSError(5, "Input/output error", str(tmp_path / "there/small/x"))).startswith("small/x: Input")


def test_a_relative_folder_is_taken_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RED_WORKSPACE", "workspace")
    folder = Path("workspace").absolute()
    assert without_folder(f"{folder}/workspace-1/project.db") == "workspace-1/project.db"
    assert without_folder("workspace/small/project.db") == "small/project.db"
