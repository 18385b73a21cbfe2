"""Fixtures shared by all tests: the workspace, small projects, the real data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlite_utils import Database

from red_core.access import ended_sign_ins, sign_in
from red_core.access import who as access
from red_core.records import Project
from red_core.store import database
from tests.helpers.paths import DATA
from tests.helpers.small_projects import small_project

# No deadline: each example writes a database file, and the speed of the disk says nothing about the code.
settings.register_profile("disk", max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("disk")


@pytest.fixture(autouse=True)
def as_in_a_new_process() -> Iterator[None]:
    """Reset the process-wide sign-in state before and after every test."""
    sign_in._was_on = False
    ended_sign_ins._here.clear()
    access._find = access.person_here
    yield
    sign_in._was_on = False
    access._find = access.person_here


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk() -> Iterator[None]:
    """Do not wait for the disk in this process: only a power cut would make a difference."""
    opened = database._open

    def open_(project: Project, *, create: bool = False) -> Database:
        db = opened(project, create=create)
        db.execute("PRAGMA synchronous = OFF")
        return db

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_open", open_)
        yield


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return the path of a workspace that does not exist yet."""
    return tmp_path / "workspace"


@pytest.fixture
def make_project(workspace: Path) -> Callable[..., Project]:
    """Return a function that creates small projects with vectors; see ``small_projects.small_project``."""
    return lambda **changes: small_project(workspace, **changes)


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    """Return a trial with 4 labels, 16 seeds and 40 pool texts."""
    return make_project()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of the real data sets; skip the test if it is missing."""
    if not (DATA / "banking77.csv.gz").is_file():
        pytest.skip("the real data sets are not in ../shared/data")
    return DATA
