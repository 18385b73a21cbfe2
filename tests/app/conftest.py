"""Fixtures of the app's tests: a copy of a project in some state, and the app open on one of its pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from red_core.access.who import Person, acting_as, find_person_by, person_here
from red_core.records import Project
from red_core.store.database import project_names, transaction
from red_core.store.kept_connections import keep_connections
from tests.helpers.app_projects import NAME, WHO, hostile_project, make_state
from tests.helpers.browser import browser, serve, watched
from tests.helpers.paths import ROOT
from tests.helpers.prepared_process import prepared_process
from tests.helpers.small_projects import fake_encode
from widgets.shell.sign_in import person_of_session

__all__ = ["browser", "prepared_process", "serve", "watched"]  # fixtures of all tests in a browser

SECONDS = 90


@pytest.fixture(autouse=True, scope="session")
def components_read_once() -> Iterator[None]:
    """Look for components in the installed packages once, as a server does. AppTest does it for every app it opens."""
    with pytest.MonkeyPatch.context() as patch:
        scan = cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", scan)
        yield


@pytest.fixture(autouse=True)
def as_in_the_app(as_in_a_new_process: None) -> Iterator[None]:  # noqa: ARG001  first that, then this
    """Find the current user as the app does. The test itself acts as the person at this machine.

    Each session has its own thread, and acts as the person who is signed in to it.
    """
    find_person_by(person_of_session)
    with acting_as(person_here()):
        yield


@pytest.fixture(autouse=True)
def connections_kept() -> Iterator[None]:
    """Keep connections open, as a server does; each test closes its own."""
    keep_connections()
    yield
    keep_connections(keep=False)


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Path]:
    """A function that returns a workspace in some state. It is made once, and tests copy it."""
    folder = tmp_path_factory.mktemp("templates")

    def template(state: str, trial: bool) -> Path:
        workspace = folder / f"{state}, trial {trial}" / "workspace"
        if not workspace.is_dir():
            with pytest.MonkeyPatch.context() as patch:  # a new project tries its embedding model
                patch.setattr("red_core.data.importing.encode", fake_encode, raising=False)
                if state == "hostile":
                    hostile_project(workspace)
                else:
                    make_state(workspace, state, trial=trial)
        return workspace

    return template


@pytest.fixture
def in_state(
    templates: Callable[[str, bool], Path], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Project]:
    """A function that copies a project in some state into the workspace of this test."""
    monkeypatch.setenv("RED_WORKSPACE", str(workspace))
    monkeypatch.setenv("LOGNAME", WHO)

    def put(state: str, *, trial: bool = True) -> Project:
        shutil.copytree(templates(state, trial), workspace, dirs_exist_ok=True)
        project = Project(workspace, "hostile" if state == "hostile" else NAME)
        with transaction(project) as db:  # a waiting job of an old template would count as lost
            db.execute("UPDATE job SET heartbeat = unixepoch() WHERE state = 'waiting'")
        return project

    return put


@pytest.fixture
def warm_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every run behave like a later run of a server, not like its first one.

    AppTest starts each run as the first run of a server. There a page runs again inside the shell, and the press of a
    button would be lost.
    """
    cold = PagesManager.__init__

    def warm(self: PagesManager, *values: Any, **named: Any) -> None:
        cold(self, *values, **named)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", warm)


@pytest.fixture
def open_app(workspace: Path, monkeypatch: pytest.MonkeyPatch, warm_server: None) -> Callable[..., AppTest]:  # noqa: ARG001
    """A function that opens the app on a page with these query parameters. It fails on an exception."""
    monkeypatch.setenv("RED_WORKSPACE", str(workspace))
    monkeypatch.setenv("LOGNAME", WHO)

    def open_(page: str = "data", **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=SECONDS)
        if page != ("overview" if project_names(workspace) else "data"):  # where the app opens
            for name, value in query.items():
                app.query_params[name] = value
            app.run()
            app.switch_page(f"pages/{page}.py")
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, f"{page}: {app.exception}"
        return app

    return open_


@pytest.fixture
def open_as_viewer(open_app: Callable[..., AppTest]) -> Callable[..., AppTest]:
    """A function like ``open_app`` for somebody who may look and not decide. From then on every session is theirs.

    AppTest cannot drive the desk, which is a component: what a card shows is tested on the viewer's card, and what the
    keys do in a browser.
    """

    def open_(page: str = "review", **query: str) -> AppTest:
        find_person_by(lambda: Person("vera@viewers.org", "viewer"))
        return open_app(page, **query)

    return open_


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of the workers that would have started. No worker starts."""
    started: list[list[str]] = []

    def popen(command: list[str], **_how: Any) -> SimpleNamespace:
        started.append(command)
        return SimpleNamespace(poll=lambda: None, pid=os.getpid())

    monkeypatch.setattr("red_core.rounds.jobs.subprocess", SimpleNamespace(Popen=popen, DEVNULL=None))
    monkeypatch.setattr("red_core.rounds.jobs._started", {})  # nothing started, so nothing is waited for
    return started
