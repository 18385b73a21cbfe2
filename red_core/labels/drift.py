"""Do new texts look as the earlier ones did? Every label of the newest import, and which to retrain or audit first."""

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
    """How a label's newest texts compare with its earlier ones; pairs are earlier, newest.

    Attributes
    ----------
    label : Label
    texts : (int, int)
        Texts the newest round's classifiers give this label.
    share : (float, float)
        Their share of all texts of the import, in [0, 1].
    uncertain : (float, float)
        The share of them that is uncertain, before any verdict; 0 of no texts.
    none : (float, float)
        Of the texts nearest to this label, the share that is none of these; 0 of no texts.
    distance : float or None
        Between the means of their vectors, in spreads; None where either import has too few.
    spread : (float, float) or None
        The root mean square distance to the import's mean.
    p, q : float or None
        Of the label, over all that was compared, and adjusted over all labels (Benjamini-Hochberg); None where it has
        too few texts to tell.
    advice : Advice
        ``retrain`` where its texts read otherwise, ``audit`` where only their number changed.
    reasons : tuple of str
        What changed more than chance would, the strongest first; a sentence each, for people.
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
        """Whether it changed more than chance explains, at q < .05."""
        return self.q is not None and self.q < FALSE_DISCOVERIES


def measure_drift(project: Project, source: int | None = None) -> list[LabelDrift]:
    """Compare an import of pool texts with those before it, label by label, as the newest round's classifiers see them.

    A text that comes again counts in each import it came with. Nothing is stored.

    Parameters
    ----------
    source : int, optional
        The import; the newest one by default.

    Returns
    -------
    list of LabelDrift
        All labels: those that drifted first, the least explained by chance at the top; those with too few texts last.

    Raises
    ------
    StateError
        If there is no finished round or no earlier import, or the round has not seen the texts.
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
    known = list_labels(project)
    ids = np.array([label.id for label in known], dtype=np.int64)
    settings = Settings.model_validate_json(last.settings)
    assigned = Assigned(
        np.searchsorted(ids, scored.labels[row]).astype(np.int64),
        np.arange(len(texts)) >= len(earlier),
        scored.none[row],
        scored.classifier_belief[row] < settings.certain_belief,
        load_vectors(project, remembered(project, "embedding"), texts),
    )
    found = drift_of_labels(assigned, len(known), np.random.default_rng(settings.random_state))
    imports = (len(earlier), len(newest.texts))
    told = [_told(label, place, found, imports) for place, label in enumerate(known)]
    return sorted(told, key=_worst_first)


def to_retrain(found: list[LabelDrift]) -> list[int]:
    """Return the ids of the labels whose texts read otherwise now, worst first."""
    return [each.label.id for each in found if each.advice == "retrain"]


def _imports(project: Project, source: int | None) -> tuple[PoolImport, Ints]:
    """Return an import, and the texts of all before it."""
    there = pool_imports(project)
    chosen = [each for each in there if source is None or each.source == source][-1:]
    before = [each.texts for each in there if chosen and each.source < chosen[0].source]
    if not before:
        raise StateError(
            f"project {project.name} has no earlier import to compare with. Import more pool texts, then run a round."
        )
    return chosen[0], np.unique(np.concatenate(before))


def _told(label: Label, place: int, found: Drift, imports: tuple[int, int]) -> LabelDrift:
    texts, none = found.counts[place], found.none[place]
    compared = bool(np.isfinite(found.distance[place]))
    p, q = float(found.p[place]), float(found.q[place])
    told = LabelDrift(
        label,
        (int(texts[0]), int(texts[1])),
        _shares(texts, np.array(imports)),
        _shares(found.uncertain[place], texts),
        _shares(none, texts + none),
        float(found.distance[place]) if compared else None,
        (float(found.spread[place, 0]), float(found.spread[place, 1])) if compared else None,
        None if np.isnan(p) else p,
        None if np.isnan(q) else q,
        "leave",
        (),
    )
    if told.q is None:
        return replace(told, advice="too few texts", reasons=())
    if not told.drifted:
        return told
    own = found.p_values[place]
    telling = [STATISTICS[s] for s in np.argsort(own, kind="stable") if own[s] * len(STATISTICS) < FALSE_DISCOVERIES]
    return replace(
        told,
        advice="audit" if telling == ["share"] else "retrain",
        reasons=tuple(_sentence(statistic, told, imports) for statistic in telling),
    )


def _shares(part: Ints, whole: Ints) -> Pair:
    earlier, newest = (part / np.maximum(whole, 1)).tolist()
    return float(earlier), float(newest)


def _sentence(statistic: str, told: LabelDrift, imports: tuple[int, int]) -> str:
    """Return what changed, for people."""
    if statistic == "share":
        chance = sum(told.texts) * imports[1] / sum(imports)
        return f"{told.texts[1]:,} of {imports[1]:,} new texts have this label, about {chance:,.0f} were to be expected"
    if statistic == "uncertain":
        return f"{told.uncertain[1]:.0%} of its new texts are uncertain, {told.uncertain[0]:.0%} of the earlier ones"
    if statistic == "none":
        before, now = told.none
        return f"of the new texts nearest to it {now:.0%} are none of these, {before:.0%} of the earlier ones"
    if statistic == "distance":
        return f"the mean of its new texts lies {told.distance:.2f} spreads from that of the earlier ones"
    before, now = told.spread or (0.0, 0.0)
    return f"its new texts are more varied: their spread is {now:.2f}, that of the earlier ones {before:.2f}"


def _worst_first(told: LabelDrift) -> tuple[bool, bool, float, float, int]:
    p = 2.0 if told.p is None else told.p
    return told.p is None, not told.drifted, p, -(told.distance or 0.0), told.label.id
