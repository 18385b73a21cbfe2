"""Draw texts for the blind audit: a random sample with planted texts, and shuffled options for each card.

The sample of the certificate favours uncertain texts; see ``steps/certificate.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from red_core.errors import StateError
from red_core.records import Floats, Ints, Project
from red_core.steps.certificate import NO_FOCUS
from red_core.steps.certificate import draw as draw_places
from red_core.steps.label_map import label_vectors
from red_core.store.audits import NewAudit, best_labels, not_dealt, seeds_not_dealt
from red_core.store.certificates import left_to_draw
from red_core.store.texts import remembered
from red_core.store.vectors import load_vectors, with_vector
from red_core.training.samples import samples

BEST_SHOWN, OPTIONS = 5, 10
"""Every card has as many options: the machine's best labels, and other labels similar to the first of them."""
PLANTED_SHARE = 0.1
"""About this share of the cards dealt for the certificate are seeds, whose label is known."""


def draw(
    project: Project, sample: int, count: int, rng: np.random.Generator, focus: float = NO_FOCUS
) -> list[NewAudit]:
    """Draw texts of a sample for the certificate, and planted texts between them; [] if all are dealt already.

    Parameters
    ----------
    sample : int
    count : int
        Maximum number of texts.
    focus : float in [0, 1] or NO_FOCUS
        The draws favour texts with at least this confidence.

    Raises
    ------
    StateError
        If a seed has no vector yet, or a label no seed.
    """
    texts, confidence = left_to_draw(project, sample)
    if not len(texts):
        return []
    seeds, known = _seeds_to_plant(project)
    planted = np.flatnonzero(rng.random(count) < PLANTED_SHARE)[: len(seeds)]
    places, chances = draw_places(confidence, count - len(planted), rng, focus)
    labels = _label_vectors(project)
    options = _options_of(project, texts[places], labels, rng)
    drawn = [
        NewAudit(text, "certificate", None, shown, chances.at(place)) for place, (text, shown) in enumerate(options)
    ]
    for position, seed in zip(planted.tolist(), rng.permutation(len(seeds)).tolist(), strict=False):
        if position <= len(drawn):  # else the sample ended before it
            text, label = int(seeds[seed]), int(known[seed])
            drawn.insert(
                position, NewAudit(text, "planted", label, _planted_options(project, text, label, labels, rng))
            )
    return drawn


def draw_extras(project: Project, label: int, count: int, rng: np.random.Generator) -> list[NewAudit]:
    """Draw texts with this machine label, all with the same chance; otherwise like :func:`draw`."""
    texts = not_dealt(project, label)
    drawn = rng.choice(texts, min(count, len(texts)), replace=False)
    options = _options_of(project, drawn, _label_vectors(project), rng)
    return [NewAudit(text, "label", label, shown) for text, shown in options]


def _seeds_to_plant(project: Project) -> tuple[Ints, Ints]:
    """Return the seeds that have a vector and were never drawn: texts and their labels."""
    texts, known = seeds_not_dealt(project)
    prepared = np.isin(texts, with_vector(project, remembered(project, "embedding")))
    return texts[prepared], known[prepared]


def _options_of(
    project: Project, texts: Ints, labels: tuple[Ints, Floats], rng: np.random.Generator
) -> list[tuple[int, list[int]]]:
    """Return each text with the options of its card."""
    best = best_labels(project, texts.tolist())
    return [(text, _options(best[text][:BEST_SHOWN], *labels, rng)) for text in texts.tolist()]


def _planted_options(
    project: Project, text: int, known: int, labels: tuple[Ints, Floats], rng: np.random.Generator
) -> list[int]:
    ids, vectors = labels
    (vector,) = load_vectors(project, remembered(project, "embedding"), np.array([text]))
    near = ids[np.argsort(-(vectors @ vector), kind="stable")].tolist()[:BEST_SHOWN]
    return _options(near if known in near else [*near[:-1], known], ids, vectors, rng)


def _label_vectors(project: Project) -> tuple[Ints, Floats]:
    """Return the ids of the labels that have a prepared sample, and their unit vectors in that order.

    A later import may have brought others. The next round prepares them.
    """
    embedding = remembered(project, "embedding")
    texts, of_label = samples(project)
    prepared = np.isin(texts, with_vector(project, embedding))
    if not prepared.any():
        raise StateError(f"the texts of project {project.name} are not prepared yet. Run a round first.")
    ids = np.unique(of_label[prepared])
    vectors = load_vectors(project, embedding, texts[prepared])
    return ids, label_vectors(vectors, np.searchsorted(ids, of_label[prepared]), len(ids))


def _options(best: Sequence[int], ids: Ints, vectors: Floats, rng: np.random.Generator) -> list[int]:
    """Return OPTIONS label ids in random order: the best labels, and labels most similar to the first of them."""
    known = [label for label in best if label in ids] or ids[:1].tolist()
    near = ids[np.argsort(-(vectors @ vectors[np.searchsorted(ids, known[0])]), kind="stable")].tolist()
    options = list(dict.fromkeys([*best, *near]))[:OPTIONS]
    return [options[index] for index in rng.permutation(len(options))]
