"""Terminal output: facts as sentences or JSON, progress bars, and following a job until it ends."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

import click
from tqdm import tqdm

from red_core.errors import StateError, one_line
from red_core.records import Job, Project, judge_in_words
from red_core.review.audit_report import in_words
from red_core.rounds import follow_job, start_job
from red_core.rounds.status import doubts
from red_core.settings import Settings
from red_core.store.certificates import Certificate
from red_core.store.jobs import ask_to_cancel
from red_core.training.encoder_choice import encoder_advice

if TYPE_CHECKING:
    from red_core.data.importing import ImportSummary


def print_import(summary: ImportSummary) -> None:
    """Print what was imported from one file, and what was guessed about it."""
    for note in summary.notes:
        click.echo(f"{summary.file}: {note}")
    if summary.already_imported:
        click.echo(f"{summary.file}: already imported, nothing changed")
    click.echo(
        f"{summary.file}: {summary.rows:,} rows: {summary.used:,} used, {summary.folded:,} duplicates, "
        f"{summary.left_out:,} left out. "
        f"The project now has {summary.labels:,} labels, {summary.seeds:,} labelled examples "
        f"and {summary.pool:,} unlabelled texts."
    )


def print_status(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print a project's status, as sentences or as JSON; see :func:`red_core.rounds.status.project_status`."""
    if as_json:
        click.echo(json.dumps(facts))
        return
    kind = "trial (most labels are hidden, to measure accuracy)" if facts["trial"] else "project"
    click.echo(f"{facts['project']}: {kind}")
    click.echo(
        f"  {facts['labels']:,} labels, {facts['seeds']:,} labelled examples, {facts['fed_back']:,} fed back, "
        f"{facts['pool']:,} unlabelled texts, {facts['decided']:,} decided, {facts['left_out']:,} rows left out"
    )
    last = facts["round"]
    if last is None:
        click.echo(f"  no round yet. Next: red round {facts['project']}")
        return
    judge = judge_in_words(last["judge"])
    click.echo(f"  round {last['number']} ({last['preset']}, judge: {judge}) is {last['state']}")
    if "pool" not in last:
        return
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(last["outcomes"].items())) or "no verdict"
    compared = f"{count:,} asked which of two labels; " if (count := last.get("compared", 0)) else ""
    click.echo(f"  {last['questions']:,} questions to the judge: {compared}{outcomes}; {last['failed']:,} failed")
    click.echo(f"  {last['uncertain']:,} texts uncertain, {last['none_of_these']:,} texts none of these")
    change = last["information_gain"]
    click.echo(f"  change since the last round: {'-' if change is None else f'{change:.4f} nats per text'}")
    if facts["expected_agreement"] is not None:
        click.echo(
            f"  estimated accuracy {facts['expected_agreement']:.2%} (classifiers alone {last['expected_alone']:.2%})"
        )
    for doubt in doubts(facts["labels"], last):
        click.echo(f"  {doubt}")
    if None not in (last["true_alone"], facts["true_agreement"]):  # also after all labels of the round were retired
        click.echo(
            f"  true accuracy (trial) {facts['true_agreement']:.2%} (classifiers alone {last['true_alone']:.2%})"
        )
    for given in (facts["audit"]["certificate"], facts["audit"]["selective"]):
        if given is not None:
            click.echo(f"  certified: {in_words(Certificate(**given))}")
    if facts["plan"] is not None:
        click.echo(f"  {plan_in_words(facts['plan'])}")
    click.echo(f"  {facts['stopping']['reason']}")


def print_encoder(project: Project) -> None:
    """Print what is known about the project's encoder: the languages, and a comparison if there was one."""
    advice = encoder_advice(project)
    for score in advice.scores:
        speed = f", {score.per_second:,.0f} texts a second" if score.per_second else ""
        click.echo(one_line(f"  {score.right:.1%} of the examples right{speed}: {score.encoder}"))
    for sentence in advice.sentences():
        click.echo(f"  {sentence}")
    offered, name = advice.better or advice.faster, project.name
    if offered is not None:
        line = shlex.quote(offered.encoder)
        click.echo(f"  Change it: red encoder {name} {line}. Or keep it: red encoder {name} --keep")
    elif advice.waits or advice.warns:
        for known in advice.knowing:
            first = f"{known.source}, then " if known.package and not known.on_this_machine else ""
            change = f"{first}red encoder {name} {shlex.quote(known.spec.name)}"
            click.echo(f"  “{known.title}” knows it ({known.megabytes:,} MB, {known.licence}): {change}")
        click.echo(f"  Or keep it: red encoder {name} --keep")


def plan_in_words(plan: Mapping[str, Any]) -> str:
    """Return what it takes to reach the goal, as a sentence."""
    if plan["now"] >= plan["goal"]:
        return f"goal {plan['goal']:.1%}: reached by the estimate ({plan['now']:.1%})"
    ways = {"you alone": plan["you"], "the judge alone": plan["judge"], "the judge, then you": plan["both"]}
    return f"goal {plan['goal']:.1%}: " + "; ".join(f"{name}: {_way_in_words(way)}" for name, way in ways.items())


def _way_in_words(way: Mapping[str, Any]) -> str:
    if way["decisions"] is None or way["questions"] is None:
        return f"does not reach it, and ends at about {way['reaches']:.1%}"
    counts = {"questions": way["questions"], "decisions": way["decisions"]}
    return "about " + (" and ".join(f"{round(n):,} {name}" for name, n in counts.items() if n >= 1) or "no answers")


def work(project: Project, kind: str, settings: Settings, who: str, start: Callable[[], int] | None = None) -> None:
    """Start a job in the background and show its progress until it ends; Ctrl-C cancels it.

    Parameters
    ----------
    start : callable, optional
        Starts the job and returns its id; by default a job of this kind with these settings.

    Raises
    ------
    StateError
        If the job failed, was interrupted or was cancelled.
    """
    job_id = start_job(project, kind, settings, who) if start is None else start()
    with Bars() as bars:

        def show(job: Job) -> None:
            if job.stage:
                bars.show(job.stage, job.done, job.total)

        try:
            job = follow_job(project, job_id, show)
        except KeyboardInterrupt:
            click.echo("cancelling; everything stored so far is kept", err=True)
            ask_to_cancel(project, job_id)
            job = follow_job(project, job_id, show)
    if job.state == "cancelled":
        raise StateError(
            f"cancelled at {job.stage or 'the start'}; nothing stored was lost. Run the same command again to continue."
        )


class Bars:
    """One progress bar per stage, on standard error; nothing is shown if that is not a terminal."""

    def __init__(self) -> None:
        self._stage, self._bar = "", None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._finish()

    def show(self, stage: str, done: int, total: int) -> None:
        """Advance the bar of the current stage, or start a bar for the next stage."""
        if stage != self._stage:
            self._finish()
            self._stage = stage
            self._bar = tqdm(total=total or None, desc=stage, disable=None, file=sys.stderr, leave=True)
        if self._bar is not None:
            self._bar.total = total or None
            self._bar.update(done - self._bar.n)

    def _finish(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar, self._stage = None, ""
