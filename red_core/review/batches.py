"""Many alike at once: a filtered list is accepted or overturned after a random sample of it was decided by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from red_core.errors import StateError
from red_core.records import BatchKind, Project
from red_core.steps.judge_reliability import wilson
from red_core.store import batches as stored
from red_core.store.batches import BatchCounts
from red_core.store.decisions import undo_batch
from red_core.store.desk import Item

SAMPLE = 30
"""Texts of a list that are decided one by one before the rest is; a shorter list is decided by hand."""
LEAST_BELIEF = 0.5
"""A list whose sample does not show that most of it is so is not decided at once."""


def begin_batch(
    project: Project,
    kind: BatchKind,
    items: Sequence[Item],
    filters: str,
    *,
    who: str = "analyst",
    rng: np.random.Generator | None = None,
) -> int:
    """Freeze a list and draw its sample; return the batch's id.

    Parameters
    ----------
    kind : {"accept", "reject"}
        What is to be said of each proposal.
    items : sequence of (text, proposal)
        Those without a proposal are left out: there is nothing to accept.
    filters : str
        What the list was filtered by, in words; it is kept.

    Raises
    ------
    StateError
        If the list is not longer than a sample.
    """
    members = [(text, proposal) for text, proposal in items if proposal is not None]
    if len(members) <= SAMPLE:
        raise StateError(f"this list has {len(members)} proposals. Up to {SAMPLE} are decided one by one.")
    drawn = (rng or np.random.default_rng()).choice(len(members), SAMPLE, replace=False)
    return stored.add_batch(project, kind, filters, members, [members[place][0] for place in drawn], who)


def agreement_interval(counts: BatchCounts) -> tuple[float, float]:
    """Return the Wilson interval (95%) of the share of a list that is as its batch would say, from its sample."""
    return wilson(counts.agreed, counts.decided)


def apply_batch(project: Project, counts: BatchCounts, *, who: str = "analyst") -> int:
    """Decide the rest of a list as its sample was decided, with the sample's lower bound as belief; return how many.

    Parameters
    ----------
    counts : BatchCounts
        As it was shown.

    Raises
    ------
    StateError
        If the sample is not decided yet, does not bear it out, was decided otherwise since, or the batch is applied.
    """
    if counts.decided < counts.sampled:
        raise StateError(f"decide the sample first: {counts.sampled - counts.decided} of {counts.sampled} are left.")
    if counts.dropped:
        raise StateError("this list was given up. Begin another one.")
    if counts.applied:
        raise StateError("this list was decided already. Undo that first.")
    low, _ = agreement_interval(counts)
    if low < LEAST_BELIEF:
        raise StateError(
            f"of the sample, {counts.agreed} of {counts.decided} agree: too few to {counts.kind} the rest unseen."
        )
    return stored.apply_batch(project, counts, low, who)


def take_back(project: Project, batch: int, *, who: str = "analyst") -> int:
    """Undo all that a batch decided, as one act; return how many decisions. The sample's own decisions stay.

    Raises
    ------
    StateError
        If nothing of it stands.
    """
    undone = undo_batch(project, batch, who)
    if not undone:
        raise StateError("nothing of this list stands any more.")
    return undone
