"""The verbs of the product without a browser: ``red --help``."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from red_core import demo as demo_project
from red_core.decisions import feed_back, plan_feed_back
from red_core.embeddings import DEFAULT_MODEL, encode
from red_core.errors import RedError, StateError
from red_core.importing import import_files, write_left_out
from red_core.judges.server import judge_server
from red_core.judging import stored_self_test
from red_core.results import export, predict, status
from red_core.settings import PRESETS, RECOMMENDED, Settings, make_settings
from red_core.store.attempts import spent
from red_core.store.database import open_project, project_names
from red_core.store.decisions import roll_back
from red_core.store.labels import current_places, labels
from red_core.store.rounds import close_round
from red_core.terminal import Bars, login, say_import, tell, work


class _OneLineErrors(click.Group):
    """Shows an error of ours as one line and exits with 1."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        try:
            return super().invoke(ctx)
        except RedError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="red-workbench")
@click.option(
    "--workspace",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="RED_WORKSPACE",
    default=Path("workspace"),
    show_default="./workspace, or RED_WORKSPACE",
    help="The folder that holds the projects.",
)
@click.pass_context
def main(ctx: click.Context, workspace: Path) -> None:
    """R.E.D. Workbench: label text with hundreds of labels and a handful of examples each."""
    ctx.obj = workspace


_as_json = click.option("--json", "as_json", is_flag=True, help="Print the facts as one JSON object.")
_who = click.option("--who", default=None, help="Whose name stands beside what is done.  [default: your login name]")
_file = click.Path(path_type=Path)


@main.command("import")
@click.argument("name")
@click.option("--labelled", metavar="FILE", help="Texts with labels; rows without one are pool.")
@click.option("--pool", metavar="FILE", help="Texts without labels.")
@click.option("--text", "text_column", metavar="COL", help="The column with the text.  [default: guessed]")
@click.option("--label", "label_column", metavar="COL", help="The column with the label.  [default: guessed]")
@click.option(
    "--seeds-per-label",
    type=int,
    metavar="K",
    help="Make a trial project: K seeds a label, the rest is pool, its labels are truth that only scoring reads.",
)
@click.option("--model", help=f"The embedding model, a name or a folder.  [default: {DEFAULT_MODEL}]")
@click.option("--left-out", type=_file, metavar="FILE", help="Write the rows that cannot be used, and why, to FILE.")
@_who
@_as_json
@click.pass_obj
def import_(
    workspace: Path,
    name: str,
    labelled: str | None,
    pool: str | None,
    text_column: str | None,
    label_column: str | None,
    seeds_per_label: int | None,
    model: str | None,
    left_out: Path | None,
    who: str | None,
    *,
    as_json: bool,
) -> None:
    """Import files into project NAME, made now if it is new, and embed its texts.

    A file is CSV, TSV, JSONL, Parquet or Excel, also gzipped; a path or hf://...
    """
    person = who or login()
    if model is not None and name not in project_names(workspace):
        encode(model, ["a model that cannot be loaded would be kept for good"])
    with Bars() as bars:
        done = import_files(
            workspace, name, labelled, pool,
            text_column=text_column, label_column=label_column, seeds_per_label=seeds_per_label,
            embedding=model, who=person, report=bars.show,
        )  # fmt: skip
    project = open_project(workspace, name)
    if not as_json:
        for summary in done:
            say_import(summary)
    if left_out is not None:
        click.echo(f"{write_left_out(project, left_out)} rows that are not used: {left_out}", err=as_json)
    work(project, "prepare", RECOMMENDED, person)
    if as_json:
        click.echo(json.dumps({"project": name, "imports": [asdict(summary) for summary in done]}))


@main.command("round")
@click.argument("name")
@click.option("--preset", type=click.Choice(list(PRESETS)), default="recommended", show_default=True)
@click.option(
    "--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change one setting; `red settings` lists them."
)
@_who
@_as_json
@click.pass_obj
def round_(
    workspace: Path, name: str, preset: str, changes: tuple[str, ...], who: str | None, *, as_json: bool
) -> None:
    """Run a round of project NAME in the background and follow it, or go on with one that was interrupted.

    Ctrl-C cancels it; what was stored stays, and the next call goes on.
    """
    project = open_project(workspace, name)
    work(project, "round", make_settings(preset, _parse_changes(changes)), who or login())
    tell(status(project), as_json=as_json)


def _parse_changes(changes: tuple[str, ...]) -> dict[str, object]:
    parsed: dict[str, object] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise click.BadParameter(f"{change!r} is not NAME=VALUE", param_hint="--set")
        try:
            parsed[key.strip()] = json.loads(value)
        except json.JSONDecodeError:
            parsed[key.strip()] = value
    return parsed


