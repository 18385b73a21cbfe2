"""Which texts are audited and what each card shows: a random sample, planted texts among it, options shuffled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from red_core.errors import StateError
from red_core.records import Floats, Ints, Project
from red_core.store.audits import NewAudit, best_labels, not_dealt, seeds_not_dealt
from red_core.store.labels import list_labels
from red_core.store.texts import remembered
from red_core.store.vectors import load_vectors
from red_core.training.samples import seed_label_vectors

BEST_SHOWN, OPTIONS = 5, 10
"""The machine's best labels stand among near decoys; every card has as many options as the next."""
PLANTED_SHARE = 0.1
"""About so many of the cards dealt for the certificate are seeds, whose label is known."""


def draw(project: Project, label: int | None, count: int, rng: np.random.Generator) -> list[NewAudit]:
    """Draw texts to audit; none where the population is used up.

    Parameters
    ----------
    label : int or None
        Only texts the machine gives this label; None draws for the certificate, planted texts included.
    count : int
        How many at most.

    Raises
    ------
    StateError
        If a seed has no vector yet, or a label no seed.
    """
    unseen = not_dealt(project, label)
    if not len(unseen):
        return []
    plan = _plan(project, unseen, count, PLANTED_SHARE if label is None else 0.0, rng)
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
    project: Project, unseen: Ints, count: int, planted_share: float, rng: np.random.Generator
) -> list[tuple[int, int | None]]:
    """Return texts in the order to deal them, a planted one with its known label."""
    texts, known = seeds_not_dealt(project)
    planted = np.flatnonzero(rng.random(count) < planted_share)[: len(texts)]
    sample = rng.choice(unseen, min(count - len(planted), len(unseen)), replace=False)
    plan: list[tuple[int, int | None]] = [(text, None) for text in sample.tolist()]
    for place, seed in zip(planted.tolist(), rng.permutation(len(texts)).tolist(), strict=False):
        if place <= len(plan):  # else the sample ended before it
            plan.insert(place, (int(texts[seed]), int(known[seed])))
    return plan


def _label_vectors(project: Project) -> tuple[Ints, Floats]:
    """Return the label ids, and their unit vectors in that order."""
    ids = np.array([label.id for label in list_labels(project)], dtype=np.int64)
    try:
        return ids, seed_label_vectors(project, remembered(project, "embedding"))
    except KeyError as error:
        raise StateError(f"the texts of project {project.name} are not prepared yet. Run a round first.") from error


def _options(best: Sequence[int], ids: Ints, vectors: Floats, rng: np.random.Generator) -> list[int]:
    """Return the best labels and those most like the first of them, as many as any card has, in random order."""
    near = ids[np.argsort(-(vectors @ vectors[np.searchsorted(ids, best[0])]), kind="stable")].tolist()
    shown = list(dict.fromkeys([*best, *near]))[:OPTIONS]
    return [shown[place] for place in rng.permutation(len(shown))]
