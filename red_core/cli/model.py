"""The verbs of the classifier to take away: export-model, serve-model."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import click

from red_core.access.sign_in import is_loopback
from red_core.cli.options import PATH, json_option
from red_core.errors import AccessError, SettingsError
from red_core.store.database import open_project
from red_core.takeaway import RedClassifier

TOKEN = "RED_MODEL_TOKEN"  # noqa: S105  the name of a variable
LEAST_TOKEN = 16
"""Fewest characters of a token."""


@click.command("export-model")
@click.argument("name")
@click.argument("folder", type=PATH)
@click.option(
    "--language",
    "languages",
    multiple=True,
    metavar="CODE",
    help="Language of the texts, such as en.  [default: found]",
)
@click.option("--with-examples", is_flag=True, help="Also write a few labelled examples of each label.")
@json_option
@click.pass_obj
def export_model_(
    workspace: Path, name: str, folder: Path, languages: tuple[str, ...], *, with_examples: bool, as_json: bool
) -> None:
    """Write the classifiers of project NAME to FOLDER, to use without the workbench.

    FOLDER gets 5 to 25 MB: weights, labels, calibration and a model card. It has no text of the project, unless you
    ask for examples. docs/model.md shows how to use it.
    """
    from red_core.takeaway.export_model import export_model  # noqa: PLC0415  serving needs less than exporting
    from red_core.training.encoder_choice import encoder_advice  # noqa: PLC0415

    project = open_project(workspace, name)
    spoken = languages or tuple(encoder_advice(project).languages)
    made = export_model(project, folder, languages=spoken, with_examples=with_examples)
    text = f"{made.labels:,} labels, {made.size / 1e6:.1f} MB, fingerprint {made.fingerprint[:12]}: {made.folder}"
    click.echo(json.dumps({"project": name, **asdict(made)}) if as_json else text)


@click.command("serve-model")
@click.argument("folder", type=PATH)
@click.option("--port", type=click.IntRange(1, 65535), default=8601, show_default=True, help="The port to listen on.")
@click.option("--address", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--encoder", metavar="MODEL", help="Folder or name of the encoder, if it is not found by its name.")
def serve_model_(folder: Path, port: int, address: str, encoder: str | None) -> None:
    """Serve the model in FOLDER over HTTP: POST /predict with {"texts": [...]}; /docs describes it.

    If RED_MODEL_TOKEN is set, requests need "Authorization: Bearer TOKEN". Another address than 127.0.0.1 needs it.
    """
    token = os.environ.get(TOKEN, "")
    if token and (len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable()):
        raise SettingsError(f"{TOKEN} needs at least {LEAST_TOKEN} printable ASCII characters.")
    if not token and not is_loopback(address):
        raise AccessError(f"anybody could connect to {address}. Set {TOKEN}, or listen on 127.0.0.1.")
    try:
        import uvicorn  # noqa: PLC0415  an extra

        from red_core.takeaway.server import make_app  # noqa: PLC0415  an extra
    except ModuleNotFoundError as error:
        raise SettingsError("the service needs more packages. Run: pip install 'red-workbench[model]'") from error
    with _bound(address, port) as listening:
        app = make_app(RedClassifier.from_folder(folder, encoder=encoder), token)
        click.echo(f"Model {folder}: http://{address}:{port}/docs  (Ctrl-C stops it)", err=True)
        config = uvicorn.Config(app, log_level="warning", limit_concurrency=512, timeout_keep_alive=30)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run([listening])


def _bound(address: str, port: int) -> socket.socket:
    """Return a socket that listens on a port, before the model is loaded.

    Raises
    ------
    SettingsError
        If the port is taken, or the address is none of this machine.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"{address} is no address of this machine. Give another --address.") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen()
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"the service cannot listen on {address}, port {port} ({error.strerror}). Give another --port or --address."
        ) from error
    return listening
