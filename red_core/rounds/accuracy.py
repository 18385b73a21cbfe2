"""How many labels of the unlabelled texts are right now, decisions since the round included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from red_core.records import NONE_OF_THESE, Booleans, Floats, Ints, Project
from red_core.rounds.metrics import true_labels
from red_core.settings import Settings
from red_core.store.decisions import decided
from red_core.store.rounds import last_finished_round, predictions


@dataclass(frozen=True)
class RoundLabels:
    """What the last round says about the unlabelled texts; it changes with rounds, imports and label edits only.

    Attributes
    ----------
    texts : ndarray of shape (n,), int64
        Row ids, ascending.
    labels : ndarray of shape (n,), int64
        The machine's labels; -1 is none of these.
    belief : ndarray of shape (n,), float64
        Belief in these labels, in [0, 1].
    truth : ndarray of shape (n,), int64
        The hidden labels of a trial.
    known : ndarray of shape (n,), bool
        Whether ``truth`` is known.
    analyst_right : float
        The assumed share of right decisions, in (0, 1].
    """

    texts: Ints
    labels: Ints
    belief: Floats
    truth: Ints
    known: Booleans
    analyst_right: float


def round_labels(project: Project) -> RoundLabels | None:
    """Return what the last round says; None before the first."""
    last = last_finished_round(project)
    if last is None:
        return None
    texts, labels, belief = predictions(project, last.id)
    of_text = true_labels(project)
    known = np.fromiter((text in of_text for text in texts.tolist()), dtype=np.bool_, count=len(texts))
    truth = np.full(len(texts), NONE_OF_THESE)
    truth[known] = [of_text[text] for text in texts[known].tolist()]
    right = Settings.model_validate_json(last.settings).analyst_right
    return RoundLabels(texts, labels, belief, truth, known, right)


def accuracy_now(project: Project, of: RoundLabels | None = None) -> tuple[float | None, float | None]:
    """Return the estimated accuracy and, in a trial, the true one, both in [0, 1]; None where there is none.

    The estimated accuracy is the average belief in the labels. A decided text counts with the assumed share of right
    decisions, if that is higher. The true accuracy is the share of texts whose label is the hidden one.

    Parameters
    ----------
    of : RoundLabels, optional
        The result of :func:`round_labels`, if it is known.
    """
    of = of or round_labels(project)
    if of is None or not len(of.texts):
        return None, None
    fixed = decided(project)
    rows = np.flatnonzero(np.isin(of.texts, list(fixed)))
    belief, labels = of.belief.copy(), of.labels.copy()
    belief[rows] = np.maximum(belief[rows], of.analyst_right)
    labels[rows] = [fixed[text] for text in of.texts[rows].tolist()]
    true = float((labels == of.truth)[of.known].mean()) if of.known.any() else None
    return float(belief.mean()), true
