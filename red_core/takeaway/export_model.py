"""Take the classifiers of a project's last round away, as a model folder."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from red_core.errors import InputError
from red_core.records import NONE_OF_THESE, Project, Round
from red_core.results.predictor import Predictor, make_predictor
from red_core.review import summary
from red_core.review.audit_report import in_words
from red_core.settings import Settings
from red_core.steps.certificate import Measured
from red_core.store import texts as stored
from red_core.store.certificates import Certificate
from red_core.store.labels import current_layout, list_labels
from red_core.store.rounds import finished_rounds, predicted_labels, require_finished_round
from red_core.takeaway.card import model_card, sentences_of_round
from red_core.takeaway.compact import compact
from red_core.takeaway.contents import NO_LABEL, LabelEntry, contents_of
from red_core.takeaway.folder import write_folder

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
EXAMPLES_QUOTED = 3
"""Labelled examples of each label that are written if texts are asked for."""


@dataclass(frozen=True)
class ExportedModel:
    """A model folder that was written: its path, its fingerprint, its size in bytes, and its number of labels."""

    folder: str
    fingerprint: str
    size: int
    labels: int


def export_model(
    project: Project, folder: str | Path, *, languages: Sequence[str] = (), with_examples: bool = False
) -> ExportedModel:
    """Write the classifiers of the last round as a model folder; see :meth:`red_core.RedClassifier.from_folder`.

    Labels are as they are now: merged labels count as one, and retired labels are not given.

    Parameters
    ----------
    languages : sequence of str
        Codes for the model card, such as ``en``.
    with_examples : bool
        Write a few labelled examples of each label into ``config.json``; otherwise no text of the project is written.

    Raises
    ------
    StateError
        Before the first round.
    InputError
        If the folder exists and is not empty, or cannot be written.
    EmbeddingError
        If the encoder cannot be loaded.
    """
    for code in languages:
        if not _LANGUAGE.fullmatch(code):
            raise InputError("languages", f"{code[:40]!r} is no code", "Give a code such as en or pt-BR")
    last, predictor, folder = require_finished_round(project), make_predictor(project), Path(folder)
    settings = Settings.model_validate_json(last.settings)
    model = compact(predictor.model, settings.random_state)
    known = _facts(project, last, predictor)
    if with_examples:
        known["examples"] = _examples(project)
    entries, of_column = _labels(project, predictor)
    contents = contents_of(
        model, label_type="str", none_of_these=True, labels=entries, of_column=of_column,
        settings=settings.model_dump(mode="json"), facts=known,
    )  # fmt: skip
    card = model_card(contents, project.name, languages, sentences_of_round(known))
    mark = write_folder(folder, model, contents, card)
    size = sum(path.stat().st_size for path in folder.iterdir())
    return ExportedModel(str(folder), mark, size, len(entries))


def _labels(project: Project, predictor: Predictor) -> tuple[tuple[LabelEntry, ...], tuple[int | None, ...]]:
    """Return the labels that the classifiers can give, and the label of each of their columns; None is retired."""
    now = [predictor.is_now[label] for label in predictor.label_ids.tolist()]
    given = sorted({label for label in now if label is not None})
    ids, subset_of, _ = current_layout(project)
    subsets = dict(zip(ids.tolist(), subset_of.tolist(), strict=True))
    known = {label.id: label for label in list_labels(project)}
    entries = [
        LabelEntry(
            name=predictor.names[n], meaning=known[n].meaning, subset=subsets.get(n, -1), path=tuple(known[n].path)
        )
        for n in given
    ]
    if NO_LABEL["str"] in {entry.name for entry in entries}:
        raise InputError("labels", f"a label is called {NO_LABEL['str']!r}", "Rename it on Label map")
    if len(entries) < 2:
        raise InputError("labels", "the classifiers know fewer than two of today's labels", "Run another round")
    place = {label: number for number, label in enumerate(given)}
    return tuple(entries), tuple(None if label is None else place[label] for label in now)


def _facts(project: Project, last: Round, predictor: Predictor) -> dict[str, Any]:
    """Return what the card says, as numbers."""
    audit, counts = summary(project), stored.facts(project)
    _, machine = predicted_labels(project, last.id)
    shares = Counter(predictor.is_now.get(label, label) for label in machine.tolist())
    names = {**predictor.names, NONE_OF_THESE: NO_LABEL["str"]}
    rates = last.metrics.get("judge_rates") or {}
    return {
        "origin": predictor.origin, "fingerprint": predictor.fingerprint,
        "labelled_examples": counts["seeds"], "unlabelled_texts": counts["pool"],
        "rounds": len(finished_rounds(project)),
        "judge": _without_address(audit.judge_name),
        "judge_pairs": rates.get("pairs", 0), "judge_passes": rates.get("passes"),
        "estimated_accuracy": last.metrics["expected_agreement"],
        "measured_accuracy": _measured(audit.accuracy),
        "certificate": _certificate(audit.certificate),
        "selective_certificate": _certificate(audit.selective),
        "baseline": {
            "mean_confidence": last.metrics["expected_alone"],
            "shares": {names[n]: round(count / len(machine), 5) for n, count in shares.items() if n is not None},
        },
    }  # fmt: skip


def _without_address(judge: str) -> str:
    """Return the API and the model of a judge: the folder may be published, and the address of a server is not."""
    return judge.rpartition(" at ")[0] or judge


def _measured(accuracy: Measured) -> dict[str, float] | None:
    if accuracy.share is None:
        return None
    return {"audits": accuracy.of, "share": accuracy.share, "low": accuracy.low, "high": accuracy.high}


def _certificate(given: Certificate | None) -> dict[str, Any] | None:
    if given is None:
        return None
    return {
        "target": given.target, "lower_bound": given.lower, "audits": given.audits, "round": given.round,
        "least_confidence": given.threshold, "texts": given.texts, "of": given.of, "statement": in_words(given),
    }  # fmt: skip


def _examples(project: Project) -> dict[str, list[str]]:
    texts, labels = stored.seeds(project)
    quoted: dict[str, list[str]] = {}
    for label in list_labels(project):
        of_label = texts[np.flatnonzero(labels == label.id)[:EXAMPLES_QUOTED]]
        quoted[label.name] = list(stored.contents(project, of_label)) if len(of_label) else []
    return quoted
