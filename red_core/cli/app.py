"""The app in the browser: demo, serve."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from red_core import demo as demo_project
from red_core.cli.options import json_option
from red_core.errors import StateError
from red_core.results import status
from red_core.settings import RECOMMENDED
from red_core.store.labels import current_places
from red_core.terminal import Bars, login, tell, work


@click.command("demo")
@click.option("--no-serve", is_flag=True, help="Only make the project; do not start the app.")
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
@json_option
@click.pass_obj
def demo(workspace: Path, port: int, *, no_serve: bool, as_json: bool) -> None:
    """Make the project *demo*, a support desk with 54 labels, and start the app on it."""
    with Bars() as bars:
        project = demo_project.make_demo(workspace, report=bars.show)
    if not current_places(project)[0].size:
        work(project, "prepare", RECOMMENDED, login())
    if no_serve or as_json:
        tell(status(project), as_json=as_json)
    if not no_serve:
        _serve(workspace, port)


@click.command("serve")
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
@click.pass_obj
def serve(workspace: Path, port: int) -> None:
    """Start the app on 127.0.0.1 and open it in the browser where there is one."""
    _serve(workspace, port)


def _serve(workspace: Path, port: int) -> None:
    """Become the Streamlit server; it opens a browser unless there is no display."""
    app = Path(__file__).resolve().parents[2] / "app.py"
    if not app.is_file():
        raise StateError(f"{app} is missing. Run `red serve` from an editable install of the repository.")
    os.environ["RED_WORKSPACE"] = str(workspace.resolve())
    os.chdir(app.parent)  # Streamlit reads .streamlit/config.toml from here
    headless = sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    click.echo(f"R.E.D. Workbench: http://127.0.0.1:{port}  (Ctrl-C ends it)", err=True)
    sys.stderr.flush()
    command = [sys.executable, "-m", "streamlit", "run", str(app), f"--server.port={port}"]
    os.execv(sys.executable, [*command, f"--server.headless={str(headless).lower()}"])  # noqa: S606  our interpreter
