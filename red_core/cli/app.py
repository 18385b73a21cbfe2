"""The verbs that start the app: demo, serve."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from red_core.access import login, refuse_open_address, sign_in_is_on
from red_core.access.secrets_file import secrets_path
from red_core.access.sign_in import BEHIND_PROXY, bound_address
from red_core.cli.options import json_option
from red_core.cli.terminal import Bars, print_status, work
from red_core.data import demo as demo_project
from red_core.errors import StateError
from red_core.rounds import project_status
from red_core.settings import RECOMMENDED
from red_core.store.labels import current_layout

Verb = TypeVar("Verb", bound=Callable[..., None])


def where_served(verb: Verb) -> Verb:
    """Add the options --port, --address and --behind-proxy to a verb."""
    port = click.option(
        "--port", type=click.IntRange(1, 65535), default=8501, show_default=True, help="The port to listen on."
    )
    address = click.option(
        "--address",
        metavar="ADDRESS",
        help="The address to listen on. Other machines can connect only with sign-in.  [default: 127.0.0.1]",
    )
    behind = click.option(
        "--behind-proxy",
        is_flag=True,
        help="Serve without sign-in, because a proxy in front of the app signs people in.",
    )
    return port(address(behind(verb)))


@click.command("demo")
@click.option("--no-serve", is_flag=True, help="Create the project, but do not start the app.")
@where_served
@json_option
@click.pass_obj
def demo(workspace: Path, port: int, address: str | None, *, behind_proxy: bool, no_serve: bool, as_json: bool) -> None:
    """Create the project *demo* (a support desk with 54 labels) and start the app."""
    if not no_serve:
        _refuse_open(address, behind_proxy=behind_proxy)  # refuse before minutes of work, not after
    with Bars() as bars:
        project = demo_project.make_demo(workspace, report=bars.show)
    if not current_layout(project)[0].size:
        work(project, "prepare", RECOMMENDED, login())
    if no_serve or as_json:
        print_status(project_status(project), as_json=as_json)
    if not no_serve:
        _serve(workspace, port, address)


@click.command("serve")
@where_served
@click.pass_obj
def serve(workspace: Path, port: int, address: str | None, *, behind_proxy: bool) -> None:
    """Start the app, and open it in a browser if there is one.

    The app listens on 127.0.0.1. Another address needs sign-in (docs/deploy.md) or --behind-proxy.
    """
    _refuse_open(address, behind_proxy=behind_proxy)
    _serve(workspace, port, address)


def _refuse_open(address: str | None, *, behind_proxy: bool) -> None:
    if behind_proxy:
        os.environ[BEHIND_PROXY] = "1"  # the app checks it again
    refuse_open_address(bound_address() if address is None else address)


def _app_folder() -> Path:
    """Return the folder of the app: the clone, or what the wheel installed beside this package."""
    parent = Path(__file__).resolve().parents[2]
    return parent if (parent / "pyproject.toml").is_file() else parent / "red_workbench_app"


def _serve(workspace: Path, port: int, address: str | None) -> None:
    """Replace this process by the Streamlit server, which opens a browser if there is a display."""
    app = _app_folder() / "server.py"
    if not app.is_file():
        raise StateError(f"{app} is missing. Install red-workbench again.")
    os.environ["RED_WORKSPACE"] = str(workspace.resolve())
    # Every run of a page is a thread. With more arenas, glibc keeps what each of them once needed.
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    more = [] if address is None else [f"--server.address={address}"]
    if sign_in_is_on():
        more.append(f"--secrets.files={secrets_path().resolve()}")  # Streamlit reads [auth] from this file
    os.chdir(app.parent)  # Streamlit reads .streamlit/config.toml from here
    headless = sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    shown = address or bound_address() or "127.0.0.1"
    click.echo(
        f"R.E.D. Workbench: http://{f'[{shown}]' if ':' in shown else shown}:{port}  (Ctrl-C stops it)", err=True
    )
    sys.stderr.flush()
    command = [sys.executable, "-m", "streamlit", "run", str(app), f"--server.port={port}"]
    os.execv(sys.executable, [*command, f"--server.headless={str(headless).lower()}", *more])  # noqa: S606  our interpreter
