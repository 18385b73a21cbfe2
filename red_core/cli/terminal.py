"""What the command line says: facts in sentences, progress bars, and a job that is followed until it ends."""

from __future__ import annotations

import json
import sys
from typing import Any, Self

import click
from tqdm import tqdm

from red_core.errors import StateError
from red_core.records import ImportSummary, Job, Project
from red_core.rounds import follow_job, start_job
from red_core.settings import Settings
from red_core.store.jobs import ask_to_cancel


def say_import(summary: ImportSummary) -> None:
    """Say what one file brought in, and what was guessed."""
    for note in summary.notes:
        click.echo(f"{summary.file}: {note}")
    if summary.already_imported:
        click.echo(f"{summary.file}: imported before, nothing changed")
    click.echo(
        f"{summary.file}: {summary.rows:,} rows, {summary.folded:,} folded, {summary.left_out:,} left out. "
        f"The project now has {summary.labels:,} labels, {summary.seeds:,} seeds, {summary.pool:,} texts in the pool."
    )


def tell(facts: dict[str, Any], *, as_json: bool) -> None:
    """Say where a project stands, in sentences or as JSON; see :func:`red_core.results.exports.status`."""
    if as_json:
        click.echo(json.dumps(facts))
        return
    kind = "trial project (its truth is known, and only scoring reads it)" if facts["trial"] else "project"
    click.echo(f"{facts['project']}: {kind}")
    click.echo(
        f"  {facts['labels']:,} labels, {facts['seeds']:,} seeds, {facts['fed_back']:,} fed back, "
        f"{facts['pool']:,} texts in the pool, {facts['decided']:,} decided, {facts['left_out']:,} rows left out"
    )
    last = facts["round"]
    if last is None:
        click.echo(f"  no round yet. Run one: red round {facts['project']}")
        return
    click.echo(f"  round {last['number']} ({last['preset']}, judge: {last['judge']}) is {last['state']}")
    if "pool" not in last:
        return
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(last["outcomes"].items())) or "no verdict"
    click.echo(f"  asked {last['questions']:,}: {told}; {last['failed']:,} failed")
    click.echo(f"  uncertain {last['uncertain']:,}, none of these {last['none_of_these']:,}")
    gain = last["information_gain"]
    click.echo(f"  information gain {'-' if gain is None else f'{gain:.4f} nats per text'}")
    click.echo(
        f"  expected agreement {last['expected_agreement']:.4f} (classifiers alone {last['expected_alone']:.4f})"
    )
    if last["true_agreement"] is not None:
        click.echo(
            f"  agreement with the truth {facts['true_agreement']:.4f} (classifiers alone {last['true_alone']:.4f})"
        )
    click.echo(f"  {facts['stopping']['reason']}")


def work(project: Project, kind: str, settings: Settings, who: str) -> None:
    """Start a job in the background and follow it; Ctrl-C asks it to stop.

    Raises
    ------
    StateError
        If it failed, was interrupted or was cancelled.
    """
    job_id = start_job(project, kind, settings, who)
    with Bars() as bars:

        def show(job: Job) -> None:
            if job.stage:
                bars.show(job.stage, job.done, job.total)

        try:
            job = follow_job(project, job_id, show)
        except KeyboardInterrupt:
            click.echo("cancelling; what is stored stays", err=True)
            ask_to_cancel(project, job_id)
            job = follow_job(project, job_id, show)
    if job.state == "cancelled":
        raise StateError(f"cancelled at {job.stage or 'the start'}; nothing stored was lost. The same command goes on.")


class Bars:
    """One progress bar per stage, on standard error, where that is a terminal."""

    def __init__(self) -> None:
        self._stage, self._bar = "", None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._finish()

    def show(self, stage: str, done: int, total: int) -> None:
        """Move the stage's bar, or begin the next one's."""
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
