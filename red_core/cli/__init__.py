"""The command line: ``red --help`` lists its verbs."""

from __future__ import annotations

import errno
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from red_core.errors import RedError, SettingsError

VERBS = {
    "import": "files.import_",
    "import-decisions": "files.import_decisions_",
    "import-edited": "files.import_edited_",
    "export": "files.export_",
    "predict": "files.predict_",
    "round": "rounds.round_",
    "cancel": "rounds.cancel",
    "feed-back": "rounds.feed_back_",
    "close": "rounds.close",
    "roll-back": "rounds.roll_back_",
    "status": "rounds.status_",
    "settings": "rounds.settings_",
    "judge-check": "judge.judge_check_",
    "meanings": "judge.meanings_",
    "groups": "labels.groups_",
    "export-labels": "labels.export_labels_",
    "import-labels": "labels.import_labels_",
    "drift": "labels.drift_",
    "encoder": "encoders.encoder_",
    "encoders": "encoders.encoders_",
    "embed": "encoders.embed_",
    "export-model": "model.export_model_",
    "serve-model": "model.serve_model_",
    "demo": "app.demo",
    "serve": "app.serve",
    "backup": "upkeep.backup_",
    "restore": "upkeep.restore_",
    "doctor": "upkeep.doctor_",
}
"""Verb -> its file in this folder and its function. A verb is imported when it is used: without the extra `app`, those
of the model work."""

IN_THE_LIST = {
    "import": "Import files into a project, and embed the texts.",
    "import-decisions": "Add the decisions of a JSONL export to a project.",
    "import-edited": "Show or take over what was edited in an exported file.",
    "export": "Write the rows of a project with their labels.",
    "predict": "Label the texts of a file or a folder.",
    "round": "Run a round, and show its progress.",
    "cancel": "Cancel the running job of a project.",
    "feed-back": "Feed back the valid texts of the round under review.",
    "close": "Close the open round of a project.",
    "roll-back": "Take back the texts that a round fed back.",
    "status": "Show the contents, progress and accuracy of a project.",
    "settings": "List every setting of a round.",
    "judge-check": "Test the LLM judge on labelled examples.",
    "meanings": "Let the judge's model write a meaning for every label.",
    "groups": "Show the labels in their groups, or put them into groups.",
    "export-labels": "Write the labels of a project to a file.",
    "import-labels": "Apply an edited label file to a project.",
    "drift": "Compare the newest import with the earlier ones.",
    "encoder": "Show the encoder of a project, or change it.",
    "encoders": "List the encoders that the product knows.",
    "embed": "Compute the vectors of all texts of a project.",
    "export-model": "Write the classifiers to a folder, to use elsewhere.",
    "serve-model": "Serve a model folder over HTTP.",
    "demo": "Create the demo project, and start the app.",
    "serve": "Start the app, and open it in a browser.",
    "backup": "Back up a project to a file.",
    "restore": "Create a project from a backup.",
    "doctor": "Check the installation and the projects.",
}
"""What `red --help` says about each verb: to ask the verbs themselves, it would have to import all of them."""


class _Verbs(click.Group):
    """Finds the verbs. Prints an error of ours, or of the file system, as one line, and exits with code 1."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return sorted(VERBS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        file, function = VERBS[name].split(".")
        try:
            verb: click.Command = getattr(import_module(f"red_core.cli.{file}"), function)
        except ModuleNotFoundError as missing:
            if missing.name is None or missing.name.startswith("red_core"):
                raise
            return _without_app(name, missing.name)
        return verb

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, IN_THE_LIST[name]) for name in sorted(VERBS)])

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


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
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


def _without_app(name: str, missing: str) -> click.Command:
    """Return what stands for a verb whose libraries are not installed."""

    def refuse(**_given: object) -> None:
        raise SettingsError(f"`red {name}` needs {missing}. Run: pip install 'red-workbench[app]'")

    return click.Command(
        name, callback=refuse, help="Needs the extra `app`.", add_help_option=False,
        context_settings={"ignore_unknown_options": True}, params=[click.Argument(["given"], nargs=-1)],
    )  # fmt: skip
