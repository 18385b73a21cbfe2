"""The newest comparison of imports, kept with the project: everybody sees it until the next round."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from red_core.errors import StateError
from red_core.labels.drift import LabelDrift, measure_drift
from red_core.records import Project
from red_core.store.growth import pool_imports, undecided_of_import
from red_core.store.labels import list_labels
from red_core.store.rounds import last_finished_round, require_finished_round
from red_core.store.texts import remember, remembered

KEPT, KEPT_OF = "drift", "drift of"
"""The keys of the comparison, and of the round and the import that it is about."""


@dataclass(frozen=True)
class KeptDrift:
    """A comparison of the newest import that the newest round has seen.

    Attributes
    ----------
    file : str
        The newest import.
    labels : list of LabelDrift
        In the order of :func:`red_core.labels.drift.measure_drift`, without labels that are gone.
    waiting : mapping of label id to int
        New texts with this label that nobody has decided.
    """

    file: str
    labels: list[LabelDrift]
    waiting: dict[int, int]


def keep_drift(project: Project) -> None:
    """Compare the newest import with the earlier ones and store the comparison with the project.

    Raises
    ------
    StateError
        See :func:`red_core.labels.drift.measure_drift`.
    """
    found, newest = measure_drift(project), pool_imports(project)[-1]
    of = f"{require_finished_round(project).id} {newest.source}"
    rows = [asdict(each) | {"label": each.label.id} for each in found]
    remember(project, KEPT, json.dumps({"of": of, "file": newest.file, "labels": rows}), anew=True)
    remember(project, KEPT_OF, of, anew=True)  # last: it says that the comparison is there


def keep_drift_if_any(project: Project) -> None:
    """Do it at the end of a round; without two imports there is nothing to compare."""
    with suppress(StateError):
        keep_drift(project)


def kept_drift(project: Project) -> KeptDrift | None:
    """Return the comparison that was stored after the newest round; None if there is none. Decisions do not end it."""
    last, of = last_finished_round(project), remembered(project, KEPT_OF)
    if last is None or not of.startswith(f"{last.id} "):
        return None
    stored: dict[str, Any] = json.loads(remembered(project, KEPT))
    if stored["of"] != of:  # another one is being stored now
        return None
    known = {label.id: label for label in list_labels(project)}
    labels = [LabelDrift(**_from_json(row, known)) for row in stored["labels"] if row["label"] in known]
    return KeptDrift(stored["file"], labels, undecided_of_import(project, last.id, int(of.split()[1])))


def _from_json(row: dict[str, Any], known: dict[int, Any]) -> dict[str, Any]:
    """Return the fields of a LabelDrift, lists as tuples again."""
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    return fields | {"label": known[row["label"]]}
