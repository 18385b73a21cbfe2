"""The verbs that protect a project: backup, restore, doctor."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from red_core.cli.doctor import examine
from red_core.cli.options import PATH, json_option
from red_core.cli.terminal import Bars
from red_core.data import back_up, restore
from red_core.errors import one_line
from red_core.settings import DEFAULT_MODEL
from red_core.store.database import open_project
from red_core.store.texts import remembered


@click.command("backup")
@click.argument("name")
@click.argument("file", type=PATH)
@json_option
@click.pass_obj
def backup_(workspace: Path, name: str, file: Path, *, as_json: bool) -> None:
    """Back up project NAME to FILE. A round may be running.

    FILE is a zip file that only you can read. A file that exists is not overwritten.
    """
    project = open_project(workspace, name)
    with Bars() as bars:
        manifest = back_up(project, file, bars.show)
    facts = {"project": name, "files": len(manifest.files), "bytes": manifest.bytes, "file": str(file)}
    click.echo(json.dumps(facts) if as_json else f"{len(manifest.files)} files, {manifest.bytes / 1e6:,.1f} MB: {file}")


@click.command("restore")
@click.argument("file", type=PATH)
@click.option("--as", "name", metavar="NAME", help="Name of the restored project.  [default: its old name]")
@json_option
@click.pass_obj
def restore_(workspace: Path, file: Path, name: str | None, *, as_json: bool) -> None:
    """Create a project from FILE, a backup made by `red backup`. No project is overwritten."""
    with Bars() as bars:
        project = restore(workspace, file, name, bars.show)
    model = remembered(project, "embedding", DEFAULT_MODEL)
    facts = {"project": project.name, "file": str(file), "embedding": model}
    note = "" if model == DEFAULT_MODEL else f" It uses the embedding model {one_line(model)}: check that you trust it."
    click.echo(json.dumps(facts) if as_json else f"restored: {project.name}.{note} Next: red status {project.name}")


@click.command("doctor")
@click.argument("name", required=False)
@json_option
@click.pass_context
def doctor_(context: click.Context, name: str | None, *, as_json: bool) -> None:
    """Check the installation and every project (or only NAME), and say what to repair.

    Nothing is changed. The judge's server is asked for its list of models, but gets no question. The exit code is 1 if
    anything is broken.
    """
    findings = []
    for finding in examine(context.obj, name):
        findings.append(finding)
        if not as_json:
            click.echo(f"{finding.state:<8} {finding.about}: {finding.told}")
    broken = sum(finding.state == "broken" for finding in findings)
    if as_json:
        click.echo(json.dumps({"broken": broken, "findings": [asdict(finding) for finding in findings]}))
    context.exit(1 if broken else 0)
