"""The verbs of a round: round, feed-back, close, roll-back, status, settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from red_core.access import login
from red_core.cli.options import json_option, who_option
from red_core.cli.terminal import print_status, work
from red_core.errors import JudgeError, StateError
from red_core.records import Project
from red_core.review import feed_back, plan_feed_back
from red_core.rounds import mark_interrupted, project_status
from red_core.settings import PRESETS, Settings, make_settings
from red_core.store.database import open_project
from red_core.store.decisions import roll_back
from red_core.store.jobs import ask_to_cancel
from red_core.store.rounds import close_round, list_rounds


@click.command("round")
@click.argument("name")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default="recommended",
    show_default=True,
    help="The settings to start from.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change one setting. `red settings` lists all settings.",
)
@click.option(
    "--batch", is_flag=True, help="Ask an LLM judge in batches: cheaper, but the replies can take up to 24 hours."
)
@who_option
@json_option
@click.pass_obj
def round_(  # each argument is one option
    workspace: Path, name: str, preset: str, changes: tuple[str, ...], who: str | None, *, batch: bool, as_json: bool
) -> None:
    """Run a round of project NAME in the background and show its progress.

    An interrupted round continues. Ctrl-C cancels the round; everything stored so far is kept, and the next call
    continues from there.
    """
    project = open_project(workspace, name)
    settings = make_settings(preset, _parse_changes(changes) | ({"batch": True} if batch else {}))
    if estimate := _estimate(project, settings):
        click.echo(estimate, err=as_json)
    work(project, "round", settings, who or login())
    print_status(project_status(project), as_json=as_json)


def _estimate(project: Project, settings: Settings) -> str:
    """Return what a new round asks an LLM judge, and what that costs; '' without one, and if no round begins."""
    if settings.judge != "llm" or any(r.state in {"open", "to review"} for r in list_rounds(project)):
        return ""
    from red_core.judges import judge_server  # noqa: PLC0415  the client of a judge takes a second to import
    from red_core.rounds.estimate import estimate_in_words  # noqa: PLC0415

    try:
        return estimate_in_words(project, settings, judge_server())
    except JudgeError:  # the round says that no judge is set
        return ""


def _parse_changes(changes: tuple[str, ...]) -> dict[str, object]:
    parsed: dict[str, object] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise click.BadParameter(f"{change!r} must have the form NAME=VALUE", param_hint="--set")
        try:
            parsed[key.strip()] = json.loads(value)
        except (ValueError, RecursionError):  # not JSON, or more digits or brackets than Python reads: take it as text
            parsed[key.strip()] = value
    return parsed


@click.command("feed-back")
@click.argument("name")
@click.option(
    "--accept-evidence-check",
    is_flag=True,
    help="Also feed back labels that only the similarity check (no LLM) found valid.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be fed back, but change nothing.")
@who_option
@json_option
@click.pass_obj
def feed_back_(
    workspace: Path, name: str, who: str | None, *, accept_evidence_check: bool, dry_run: bool, as_json: bool
) -> None:
    """Feed back the valid texts of the round under review in project NAME.

    They join the training data of the next round.
    """
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
        f"({facts['decisions']:,} from decisions, {facts['verdicts']:,} from verdicts)."
    )
    for reason, count in sorted(plan.withheld.items()):
        click.echo(f"  {count:,} not fed back: {reason}")


@click.command("cancel")
@click.argument("name")
@click.pass_obj
def cancel(workspace: Path, name: str) -> None:
    """Cancel the running job of project NAME. Everything stored so far is kept.

    A batch of questions that is still under way after its job has ended is cancelled at the judge's server.
    """
    project = open_project(workspace, name)
    job = mark_interrupted(project)
    if job is None or job.state not in {"waiting", "running"}:
        if not _cancel_batches(project):
            raise StateError(f"no job is running in project {name}.")
        click.echo("no job is running. The batch of questions at the judge's server is asked to stop.")
        return
    ask_to_cancel(project, job.id)
    click.echo(f"the job {job.kind} of project {name} is asked to stop. Run its command again to continue.")


def _cancel_batches(project: Project) -> int:
    from red_core.judges.project import cancel_batches  # noqa: PLC0415  the client of a judge takes a second to import

    return cancel_batches(project)


@click.command("close")
@click.argument("name")
@click.pass_obj
def close(workspace: Path, name: str) -> None:
    """Close the open round of project NAME. Nothing is fed back."""
    project = open_project(workspace, name)
    number = close_round(project)
    _cancel_batches(project)  # its replies would not be read any more
    click.echo(f"round {number} is closed. Nothing was fed back.")


@click.command("roll-back")
@click.argument("name")
@click.argument("number", type=click.IntRange(1, 2**31 - 1))
@who_option
@click.pass_obj
def roll_back_(workspace: Path, name: str, number: int, who: str | None) -> None:
    """Take back the texts that round NUMBER of project NAME fed back.

    They leave the training data. Verdicts and decisions are kept.
    """
    count = roll_back(open_project(workspace, name), number, who or login())
    click.echo(f"round {number}: {count:,} texts left the training data. Verdicts and decisions are kept.")


@click.command("status")
@click.argument("name")
@json_option
@click.pass_obj
def status_(workspace: Path, name: str, *, as_json: bool) -> None:
    """Show the contents, the progress and the accuracy of project NAME."""
    print_status(project_status(open_project(workspace, name)), as_json=as_json)


@click.command("settings")
def settings_() -> None:
    """List every setting of a round, with its value in both presets."""
    for name, field in Settings.model_fields.items():
        values = ", ".join(f"{preset}: {getattr(chosen, name)}" for preset, chosen in PRESETS.items())
        click.echo(f"{name}\n    {field.description}\n    {values}")
