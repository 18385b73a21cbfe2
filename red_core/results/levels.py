"""Accuracy at each level of the groups: a wrong label in the right group is a smaller mistake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from red_core.records import NONE_OF_THESE, Project
from red_core.store.final_labels import audited_labels
from red_core.store.labels import active_by_name, list_labels, name_key
from red_core.store.rounds import predicted_labels
from red_core.store.texts import truths

Path = tuple[str, ...]


@dataclass(frozen=True)
class Level:
    """How often the machine is right at one level.

    Attributes
    ----------
    depth : int
        1 for the outermost groups, and so on; 0 for the label itself.
    right, of : int
        Texts with the right group at this level, or the right label, and the texts whose true label has this level.
    """

    depth: int
    right: int
    of: int


@dataclass(frozen=True)
class Levels:
    """The accuracy at each level, outermost groups first, the label last.

    Attributes
    ----------
    measured : bool
        From blind audits; else from the hidden labels of a trial.
    levels : tuple of Level
    near : int
        Texts with a wrong label in the right innermost group.
    """

    measured: bool
    levels: tuple[Level, ...]
    near: int


def accuracy_by_level(project: Project, round_id: int) -> Levels | None:
    """Return the accuracy of the machine labels of a round at each level; None without groups or known labels.

    The known labels are the hidden ones of a trial, else the answers of the certificate's random sample.
    """
    paths = {label.id: label.path for label in list_labels(project)}
    if not any(paths.values()):
        return None
    ids, trial = active_by_name(project), truths(project)
    known = {text: ids.get(name_key(name), NONE_OF_THESE) for text, name in trial.items()} or audited_labels(project)
    machine = dict(zip(*(column.tolist() for column in predicted_labels(project, round_id)), strict=True))
    pairs = [(machine[text], label) for text, label in known.items() if text in machine]
    if not pairs:
        return None
    levels, near = by_level(pairs, paths)
    return Levels(not trial, levels, near)


def by_level(pairs: Iterable[tuple[int, int]], paths: Mapping[int, Path]) -> tuple[tuple[Level, ...], int]:
    """Return the levels of (machine label, true label) pairs, and how many have a wrong label in the right group.

    A true label without groups, or *none of these*, counts at the level of labels alone.
    """
    listed = list(pairs)
    deepest = max((len(paths.get(true, ())) for _, true in listed), default=0)
    levels = []
    for depth in range(1, deepest + 1):
        of = [(given, true) for given, true in listed if len(paths.get(true, ())) >= depth]
        right = sum(paths.get(given, ())[:depth] == paths[true][:depth] for given, true in of)
        levels.append(Level(depth, right, len(of)))
    label = Level(0, sum(given == true for given, true in listed), len(listed))
    near = sum(given != true and bool(paths.get(true)) and paths.get(given) == paths[true] for given, true in listed)
    return (*levels, label), near


@dataclass(frozen=True)
class GroupCounts:
    """What a group of labels holds: see :func:`counts_by_group`."""

    path: Path
    labels: int
    seeds: int
    labelled: int
    belief: float | None
    decided: int


def counts_by_group(rows: Iterable[Mapping[str, Any]]) -> list[GroupCounts]:
    """Return the counts of each group, those of the groups inside it included; outer groups first.

    Parameters
    ----------
    rows : iterable of mapping
        From :func:`red_core.store.views.label_table`.
    """
    members: dict[Path, list[Mapping[str, Any]]] = {}
    for row in rows:
        for depth in range(1, len(row["path"]) + 1):
            members.setdefault(row["path"][:depth], []).append(row)
    counts = []
    for path, inside in sorted(members.items()):
        labelled = sum(row["labelled"] for row in inside)
        belief = sum(row["labelled"] * (row["belief"] or 0.0) for row in inside)
        sums = [sum(row[name] for row in inside) for name in ("seeds", "decided")]
        counts.append(
            GroupCounts(path, len(inside), sums[0], labelled, belief / labelled if labelled else None, sums[1])
        )
    return counts
