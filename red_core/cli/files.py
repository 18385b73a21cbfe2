"""The verbs that read and write files: import, import-decisions, import-edited, export, predict."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import click

from red_core.access import login
from red_core.cli.options import PATH, json_option, where_parts_run, who_option
from red_core.cli.terminal import Bars, print_encoder, print_import, work
from red_core.data import import_files, restore_decisions, write_left_out
from red_core.data.tables.rows import Several
from red_core.data.tables.source import refuse_same
from red_core.encoders import encode, parse_spec, pinned
from red_core.errors import InputError, StateError, one_line
from red_core.labels.groups import checked_path
from red_core.records import Project
from red_core.results import export, is_folder, predict, predict_folder
from red_core.results.edited import APPLIED, apply_edited, read_edited
from red_core.results.formats import FORMATS
from red_core.settings import DEFAULT_MODEL, RECOMMENDED
from red_core.store.database import open_project, project_names
from red_core.store.exports import ExportFilter
from red_core.training.parts import TRIES


# click passes each option as one parameter.
@click.command("import")
@click.argument("name")
@click.option(
    "--labelled", metavar="FILE", help="File of labelled examples. Rows without a label become unlabelled texts."
)
@click.option("--pool", metavar="FILE", help="File of unlabelled texts.")
@click.option("--text", "text_column", metavar="COL", help="Name of the text column.  [default: guessed]")
@click.option("--label", "label_column", metavar="COL", help="Name of the label column.  [default: guessed]")
@click.option(
    "--answer",
    "answer_column",
    metavar="COL",
    help="Column that says whether a label is right (accept, reject, ignore), or 'none'.  [default: guessed]",
)
@click.option("--sheet", metavar="NAME", help="Sheet of an Excel workbook.  [default: the likeliest]")
@click.option(
    "--header-row", type=int, metavar="N", help="Row with the column names; 0 if there is none.  [default: found]"
)
@click.option(
    "--several",
    type=click.Choice(get_args(Several)),
    default="leave out",
    show_default=True,
    help="A row with several labels: leave it out, take the first one, or make a row of each.",
)
@click.option(
    "--mail/--no-mail",
    default=None,
    help="Take markup, quoted replies and signatures out of the texts.  [default: if there are some]",
)
@click.option(
    "--seeds-per-label",
    type=int,
    metavar="K",
    help="Trial: keep K labelled examples per label and hide the other labels, to measure accuracy.",
)
@click.option(
    "--encoder",
    "--model",
    "model",
    help=f"The encoder: a name of `red encoders`, a folder, or a downloaded model.  [default: {DEFAULT_MODEL}]",
)
@click.option(
    "--left-out", type=PATH, metavar="FILE", help="Write the rows that cannot be used, with the reason, to FILE."
)
@who_option
@json_option
@click.pass_obj
def import_(
    workspace: Path,
    name: str,
    labelled: str | None,
    pool: str | None,
    text_column: str | None,
    label_column: str | None,
    answer_column: str | None,
    sheet: str | None,
    header_row: int | None,
    several: Several,
    seeds_per_label: int | None,
    model: str | None,
    left_out: Path | None,
    who: str | None,
    *,
    mail: bool | None,
    as_json: bool,
) -> None:
    """Import files into project NAME and embed the texts. A new project is created.

    Files can be CSV, TSV, plain text, JSON, JSONL, Parquet, Arrow, Excel, Stata or SPSS, also gzipped, and exports of
    other labelling tools. A file is a path or an hf:// address.
    """
    person = who or login()
    for given in (labelled, pool):
        if given is not None and left_out is not None:
            refuse_same(given, left_out)
    if model is not None:
        model = str(pinned(parse_spec(model)))
        if name not in project_names(workspace):
            encode(model, ["Try the encoder before anything is stored."])
    with Bars() as bars:
        summaries = import_files(
            workspace, name, labelled, pool,
            text_column=text_column, label_column=label_column, answer_column=answer_column,
            sheet=sheet, header_row=header_row, several=several, mail=mail, seeds_per_label=seeds_per_label,
            embedding=model, who=person, report=bars.show,
        )  # fmt: skip
    project = open_project(workspace, name)
    if not as_json:
        for summary in summaries:
            print_import(summary)
    if left_out is not None:
        click.echo(f"{write_left_out(project, left_out)} rows cannot be used; see {left_out}", err=as_json)
    work(project, "prepare", RECOMMENDED, person)
    if not as_json:
        print_encoder(project)
    if as_json:
        click.echo(json.dumps({"project": name, "imports": [asdict(summary) for summary in summaries]}))


@click.command("import-decisions")
@click.argument("name")
@click.argument("file", type=PATH)
@who_option
@json_option
@click.pass_obj
def import_decisions_(workspace: Path, name: str, file: Path, who: str | None, *, as_json: bool) -> None:
    """Add the decisions of a JSONL export to project NAME.

    A decision that the project already has is not added again. A later decision in the project is kept.
    """
    restored = restore_decisions(open_project(workspace, name), file, who or login())
    click.echo(json.dumps({"project": name, **asdict(restored)}) if as_json else one_line(restored.sentence()))


@click.command("import-edited")
@click.argument("name")
@click.argument("file", type=PATH)
@click.option(
    "--apply", "apply_", is_flag=True, help="Store the edited labels as decisions; without it, only show them."
)
@who_option
@json_option
@click.pass_obj
def import_edited_(workspace: Path, name: str, file: Path, who: str | None, *, apply_: bool, as_json: bool) -> None:
    """Show what was edited in FILE, an export of project NAME, and apply it as decisions.

    FILE can be any export that has the column text_id: a table, a workbook, or what another tool returns.
    """
    project = open_project(workspace, name)
    edited = read_edited(project, file)
    added = apply_edited(project, edited, who or login()) if apply_ else 0
    if as_json:
        differences = [asdict(each) for each in edited.differences]
        click.echo(json.dumps({"project": name, "rows": edited.rows, "applied": added, "differences": differences}))
        return
    for each in edited.differences:
        change = "" if each.change in APPLIED else f"  ({each.change}: not applied)"
        click.echo(one_line(f"row {each.row}: {each.before or '-'} -> {each.after or '-'}{change}  {each.text}", 160))
    click.echo(one_line(edited.sentence()))
    if apply_:
        click.echo(f"{added:,} decisions stored")
    elif any(each.change in APPLIED for each in edited.differences):
        click.echo("nothing stored yet. Add --apply to store them as decisions.")


# click passes each option as one parameter.
@click.command("export")
@click.argument("name")
@click.argument("out", type=PATH)
@click.option(
    "--as", "format_name", type=click.Choice(list(FORMATS)), help="The format.  [default: by the name of OUT]"
)
@click.option("--label", metavar="LABEL", help="Only rows with this label; 'none of these' for no label.")
@click.option("--group", metavar="GROUP", help="Only rows with a label of this group, such as 'Billing > Cards'.")
@click.option("--source", metavar="SOURCE", help="Only rows whose label comes from here, such as classifiers.")
@click.option("--least", type=click.FloatRange(0, 1), metavar="P", help="Only rows with at least this confidence.")
@click.option("--most", type=click.FloatRange(0, 1), metavar="P", help="Only rows with at most this confidence.")
@click.option("--decided-since", metavar="DAY", help="Only rows decided since this day (2026-01-31) or time, in UTC.")
@click.option("--delimiter", default=",", show_default=True, help="Of the format csv-excel; \\t is a tab.")
@click.option("--unverified", is_flag=True, help="Write what is left of a damaged project.")
@json_option
@click.pass_obj
def export_(
    workspace: Path,
    name: str,
    out: Path,
    format_name: str | None,
    label: str | None,
    group: str | None,
    source: str | None,
    least: float | None,
    most: float | None,
    decided_since: str | None,
    delimiter: str,
    *,
    unverified: bool,
    as_json: bool,
) -> None:
    """Write the rows of project NAME to OUT, with their labels and where the labels come from.

    The name of OUT ends in .csv, .tsv, .jsonl, .json, .parquet or .xlsx; text formats can be gzipped (.gz). Other
    labelling tools need --as. Checksums show that everything is as it was stored; if not, nothing is written.
    """
    wanted = ExportFilter(label, source, least, most, decided_since, None if group is None else checked_path(group))
    written = export(
        open_project(workspace, name), out,
        format_name=format_name, wanted=wanted,
        delimiter="\t" if delimiter == "\\t" else delimiter, verify=not unverified,
    )  # fmt: skip
    facts = {"project": name, "rows": written, "file": str(out), "verified": not unverified}
    click.echo(json.dumps(facts) if as_json else f"{written:,} rows{'' if unverified else ', verified'}: {out}")


# click passes each option as one parameter.
@click.command("predict")
@click.argument("name")
@click.argument("source", metavar="IN")
@click.argument("out")
@click.option("--text", "text_column", metavar="COL", help="Name of the text column.  [default: guessed]")
@click.option("--cluster", metavar="ADDRESS", help="Label a folder on the Dask cluster at ADDRESS (see docs/scale.md).")
@json_option
@click.pass_obj
def predict_(
    workspace: Path, name: str, source: str, out: str, text_column: str | None, cluster: str | None, *, as_json: bool
) -> None:
    """Label the texts of file IN with the classifiers of project NAME, and write the result to OUT.

    IN can also be a folder of Parquet files (a path or a URL); then OUT is a folder too. If the command stops, run it
    again: it labels only the files that are not finished.
    """
    project = open_project(workspace, name)
    if cluster is not None and Path(source).is_file():
        raise InputError(source, "a cluster labels folders of Parquet files, and not one file", "Leave out --cluster")
    if cluster is not None or is_folder(source):
        _predict_folder(project, source, out, text_column, cluster, as_json=as_json)
        return
    with Bars() as bars:
        written = predict(project, source, out, text_column=text_column, report=bars.show)
    click.echo(json.dumps({"project": name, "rows": written, "file": out}) if as_json else f"{written:,} rows: {out}")


def _predict_folder(
    project: Project, source: str, out: str, text_column: str | None, cluster: str | None, *, as_json: bool
) -> None:
    with Bars() as bars:
        folder = predict_folder(
            project, source, out, text_column=text_column, report=bars.show, run=where_parts_run(cluster)
        )
    if as_json:
        click.echo(json.dumps({"project": project.name, **asdict(folder), "folder": out}))
    else:
        before = f", {folder.done_before:,} of them finished earlier" if folder.done_before else ""
        click.echo(
            f"{folder.rows:,} rows in {folder.parts - len(folder.failed):,} of {folder.parts:,} files{before}: {out}"
        )
    for file, reason in folder.failed:
        click.echo(f"{one_line(file)}: failed {TRIES} times; last error: {reason}", err=True)
    if folder.failed:
        raise StateError(
            f"{len(folder.failed):,} of {folder.parts:,} files failed. Run the command again to retry them."
        )
