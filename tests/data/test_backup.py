from __future__ import annotations

import errno
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from red_core.data.backup import back_up, restore
from red_core.errors import InputError, ProjectError, StoreError
from red_core.records import Project
from red_core.results.exports import export
from red_core.rounds.run import run_round
from red_core.rounds.status import project_status
from red_core.store import database
from red_core.store.arrays import load_arrays, save_arrays
from red_core.store.health import database_faults, vector_faults
from red_core.store.jobs import add_job, newest_job
from red_core.store.rounds import close_round
from red_core.store.vectors import forget_vectors, load_vectors, vector_file, vector_models, with_vector
from red_core.training.model import load_model, model_file
from tests.helpers.small_projects import EMBEDDING, FAST, count


@pytest.fixture
def original(backed_up: Path) -> Project:
    return Project(backed_up / "workspace", "small")


@pytest.fixture
def packed(backed_up: Path) -> Path:
    return backed_up / "small.zip"


def facts(project: Project) -> dict[str, Any]:
    return {name: fact for name, fact in project_status(project).items() if name != "project"}


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refusal(caught: pytest.ExceptionInfo[Exception]) -> str:
    line = str(caught.value)
    assert "\n" not in line
    assert line.isprintable()
    return line


# There and back


def test_a_restored_project_is_the_one_that_was_backed_up(original, packed, workspace, tmp_path):
    again = restore(workspace, packed)
    assert (again.workspace, again.name) == (workspace, "small")
    assert facts(again) == facts(original)
    ids = with_vector(original, EMBEDDING)
    assert np.array_equal(load_vectors(again, EMBEDDING, ids), load_vectors(original, EMBEDDING, ids))
    assert export(again, tmp_path / "again.jsonl") == export(original, tmp_path / "original.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "original.jsonl").read_bytes()
    left_out = {"project.db", "rounds/held-out/models.npz"}  # the second one only saves time
    others = {name: content for name, content in files_in(original.folder).items() if name not in left_out}
    assert {name: content for name, content in files_in(again.folder).items() if name not in left_out} == others
    assert database_faults(again) + vector_faults(again) == []
    assert [p.name for p in workspace.iterdir()] == ["small"]


def test_a_backup_holds_what_a_project_is_and_nothing_else(project, tmp_path):
    save_arrays(project.folder / "rounds" / "1.npz", numbers=np.arange(3))
    for stray in ("jobs/1.log", "project-before-m002.db", "rounds/2.npz.partial", "notes.txt", "rounds/ill named.npz"):
        (project.folder / stray).parent.mkdir(exist_ok=True)
        (project.folder / stray).write_text("stray")
    manifest = back_up(project, tmp_path / "b.zip")
    assert set(manifest.files) == {"project.db", f"vectors-{EMBEDDING}.f32", "rounds/1.npz"}
    assert manifest.bytes == sum(member.bytes for member in manifest.files.values())


def test_vectors_that_a_round_removes_meanwhile_end_a_backup_in_one_line(project, tmp_path, monkeypatch):
    checked = vector_faults

    def then_removed(of: Project) -> list[str]:
        faults = checked(of)
        forget_vectors(of, [EMBEDDING])
        return faults

    monkeypatch.setattr("red_core.data.backup.vector_faults", then_removed)
    with pytest.raises(StoreError, match=r"was removed meanwhile, because a round has finished. Try again."):
        back_up(project, tmp_path / "b.zip")
    assert {path.name for path in tmp_path.glob("*b*.zip")} == set()


def test_a_project_that_outgrew_its_features_is_backed_up_and_restored(project, workspace, tmp_path):
    settings = FAST.model_copy(update={"lexical_dimensions": 4})
    run_round(project, settings)
    first = load_model(model_file(project, 1)).features
    close_round(project)
    run_round(project, settings.model_copy(update={"random_state": 1}))
    assert first.neighbours not in vector_models(project)
    back_up(project, tmp_path / "b.zip")
    again = restore(workspace, tmp_path / "b.zip", "again")
    assert files_in(again.folder).keys() >= {"rounds/1.npz", "rounds/2.npz"}
    assert database_faults(again) + vector_faults(again) == []


def test_bytes_of_vectors_that_the_index_does_not_know_stay_out(project, workspace, tmp_path):
    whole = vector_file(project, EMBEDDING).read_bytes()
    vector_file(project, EMBEDDING).write_bytes(whole + b"of a process that was killed")
    back_up(project, tmp_path / "b.zip")
    again = restore(workspace, tmp_path / "b.zip", "again")
    assert vector_file(again, EMBEDDING).read_bytes() == whole


def test_a_backup_may_be_read_by_its_owner_alone(packed):
    assert stat.S_IMODE(packed.stat().st_mode) == 0o600


def test_progress_is_told_in_bytes(project, tmp_path, workspace):
    told: list[tuple[str, int, int]] = []
    manifest = back_up(project, tmp_path / "b.zip", lambda *step: told.append(step))
    restore(workspace, tmp_path / "b.zip", "again", lambda *step: told.append(step))
    ends = [step for step in told if step[1] == step[2]]
    assert ends == [("back up", manifest.bytes, manifest.bytes), ("restore", manifest.bytes, manifest.bytes)]


def test_a_job_that_ran_is_interrupted_in_the_restored_project_alone(project, workspace, tmp_path):
    add_job(project, "round", "{}", "tester")
    back_up(project, tmp_path / "b.zip")
    job = newest_job(restore(workspace, tmp_path / "b.zip", "again"))
    assert job is not None
    assert (job.state, job.error) == ("interrupted", "it was running when this project was backed up")
    still = newest_job(project)
    assert still is not None
    assert still.state == "waiting"


def test_an_older_backup_is_brought_up_to_date(packed, workspace, monkeypatch):
    more = type(database.migrations)("red_core")
    for landed in database.migrations._migrations:
        more(name=landed.name)(landed.fn)
    more(name="m999_add_mood")(lambda db: db.execute("CREATE TABLE mood (name TEXT) STRICT"))
    monkeypatch.setattr(database, "migrations", more)
    assert count(restore(workspace, packed), "SELECT count(*) FROM mood") == 0


# While others write

WRITER = """
import sys
from pathlib import Path
import numpy as np
from red_core.records import Project
from red_core.store.arrays import save_arrays
from red_core.store.database import now, transaction
from red_core.store.vectors import append_vectors
from red_core.text import text_id

project = Project(Path(sys.argv[1]), "small")
for number in range(10_000):
    with transaction(project) as db:
        made = [text_id(f"w{number}"), "x" * 500]
        text = db.execute("INSERT INTO text (text_id, content) VALUES (?, ?)", made).lastrowid
        made = [text, now()]
        db.execute("INSERT INTO decision (text, kind, reason, who, at) VALUES (?, 'none', '', 'writer', ?)", made)
    append_vectors(project, "fake", np.array([text]), np.full((1, 24), number, dtype=np.float32))
    save_arrays(project.folder / "map" / f"{number % 7}.npz", numbers=np.arange(number))
    print(number, flush=True)
"""


@pytest.fixture
def writer(project: Project) -> Iterator[subprocess.Popen[str]]:
    """A process that adds texts, decisions, vectors and arrays until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(project.workspace)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    yield process
    process.kill()
    process.communicate()


def test_a_backup_made_while_others_write_is_of_one_moment(project, writer, workspace, tmp_path):
    sizes = []
    for turn in range(3):
        back_up(project, tmp_path / f"{turn}.zip")
        again = restore(workspace, tmp_path / f"{turn}.zip", f"again{turn}")
        assert database_faults(again) + vector_faults(again) == []
        texts = count(again, "SELECT count(*) FROM text WHERE content LIKE 'xxx%'")
        assert texts == count(again, "SELECT count(*) FROM decision") >= 1
        indexed = with_vector(again, EMBEDDING)
        last = load_vectors(again, EMBEDDING, indexed[-1:])
        assert last[0, 0] == len(indexed) - 56 - 1  # each vector is its number, and none is from after that moment
        assert texts - len(indexed) + 56 in {0, 1}  # at most one text has no vector yet
        sizes.append(texts)
    assert writer.poll() is None
    assert sizes == sorted(set(sizes))  # the writer went on


def test_an_array_that_is_replaced_by_a_longer_one_meanwhile_is_whole_in_the_backup(project, workspace, tmp_path):
    path = project.folder / "map" / "1.npz"
    save_arrays(path, numbers=np.arange(10))

    def replace_it(_stage: str, _done: int, _total: int) -> None:  # called as the database is copied, before the arrays
        save_arrays(path, numbers=np.arange(5_000))

    back_up(project, tmp_path / "b.zip", replace_it)
    again = restore(workspace, tmp_path / "b.zip", "again")
    assert load_arrays(again.folder / "map" / "1.npz")["numbers"].tolist() == list(range(5_000))


def test_the_writer_killed_meanwhile_changes_nothing(project, writer, workspace, tmp_path):
    writer.send_signal(signal.SIGKILL)
    back_up(project, tmp_path / "b.zip")
    again = restore(workspace, tmp_path / "b.zip", "again")
    assert database_faults(again) + vector_faults(again) == []


# What is refused, with nothing changed


@pytest.mark.usefixtures("project")
def test_a_project_that_is_there_is_never_overwritten(packed, workspace):
    before = files_in(workspace)
    with pytest.raises(
        ProjectError, match=r"there is already a project 'small' .*\. Choose another name: --as"
    ) as caught:
        restore(workspace, packed)
    refusal(caught)
    assert files_in(workspace) == before


@pytest.mark.parametrize("kind", ["file", "folder", "link to nowhere"])
def test_nor_is_anything_else_of_that_name(kind, packed, workspace):
    workspace.mkdir()
    place = workspace / "small"
    {"file": place.touch, "folder": place.mkdir, "link to nowhere": lambda: place.symlink_to("nowhere")}[kind]()
    with pytest.raises(ProjectError, match="already"):
        restore(workspace, packed)
    assert list(workspace.iterdir()) == [place]


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a\n"])
def test_a_name_that_is_not_allowed_is_refused(name, packed, workspace):
    with pytest.raises(ProjectError, match="is not allowed"):
        restore(workspace, packed, name or "/")
    assert not workspace.exists()


def test_a_file_that_is_there_is_never_overwritten(project, tmp_path):
    (tmp_path / "b.zip").write_text("precious")
    with pytest.raises(InputError, match="it exists already") as caught:
        back_up(project, tmp_path / "b.zip")
    refusal(caught)
    assert (tmp_path / "b.zip").read_text() == "precious"


def test_a_backup_to_nowhere_is_refused_in_one_line(project, tmp_path):
    with pytest.raises(InputError, match="it cannot be written") as caught:
        back_up(project, tmp_path / "no" / "where.zip")
    refusal(caught)


def cut_vectors(project: Project) -> None:
    os.truncate(vector_file(project, EMBEDDING), 100)


def break_reference(project: Project) -> None:
    with closing(sqlite3.connect(project.database)) as db, db:
        db.execute("INSERT INTO decision (text, kind, reason, who, at) VALUES (999999, 'none', '', '', '')")


def break_database(project: Project) -> None:
    content = project.database.read_bytes()
    project.database.write_bytes(content[:8192] + b"\xa5" * (len(content) - 8192))


@pytest.mark.parametrize("damage", [cut_vectors, break_reference, break_database])
def test_a_damaged_project_is_not_backed_up(damage, project, tmp_path):
    damage(project)
    with pytest.raises(StoreError) as caught:
        back_up(project, tmp_path / "b.zip")
    assert "backup" in refusal(caught)
    assert not list(tmp_path.glob("*.zip"))
    assert not list(tmp_path.glob(".backup-*"))


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_fills_while_a_backup_is_written_leaves_nothing(project, tmp_path, monkeypatch):
    monkeypatch.setattr("red_core.data.backup_archive.os.fsync", full)
    with pytest.raises((InputError, StoreError), match="No space left") as caught:
        back_up(project, tmp_path / "b.zip")
    refusal(caught)
    assert not list(tmp_path.glob("*.zip"))
    assert not list(tmp_path.glob(".backup-*"))


def test_a_disk_that_fills_while_a_project_is_restored_leaves_nothing(packed, workspace, monkeypatch):
    monkeypatch.setattr("red_core.data.backup_archive.os.fsync", full)
    with pytest.raises(StoreError, match=r"No space left .* nothing was restored") as caught:
        restore(workspace, packed)
    refusal(caught)
    assert list(workspace.iterdir()) == []


def test_a_backup_with_no_room_for_it_is_refused_before_anything_is_made(packed, workspace, monkeypatch):
    monkeypatch.setattr("red_core.data.backup.shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(StoreError, match="Free some space; nothing was restored") as caught:
        restore(workspace, packed)
    refusal(caught)
    assert not workspace.exists()
