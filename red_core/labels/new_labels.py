"""Labels that are missing: texts that fit none of the labels, in groups, each with a name to begin with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.preprocessing import normalize

from red_core.records import Booleans, Cluster, Floats, Ints, Project
from red_core.steps.none_clusters import Group, none_clusters, telling_words
from red_core.store.growth import Scored, scored_texts, settled_texts
from red_core.store.labels import list_labels, name_key, unlike
from red_core.store.rounds import require_finished_round
from red_core.store.texts import contents, remembered, seeds
from red_core.store.vectors import with_vector
from red_core.training import load_model, model_file
from red_core.training.features import Features

MOST_CLUSTERS = 40
"""More than a person looks through at once."""
SMALLEST_CLUSTER, SHARE_OF_A_LABEL = 10, 0.25
"""A dense group has so many texts at least, and this share of what the median label has."""
CORE_SHARE, JOINING_SHARE = 0.4, 0.6
"""Of the pool, those of the highest belief in none of these may begin a cluster, and join one. Many, since a text of a
missing label often resembles some label and is given to it; what a label explains is told by the clusters' means."""
MOST_CORE_TEXTS = 15_000
"""The time to group them grows with their square."""
NEAR_WEIGHT = 0.3
"""How much of what stands near a text counts beside it."""
BEYOND_DOUBT = 0.8
TEXTS_AT_ONCE = 8_192
WORDS, NEAR_LABELS = 6, 4
WORDS_IN_NAME = 3


def propose_clusters(project: Project, *, most: int = MOST_CLUSTERS, smallest: int | None = None) -> list[Cluster]:
    """Return groups of pool texts that the newest round's classifiers explain badly, the best proposals first.

    Texts that are decided, or in the blind audit, stay out. Nothing is stored, and nobody is asked.

    Parameters
    ----------
    most : int
        Clusters at most.
    smallest : int, optional
        Texts of a dense group at least; by default a share of what the median label has.

    Raises
    ------
    StateError
        If there is no finished round yet.
    """
    last = require_finished_round(project)
    scored = scored_texts(project, last.id)
    rows, core = _entering(project, scored)
    if not len(rows):
        return []
    features = _features(project, last.id)
    label_ids, means = _label_means(project, features, scored)
    found = none_clusters(
        features.of(project, scored.texts[rows]), scored.none_belief[rows], core, means,
        smallest=smallest or _smallest(scored), most=most,
    )  # fmt: skip
    places = [rows[group.rows] for group in found]
    words = telling_words(places, contents(project, scored.texts), WORDS)
    known = {label.id: label for label in list_labels(project)}
    taken = {name_key(label.name) for label in known.values()}
    clusters = []
    for group, place, telling in zip(found, places, words, strict=True):
        near = [(known[label], similarity) for label, similarity in _nearest(group, label_ids, means)]
        name = unlike(" ".join(telling[:WORDS_IN_NAME]) or "new label", taken)
        texts, names_near = tuple(scored.texts[place].tolist()), tuple(label.name for label, _ in near)
        clusters.append(Cluster(texts, group.none_belief, *near[0], telling, name, near=names_near))
    return clusters


def _smallest(scored: Scored) -> int:
    """Return how many texts a dense group has at least."""
    texts_of_label = np.bincount(scored.labels[~scored.none], minlength=1)
    usual = float(np.median(texts_of_label[texts_of_label > 0])) if texts_of_label.any() else 0.0
    return max(SMALLEST_CLUSTER, round(SHARE_OF_A_LABEL * usual))


def _entering(project: Project, scored: Scored) -> tuple[Ints, Booleans]:
    """Return the places of the texts that may belong to a new label, and which of them may begin one."""
    free = np.flatnonzero(~np.isin(scored.texts, settled_texts(project)))
    likeliest = free[np.argsort(-scored.none_belief[free], kind="stable")]
    rows = np.sort(likeliest[: round(JOINING_SHARE * len(free))])
    return rows, np.isin(rows, likeliest[: min(round(CORE_SHARE * len(free)), MOST_CORE_TEXTS)])


def _label_means(project: Project, features: Features, scored: Scored) -> tuple[Ints, Floats]:
    """Return the labels' ids (L,), and the means (L, d) of their seeds and of the pool texts they have beyond doubt."""
    own = ~scored.none & (scored.belief >= BEYOND_DOUBT)
    seed_texts, seed_labels = seeds(project)
    texts, of_label = np.append(scored.texts[own], seed_texts), np.append(scored.labels[own], seed_labels)
    active = np.array([label.id for label in list_labels(project)], dtype=np.int64)
    prepared = with_vector(project, features.near or features.lexical or features.embedding)
    there = np.isin(of_label, active) & np.isin(texts, prepared)  # an example typed since the round has no vector yet
    texts, of_label = texts[there], of_label[there]
    label_ids, place = np.unique(of_label, return_inverse=True)
    sums = np.zeros((len(label_ids), features.of(project, texts[:1]).shape[1]))
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        part = slice(start, start + TEXTS_AT_ONCE)
        np.add.at(sums, place[part], features.of(project, texts[part]))
    return label_ids, np.asarray(normalize(sums))


def _nearest(group: Group, label_ids: Ints, means: Floats) -> list[tuple[int, float]]:
    """Return the ids of the labels most like a group, with their similarity."""
    similarity = means @ group.mean
    return [(int(label_ids[at]), float(similarity[at])) for at in np.argsort(-similarity, kind="stable")[:NEAR_LABELS]]


def _features(project: Project, round_id: int) -> Features:
    """Return what the round's classifiers see of a text, a little of what stands near it included."""
    path = model_file(project, round_id)
    if not path.is_file():
        return Features(remembered(project, "embedding"), "", 0.0)
    return replace(load_model(path).features, near_weight=NEAR_WEIGHT)
