"""Edits of the label set: previewed, versioned and undoable; only what an edit touches changes.

Decisions, verdicts and seeds stay stored as they were made. They are read as the labels are now: of a merged label
as the one it became, of a retired one not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from red_core.errors import StateError, StoreError
from red_core.labels.acts import Add, Edit, Merge, Move, Rename, Retire, Split
from red_core.labels.placement import LabelLayout, restored
from red_core.labels.snapshot import LabelSetSnapshot
from red_core.records import FEWEST_EXAMPLES, Project
from red_core.settings import RECOMMENDED, Settings
from red_core.store import label_undo
from red_core.store.label_edits import edited
from red_core.store.label_undo import EditMade
from red_core.store.labels import current_layout
from red_core.store.rounds import list_rounds
from red_core.store.standing import Standing
from red_core.store.texts import remembered
from red_core.store.vectors import load_vectors, with_vector
from red_core.training import load_model, model_file

__all__ = [
    "Add", "Edit", "EditMade", "Merge", "Move", "Preview", "Rename", "Retire", "Split", "add_label", "apply_edit",
    "edits", "merge", "move", "preview", "propose_split", "rename", "retire", "split", "undo_edit",
]  # fmt: skip


@dataclass(frozen=True)
class Preview:
    """What an edit would do; it was carried out and taken back to find out.

    Attributes
    ----------
    told : str
        What it does, in one line.
    labels : int
        Labels there would be.
    seeds, decisions, rejections, fed_back, predictions : int
        Texts whose label would be another one, or none; of rejections, the pairs that stand or fall.
    stale : int
        Verdicts that would not count any more.
    subset_sizes : tuple of int
        Labels in each subset; () before subsets are formed.
    refitted : tuple of tuple of int
        Subset numbers whose classifiers would be fitted anew: in the shown partition, then in each hidden one of the
        last round, as far as known: which hidden one takes a new label in, only the fit finds out.
    """

    told: str
    labels: int
    seeds: int
    decisions: int
    rejections: int
    fed_back: int
    predictions: int
    stale: int
    subset_sizes: tuple[int, ...]
    refitted: tuple[tuple[int, ...], ...]


def rename(project: Project, label: int, name: str, who: str) -> int:
    """Give a label another name; return the version of the label set. See :func:`apply_edit`."""
    return apply_edit(project, Rename(label, name), who)


def merge(project: Project, labels: Sequence[int], into: int, who: str) -> int:
    """Make labels part of another one, which keeps its name, meaning and place. See :func:`apply_edit`.

    A text rejected for one of them is ruled out of the whole only if it was rejected for all of them.
    """
    return apply_edit(project, Merge(tuple(labels), into), who)


def retire(project: Project, label: int, who: str) -> int:
    """Take a label out of the label set; its seeds become pool again. See :func:`apply_edit`."""
    return apply_edit(project, Retire(label), who)


def move(project: Project, label: int, subset: int, who: str) -> int:
    """Put a label into another subset, numbered from 0. See :func:`apply_edit`."""
    return apply_edit(project, Move(label, subset), who)


def add_label(
    project: Project, name: str, meaning: str, subset: int | None, examples: Sequence[int | str], who: str
) -> int:
    """Add a label with its first examples, pool texts by row id or texts as typed. See :func:`apply_edit`."""
    return apply_edit(project, Add(name, meaning, subset, tuple(examples)), who)


def split(project: Project, label: int, parts: Mapping[str, Sequence[int]], who: str, *, retire: bool = False) -> int:
    """Give texts of a label to new ones, name -> row ids. See :class:`Split` and :func:`apply_edit`."""
    return apply_edit(project, Split(label, parts, retire), who)


def apply_edit(project: Project, act: Edit, who: str) -> int:
    """Carry out an edit as one transaction; return the version of the label set.

    Raises
    ------
    StateError
        If a rule is broken, a job is running, or a round was left open. A round may be to review: proposals and
        predictions about a merged label are read as its target's, those about a retired one are gone.
    """
    known = LabelSetSnapshot(project)
    with edited(project, who, known.version) as to:
        to.close(act.kind, act.write(to, known))
    return to.version


def preview(project: Project, act: Edit) -> Preview:
    """Return what an edit would do; nothing is stored.

    Raises
    ------
    StateError
        As :func:`apply_edit` would.
    """
    known = LabelSetSnapshot(project)
    with edited(project, "", known.version, only_tried=True) as to:
        before = to.standing()
        told = act.write(to, known)
        after = to.standing()
    return Preview(
        told=told,
        labels=len(after.names),
        seeds=_differing(before.seeds, after.seeds),
        decisions=_differing(before.decided, after.decided),
        rejections=len(before.ruled_out ^ after.ruled_out),
        fed_back=_differing(_fed_back(before), _fed_back(after)),
        predictions=_differing(before.predicted, after.predicted),
        stale=len(before.verdicts - after.verdicts),
        subset_sizes=tuple(np.bincount(list(after.subsets.values())).tolist()) if after.subsets else (),
        refitted=_refitted(project, before, after),
    )


def undo_edit(project: Project, who: str) -> str:
    """Undo the newest edit that stands, and say what it was; the undoing is a row of its own.

    Everything is as it was, but for what came in between: labels of later files keep their subsets, decisions stay.

    Raises
    ------
    StateError
        If there is nothing to undo, something was said since of a label that the edit made, a name that it gave free
        is taken, a job is running, or a round was left open.
    """
    known = LabelSetSnapshot(project)
    back = label_undo.way_back(project)
    if back is None:
        raise StateError("there is no edit of the label set to undo.")
    placed = None
    if back.places is not None:
        active = label_undo.active_after(project, back)
        placed = restored(LabelLayout(*back.places), LabelLayout(*current_layout(project)), active, known.vectors)
    with edited(project, who, known.version) as to:
        label_undo.undo(to, back)
        if placed is not None:
            to.place(placed.labels, placed.subset_of, placed.coordinates)
        to.close("undo", f"undone: {back.told}")
    return back.told


def edits(project: Project) -> list[EditMade]:
    """Return the history of the label set, oldest first."""
    return label_undo.edits(project)


def propose_split(project: Project, label: int, parts: int) -> list[list[int]]:
    """Return clusters of a label's samples to name as its parts: the largest first, each from its middle outwards.

    The samples are its seeds and what decisions gave it, where they have vectors; equal ones give equal clusters.

    Raises
    ------
    StateError
        If there are too few of them.
    """
    from sklearn.cluster import KMeans  # noqa: PLC0415  only this needs it

    known = LabelSetSnapshot(project)
    name, embedding = known.name(label), remembered(project, "embedding")
    texts = np.intersect1d(known.samples[label], with_vector(project, embedding)).astype(np.int64)
    if parts < 2 or len(texts) < FEWEST_EXAMPLES * parts:
        raise StateError(f"{name} has {len(texts)} samples: too few for {parts} parts of {FEWEST_EXAMPLES} or more.")
    found = KMeans(parts, n_init=10, random_state=0).fit(vectors := load_vectors(project, embedding, texts))
    distance = np.linalg.norm(vectors - found.cluster_centers_[found.labels_], axis=1)
    order = np.argsort(distance, kind="stable")
    clusters = [[int(texts[row]) for row in order if found.labels_[row] == part] for part in range(parts)]
    return sorted(clusters, key=lambda cluster: (-len(cluster), cluster))


def _differing(before: Mapping[int, int], after: Mapping[int, int]) -> int:
    return len({text for text, _ in before.items() ^ after.items()})


def _fed_back(there: Standing) -> dict[int, int]:
    return {text: label for text, (label, _) in there.training.items() if text not in there.seeds}


def _refitted(project: Project, before: Standing, after: Standing) -> tuple[tuple[int, ...], ...]:
    """Return the subsets of each partition that would not learn from the same samples of the same labels."""
    done = list_rounds(project)
    named = (Settings.model_validate_json(done[-1].settings) if done else RECOMMENDED).label_names_as_seeds
    old, new = _learned(before, named=named), _learned(after, named=named)
    there = {frozenset((n, old.get(n)) for n in own) for own in _members(before.subsets).values()}
    shown = [
        subset
        for subset, own in sorted(_members(after.subsets).items())
        if frozenset((n, new.get(n)) for n in own) not in there
    ]
    changed = {label for label in old.keys() | new.keys() if old.get(label) != new.get(label)}
    return tuple(shown), *(
        tuple(sorted({subset for label, subset in hidden.items() if label in changed}))
        for hidden in _hidden(project, done[-1].id if done else 0)
    )


def _learned(there: Standing, *, named: bool) -> dict[int, frozenset[object]]:
    found: dict[int, set[object]] = {label: {name} if named else set() for label, name in there.names.items()}
    for text, (label, weight) in there.training.items():
        found[label].add((text, weight))
    return {label: frozenset(held) for label, held in found.items()}


def _members(subsets: Mapping[int, int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for label, subset in subsets.items():
        found.setdefault(subset, []).append(label)
    return found


def _hidden(project: Project, round_id: int) -> list[dict[int, int]]:
    """Return label -> subset number of each hidden partition of the last round; none where it left no model."""
    try:
        model = load_model(model_file(project, round_id))
    except StoreError:
        return []
    return [dict(zip(model.label_ids.tolist(), p.subset_of.tolist(), strict=True)) for p in model.partitions[1:]]
