"""Fit a model from texts alone, without a project: the recipe of a round, up to its confidences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from red_core.encoders import encode
from red_core.records import Floats, Ints, Report
from red_core.settings import Settings
from red_core.steps.belief import CANDIDATES_KEPT, Calibration, candidates, joined, likeliest_share_of_none
from red_core.steps.label_map import label_vectors
from red_core.steps.lexical_features import fit_lexical
from red_core.steps.pool_scoring import averaged, blocks, label_log_odds
from red_core.steps.refitting import identities
from red_core.steps.subset_classifiers import Partition, TrainingSet
from red_core.training.background import background_texts, wants_background
from red_core.training.features import NewTexts, spoken, wants_neighbours
from red_core.training.fit import dissimilar_subsets, hidden_partitions
from red_core.training.fit_rows import fit_rows
from red_core.training.model_selection import select_model
from red_core.training.text_model import TextModel, without_neighbour_weights
from red_core.training.training_set import FrozenRows, positions_of_names


def fit_texts(
    examples: Sequence[tuple[str, int]],
    names: Sequence[str],
    unlabelled: Sequence[str],
    encoder: str,
    settings: Settings,
    report: Report = lambda _stage, _done, _total: None,
) -> TextModel:
    """Return a fitted and calibrated model; each text is embedded once.

    Parameters
    ----------
    examples : sequence of (text, label)
        Normalised texts, and positions in ``names``; every label has an example. A text may have two labels.
    names : sequence of L str
        Label names; at least two. A name with a word in it serves as one more example.
    unlabelled : sequence of str
        Normalised texts. They shape the word and character features and the kNN features, and they give the share of
        texts that belong to no label. Texts of examples among them count once.
    encoder : str
        Its line; see :func:`red_core.encoders.encode`.

    Raises
    ------
    EmbeddingError
        If the encoder cannot be loaded.
    """
    examples = list(dict.fromkeys(examples))
    everything = list(dict.fromkeys([*(text for text, _ in examples), *unlabelled]))
    position = {text: number for number, text in enumerate(everything)}
    rows_of = np.array([position[text] for text, _ in examples], dtype=np.int64)
    labels = np.array([label for _, label in examples], dtype=np.int64)
    pool = np.setdiff1d(np.arange(len(everything)), rows_of)

    report("embed", 0, 1)
    vectors = encode(encoder, everything)
    report("embed", 1, 1)
    texts = _feature_computation(everything, vectors, encoder, settings, len(names))
    features = texts.beside(vectors, everything)
    rows = _rows(features, rows_of, labels, pool, texts, len(names))
    named = positions_of_names(names, settings)
    if named:
        words = [spoken(names[label]) for label in named]
        rows = rows.with_names(named, [names[label] for label in named], texts.features(words))
    if wants_background(settings, len(names)):
        rows = rows.with_background(texts.features(background_texts()))
    shown = dissimilar_subsets(label_vectors(vectors[rows_of], labels, len(names)), settings)
    partitions = [shown, *hidden_partitions(rows.training, len(names), settings)]
    choice = select_model(rows, partitions, settings, lambda done, total: report("select", done, total))
    fitted = fit_rows(rows, partitions, choice, settings, lambda done, total: report("fit", done, total))

    classifiers = averaged(fitted.fitted.partitions)
    if texts.reference is not None:
        texts = replace(texts, neighbour_weight=choice.neighbour_weight)
        if not choice.neighbour_weight:
            texts, classifiers = replace(texts, reference=None), without_neighbour_weights(classifiers)
            features = features[:, : features.shape[1] // 2]
        else:
            features[:, features.shape[1] // 2 :] *= np.float32(choice.neighbour_weight)
    share = _share_of_none(features[pool], classifiers, fitted.calibration, settings.none_share)
    return TextModel(texts, classifiers, fitted.calibration, (settings.none_share, share))


def _feature_computation(
    everything: Sequence[str], vectors: Floats, encoder: str, settings: Settings, labels: int
) -> NewTexts:
    """Return the feature computation with kNN features, if any, at weight 1."""
    lexical = None
    if settings.lexical_dimensions:
        lexical = fit_lexical(everything, settings.lexical_dimensions, random_state=settings.random_state)
    plain = NewTexts(encoder, lexical, settings.lexical_weight, None, 1.0)
    return replace(plain, reference=plain.beside(vectors, everything)) if wants_neighbours(settings, labels) else plain


def _rows(features: Floats, rows_of: Ints, labels: Ints, pool: Ints, texts: NewTexts, label_count: int) -> FrozenRows:
    keys = identities(f"{text}:1.0" for text in rows_of.tolist())
    training = TrainingSet(features[rows_of], labels, np.ones(len(labels), dtype=np.float32), keys)
    ids, seeds = np.arange(label_count, dtype=np.int64), np.ones(len(labels), dtype=np.bool_)
    return FrozenRows(ids, training, rows_of, seeds, pool, texts.reference is not None)


def _share_of_none(features: Floats, classifiers: Partition, calibration: Calibration, assumed: float) -> float:
    """Return the share of the unlabelled texts that belong to no label; the assumed one if there are none."""
    if not len(features):
        return assumed
    tops = [candidates(label_log_odds(features[part], (classifiers,)), calibration, CANDIDATES_KEPT)
            for part in blocks(len(features))]  # fmt: skip
    return likeliest_share_of_none(joined(tops), assumed)
