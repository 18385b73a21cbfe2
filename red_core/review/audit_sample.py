"""Draw texts for the blind audit: a random sample with planted texts, and shuffled options for each card."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from red_core.errors import StateError
from red_core.records import Floats, Ints, Project
from red_core.steps.label_map import label_vectors
from red_core.store.audits import NewAudit, best_labels, not_dealt, seeds_not_dealt
from red_core.store.texts import remembered
from red_core.store.vectors import load_vectors, with_vector
from red_core.training.samples import samples

BEST_SHOWN, OPTIONS = 5, 10
"""Every card has as many options: the machine's best labels, and other labels similar to the first of them."""
PLANTED_SHARE = 0.1
"""About this share of the cards dealt for the certificate are seeds, whose label is known."""


def draw(project: Project, label: int | None, count: int, rng: np.random.Generator) -> list[NewAudit]:
    """Draw texts to audit; [] if all are dealt already.

    Parameters
    ----------
    label : int or None
        Only texts with this machine label; None draws for the certificate, with planted texts.
    count : int
        Maximum number of texts.

    Raises
    ------
    StateError
        If a seed has no vector yet, or a label no seed.
    """
    available = not_dealt(project, label)
    if not len(available):
        return []
    plan = _plan(project, available, count, PLANTED_SHARE if label is None else 0.0, rng)
    best = best_labels(project, [text for text, _ in plan])
    ids, vectors = _label_vectors(project)
    drawn = []
    for text, known in plan:
        if known is None:
            options = _options(best[text][:BEST_SHOWN], ids, vectors, rng)
            drawn.append(NewAudit(text, "certificate" if label is None else "label", label, options))
        else:
            (vector,) = load_vectors(project, remembered(project, "embedding"), np.array([text]))
            near = ids[np.argsort(-(vectors @ vector), kind="stable")].tolist()[:BEST_SHOWN]
            options = _options(near if known in near else [*near[:-1], known], ids, vectors, rng)
            drawn.append(NewAudit(text, "planted", known, options))
    return drawn


def _plan(
    project: Project, available: Ints, count: int, planted_share: float, rng: np.random.Generator
) -> list[tuple[int, int | None]]:
    """Return (text, None) in the order to deal, and (text, known label) for planted texts."""
    texts, known = seeds_not_dealt(project)
    prepared = np.isin(texts, with_vector(project, remembered(project, "embedding")))
    texts, known = texts[prepared], known[prepared]
    planted = np.flatnonzero(rng.random(count) < planted_share)[: len(texts)]
    sample = rng.choice(available, min(count - len(planted), len(available)), replace=False)
    plan: list[tuple[int, int | None]] = [(text, None) for text in sample.tolist()]
    for position, seed in zip(planted.tolist(), rng.permutation(len(texts)).tolist(), strict=False):
        if position <= len(plan):  # else the sample ended before it
            plan.insert(position, (int(texts[seed]), int(known[seed])))
    return plan


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
