"""Check the installation and the projects. Each finding says what to do; nothing is repaired or migrated here."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from itertools import islice
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from red_core.access import refuse_open_address, sign_in_is_on
from red_core.access.secrets_file import read_table, secrets_path
from red_core.access.sign_in import (
    access_list,
    address_of_sign_in,
    allowed_hosts,
    bound_address,
    is_behind_proxy,
    is_loopback,
)
from red_core.data.backup import RESTORING
from red_core.encoders import parse_spec
from red_core.encoders.api import embedding_server
from red_core.encoders.catalogue import is_here
from red_core.encoders.loading import default_model_folder
from red_core.errors import AccessError, EmbeddingError, JudgeError, RedError, StoreError
from red_core.judges import judge_server
from red_core.judges.listed_models import is_listed, listed_models
from red_core.judges.server_settings import TABLE
from red_core.records import Project
from red_core.settings import DEFAULT_MODEL
from red_core.store.arrays import array_files, load_arrays
from red_core.store.contents import content_faults
from red_core.store.database import find_project, missing_migrations, project_names
from red_core.store.health import database_faults, sqlite_version, vector_faults
from red_core.store.texts import remembered

FREE_MB, LITTLE_MB = 1_000, 100
"""Megabytes: less free space than FREE_MB is a warning; with less than LITTLE_MB a round may not finish."""


@dataclass(frozen=True)
class Finding:
    """One line of the report: a state, what was checked, and a message that says what to do unless the state is ok."""

    state: Literal["ok", "warning", "broken"]
    about: str
    told: str


def examine(workspace: Path, name: str | None = None) -> Iterator[Finding]:
    """Yield the findings about this installation and about every project of a workspace, or only about one project.

    Raises
    ------
    ProjectError
        If there is no project with that name.
    """
    projects = [Project(workspace, project) for project in project_names(workspace)]
    if name is not None:
        projects = [find_project(workspace, name)]
    yield from _packages()
    yield _model()
    yield from _workspace(workspace)
    for project in projects:
        yield from _project(project)
    yield from _judge()
    yield from _encoder_server()
    yield _sign_in()
    yield _address()


def _packages() -> Iterator[Finding]:
    engine, is_new_enough = sqlite_version()
    yield Finding("ok", "Python", platform.python_version())
    if is_new_enough:
        yield Finding("ok", "SQLite", engine)
    else:
        yield Finding("broken", "SQLite", f"{engine} is too old. Use a Python with SQLite 3.37 or newer.")
    satisfied = []
    for line in (
        *(requires("red-workbench") or []),
        "torch",
        "transformers",
    ):  # sentence-transformers requires these two
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": "app"}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            yield Finding("broken", requirement.name, "is not installed. Install the project's dependencies.")
            continue
        if requirement.specifier.contains(installed, prereleases=True):
            satisfied.append(f"{requirement.name} {installed}")
        else:
            message = (
                f"{installed} is installed, {requirement.specifier} is needed. Install the project's dependencies."
            )
            yield Finding("broken", requirement.name, message)
    yield Finding("ok", "packages", ", ".join(sorted(satisfied)))


def _model() -> Finding:
    try:
        folder = default_model_folder()
    except (RedError, OSError) as error:
        return Finding("broken", "embedding model", str(error))
    return Finding("ok", "embedding model", f"{DEFAULT_MODEL}, with the expected weights, in {folder}")


def _workspace(workspace: Path) -> Iterator[Finding]:
    if not workspace.is_dir():
        yield Finding("warning", "workspace", f"{workspace} does not exist yet. The first import creates it.")
        return
    free = shutil.disk_usage(workspace).free / 1e6
    if not os.access(workspace, os.W_OK | os.X_OK):
        yield Finding("broken", "workspace", f"the folder {workspace} is not writable. Check its permissions.")
    elif free < LITTLE_MB:
        yield Finding(
            "broken", "workspace", f"only {free:,.0f} MB of disk space are free at {workspace}. Delete files now."
        )
    elif free < FREE_MB:
        yield Finding(
            "warning", "workspace", f"only {free:,.0f} MB of disk space are free at {workspace}. Delete files soon."
        )
    else:
        yield Finding("ok", "workspace", f"{free:,.0f} MB of disk space are free at {workspace}")
    for leftover in sorted(workspace.glob(f"{RESTORING}*")):
        yield Finding(
            "warning",
            "workspace",
            f"{leftover} is from a restore that was stopped. If no restore is running, delete it.",
        )


def _project(project: Project) -> Iterator[Finding]:
    about = f"project {project.name}"
    try:
        faults = database_faults(project)
        missing = missing_migrations(project)
        vectors = vector_faults(project)
        if not faults and not missing:
            faults = list(islice(content_faults(project), 1))  # further checks rely on what the first ones find
        model = remembered(project, "embedding", DEFAULT_MODEL)
    except StoreError as error:
        yield Finding("broken", about, str(error))
        return
    for fault in faults:
        yield Finding("broken", about, f"database: {fault}. Restore a backup under another name with `red restore`.")
    for fault in vectors:
        yield Finding("broken", about, f"{fault}. Restore a backup under another name with `red restore`.")
    if missing:
        message = (
            f"the database is older than this program ({missing[0]}). "
            "The program updates it, after keeping a copy, when it opens the project."
        )
        yield Finding("warning", about, message)
    damaged = list(_damaged_arrays(project))
    yield from damaged
    spec = parse_spec(model)
    if os.sep in spec.name and not is_here(spec.name, spec.revision):
        message = f"the encoder {spec.name} is missing. New texts cannot be embedded: put it back, or `red encoder`."
        yield Finding("warning", about, message)
    if not faults and not vectors and not damaged:
        yield Finding("ok", about, "database, vectors and arrays are complete")


def _damaged_arrays(project: Project) -> Iterator[Finding]:
    for path in array_files(project):
        try:
            load_arrays(path)
        except StoreError as error:
            yield Finding("broken", f"project {project.name}", str(error))


def _judge() -> Iterator[Finding]:
    secrets = secrets_path()
    if secrets.is_file() and secrets.stat().st_mode & 0o077:
        yield Finding(
            "warning", "judge", f"other users can read {secrets}, which may contain a key. Run: chmod 600 {secrets}"
        )
    try:
        if not read_table(TABLE) and not os.environ.get("RED_JUDGE_MODEL"):
            yield Finding("ok", "judge", "no LLM is connected; the similarity check (no LLM) judges")
            return
    except (OSError, ValueError):
        pass  # judge_server below reports it in one line
    try:
        server = judge_server()
        models = listed_models(server)
    except JudgeError as error:
        yield Finding("broken", "judge", str(error))
        return
    message = f"{server.name} at {server.host} answers"
    if models and not is_listed(server.model, models):
        yield Finding(
            "warning", "judge", f"{message}, but does not list this model. If rounds fail, check RED_JUDGE_MODEL."
        )
    else:
        yield Finding("ok", "judge", f"{message} and lists this model" if models else message)


def _encoder_server() -> Iterator[Finding]:
    """Yield what is known of the server of an encoder, if one is named; it is not asked, because that costs."""
    try:
        server = embedding_server()
    except EmbeddingError as error:
        yield Finding("broken", "encoder server", str(error))
        return
    if server is not None:
        yield Finding("ok", "encoder server", f"{server.model} at {server.host} is set; it is not asked here")


def _sign_in() -> Finding:
    try:
        if not sign_in_is_on():
            return Finding("ok", "sign-in", "off: everybody who opens the app is an analyst")
        people = access_list()
    except AccessError as error:
        return Finding("broken", "sign-in", str(error))
    redirect = address_of_sign_in()
    name, names = redirect.hostname or "", allowed_hosts()
    if names and "*" not in names and name not in names:
        message = f"redirect_uri of [auth] has the host name {name}. Add it to STREAMLIT_SERVER_ALLOWED_HOSTS."
        return Finding("warning", "sign-in", message)
    if redirect.scheme == "http" and not is_loopback(name):
        message = f"{name} uses http: others on the network can take over a session. Use https (docs/deploy.md)."
        return Finding("warning", "sign-in", message)
    message = (
        f"on: {len(people.analysts)} entries for analysts, {len(people.viewers)} for viewers; "
        f"a sign-in lasts {people.hours:g} hours"
    )
    return Finding("ok", "sign-in", message)


def _address() -> Finding:
    address, others = bound_address(), [name for name in allowed_hosts() if not is_loopback(name)]
    message = f"the app listens on {address or 'every address'}"
    try:
        refuse_open_address(address)
        people_sign_in = sign_in_is_on()
    except AccessError as error:
        return Finding("broken", "address", f"the app does not start: {error}")
    if people_sign_in:
        return Finding("ok", "address", f"{message}; people sign in")
    if is_behind_proxy():
        message += ". Everybody who can connect can change everything, so only the proxy may connect (docs/deploy.md)."
        return Finding("warning", "address", message)
    if others:
        message += (
            f" and accepts the host name {others[0]} without sign-in. Set up sign-in or a proxy (docs/deploy.md)."
        )
        return Finding("warning", "address", message)
    return Finding("ok", "address", f"{message}: only this machine can open the app")
