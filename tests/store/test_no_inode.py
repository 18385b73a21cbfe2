"""A file system that has no room for another file: a project can still be read, and nothing is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from red_core.errors import StoreError
from red_core.records import Project
from red_core.store.database import connection, find_project
from red_core.store.overview import decisions_lately
from red_core.store.texts import remember, remembered
from tests.helpers.small_projects import small_project


@pytest.fixture
def little_room(tmp_path: Path) -> Iterator[Path]:
    """A folder in a file system that holds at most 60 files."""
    folder = tmp_path / "little"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "nr_inodes=60,size=100m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system of this size cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607


def fill(folder: Path) -> list[Path]:
    """Create files until there is no room for another one; return them."""
    made: list[Path] = []
    with suppress(OSError):
        for number in count():
            (folder / f"{number}").touch(exist_ok=False)
            made.append(folder / f"{number}")
    return made


def test_a_project_is_read_without_room_for_another_file(little_room: Path) -> None:
    project = small_project(little_room / "workspace")
    remember(project, "note", "before")
    assert not project.database.with_name("project.db-wal").exists()
    made = fill(little_room)
    project = find_project(little_room / "workspace", project.name)
    assert remembered(project, "note") == "before"
    assert decisions_lately(project) == {}
    with pytest.raises(StoreError, match=r"the disk has no room for another file\. Delete some files, then try again"):
        remember(project, "note", "after", anew=True)
    made[0].unlink()
    made[1].unlink()
    remember(project, "note", "after", anew=True)
    assert remembered(project, "note") == "after"


def test_what_another_process_has_just_written_is_read(little_room: Path) -> None:
    project: Project = small_project(little_room / "workspace")
    with connection(project) as other:
        other.execute("SELECT count(*) FROM text")
        remember(project, "note", "newest")
        fill(little_room)
        assert remembered(project, "note") == "newest"
