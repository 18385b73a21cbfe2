"""The verbs of the LLM judge: judge-check, meanings."""

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
from red_core.judges.project import judge_of
from red_core.settings import RECOMMENDED
from red_core.store.attempts import spent
from red_core.store.database import open_project
from red_core.store.labels import list_labels


@click.command("judge-check")
@click.argument("name")
@json_option
@click.pass_obj
def judge_check_(workspace: Path, name: str, *, as_json: bool) -> None:
    """Test the LLM judge on labelled examples of project NAME.

    The test measures how often the judge is right about right labels and about wrong labels. Set the judge with
    OPENAI_BASE_URL, OPENAI_API_KEY and RED_JUDGE_MODEL, or in .streamlit/secrets.toml.
    """
    project = open_project(workspace, name)
    server = judge_server()
    work(project, "judge-check", RECOMMENDED, login())
    judge = judge_of(project, server)
    test = stored_self_test(project, judge)
    if test is None:
        raise StateError(f"the judge {server.name} gave no answer. Check that its server runs, then try again.")
    if as_json:
        counts = {"right": test.right, "wrong": test.wrong, "canaries": test.canaries, "bits": test.bits}
        compared = {"answers": test.compared, "bits": test.rates.rival_bits, "price": test.rates.rival_price}
        click.echo(json.dumps({"judge": judge, **counts, "compared": compared, **asdict(spent(project))}))
        return
    click.echo(judge)
    for sentence in test.sentences():
        click.echo(f"  {sentence}")


@click.command("meanings")
@click.argument("name")
@click.pass_obj
def meanings_(workspace: Path, name: str) -> None:
    """Let the judge's model write a meaning for every label of project NAME without one."""
    project = open_project(workspace, name)
    work(project, "meanings", RECOMMENDED, login())
    for label in list_labels(project):
        click.echo(f"{label.name}: {label.meaning}")
