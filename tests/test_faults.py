"""Full disks, read-only folders, and locked, damaged or newer databases: each gives an error of one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from red_core import cli
from red_core.data.backup import back_up
from red_core.errors import StoreError
from red_core.labels import edits as label_edits
from red_core.labels.edit_kinds import Add, Merge, Rename, Retire, Split
from red_core.records import Project
from red_core.results.exports import export
from red_core.review.audits import set_target
from red_core.review.decisions import decide, feed_back, plan_feed_back, undo
from red_core.rounds.jobs import start_job
from red_core.rounds.status import project_status
from red_core.store import database
from red_core.store.jobs import newest_job
from red_core.store.labels import set_meanings
from red_core.store.texts import pool, seeds
from red_core.store.vectors import append_vectors, indexed_bytes, vector_file, without_vector
from tests.helpers.faults import FAULTS, WRITING_FAULTS
from tests.helpers.project_facts import facts
from tests.helpers.small_projects import FAST, reviewed_round, write_csv

RED = Path(sys.executable).with_name("red")
VERBS = {
    "status": [],
    "round": [],
    "feed-back": [],
    "close": [],
    "roll-back": ["1"],
    "export": ["out.csv"],
    "predict": ["in.csv", "out.csv"],
    "import": ["--pool", "in.csv"],
    "backup": ["out.zip"],
    "meanings": [],
    "judge-check": [],
    "import-decisions": ["in.jsonl"],
}
WRITING = ("round", "feed-back", "close", "import", "meanings", "judge-check", "import-decisions")
READING = ("status", "export", "backup")
EDITS: dict[str, Callable[[Project], object]] = {
    "rename": lambda project: label_edits.apply_edit(project, Rename(1, "money back"), "ann"),
    "merge": lambda project: label_edits.apply_edit(project, Merge((3,), 4), "ann"),
    "retire": lambda project: label_edits.apply_edit(project, Retire(1), "ann"),
    "add": lambda project: label_edits.apply_edit(
        project, Add("praise", "", None, ("well done", "very well done")), "ann"
    ),
    "split": lambda project: label_edits.apply_edit(project, Split(2, {"late": seeds_of(project, 2)[:2]}), "ann"),
    "preview": lambda project: label_edits.preview(project, Retire(1)),
    "decide": lambda project: decide(project, int(pool(project)[0]), "accept", label=1),
    "undo": undo,
    "set a target": lambda project: set_target(project, 0.9),
    "write meanings": lambda project: set_meanings(project, {1: "what it is"}, "ann"),
    "start a job": lambda project: start_job(project, "prepare", FAST, "ann"),
    "append vectors": lambda project: append_vectors(project, "fake", pool(project)[:1], np.ones((1, 24), np.float32)),
}
"""Actions of the screens that no verb has."""


def seeds_of(project: Project, label: int) -> list[int]:
    """Return the row ids of a label's seeds."""
    texts, labels = seeds(project)
    return [int(text) for text in texts[labels == label]]


def invoke(project: Project, verb: str) -> Result:
    """Run a verb on the project in this process, with the arguments of VERBS."""
    return CliRunner().invoke(cli.main, ["--workspace", str(project.workspace), verb, "small", *VERBS[verb]])


def one_line(result: Result) -> str:
    """Return the error line of a command that failed and printed nothing else."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


@pytest.fixture
def in_files(tmp_path, monkeypatch) -> Path:
    """Return the current folder of the verbs, with a file to import and a judge's server that does not answer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("RED_JUDGE_MODEL", "m")
    write_csv(tmp_path / "in.csv", ["text"], [["a text"]])
    return tmp_path


