"""Accuracy at each level of the groups: a wrong label in the right group is a smaller mistake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from red_core.records import NONE_OF_THESE, Project
from red_core.steps.audit_statistics import weighted_share
from red_core.steps.certificate import Measured
from red_core.store.audits import audits
from red_core.store.decisions import decided
from red_core.store.labels import active_by_name, list_labels, name_key
from red_core.store.rounds import predicted_labels
from red_core.store.texts import truths

Path = tuple[str, ...]
Triple = tuple[int, int, float]
"""The label that a text has, the true label, and the weight."""


@dataclass(frozen=True)
class Level:
    """How often the machine is right at one level.

    Attributes
    ----------
    depth : int
        1 for the outermost groups, and so on; 0 for the label itself.
    share : float
        The share of texts with the right group at this level, or the right label, in [0, 1].
    of : int
        The texts whose true label has this level.
    right : int
        Those of them with the right group, or the right label.
    low, high : float in [0, 1]
        The 95% interval of ``share``, if the texts are a sample.
    """

    depth: int
    share: float
    of: int
    right: int
    low: float
    high: float


@dataclass(frozen=True)
class Levels:
    """The accuracy at each level, outermost groups first, the label last.

    Attributes
    ----------
    measured : bool
        From blind audits, each weighted by how rarely its text is drawn; else from the hidden labels of a trial.
    levels : tuple of Level
    near : float
        The share of the texts with a wrong label that have one in the right innermost group, in [0, 1].
    """

    measured: bool
    levels: tuple[Level, ...]
    near: float


def accuracy_by_level(project: Project, round_id: int, measured: Measured | None = None) -> Levels | None:
    """Return the accuracy of the labels of a round at each level; None without groups or known labels.

    The known labels are the hidden ones of a trial; a text that was decided since has its decided label, as in
    :func:`red_core.rounds.accuracy.accuracy_now`. Else they are the answers to the audits of the certificate.

    Parameters
    ----------
    measured : Measured, optional
        The accuracy of the labels as the audits measure it. It stands for the level of the labels, because it also
        uses the confidences of all other texts, and one accuracy must have one figure.
    """
    paths = places((label.id, label.name, label.path) for label in list_labels(project))
    if not any(paths.values()):
        return None
    trial = _of_trial(project, round_id)
    triples = trial or _of_audits(project)
    if not triples:
        return None
    levels, near = by_level(triples, paths)
    if not trial and measured is not None and measured.share is not None:
        of_label = replace(
            levels[-1], share=measured.share, of=measured.of, right=measured.right, low=measured.low, high=measured.high
        )
        levels = (*levels[:-1], of_label)
    return Levels(not trial, levels, near)


def places(labels: Iterable[tuple[int, str, Path]]) -> dict[int, Path]:
    """Return label id -> its groups, from (id, name, path); a label beside the group of its own name is in this group.

    Such a label means that the group itself takes texts.
    """
    known = list(labels)
    groups = {_key(path[:depth]): path[:depth] for _, _, path in known for depth in range(1, len(path) + 1)}
    return {label: groups.get(_key((*path, name)), path) for label, name, path in known}


def _key(path: Path) -> Path:
    return tuple(map(name_key, path))


def _of_trial(project: Project, round_id: int) -> list[Triple]:
    ids = active_by_name(project)
    now = dict(zip(*(column.tolist() for column in predicted_labels(project, round_id)), strict=True))
    now |= {text: label for text, label in decided(project).items() if text in now}
    known = {text: ids.get(name_key(name), NONE_OF_THESE) for text, name in truths(project).items()}
    return [(now[text], label, 1.0) for text, label in known.items() if text in now]


def _of_audits(project: Project) -> list[Triple]:
    answered = [each for each in audits(project) if each.purpose == "certificate" and each.answer is not None]
    drawn = [each for each in answered if each.chance] or answered  # an even draw of version 0.1 has no chance
    return [(each.machine, int(each.answer or 0), 1.0 / (each.chance or 1.0)) for each in drawn]


def by_level(triples: Sequence[Triple], paths: Mapping[int, Path]) -> tuple[tuple[Level, ...], float]:
    """Return the levels of (machine label, true label, weight), and the share of wrong labels in the right group.

    A true label without groups, or *none of these*, counts at the level of labels alone.
    """

    def level(depth: int, of: Sequence[Triple]) -> Level:
        right = np.array([_equal(given, true, depth, paths) for given, true, _ in of])
        weights = np.array([weight for *_, weight in of])
        found = weighted_share(right, weights)
        share = float(weights[right].sum() / weights.sum())
        return Level(depth, share, found.of, found.right, found.low, found.high)

    deepest = max((len(paths.get(true, ())) for _, true, _ in triples), default=0)
    levels = [
        level(depth, [each for each in triples if len(paths.get(each[1], ())) >= depth])
        for depth in range(1, deepest + 1)
    ]
    wrong = [(paths.get(given), paths.get(true, ()), weight) for given, true, weight in triples if given != true]
    near = sum(weight for given, true, weight in wrong if true and given == true)
    return (*levels, level(0, triples)), near / max(sum(weight for *_, weight in wrong), 1e-12)


def _equal(given: int, true: int, depth: int, paths: Mapping[int, Path]) -> bool:
    return given == true if depth == 0 else paths.get(given, ())[:depth] == paths[true][:depth]


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
    known = list(rows)
    paths = places((row["id"], row["name"], row["path"]) for row in known)
    members: dict[Path, list[Mapping[str, Any]]] = {}
    for row in known:
        path = paths[row["id"]]
        for depth in range(1, len(path) + 1):
            members.setdefault(path[:depth], []).append(row)
    counts = []
    for path, inside in sorted(members.items()):
        labelled = sum(row["labelled"] for row in inside)
        belief = sum(row["labelled"] * (row["belief"] or 0.0) for row in inside)
        sums = [sum(row[name] for row in inside) for name in ("seeds", "decided")]
        counts.append(
            GroupCounts(path, len(inside), sums[0], labelled, belief / labelled if labelled else None, sums[1])
        )
    return counts
