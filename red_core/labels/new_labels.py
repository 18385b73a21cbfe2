"""Novel class discovery: groups of pool texts that fit no label, each with a suggested name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from red_core.errors import StateError
from red_core.records import Booleans, Cluster, Floats, Ints, Project
from red_core.steps.none_clusters import Group, none_clusters, telling_words
from red_core.steps.pool_scoring import blocks
from red_core.steps.unit_rows import unit_rows
from red_core.store.growth import Scored, scored_texts, settled_texts
from red_core.store.labels import list_labels, name_key, unlike
from red_core.store.rounds import require_finished_round
from red_core.store.texts import contents, remembered, seeds
from red_core.store.vectors import with_vector
from red_core.training import load_model, model_file
from red_core.training.features import Features

MOST_CLUSTERS = 40
"""As many as a person can look through at once."""
SMALLEST_CLUSTER, SHARE_OF_A_LABEL = 10, 0.25
"""Smallest size of a dense group, in texts and as a share of the median label's texts; the larger one counts."""
CORE_SHARE, JOINING_SHARE = 0.4, 0.6
"""Shares of the undecided pool, by belief in none of these, that may form a cluster's core and may join a cluster. They
are large, since a text of a missing label often resembles an existing label and gets it. Clusters that an existing
label explains are recognised later, by their means."""
MOST_CORE_TEXTS = 15_000
"""Limit on the texts that form cores, since the time of HDBSCAN grows with their square."""
NEIGHBOUR_WEIGHT = 0.3
"""Weight of the kNN features when texts are grouped."""
SURE = 0.8
"""Belief from which a pool text counts as a sample of its label."""
WORDS, NEAR_LABELS = 6, 4
"""Telling words and most similar labels listed with each cluster."""
WORDS_IN_NAME = 3


def propose_clusters(project: Project, *, most: int = MOST_CLUSTERS, smallest: int | None = None) -> list[Cluster]:
    """Return groups of pool texts that the newest round's classifiers explain badly, the best groups first.

    Decided and audited texts are left out. Nothing is stored, and no model is asked.

    Parameters
    ----------
    most : int
        Maximum number of clusters.
    smallest : int, optional
        Minimum number of texts in a dense group; by default a share of the median label's texts.

    Raises
    ------
    StateError
        If there is no finished round yet, or a newer one has just removed the features of the last.
    """
    last = require_finished_round(project)
    scored = scored_texts(project, last.id)
    rows, core = _entering(project, scored)
    if not len(rows):
        return []
    features = _features(project, last.id)
    try:
        read = features.reader(project)
        label_ids, means = _label_means(project, features, read, scored)
        entering = read(scored.texts[rows])
    except KeyError as error:
        raise StateError("a round has finished in the meantime. Try again.") from error
    groups = none_clusters(
        entering, scored.none_belief[rows], core, means,
        smallest=smallest or _smallest(scored), most=most,
    )  # fmt: skip
    members = [rows[group.rows] for group in groups]
    words = telling_words(members, contents(project, scored.texts), WORDS)
    known = {label.id: label for label in list_labels(project)}
    taken = {name_key(label.name) for label in known.values()}
    clusters = []
    for group, members_of, telling in zip(groups, members, words, strict=True):
        near = [(known[label], similarity) for label, similarity in _nearest(group, label_ids, means)]
        name = unlike(" ".join(telling[:WORDS_IN_NAME]) or "new label", taken)
        texts, names_near = tuple(scored.texts[members_of].tolist()), tuple(label.name for label, _ in near)
        clusters.append(Cluster(texts, group.none_belief, *near[0], telling, name, near=names_near))
    return clusters


def _smallest(scored: Scored) -> int:
    """Return the minimum number of texts in a dense group."""
    texts_of_label = np.bincount(scored.labels[~scored.none], minlength=1)
    median = float(np.median(texts_of_label[texts_of_label > 0])) if texts_of_label.any() else 0.0
    return max(SMALLEST_CLUSTER, round(SHARE_OF_A_LABEL * median))


def _entering(project: Project, scored: Scored) -> tuple[Ints, Booleans]:
    """Return the rows of the texts that may belong to a cluster, and which of them may form its core."""
    undecided = np.flatnonzero(~np.isin(scored.texts, settled_texts(project)))
    likeliest = undecided[np.argsort(-scored.none_belief[undecided], kind="stable")]
    rows = np.sort(likeliest[: round(JOINING_SHARE * len(undecided))])
    return rows, np.isin(rows, likeliest[: min(round(CORE_SHARE * len(undecided)), MOST_CORE_TEXTS)])


def _label_means(
    project: Project, features: Features, read: Callable[[Ints], Floats], scored: Scored
) -> tuple[Ints, Floats]:
    """Return the labels' ids (L,), and the unit mean (L, d) of each one's seeds and its surely assigned pool texts."""
    sure = ~scored.none & (scored.belief >= SURE)
    seed_texts, seed_labels = seeds(project)
    texts, of_label = np.append(scored.texts[sure], seed_texts), np.append(scored.labels[sure], seed_labels)
    active = np.array([label.id for label in list_labels(project)], dtype=np.int64)
    prepared = with_vector(project, features.neighbours or features.lexical or features.embedding)
    usable = np.isin(of_label, active) & np.isin(texts, prepared)  # an example typed since the round has no vector yet
    texts, of_label = texts[usable], of_label[usable]
    label_ids, index = np.unique(of_label, return_inverse=True)
    sums = np.zeros((len(label_ids), read(texts[:1]).shape[1]))
    for block in blocks(len(texts)):
        np.add.at(sums, index[block], read(texts[block]))
    return label_ids, np.asarray(unit_rows(sums))


def _nearest(group: Group, label_ids: Ints, means: Floats) -> list[tuple[int, float]]:
    """Return (label id, cosine similarity) of the labels most similar to a group, the most similar first."""
    similarity = means @ group.mean
    order = np.argsort(-similarity, kind="stable")[:NEAR_LABELS]
    return [(int(label_ids[row]), float(similarity[row])) for row in order]


def _features(project: Project, round_id: int) -> Features:
    """Return a round's features, the kNN features at NEIGHBOUR_WEIGHT; without a model, the embedding alone."""
    path = model_file(project, round_id)
    if not path.is_file():
        return Features(remembered(project, "embedding"), "", 0.0)
    return replace(load_model(path).features, neighbour_weight=NEIGHBOUR_WEIGHT)