@main.command("feed-back")
@click.argument("name")
@click.option(
    "--accept-evidence-check", is_flag=True, help="Feed back what only the evidence check (no LLM) found valid."
)
@click.option("--dry-run", is_flag=True, help="Only show what would be fed back.")
@_who
@_as_json
@click.pass_obj
def feed_back_(
    workspace: Path, name: str, who: str | None, *, accept_evidence_check: bool, dry_run: bool, as_json: bool
) -> None:
    """Feed back what was found valid in the round to review of project NAME."""
    project = open_project(workspace, name)
    plan = plan_feed_back(project, accept_evidence_check=accept_evidence_check)
    if not dry_run:
        feed_back(project, plan, who=who or login())
    sources = [item.source for item in plan.items]
    facts: dict[str, Any] = {
        "project": name,
        "round": plan.round_id,
        "fed_back": 0 if dry_run else len(plan.items),
        "would_feed_back": len(plan.items),
        "decisions": sources.count("decision"),
        "verdicts": sources.count("verdict"),
        "withheld": plan.withheld,
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    verb = "would feed back" if dry_run else "fed back"
    click.echo(
        f"round {plan.round_id}: {verb} {len(sources):,} texts "
        f"({facts['decisions']:,} by decision, {facts['verdicts']:,} by verdict)."
    )
    for reason, count in sorted(plan.withheld.items()):
        click.echo(f"  withheld {count:,}: {reason}")


@main.command("close")
@click.argument("name")
@click.pass_obj
def close(workspace: Path, name: str) -> None:
    """Close the open round of project NAME without feeding anything back."""
    click.echo(f"round {close_round(open_project(workspace, name))} is closed; nothing was fed back.")


@main.command("roll-back")
@click.argument("name")
@click.argument("number", type=int)
@_who
@click.pass_obj
def roll_back_(workspace: Path, name: str, number: int, who: str | None) -> None:
    """Take what round NUMBER of project NAME fed back out of the training set again."""
    count = roll_back(open_project(workspace, name), number, who or login())
    click.echo(f"round {number}: {count:,} texts are out of the training set; verdicts and decisions stay.")


@main.command("judge-check")
@click.argument("name")
@_as_json
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


@main.command("meanings")
@click.argument("name")
@click.pass_obj
def meanings_(workspace: Path, name: str) -> None:
    """Let the LLM judge's model write the meaning of every label of project NAME that has none."""
    project = open_project(workspace, name)
    work(project, "meanings", RECOMMENDED, login())
    for label in labels(project):
        click.echo(f"{label.name}: {label.meaning}")


@main.command("status")
@click.argument("name")
@_as_json
@click.pass_obj
def status_(workspace: Path, name: str, *, as_json: bool) -> None:
    """Show what project NAME holds and where it stands."""
    tell(status(open_project(workspace, name)), as_json=as_json)


@main.command("export")
@click.argument("name")
@click.argument("out", type=_file)
@_as_json
@click.pass_obj
def export_(workspace: Path, name: str, out: Path, *, as_json: bool) -> None:
    """Write every row of project NAME with its label and provenance to OUT (.csv, .tsv, .jsonl, .parquet)."""
    written = export(open_project(workspace, name), out)
    click.echo(
        json.dumps({"project": name, "rows": written, "file": str(out)}) if as_json else f"{written:,} rows: {out}"
    )


@main.command("predict")
@click.argument("name")
@click.argument("source", metavar="IN")
@click.argument("out", type=_file)
@click.option("--text", "text_column", metavar="COL", help="The column with the text.  [default: guessed]")
@_as_json
@click.pass_obj
def predict_(workspace: Path, name: str, source: str, out: Path, text_column: str | None, *, as_json: bool) -> None:
    """Label the texts of the file IN with project NAME's classifiers; write them to OUT."""
    project = open_project(workspace, name)
    with Bars() as bars:
        written = predict(project, source, out, text_column=text_column, report=bars.show)
    click.echo(
        json.dumps({"project": name, "rows": written, "file": str(out)}) if as_json else f"{written:,} rows: {out}"
    )


@main.command("demo")
@click.option("--no-serve", is_flag=True, help="Only make the project; do not start the app.")
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
@_as_json
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


@main.command("serve")
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
@click.pass_obj
def serve(workspace: Path, port: int) -> None:
    """Start the app on 127.0.0.1 and open it in the browser where there is one."""
    _serve(workspace, port)


def _serve(workspace: Path, port: int) -> None:
    """Become the Streamlit server; it opens a browser unless there is no display."""
    app = Path(__file__).resolve().parent.parent / "app.py"
    if not app.is_file():
        raise StateError(f"{app} is missing. Run `red serve` from an editable install of the repository.")
    os.environ["RED_WORKSPACE"] = str(workspace.resolve())
    os.chdir(app.parent)  # Streamlit reads .streamlit/config.toml from here
    headless = sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    click.echo(f"R.E.D. Workbench: http://127.0.0.1:{port}  (Ctrl-C ends it)", err=True)
    sys.stderr.flush()
    command = [sys.executable, "-m", "streamlit", "run", str(app), f"--server.port={port}"]
    os.execv(sys.executable, [*command, f"--server.headless={str(headless).lower()}"])  # noqa: S606  our interpreter


@main.command("settings")
def settings_() -> None:
    """List every setting of a round with its values in both presets."""
    for name, field in Settings.model_fields.items():
        values = ", ".join(f"{preset}: {getattr(chosen, name)}" for preset, chosen in PRESETS.items())
        click.echo(f"{name}\n    {field.description}\n    {values}")