@pytest.fixture
def closing_at_the_end() -> Iterator[ExitStack]:
    """Return a stack that is closed after the test."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_verb_says_in_one_line_what_is_wrong_and_changes_nothing(
    fault: Callable[..., str], verb, project, closing_at_the_end, monkeypatch, in_files
):
    (in_files / "in.jsonl").write_text(json.dumps({"text_id": None, "decisions": []}))
    says = fault(project, closing_at_the_end, monkeypatch)
    files, before = set(in_files.iterdir()), project.database.read_bytes()
    assert says in one_line(invoke(project, verb))
    assert project.database.read_bytes() == before
    assert set(in_files.iterdir()) == files


@pytest.fixture
def reviewed(project: Project, in_files: Path) -> Project:
    """Return a project with a round under review and one decision; in.jsonl has another decision."""
    texts = pool(project).tolist()
    reviewed_round(project, dict.fromkeys(texts, (1, 0.9)))
    decide(project, texts[0], "accept", label=1, who="ann")
    export(project, in_files / "in.jsonl")
    undo(project, who="ann")
    decide(project, texts[1], "accept", label=1, who="ann")
    return project


@pytest.mark.parametrize("verb", WRITING)
@pytest.mark.parametrize("fault", WRITING_FAULTS)
def test_a_verb_that_cannot_write_says_so_in_one_line_and_changes_nothing(
    fault: Callable[..., str], verb, reviewed, closing_at_the_end, monkeypatch, in_files
):
    before, files = facts(reviewed), set(in_files.rglob("*"))
    says = fault(reviewed, closing_at_the_end, monkeypatch)
    assert says in one_line(invoke(reviewed, verb))
    assert facts(reviewed) == before
    assert {path for path in in_files.rglob("*") if path.suffix not in {".db-wal", ".db-shm"}} <= files


def test_a_roll_back_that_cannot_be_written_is_one_line(reviewed, monkeypatch):
    feed_back(reviewed, plan_feed_back(reviewed), who="ann")
    for fault in WRITING_FAULTS:
        with monkeypatch.context() as patch, ExitStack() as stack:
            before, says = facts(reviewed), fault(reviewed, stack, patch)
            assert says in one_line(invoke(reviewed, "roll-back"))
            assert facts(reviewed) == before


@pytest.mark.parametrize("verb", READING)
@pytest.mark.parametrize("fault", WRITING_FAULTS)
def test_what_only_reads_goes_on_where_nothing_can_be_written(
    fault: Callable[..., str], verb, reviewed, closing_at_the_end, monkeypatch
):
    fault(reviewed, closing_at_the_end, monkeypatch)
    result = invoke(reviewed, verb)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("act", EDITS)
@pytest.mark.parametrize("fault", WRITING_FAULTS)
def test_an_act_of_the_screens_that_cannot_be_written_says_so_and_changes_nothing(
    fault: Callable[..., str], act, reviewed, closing_at_the_end, monkeypatch
):
    before = facts(reviewed)
    says = fault(reviewed, closing_at_the_end, monkeypatch)
    with pytest.raises(StoreError) as refused:
        EDITS[act](reviewed)
    assert says in str(refused.value)
    assert str(refused.value).isprintable()
    assert facts(reviewed) == before


def test_a_job_whose_log_cannot_be_made_is_one_line_and_no_job_stays_behind(reviewed):
    (reviewed.folder / "jobs").write_text("a file where the folder should be")
    assert "the job cannot be started" in one_line(invoke(reviewed, "round"))
    job = newest_job(reviewed)
    assert job is not None
    assert (job.state, job.error.count("\n")) == ("failed", 0)


def test_an_error_of_the_file_system_that_nobody_foresaw_is_one_line_too(project, monkeypatch):
    def broken(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/some/where")

    monkeypatch.setattr("red_core.cli.rounds.project_status", broken)
    result = CliRunner().invoke(cli.main, ["--workspace", str(project.workspace), "status", "small"])
    assert result.exit_code == 1
    assert result.stderr == "Error: /some/where: Permission denied. Check the disk and the permissions.\n"


def test_vectors_that_do_not_fit_on_the_disk_leave_no_half_of_them(project, monkeypatch):
    known = indexed_bytes(project)[vector_file(project, "fake")]
    with database.transaction(project) as db:
        db.execute("INSERT INTO text (text_id, content) VALUES ('new', 'new')")

    def full_disk(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("red_core.store.vectors.os.fsync", full_disk)
    with pytest.raises(database.StoreError, match="No space left"):
        append_vectors(project, "fake", without_vector(project, "fake"), np.ones((1, 24), dtype=np.float32))
    assert vector_file(project, "fake").stat().st_size == known


ON_A_SMALL_DISK = """
set -e
mount -t tmpfs -o size=2600k tmpfs "$1"
cp -r "$2" "$1/small"
cp "$4" "$1/pool.csv"
cd "$1"
try() { shift 4; for verb in "$@"; do "$RED" --workspace . $verb >/dev/null && exit 9 || true; done; }
RED="$3"
"$RED" --workspace . import small --pool pool.csv >/dev/null && exit 9  # there is space for a part of it
head -c 100000000 /dev/zero >fill 2>/dev/null || true
echo full >&2
try "$@"
rm fill
mount -o remount,ro "$1"
echo read-only >&2
try "$@"
mount -o remount,rw "$1"
"$RED" --workspace . status small --json
"""
ALL_WRITING = [
    "export small out.csv", "export small out.jsonl", "export small out.parquet", "feed-back small", "close small",
    "import small --pool pool.csv", "round small", "backup small out.zip", "restore ../backup.zip --as other",
]  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare: a small file system cannot be made")
def test_on_a_disk_that_is_really_full_and_then_really_read_only(reviewed, tmp_path):
    (disk := tmp_path / "disk").mkdir()
    back_up(reviewed, tmp_path / "backup.zip")
    large = write_csv(tmp_path / "large.csv", ["text"], [[f"{'much ' * 40}{number}"] for number in range(6_000)])
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*alone, "mount", "-t", "tmpfs", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("a small file system may not be made here")
    command = [*alone, "sh", "-c", ON_A_SMALL_DISK, "sh", *map(str, (disk, reviewed.folder, RED, large))]
    process = subprocess.run([*command, *ALL_WRITING], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    half, full, read_only = re.split("^(?:full|read-only)\n", process.stderr, flags=re.MULTILINE)
    assert "the disk is full. Free some space, then try again; nothing was lost." in half
    for lines, words in ((full, r"full|No space left|MB are free"), (read_only, r"cannot be written|Read-only")):
        assert len(lines.splitlines()) == len(ALL_WRITING), lines
        assert all(re.search(rf"^Error: .*({words})", line) for line in lines.splitlines()), lines
    printed, now = json.loads(process.stdout), json.loads(json.dumps(project_status(reviewed)))
    assert {name: printed[name] for name in printed if name != "job"} == {
        name: now[name] for name in now if name != "job"
    }
