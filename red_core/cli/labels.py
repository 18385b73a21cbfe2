"""The verbs of the label set: export-labels, import-labels, drift."""

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
    """Write the labels of project NAME to OUT (.csv or .json): names, meanings, subsets, examples."""
    written = export_label_set(open_project(workspace, name), out)
    facts = {"project": name, "labels": written, "file": str(out)}
    click.echo(json.dumps(facts) if as_json else f"{written:,} labels: {out}")


@click.command("import-labels")
@click.argument("name")
@click.argument("file", type=PATH)
@click.option("--preview", "only_preview", is_flag=True, help="Show what would change, but change nothing.")
@who_option
@json_option
@click.pass_obj
def import_labels_(
    workspace: Path, name: str, file: Path, who: str | None, *, only_preview: bool, as_json: bool
) -> None:
    """Apply an edited label file to project NAME. Undo on the label map takes it back.

    A row changes the label with its id or, without an id, the label with its name. If there is no such label, the row
    adds a new label with its examples.
    """
    project = open_project(workspace, name)
    edit = read_label_set(project, file)
    effect = preview(project, edit)
    version = None if only_preview else apply_edit(project, edit, who or login())
    facts = {"project": name, "told": effect.message, "stale_verdicts": effect.stale, "label_set_version": version}
    prefix = "preview, nothing is changed: " if only_preview else ""
    sentence = f"{prefix}{one_line(effect.message)}; {effect.stale:,} verdicts become outdated"
    click.echo(json.dumps(facts) if as_json else sentence)


@click.command("drift")
@click.argument("name")
@json_option
@click.pass_obj
def drift_(workspace: Path, name: str, *, as_json: bool) -> None:
    """Compare the newest import of project NAME with its earlier imports, label by label."""
    labels = measure_drift(open_project(workspace, name))
    if as_json:
        click.echo(
            json.dumps({"project": name, "labels": [asdict(label) | {"drifted": label.drifted} for label in labels]})
        )
        return
    drifted = [label for label in labels if label.drifted]
    click.echo(f"{len(drifted):,} of {len(labels):,} labels changed. Changes this large are rarely chance (q < 0.05).")
    for label in drifted:
        click.echo(f"  {label.advice} {one_line(label.label.name)} (q {label.q:.4f}): {'; '.join(label.reasons)}")
