"""Preview, apply and undo edits of the label set; each edit is a version.

Decisions, verdicts and seeds stay stored as they were made, and are read with the labels as they are now: those of a
merged label count for the label it became, those of a retired label do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from red_core.errors import StateError, StoreError
from red_core.labels.edit_kinds import Edit
from red_core.labels.placement import LabelLayout, restored
from red_core.labels.snapshot import LabelSetSnapshot
from red_core.records import FEWEST_EXAMPLES, Project
from red_core.settings import RECOMMENDED, Settings
from red_core.store import label_undo
from red_core.store.label_edits import edited
from red_core.store.labels import current_layout
from red_core.store.rounds import list_rounds
from red_core.store.standing import Standing
from red_core.store.texts import remembered
from red_core.store.vectors import load_vectors, with_vector
from red_core.training import load_model, model_file


@dataclass(frozen=True)
class Preview:
    """What an edit would do. It is found by making the edit and rolling it back.

    Attributes
    ----------
    message : str
        What it does, in one line.
    labels : int
        Number of labels after the edit.
    seeds, decisions, fed_back, predictions : int
        Texts whose label would change or be removed.
    rejections : int
        Rejected (text, label) pairs that would be added or removed.
    stale : int
        Verdicts that would no longer count.
    subset_sizes : tuple of int
        Labels in each subset; () before subsets are formed.
    refitted : tuple of tuple of int
        Numbers of the subsets whose classifiers would be fitted again: of the shown partition, then of each hidden one
        of the last round. The hidden subset that a new label joins is missing: only the fit chooses it.
    """

    message: str
    labels: int
    seeds: int
    decisions: int
    rejections: int
    fed_back: int
    predictions: int
    stale: int
    subset_sizes: tuple[int, ...]
    refitted: tuple[tuple[int, ...], ...]


def apply_edit(project: Project, edit: Edit, who: str) -> int:
    """Apply an edit as one transaction; return the version of the label set, the same as before if nothing changed.

    A round may be to review: its proposals and predictions for a merged label then count for the label it became, and
    those for a retired label are gone.

    Raises
    ------
    StateError
        If a rule is broken, a job is running, or a round was left open.
    """
    snapshot = LabelSetSnapshot(project)
    with edited(project, who, snapshot.version) as open_edit:
        open_edit.close(edit.kind, edit.write(open_edit, snapshot))
    return open_edit.version if open_edit.changes else snapshot.version


def preview(project: Project, edit: Edit) -> Preview:
    """Return what an edit would do; nothing is stored.

    Raises
    ------
    StateError
        As :func:`apply_edit` would.
    """
    snapshot = LabelSetSnapshot(project)
    with edited(project, "", snapshot.version, only_tried=True) as open_edit:
        before = open_edit.standing()
        message = edit.write(open_edit, snapshot)
        after = open_edit.standing()
    return Preview(
        message=message,
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
    """Undo the newest edit that is not undone, and return its message; the undo is itself stored as an edit.

    What came after the edit stays: decisions, and labels from later files with their subsets.

    Raises
    ------
    StateError
        If there is nothing to undo, a label that the edit made was used since, a name that the edit freed is taken,
        a job is running, or a round was left open.
    """
    snapshot = LabelSetSnapshot(project)
    back = label_undo.way_back(project)
    if back is None:
        raise StateError("there is no edit of the label set to undo.")
    layout = None
    if back.places is not None:
        active = label_undo.active_after(project, back)
        layout = restored(LabelLayout(*back.places), LabelLayout(*current_layout(project)), active, snapshot.vectors)
    with edited(project, who, snapshot.version) as open_edit:
        label_undo.undo(open_edit, back)
        if layout is not None:
            open_edit.place(layout.labels, layout.subset_of, layout.coordinates)
        open_edit.close("undo", f"undone: {back.told}")
    return back.told


def propose_split(project: Project, label: int, parts: int) -> list[list[int]]:
    """Return clusters (k-means) of a label's samples, as row ids: the largest first, each from its centre outwards.

    The samples are its seeds and texts that decisions gave it, if they have vectors. The same samples always give the
    same clusters.

    Raises
    ------
    StateError
        If there are too few samples.
    """
    from sklearn.cluster import KMeans  # noqa: PLC0415  only this needs it

    snapshot = LabelSetSnapshot(project)
    name, embedding = snapshot.name(label), remembered(project, "embedding")
    texts = np.intersect1d(snapshot.samples[label], with_vector(project, embedding)).astype(np.int64)
    if parts < 2 or len(texts) < FEWEST_EXAMPLES * parts:
        raise StateError(f"{name} has {len(texts)} samples: too few for {parts} parts of {FEWEST_EXAMPLES} or more.")
    vectors = load_vectors(project, embedding, texts)
    fitted = KMeans(parts, n_init=10, random_state=0).fit(vectors)
    distance = np.linalg.norm(vectors - fitted.cluster_centers_[fitted.labels_], axis=1)
    order = np.argsort(distance, kind="stable")
    clusters = [texts[order[fitted.labels_[order] == part]].tolist() for part in range(parts)]
    return sorted(clusters, key=lambda cluster: (-len(cluster), cluster))


def _differing(before: Mapping[int, int], after: Mapping[int, int]) -> int:
    return len({text for text, _ in before.items() ^ after.items()})


def _fed_back(standing: Standing) -> dict[int, int]:
    return {text: label for text, (label, _) in standing.training.items() if text not in standing.seeds}


def _refitted(project: Project, before: Standing, after: Standing) -> tuple[tuple[int, ...], ...]:
    """Return the subset numbers of each partition whose labels or samples would change."""
    finished = list_rounds(project)
    settings = Settings.model_validate_json(finished[-1].settings) if finished else RECOMMENDED
    old, new = (_samples_of_labels(facts, names=settings.label_names_as_seeds) for facts in (before, after))
    unchanged = {frozenset((label, old.get(label)) for label in labels) for labels in _members(before.subsets).values()}
    shown = [
        subset
        for subset, labels in sorted(_members(after.subsets).items())
        if frozenset((label, new.get(label)) for label in labels) not in unchanged
    ]
    changed = {label for label in old.keys() | new.keys() if old.get(label) != new.get(label)}
    return tuple(shown), *(
        tuple(sorted({subset for label, subset in hidden.items() if label in changed}))
        for hidden in _hidden_partitions(project, finished[-1].id if finished else 0)
    )


def _samples_of_labels(standing: Standing, *, names: bool) -> dict[int, frozenset[object]]:
    """Return label id -> what its classifiers train on: (text, weight) pairs and, with ``names``, its name."""
    samples: dict[int, set[object]] = {label: {name} if names else set() for label, name in standing.names.items()}
    for text, (label, weight) in standing.training.items():
        samples[label].add((text, weight))
    return {label: frozenset(items) for label, items in samples.items()}


def _members(subsets: Mapping[int, int]) -> dict[int, list[int]]:
    labels_of: dict[int, list[int]] = {}
    for label, subset in subsets.items():
        labels_of.setdefault(subset, []).append(label)
    return labels_of


def _hidden_partitions(project: Project, round_id: int) -> list[dict[int, int]]:
    """Return label id -> subset number for each hidden partition of a round; [] if it has no usable model."""
    try:
        model = load_model(model_file(project, round_id))
    except StoreError:
        return []
    return [dict(zip(model.label_ids.tolist(), p.subset_of.tolist(), strict=True)) for p in model.partitions[1:]]
