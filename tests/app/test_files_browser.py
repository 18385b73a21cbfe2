"""Files that people send, in the browser: from the upload to the end of the first round, without the command line."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from red_core.records import Project
from red_core.store.final_labels import source_counts
from red_core.store.jobs import newest_job
from red_core.store.rounds import list_rounds
from red_core.store.texts import facts
from tests.helpers.browser import CHROMIUM, Server, Watched, saying
from tests.helpers.paths import DATA
from tests.helpers.project_facts import export_rows
from tests.helpers.real_files import ANN, array, task
from tests.helpers.small_projects import pool_rows, seed_rows

TICKETS = DATA.parent / "cases" / "files" / "tickets"
SECONDS = 900
pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.timeout(2 * SECONDS),
    pytest.mark.skipif(CHROMIUM is None, reason="neither chromium nor google-chrome is installed"),
]
needs_tickets = pytest.mark.skipif(not TICKETS.is_dir(), reason="the files of the support desk are not here")


def label_studio(folder: Path) -> Path:
    """Write the export of a Label Studio project: some tasks have an annotation, others wait."""
    tasks = [task(number, text, (ANN, [label])) for number, (text, label) in enumerate(seed_rows())]
    tasks += [task(len(tasks) + number, text) for number, (text, *_) in enumerate(pool_rows())]
    (path := folder / "export.json").write_bytes(array(*tasks))
    return path


@pytest.mark.parametrize(
    ("file", "says"),
    [
        pytest.param(lambda _: TICKETS / "tickets_1252.csv", "encoding: cp1252", marks=needs_tickets, id="csv"),
        pytest.param(lambda _: TICKETS / "tickets.xlsx", "(one of 3)", marks=needs_tickets, id="three sheets"),
        pytest.param(label_studio, "Label Studio export: text from data.text", id="label studio"),
    ],
)
def test_a_file_leads_to_a_first_round_without_the_command_line(
    file: Callable[[Path], Path], says: str, tmp_path: Path, serve: Callable[..., Server], watched: Watched
) -> None:
    server = serve(tmp_path / "workspace")
    page = watched.open(f"{server.address}/data")
    page.locator("[class*=st-key-import_upload_] input[type=file]").set_input_files(path := file(tmp_path))
    page.get_by_text(saying(says)).first.wait_for()
    page.locator(".st-key-import_now button").wait_for()
    watched.settle()
    assert page.locator(".st-key-make_demo").count() == 0  # the preview has its place
    counted = page.get_by_text(saying(" used, ")).first.inner_text()
    watched.press("import_now")
    project = Project(server.workspace, path.stem)
    finish(project, "prepare")
    assert_counts(project, counted)
    page = watched.open(f"{server.address}/rounds?project={project.name}")
    page.locator(".st-key-run_round button").click()
    finish(project, "round")
    page.get_by_text(saying("Round 1, to review")).first.wait_for()
    assert [each.state for each in list_rounds(project)] == ["to review"]
    assert_counts(project, counted)


def assert_counts(project: Project, counted: str) -> None:
    """The preview, the project and the export count the same rows."""
    counts = facts(project)
    assert counts["rows"] == counts["used"] + counts["folded"] + counts["left_out"]
    assert f"{counts['used']:,} used, {counts['folded']:,} duplicates, {counts['left_out']:,} left out" in counted
    rounds = len(list_rounds(project))
    exported = list(export_rows(project, rounds))
    left_out = [row for row in exported if row["source"].startswith("left out")]
    assert (len(exported), len(left_out)) == (counts["rows"], counts["left_out"])
    assert source_counts(project, rounds).get("left out", 0) == counts["left_out"]


def finish(project: Project, kind: str) -> None:
    """Wait until the newest job is of this kind and done."""
    end = time.monotonic() + SECONDS
    job = None
    while job is None or job.kind != kind or job.state in {"waiting", "running"}:
        assert time.monotonic() < end, (kind, job)
        time.sleep(0.3)
        job = newest_job(project) if project.database.is_file() else None
    assert job.state == "done", job.error
