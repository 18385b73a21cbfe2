"""Fixtures shared by all tests: the workspace, small projects, the real data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from red_core.access import sign_in
from red_core.access import who as access
from red_core.records import Project
from tests.helpers.paths import DATA
from tests.helpers.small_projects import small_project

# No deadline: each example writes a database file, and the speed of the disk says nothing about the code.
settings.register_profile("disk", max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("disk")


@pytest.fixture(autouse=True)
def as_in_a_new_process() -> Iterator[None]:
    """Reset the process-wide sign-in state before and after every test."""
    sign_in._was_on = False
    access._find = access.person_here
    yield
    sign_in._was_on = False
    access._find = access.person_here


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
