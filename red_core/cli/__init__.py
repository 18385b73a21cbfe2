"""The command line: ``red --help`` lists its verbs."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import click

from red_core.cli import app, encoders, files, judge, labels, model, rounds, upkeep
from red_core.errors import RedError


class _OneLineErrors(click.Group):
    """Print an error of ours, or of the file system, as one line and exit with code 1."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        try:
            return super().invoke(ctx)
        except RedError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of a pipe has closed it: click ends quietly
                raise
            file = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{file}{error.strerror}. Check the disk and the permissions.") from error


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
    """Label text with hundreds of labels and a few examples of each (R.E.D. Workbench)."""
    ctx.obj = workspace


for verb in (
    *(files.import_, files.import_decisions_, files.import_edited_, files.export_, files.predict_),
    *(
        rounds.round_,
        rounds.cancel,
        rounds.feed_back_,
        rounds.close,
        rounds.roll_back_,
        rounds.status_,
        rounds.settings_,
    ),
    *(encoders.encoders_, encoders.encoder_),
    *(judge.judge_check_, judge.meanings_),
    *(labels.export_labels_, labels.import_labels_, labels.drift_),
    *(model.export_model_, model.serve_model_),
    *(app.demo, app.serve),
    *(upkeep.backup_, upkeep.restore_, upkeep.doctor_),
):
    main.add_command(verb)
