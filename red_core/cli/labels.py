"""The label set and its drift: export-labels, import-labels, drift."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from red_core.access import login
from red_core.cli.options import PATH, json_option, who_option
from red_core.errors import one_line
from red_core.labels import apply_edit, export_label_set, measure_drift, preview, read_label_set
from red_core.store.database import open_project


@click.command("export-labels")
@click.argument("name")
@click.argument("out", type=PATH)
@json_option
@click.pass_obj
def export_labels_(workspace: Path, name: str, out: Path, *, as_json: bool) -> None:
    """Write the label set of project NAME to OUT (.csv, .json): names, meanings, subsets, seeds."""
    written = export_label_set(open_project(workspace, name), out)
    facts = {"project": name, "labels": written, "file": str(out)}
    click.echo(json.dumps(facts) if as_json else f"{written:,} labels: {out}")


@click.command("import-labels")
@click.argument("name")
@click.argument("file", type=PATH)
@click.option("--preview", "only_preview", is_flag=True, help="Say what it would do; change nothing.")
@who_option
@json_option
@click.pass_obj
def import_labels_(
    workspace: Path, name: str, file: Path, who: str | None, *, only_preview: bool, as_json: bool
) -> None:
    """Apply an edited label file to project NAME as one edit, which the label map can undo.

    A row is about the label with its id, else with its name; a row about neither is a new label, with its seeds.
    """
    project = open_project(workspace, name)
    act = read_label_set(project, file)
    would = preview(project, act)
    version = None if only_preview else apply_edit(project, act, who or login())
    facts = {"project": name, "told": would.message, "stale_verdicts": would.stale, "label_set_version": version}
    said = f"{'would be ' if only_preview else ''}{one_line(would.message)}; {would.stale:,} verdicts stale"
    click.echo(json.dumps(facts) if as_json else said)


@click.command("drift")
@click.argument("name")
@json_option
@click.pass_obj
def drift_(workspace: Path, name: str, *, as_json: bool) -> None:
    """Compare the newest import of pool texts in project NAME with the earlier ones, label by label."""
    found = measure_drift(open_project(workspace, name))
    if as_json:
        click.echo(json.dumps({"project": name, "labels": [asdict(one) | {"drifted": one.drifted} for one in found]}))
        return
    moved = [one for one in found if one.drifted]
    click.echo(f"{len(moved):,} of {len(found):,} labels changed more than chance explains")
    for one in moved:
        click.echo(f"  {one.advice} {one_line(one.label.name)} (q {one.q:.4f}): {'; '.join(one.reasons)}")
