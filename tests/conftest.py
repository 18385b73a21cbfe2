"""What many tests begin with. See ``small_projects`` for the projects themselves."""

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

# A database file per example: its speed is the disk's, which says nothing about the code.
settings.register_profile("disk", max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("disk")


@pytest.fixture(autouse=True)
def as_in_a_new_process() -> Iterator[None]:
    """Whoever is logged in here acts, and no sign-in was ever set up; a process in which the app ran keeps both."""
    sign_in._was_on = False
    access._find = access.person_here
    yield
    sign_in._was_on = False
    access._find = access.person_here


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace that is not there yet."""
    return tmp_path / "workspace"


@pytest.fixture
def make_project(workspace: Path) -> Callable[..., Project]:
    """A factory of small projects with vectors; see ``small_projects.small_project``."""
    return lambda **changes: small_project(workspace, **changes)


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    """A project of 4 labels, 16 seeds and 40 pool texts whose truth is known."""
    return make_project()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the real data sets."""
    if not (DATA / "banking77.csv.gz").is_file():
        pytest.skip("the real data sets are not in ../shared/data")
    return DATA
