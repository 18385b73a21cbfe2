"""The app in the browser: demo, serve."""

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
from red_core.cli.terminal import Bars, tell, work
from red_core.data import demo as demo_project
from red_core.errors import StateError
from red_core.rounds import project_status
from red_core.settings import RECOMMENDED
from red_core.store.labels import current_layout

Verb = TypeVar("Verb", bound=Callable[..., None])


def where_served(verb: Verb) -> Verb:
    """Give a verb the options that say where the app is served."""
    port = click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
    address = click.option(
        "--address",
        metavar="ADDRESS",
        help="Where to listen; beyond this machine only with sign-in.  [default: 127.0.0.1]",
    )
    behind = click.option("--behind-proxy", is_flag=True, help="A proxy signs people in: serve without our sign-in.")
    return port(address(behind(verb)))


@click.command("demo")
@click.option("--no-serve", is_flag=True, help="Only make the project; do not start the app.")
@where_served
@json_option
@click.pass_obj
def demo(workspace: Path, port: int, address: str | None, *, behind_proxy: bool, no_serve: bool, as_json: bool) -> None:
    """Make the project *demo*, a support desk with 54 labels, and start the app on it."""
    if not no_serve:
        _refuse_open(address, behind_proxy=behind_proxy)  # before the work
    with Bars() as bars:
        project = demo_project.make_demo(workspace, report=bars.show)
    if not current_layout(project)[0].size:
        work(project, "prepare", RECOMMENDED, login())
    if no_serve or as_json:
        tell(project_status(project), as_json=as_json)
    if not no_serve:
        _serve(workspace, port, address)


@click.command("serve")
@where_served
@click.pass_obj
def serve(workspace: Path, port: int, address: str | None, *, behind_proxy: bool) -> None:
    """Start the app and open it in the browser where there is one.

    It is bound to 127.0.0.1. Any other address is refused unless people have to sign in, or a proxy is said to do that.
    """
    _refuse_open(address, behind_proxy=behind_proxy)
    _serve(workspace, port, address)


def _refuse_open(address: str | None, *, behind_proxy: bool) -> None:
    if behind_proxy:
        os.environ[BEHIND_PROXY] = "1"  # the app looks again
    refuse_open_address(bound_address() if address is None else address)


def _serve(workspace: Path, port: int, address: str | None) -> None:
    """Become the Streamlit server; it opens a browser unless there is no display."""
    app = Path(__file__).resolve().parents[2] / "server.py"
    if not app.is_file():
        raise StateError(f"{app} is missing. Run `red serve` from an editable install of the repository.")
    os.environ["RED_WORKSPACE"] = str(workspace.resolve())
    more = [] if address is None else [f"--server.address={address}"]
    if sign_in_is_on():
        more.append(f"--secrets.files={secrets_path().resolve()}")  # Streamlit signs people in, as [auth] says there
    os.chdir(app.parent)  # Streamlit reads .streamlit/config.toml from here
    headless = sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    shown = address or bound_address() or "127.0.0.1"
    click.echo(f"R.E.D. Workbench: http://{f'[{shown}]' if ':' in shown else shown}:{port}  (Ctrl-C ends it)", err=True)
    sys.stderr.flush()
    command = [sys.executable, "-m", "streamlit", "run", str(app), f"--server.port={port}"]
    os.execv(sys.executable, [*command, f"--server.headless={str(headless).lower()}", *more])  # noqa: S606  our interpreter
