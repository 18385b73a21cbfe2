"""The verbs of the label set: groups, export-labels, import-labels, drift."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from red_core.access import login
from red_core.cli.options import PATH, json_option, who_option
from red_core.errors import InputError, SettingsError, StateError, one_line
from red_core.labels import apply_edit, export_label_set, measure_drift, preview, read_label_set
from red_core.labels.edit_kinds import Edit
from red_core.labels.group_sources import FromNames, from_columns, from_text, listed_in_quotes, sign_in_names
from red_core.labels.groups import tree_lines
from red_core.records import Project
from red_core.store.database import open_project
from red_core.store.labels import list_labels


@click.command("export-labels")
@click.argument("name")
@click.argument("out", type=PATH)
@json_option
@click.pass_obj
def export_labels_(workspace: Path, name: str, out: Path, *, as_json: bool) -> None:
    """Write the labels of project NAME to OUT (.csv or .json): names, groups, guidelines, subsets, examples."""
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
    adds a new label with its examples. The column `path` moves labels: `A > B` puts one into B, which is in A.
    """
    project = open_project(workspace, name)
    facts, sentence = _applied(project, read_label_set(project, file), who, only_preview=only_preview)
    click.echo(json.dumps(facts) if as_json else sentence)


def _applied(project: Project, edit: Edit, who: str | None, *, only_preview: bool) -> tuple[dict[str, Any], str]:
    """Apply an edit, or only try it; return what it did, as facts and as a sentence."""
    effect = preview(project, edit)
    version = None if only_preview else apply_edit(project, edit, who or login())
    told = {"told": effect.message, "stale_verdicts": effect.stale, "label_set_version": version}
    prefix = "preview, nothing is changed: " if only_preview else ""
    sentence = f"{prefix}{one_line(effect.message)}; {effect.stale:,} verdicts become outdated"
    return {"project": project.name} | told, sentence


@click.command("groups")
@click.argument("name")
@click.option("--from-column", "columns", multiple=True, help="Take the groups from a column; the outermost first.")
@click.option("--from-names", is_flag=True, help="Take the groups out of names such as `A > B > C`.")
@click.option("--from-text", "text", type=PATH, help="Take the groups from a file of indented names.")
@click.option("--preview", "only_preview", is_flag=True, help="Show what would change, but change nothing.")
@who_option
@json_option
@click.pass_obj
def groups_(  # each option is a way to give the groups
    workspace: Path,
    name: str,
    columns: tuple[str, ...],
    text: Path | None,
    who: str | None,
    *,
    from_names: bool,
    only_preview: bool,
    as_json: bool,
) -> None:
    """Show the labels of project NAME in their groups, or put them into groups. Undo is on the label map."""
    project = open_project(workspace, name)
    if bool(columns) + bool(text) + from_names > 1:
        raise SettingsError("give the groups in one way: --from-column, --from-names or --from-text.")
    edit, notes = _groups_wanted(project, columns, text, from_names=from_names)
    if edit is None:
        labels = list_labels(project)
        paths = [{"label": label.name, "path": list(label.path)} for label in labels]
        click.echo(json.dumps({"project": name, "labels": paths}) if as_json else "\n".join(tree_lines(labels)))
        return
    facts, sentence = _applied(project, edit, who, only_preview=only_preview)
    click.echo(json.dumps(facts | {"notes": notes}) if as_json else "\n".join([sentence, *map(one_line, notes)]))


def _groups_wanted(
    project: Project, columns: tuple[str, ...], text: Path | None, *, from_names: bool
) -> tuple[Edit | None, list[str]]:
    """Return the edit that the options describe, None for none, and what it leaves out."""
    labels = list_labels(project)
    if columns:
        edit, several = from_columns(project, columns)
        return edit, [f"left as they are, with several values: {listed_in_quotes(several)}"] if several else []
    if text is not None:
        edit, unknown = from_text(labels, _text_in(text))
        return edit, [f"not in the label set: {listed_in_quotes(list(unknown))}"] if unknown else []
    if not from_names:
        return None, []
    sign = sign_in_names(labels)
    if sign is None:
        raise StateError("the names of the labels hold no groups, such as in `A > B > C`.")
    return FromNames(sign), []


def _text_in(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InputError(str(path), f"it cannot be read ({error.strerror})", "Check its name") from error
    except UnicodeDecodeError as error:
        raise InputError(str(path), "it is not UTF-8", "Save it as UTF-8 text") from error


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
