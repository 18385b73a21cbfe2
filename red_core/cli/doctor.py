"""What is in order, what is not, and what to do about it. Nothing is repaired or brought up to date: it only looks."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
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
from red_core.errors import AccessError, JudgeError, RedError, StoreError
from red_core.judges import judge_server
from red_core.judges.connect import listed_models
from red_core.judges.server import TABLE
from red_core.records import Project
from red_core.settings import DEFAULT_MODEL
from red_core.store.arrays import array_files, load_arrays
from red_core.store.database import find_project, missing_migrations, project_names
from red_core.store.health import database_faults, sqlite_version, vector_faults
from red_core.store.texts import remembered
from red_core.training.embeddings import default_model_folder

FREE_MB, LITTLE_MB = 1_000, 100
"""Less free space than the first is a warning; with less than the second a round cannot be expected to end."""


@dataclass(frozen=True)
class Finding:
    """One line: how it is, about what, and in words, with what to do unless it is ok."""

    state: Literal["ok", "warning", "broken"]
    about: str
    told: str


def examine(workspace: Path, name: str | None = None) -> Iterator[Finding]:
    """Yield the findings about this installation and every project of a workspace, or the one of that name.

    Raises
    ------
    ProjectError
        If there is no project of that name.
    """
    projects = [Project(workspace, each) for each in project_names(workspace)]
    if name is not None:
        projects = [find_project(workspace, name)]
    yield from _packages()
    yield _model()
    yield from _workspace(workspace)
    for project in projects:
        yield from _project(project)
    yield from _judge()
    yield _sign_in()
    yield _address()


def _packages() -> Iterator[Finding]:
    engine, is_new_enough = sqlite_version()
    yield Finding("ok", "Python", platform.python_version())
    if is_new_enough:
        yield Finding("ok", "SQLite", engine)
    else:
        yield Finding("broken", "SQLite", f"{engine} is too old. Use a Python that is built with 3.37 or newer.")
    fine = []
    for line in (*(requires("red-workbench") or []), "torch", "transformers"):  # these two come with the embeddings
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            yield Finding("broken", wanted.name, "is not installed. Install the project's dependencies.")
            continue
        if wanted.specifier.contains(found, prereleases=True):
            fine.append(f"{wanted.name} {found}")
        else:
            told = f"{found} is installed, {wanted.specifier} is needed. Install the project's dependencies."
            yield Finding("broken", wanted.name, told)
    yield Finding("ok", "packages", ", ".join(sorted(fine)))


def _model() -> Finding:
    try:
        folder = default_model_folder()
    except (RedError, OSError) as error:
        return Finding("broken", "embedding model", str(error))
    return Finding("ok", "embedding model", f"{DEFAULT_MODEL}, its weights as expected, in {folder}")


def _workspace(workspace: Path) -> Iterator[Finding]:
    if not workspace.is_dir():
        yield Finding("warning", "workspace", f"{workspace} is not there. The first import makes it.")
        return
    free = shutil.disk_usage(workspace).free / 1e6
    if not os.access(workspace, os.W_OK | os.X_OK):
        yield Finding("broken", "workspace", f"{workspace} cannot be written. Check its permissions.")
    elif free < LITTLE_MB:
        yield Finding("broken", "workspace", f"only {free:,.0f} MB are free at {workspace}. Free some space.")
    elif free < FREE_MB:
        yield Finding("warning", "workspace", f"only {free:,.0f} MB are free at {workspace}. Free some space soon.")
    else:
        yield Finding("ok", "workspace", f"{free:,.0f} MB are free at {workspace}")
    for left in sorted(workspace.glob(f"{RESTORING}*")):
        yield Finding("warning", "workspace", f"{left} is left of a restore that was stopped. Delete it if none runs.")


def _project(project: Project) -> Iterator[Finding]:
    about = f"project {project.name}"
    try:
        faults = database_faults(project)
        missing = missing_migrations(project)
        vectors = vector_faults(project)
        model = remembered(project, "embedding", DEFAULT_MODEL)
    except StoreError as error:
        yield Finding("broken", about, str(error))
        return
    for fault in faults:
        yield Finding("broken", about, f"database: {fault}. Restore a backup under another name: `red restore`.")
    for fault in vectors:
        yield Finding("broken", about, f"{fault}. Restore a backup under another name: `red restore`.")
    if missing:
        told = f"its database is older than this program ({missing[0]}). It is updated, with a copy, when it is opened."
        yield Finding("warning", about, told)
    damaged = list(_damaged_arrays(project))
    yield from damaged
    if os.sep in model and not Path(model).is_dir():
        yield Finding("warning", about, f"its embedding model {model} is not there. New texts cannot be embedded.")
    if not faults and not vectors and not damaged:
        yield Finding("ok", about, "database, vectors and arrays are whole")


def _damaged_arrays(project: Project) -> Iterator[Finding]:
    for path in array_files(project):
        try:
            load_arrays(path)
        except StoreError as error:
            yield Finding("broken", f"project {project.name}", str(error))


def _judge() -> Iterator[Finding]:
    secrets = secrets_path()
    if secrets.is_file() and secrets.stat().st_mode & 0o077:
        yield Finding("warning", "judge", f"others may read {secrets}, which may hold a key. Run: chmod 600 {secrets}")
    try:
        if not read_table(TABLE) and not os.environ.get("RED_JUDGE_MODEL"):
            yield Finding("ok", "judge", "no LLM is connected; the evidence check (no LLM) judges")
            return
    except (OSError, ValueError):
        pass  # said in one line by what reads the settings
    try:
        server = judge_server()
        listed = listed_models(server)
    except JudgeError as error:
        yield Finding("broken", "judge", str(error))
        return
    told = f"{server.name} at {server.host} answers"
    if listed and server.model not in listed:
        yield Finding("warning", "judge", f"{told}, but does not list it. Check RED_JUDGE_MODEL if rounds fail.")
    else:
        yield Finding("ok", "judge", f"{told}, and lists that model" if listed else told)


def _sign_in() -> Finding:
    try:
        if not sign_in_is_on():
            return Finding("ok", "sign-in", "nobody has to sign in; everybody is an analyst")
        listed = access_list()
    except AccessError as error:
        return Finding("broken", "sign-in", str(error))
    called = address_of_sign_in()
    name, names = called.hostname or "", allowed_hosts()
    if names and "*" not in names and name not in names:
        told = f"[auth] calls the app {name}, which is not let in. Add it to STREAMLIT_SERVER_ALLOWED_HOSTS."
        return Finding("warning", "sign-in", told)
    if called.scheme == "http" and not is_loopback(name):
        told = f"whoever listens on the way to {name} can act as who signed in. Serve it by https: docs/deploy.md."
        return Finding("warning", "sign-in", told)
    told = (
        f"{len(listed.analysts)} entries for analysts, {len(listed.viewers)} for viewers, {listed.hours:g} hours each"
    )
    return Finding("ok", "sign-in", told)


def _address() -> Finding:
    address, others = bound_address(), [name for name in allowed_hosts() if not is_loopback(name)]
    told = f"the app is bound to {address or 'every address'}"
    try:
        refuse_open_address(address)
        signed = sign_in_is_on()
    except AccessError as error:
        return Finding("broken", "address", f"the app is not served: {error}")
    if signed:
        return Finding("ok", "address", f"{told}; people sign in")
    if is_behind_proxy():
        told += (
            ", and whoever reaches it can do everything. Keep it behind a proxy that signs people in: docs/deploy.md."
        )
        return Finding("warning", "address", told)
    if others:
        told += (
            f", and lets {others[0]} in, where nobody has to sign in. Sign people in, or let the proxy: docs/deploy.md."
        )
        return Finding("warning", "address", told)
    return Finding("ok", "address", f"{told}: only this machine can open it")
