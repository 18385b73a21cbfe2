"""The verbs about encoders: encoders, encoder, embed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from red_core.access import login
from red_core.cli.options import json_option, where_parts_run, who_option
from red_core.cli.terminal import Bars, print_encoder, work
from red_core.encoders import CATALOGUE, language_names, parse_spec
from red_core.encoders.api import WHERE, embedding_server
from red_core.encoders.spec import API
from red_core.errors import one_line
from red_core.rounds.embed import embed_texts
from red_core.rounds.encoder_change import begin_encoder_change, keep_encoder, price_of_change
from red_core.settings import RECOMMENDED
from red_core.store.database import open_project
from red_core.training.encoder_choice import encoder_advice

MANY_LANGUAGES = 8


@click.command("encoders")
@json_option
def encoders_(*, as_json: bool) -> None:
    """List the encoders that the product knows: what they are good for, their size, and whether they are here."""
    if as_json:
        facts = [
            {
                "encoder": str(known.spec), "title": known.title, "languages": sorted(known.languages),
                "megabytes": known.megabytes, "licence": known.licence, "source": known.source,
                "here": known.on_this_machine,
            }
            for known in CATALOGUE
        ]  # fmt: skip
        click.echo(json.dumps(facts))
        return
    for known in CATALOGUE:
        codes = sorted(known.languages)
        languages = language_names(codes) if len(codes) < MANY_LANGUAGES else f"{len(codes)} languages"
        here = "on this machine" if known.on_this_machine else known.source
        click.echo(f"{known.spec}\n    {known.title}: {languages}, {known.megabytes:,} MB, {known.licence}; {here}")
    server = embedding_server()
    click.echo(f"{server.name}" if server else f"{API}MODEL@ADDRESS\n    A server with /embeddings. {WHERE}")
    click.echo("Any folder of a model of sentence-transformers, and any such model of the hub, can be used, too.")


@click.command("encoder")
@click.argument("name")
@click.argument("encoder", required=False)
@click.option("--prefix", help="Text that the model expects before every text.  [default: known for known models]")
@click.option("--revision", help="The commit of a model of the hub.  [default: the newest, which is then kept]")
@click.option("--compare", is_flag=True, help="Compare the encoders on this machine on your labelled examples.")
@click.option("--keep", is_flag=True, help="Keep the present encoder, also for texts in a language it does not know.")
@who_option
@json_option
@click.pass_obj
def encoder_(  # each option is one choice of the verb
    workspace: Path,
    name: str,
    encoder: str | None,
    prefix: str | None,
    revision: str | None,
    who: str | None,
    *,
    compare: bool,
    keep: bool,
    as_json: bool,
) -> None:
    """Show the encoder of project NAME, or give the project another one: ENCODER.

    ENCODER is a name of `red encoders`, a folder, or a model of the hub, which is then downloaded. All texts are
    embedded anew. Verdicts, decisions and labelled examples stay, and the next round trains everything anew. If the
    work is stopped, the project keeps its present encoder, and the same command goes on.
    """
    project = open_project(workspace, name)
    person = who or login()
    if keep:
        keep_encoder(project)
    if compare:
        work(project, "compare encoders", RECOMMENDED, person)
    if encoder is not None:
        spec = parse_spec(encoder)
        changed = {"prefix": prefix, "revision": revision}
        spec = type(spec)(**asdict(spec) | {key: value for key, value in changed.items() if value is not None})
        if price := price_of_change(project, spec):
            click.echo(price, err=as_json)
        work(project, "encoder", RECOMMENDED, person, start=lambda: begin_encoder_change(project, spec, person))
    advice = encoder_advice(project)
    if as_json:
        facts = asdict(advice) | {"encoder": str(advice.encoder), "better": advice.better and advice.better.encoder}
        facts |= {"waits": advice.waits, "knowing": [str(known.spec) for known in advice.knowing]}
        click.echo(json.dumps({"project": name, **facts}))
        return
    click.echo(one_line(f"{name}: encoder {advice.encoder}"))
    print_encoder(project)


@click.command("embed")
@click.argument("name")
@click.option("--cluster", metavar="ADDRESS", help="Embed on the Dask cluster at ADDRESS (see docs/scale.md).")
@json_option
@click.pass_obj
def embed_(workspace: Path, name: str, cluster: str | None, *, as_json: bool) -> None:
    """Compute the vectors of all texts of project NAME that have none yet.

    This is the longest part of a first round, and a round does it by itself. Run this verb to do it on a cluster. If
    the command stops, run it again: it goes on with the texts that are missing.
    """
    project = open_project(workspace, name)
    with Bars() as bars:
        done = embed_texts(project, bars.show, where_parts_run(cluster))
    click.echo(json.dumps({"project": name, "embedded": done}) if as_json else f"{name}: {done:,} texts embedded")
