"""Batches: accept or reject a filtered list at once, after a random sample of it was decided one by one."""

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
"""Size of the sample. A list that is not longer is decided one by one."""
LEAST_BELIEF = 0.5
"""The lower bound of the sample's agreement must reach this share before the rest is decided."""


def begin_batch(
    project: Project,
    kind: BatchKind,
    items: Sequence[Item],
    filters: str,
    *,
    who: str = "analyst",
    rng: np.random.Generator | None = None,
) -> int:
    """Store a list as a batch and draw its sample; return the batch's id.

    Parameters
    ----------
    kind : {"accept", "reject"}
        The decision for each proposal.
    items : sequence of (text, proposal)
        Texts without a proposal are left out.
    filters : str
        The filters of the list, in words; they are stored with the batch.

    Raises
    ------
    StateError
        If the list is not longer than a sample.
    """
    members = [(text, proposal) for text, proposal in items if proposal is not None]
    if len(members) <= SAMPLE:
        raise StateError(
            f"this list has {len(members)} suggested labels. Lists of up to {SAMPLE} are decided one by one."
        )
    drawn = (rng or np.random.default_rng()).choice(len(members), SAMPLE, replace=False)
    return stored.add_batch(project, kind, filters, members, [members[index][0] for index in drawn], who)


def agreement_interval(counts: BatchCounts) -> tuple[float, float]:
    """Return the Wilson interval (95%) of the share of a list that the batch decides correctly, from its sample."""
    return wilson(counts.agreed, counts.decided)


def apply_batch(project: Project, counts: BatchCounts, *, who: str = "analyst") -> int:
    """Decide the rest of a list; return the number of decisions. Their belief is the lower bound of the sample.

    Parameters
    ----------
    counts : BatchCounts
        As the person saw them.

    Raises
    ------
    StateError
        If the sample is not decided yet, agrees too little, or changed since, or the batch was applied or dropped.
    """
    if counts.decided < counts.sampled:
        raise StateError(f"decide the sample first: {counts.sampled - counts.decided} of {counts.sampled} are left.")
    if counts.dropped:
        raise StateError("this list was dropped. Begin another one.")
    if counts.applied:
        raise StateError("this list is decided already. Undo that first.")
    low, _ = agreement_interval(counts)
    if low < LEAST_BELIEF:
        raise StateError(
            f"only {counts.agreed} of {counts.decided} texts of the sample agree: too few to {counts.kind} the rest "
            "without a look. Decide the list one by one."
        )
    return stored.apply_batch(project, counts, low, who)


def take_back(project: Project, batch: int, *, who: str = "analyst") -> int:
    """Undo all decisions of a batch at once; return how many. The decisions on its sample stay.

    Raises
    ------
    StateError
        If all of them are undone already.
    """
    undone = undo_batch(project, batch, who)
    if not undone:
        raise StateError("all decisions of this list are undone already.")
    return undone
