"""The LLM judge: judge-check, meanings."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from red_core.access import login
from red_core.cli.options import json_option
from red_core.cli.terminal import work
from red_core.errors import StateError
from red_core.judges import judge_server, stored_self_test
from red_core.settings import RECOMMENDED
from red_core.store.attempts import spent
from red_core.store.database import open_project
from red_core.store.labels import list_labels


@click.command("judge-check")
@click.argument("name")
@json_option
@click.pass_obj
def judge_check_(workspace: Path, name: str, *, as_json: bool) -> None:
    """Test the LLM judge on seeds of project NAME: how often it is right about right and about wrong labels.

    The judge is named by OPENAI_BASE_URL, OPENAI_API_KEY and RED_JUDGE_MODEL, or by .streamlit/secrets.toml.
    """
    project = open_project(workspace, name)
    server = judge_server()
    work(project, "judge-check", RECOMMENDED, login())
    found = stored_self_test(project, server.name)
    if found is None:
        raise StateError(f"the judge {server.name} answered nothing. Look at its server.")
    if as_json:
        counts = {"right": found.right, "wrong": found.wrong, "canaries": found.canaries}
        click.echo(json.dumps({"judge": server.name, **counts, **asdict(spent(project))}))
        return
    click.echo(f"{server.name} at {server.host}")
    for sentence in found.sentences():
        click.echo(f"  {sentence}")


@click.command("meanings")
@click.argument("name")
@click.pass_obj
def meanings_(workspace: Path, name: str) -> None:
    """Let the LLM judge's model write the meaning of every label of project NAME that has none."""
    project = open_project(workspace, name)
    work(project, "meanings", RECOMMENDED, login())
    for label in list_labels(project):
        click.echo(f"{label.name}: {label.meaning}")
