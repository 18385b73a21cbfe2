"""Drift: compare the newest import with the earlier ones, label by label, and say what to retrain or audit first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from red_core.errors import StateError
from red_core.records import Ints, Label, Project
from red_core.settings import Settings
from red_core.steps.drift import FALSE_DISCOVERIES, STATISTICS, Assigned, Drift, drift_of_labels
from red_core.store.growth import PoolImport, pool_imports, scored_texts
from red_core.store.labels import list_labels
from red_core.store.rounds import require_finished_round
from red_core.store.texts import remembered
from red_core.store.vectors import load_vectors

Advice = Literal["retrain", "audit", "leave", "too few texts"]
Pair = tuple[float, float]


@dataclass(frozen=True)
class LabelDrift:
    """The comparison of a label's newest texts with its earlier ones. Pairs are (earlier, newest).

    Attributes
    ----------
    label : Label
    texts : (int, int)
        Texts to which the newest round's classifiers give this label.
    share : (float, float)
        Their share of all texts of the import, in [0, 1].
    uncertain : (float, float)
        The share of them that is uncertain, before any verdict, in [0, 1]; 0 if there are no texts.
    none : (float, float)
        The share of the texts nearest to this label that is none of these, in [0, 1]; 0 if there are no texts.
    distance : float or None
        Between the two means of their vectors, in units of the spread; None if either import has too few texts.
    spread : (float, float) or None
        The root mean square distance to the import's mean.
    p, q : float or None
        The p-value of the label over all statistics, and its value adjusted over all labels (Benjamini-Hochberg); None
        if the label has too few texts.
    advice : Advice
        ``retrain`` if the content of its texts changed, ``audit`` if only their number did.
    reasons : tuple of str
        What changed significantly, the most significant first; a sentence each, for people.
    """

    label: Label
    texts: tuple[int, int]
    share: Pair
    uncertain: Pair
    none: Pair
    distance: float | None
    spread: Pair | None
    p: float | None
    q: float | None
    advice: Advice
    reasons: tuple[str, ...]

    @property
    def drifted(self) -> bool:
        """Whether the change is significant, at q < .05."""
        return self.q is not None and self.q < FALSE_DISCOVERIES


def measure_drift(project: Project, source: int | None = None) -> list[LabelDrift]:
    """Compare an import of pool texts with those before it, label by label, as the newest round's classifiers see them.

    A text that occurs in several imports counts in each. Nothing is stored.

    Parameters
    ----------
    source : int, optional
        The import; the newest one by default.

    Returns
    -------
    list of LabelDrift
        All labels: those that drifted first, then by p-value; labels with too few texts last.

    Raises
    ------
    StateError
        If there is no finished round or no earlier import, or the round has not scored all the texts.
    """
    last = require_finished_round(project)
    newest, earlier = _imports(project, source)
    scored = scored_texts(project, last.id)
    texts = np.concatenate([earlier, newest.texts])
    row = np.minimum(np.searchsorted(scored.texts, texts), len(scored.texts) - 1)
    if not len(scored.texts) or (scored.texts[row] != texts).any():
        raise StateError(
            f"round {last.id} has not seen all texts of {newest.file}. Run a round first: `red round {project.name}`."
        )
    labels = list_labels(project)
    ids = np.array([label.id for label in labels], dtype=np.int64)
    settings = Settings.model_validate_json(last.settings)
    assigned = Assigned(
        np.searchsorted(ids, scored.labels[row]).astype(np.int64),
        np.arange(len(texts)) >= len(earlier),
        scored.none[row],
        scored.classifier_belief[row] < settings.certain_belief,
        load_vectors(project, remembered(project, "embedding"), texts),
    )
    drift = drift_of_labels(assigned, len(labels), np.random.default_rng(settings.random_state))
    sizes = (len(earlier), len(newest.texts))
    return sorted((_label_drift(label, row, drift, sizes) for row, label in enumerate(labels)), key=_worst_first)


def _imports(project: Project, source: int | None) -> tuple[PoolImport, Ints]:
    """Return an import, and the row ids of the texts of all imports before it."""
    imports = pool_imports(project)
    chosen = [each for each in imports if source is None or each.source == source][-1:]
    before = [each.texts for each in imports if chosen and each.source < chosen[0].source]
    if not before:
        raise StateError(
            f"project {project.name} has no earlier import to compare with. "
            "Import more unlabelled texts, then run a round."
        )
    return chosen[0], np.unique(np.concatenate(before))


def _label_drift(label: Label, row: int, drift: Drift, sizes: tuple[int, int]) -> LabelDrift:
    """Return one label's row of the statistics, with advice and reasons; ``sizes`` are the texts of both imports."""
    texts, none = drift.counts[row], drift.none[row]
    compared = bool(np.isfinite(drift.distance[row]))
    p, q = float(drift.p[row]), float(drift.q[row])
    label_drift = LabelDrift(
        label,
        (int(texts[0]), int(texts[1])),
        _shares(texts, np.array(sizes)),
        _shares(drift.uncertain[row], texts),
        _shares(none, texts + none),
        float(drift.distance[row]) if compared else None,
        (float(drift.spread[row, 0]), float(drift.spread[row, 1])) if compared else None,
        None if np.isnan(p) else p,
        None if np.isnan(q) else q,
        "leave",
        (),
    )
    if label_drift.q is None:
        return replace(label_drift, advice="too few texts")
    if not label_drift.drifted:
        return label_drift
    p_values = drift.p_values[row]
    order = np.argsort(p_values, kind="stable")
    significant = [STATISTICS[s] for s in order if p_values[s] * len(STATISTICS) < FALSE_DISCOVERIES]  # Bonferroni
    return replace(
        label_drift,
        advice="audit" if significant == ["share"] else "retrain",
        reasons=tuple(_sentence(statistic, label_drift, sizes) for statistic in significant),
    )


def _shares(part: Ints, whole: Ints) -> Pair:
    earlier, newest = (part / np.maximum(whole, 1)).tolist()
    return float(earlier), float(newest)


def _sentence(statistic: str, drift: LabelDrift, sizes: tuple[int, int]) -> str:
    """Return what changed in one statistic, as a sentence without a full stop."""
    if statistic == "share":
        expected = sum(drift.texts) * sizes[1] / sum(sizes)
        return f"{drift.texts[1]:,} of {sizes[1]:,} new texts have this label; about {expected:,.0f} were expected"
    if statistic == "uncertain":
        before, now = drift.uncertain
        return f"{now:.0%} of its new texts are uncertain, {before:.0%} of the earlier ones"
    if statistic == "none":
        before, now = drift.none
        return f"{now:.0%} of the new texts nearest to it fit no label, {before:.0%} of the earlier ones"
    if statistic == "distance":
        return f"on average, its new texts differ from the earlier ones by {drift.distance:.2f} times their spread"
    before, now = drift.spread or (0.0, 0.0)
    return f"its new texts are more varied: their spread is {now:.2f}, that of the earlier ones {before:.2f}"


def _worst_first(drift: LabelDrift) -> tuple[bool, bool, float, float, int]:
    p = 2.0 if drift.p is None else drift.p
    return drift.p is None, not drift.drifted, p, -(drift.distance or 0.0), drift.label.id
