"""Text features: the embedding, TF-IDF word and character n-grams (SVD), and the mean of the nearest neighbours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from red_core.encoders import encode
from red_core.encoders.loading import refuse_another_length
from red_core.errors import StoreError
from red_core.records import Floats, Ints, Progress, Project
from red_core.settings import Settings
from red_core.steps.lexical_features import LexicalModel, fit_lexical, lexical_vectors
from red_core.steps.neighbour_features import COPY, Neighbourhood, packed, unpacked, weighted_means
from red_core.store.array_check import LEXICAL
from red_core.store.arrays import load_arrays, save_arrays
from red_core.store.texts import contents, remembered
from red_core.store.vectors import (
    NEIGHBOUR_LISTS,
    append_vectors,
    forget_vectors,
    load_vectors,
    vector_dimensions,
    vector_models,
    with_vector,
    without_vector,
)
from red_core.training.background import wants_background
from red_core.training.embeddings import name_vectors

REFIT_GROWTH = 1.5
"""Lexical model and neighbours are computed anew when the project has grown by this factor since they were."""
MOST_FITTED = 100_000
"""At most so many texts, evenly spread, teach the lexical model: more would cost gigabytes."""
_MADE_HERE = re.compile(
    rf"{LEXICAL.pattern}|near(est)?-.+-({LEXICAL.pattern}|embedding)-[0-9.e+-]+-\d{{1,12}}", re.ASCII | re.DOTALL
)
"""Names of vectors that this module makes, also in version 0.1."""
TEXTS_PER_BLOCK = 8_192
"""Texts between two checkpoints."""


def prepare_lexical(project: Project, settings: Settings, texts: Ints, report: Progress) -> str:
    """Make sure that the lexical model and the vectors of all texts exist; return the model's name.

    Parameters
    ----------
    texts : ndarray of int64
        Row ids of the texts on which a new model is fitted.
    report : callable(done, total)
        Called before the first block of texts and after each.

    Returns
    -------
    str
        Also the name of the stored vectors; '' if the settings want no lexical features.
    """
    if not settings.lexical_dimensions:
        return ""
    report(0, len(texts))
    name = _fitted_name(project, settings, len(texts))
    if not name:
        name = f"lexical-{settings.lexical_dimensions}-{settings.random_state}-{len(texts)}"
        fitted_on = texts[:: -(-len(texts) // MOST_FITTED)]
        model = fit_lexical(
            contents(project, fitted_on), settings.lexical_dimensions, random_state=settings.random_state
        )
        save_arrays(
            _file(project, name), seen=model.seen, idf=model.idf, components=model.components.astype(np.float16)
        )
    missing = without_vector(project, name)
    report(0, len(missing))
    if len(missing):
        model = load_lexical(project, name)
        for start in range(0, len(missing), TEXTS_PER_BLOCK):
            ids = missing[start : start + TEXTS_PER_BLOCK]
            append_vectors(project, name, ids, lexical_vectors(model, contents(project, ids)))
            report(start + len(ids), len(missing))
    return name


def _fitted_name(project: Project, settings: Settings, texts: int) -> str:
    """Return the name of the newest usable lexical model for these settings; '' if there is none."""
    prefix = f"lexical-{settings.lexical_dimensions}-{settings.random_state}-"
    sizes = _sizes(prefix, (path.stem for path in project.folder.glob(f"{prefix}*.npz")))
    return f"{prefix}{sizes[-1]}" if sizes and texts <= REFIT_GROWTH * sizes[-1] else ""


def _sizes(prefix: str, names: Iterable[str]) -> list[int]:
    """Return, ascending, the numbers of texts at the end of these names; other names may begin like these."""
    ends = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    return sorted(int(end) for end in ends if end.isascii() and end.isdecimal())


def load_lexical(project: Project, name: str) -> LexicalModel:
    """Load a lexical model by its name.

    Raises
    ------
    StoreError
        If its file is missing or damaged.
    """
    stored = load_arrays(_file(project, name))
    return LexicalModel(stored["seen"], stored["idf"], stored["components"].astype(np.float32))


def prepare_neighbours(
    project: Project, settings: Settings, features: Features, texts: Ints, labels: int, report: Progress
) -> str:
    """Make sure that the lists of neighbours of these texts exist; return the name under which they are stored.

    A new text gets its neighbours among all texts. Earlier texts keep theirs until the project has grown by
    REFIT_GROWTH; then all are computed anew.

    Parameters
    ----------
    features : Features
        Without neighbours; they decide which texts are near.
    texts : ndarray of int64
        Row ids.
    labels : int
        Their number.
    report : callable(done, total)

    Returns
    -------
    str
        '' if the project uses no neighbour features.
    """
    if not wants_neighbours(settings, labels):
        return ""
    prefix = f"{NEIGHBOUR_LISTS}{features.embedding}-{features.lexical or 'embedding'}-{features.lexical_weight:g}-"
    sizes = _sizes(prefix, vector_models(project))
    outgrown = not sizes or len(texts) > REFIT_GROWTH * sizes[-1]
    name = f"{prefix}{len(texts) if outgrown else sizes[-1]}"
    missing = np.intersect1d(without_vector(project, name), texts)
    report(0, len(missing))
    if len(missing):
        everything = features.without_neighbours(project, texts)
        around = Neighbourhood(everything)
        for start in range(0, len(missing), TEXTS_PER_BLOCK):
            ids = missing[start : start + TEXTS_PER_BLOCK]
            rows, weights = around.lists(everything[np.searchsorted(texts, ids)])
            append_vectors(project, name, ids, packed(texts[rows], weights))
            report(start + len(ids), len(missing))
    return name


def forget_unused(project: Project, features: Features) -> None:
    """Remove vectors of words and of neighbours that the newest round does not use, and their lexical models."""
    kept = {features.embedding, features.lexical, features.neighbours, remembered(project, "embedding")}
    unused = [name for name in vector_models(project) if _MADE_HERE.fullmatch(name) and name not in kept]
    forget_vectors(project, unused)
    for name in unused:
        if LEXICAL.fullmatch(name):
            _file(project, name).unlink(missing_ok=True)


def wants_neighbours(settings: Settings, labels: int) -> bool:
    """Return whether a project with so many labels uses kNN features.

    With a background it uses none. The neighbours of a text of no label are other such texts of the project, but those
    of a background text are not; so they tell these texts less well from the labels' own.
    """
    return max(settings.neighbour_weights, default=0.0) > 0.0 and not wants_background(settings, labels)


@dataclass(frozen=True)
class Features:
    """Which features a model uses, by the names of stored vectors.

    Attributes
    ----------
    embedding : str
    lexical : str
        '' for none.
    lexical_weight : float
        Their length beside the embedding's 1.
    neighbours : str
        The kNN features: the mean of each text's nearest neighbours; '' for none.
    neighbour_weight : float
        Their weight beside the other features, at least 0.
    """

    embedding: str
    lexical: str
    lexical_weight: float
    neighbours: str = ""
    neighbour_weight: float = 0.0

    def of(self, project: Project, ids: Ints) -> Floats:
        """Return the features of stored texts, shape (n, d), float32; with neighbours, their half comes last."""
        return self._read(project, ids, None)

    def reader(self, project: Project) -> Callable[[Ints], Floats]:
        """Return a function that does as :meth:`of` in many blocks: it keeps the features of all texts in memory.

        A block reads the features of about ten times as many texts as it has. So each text is read only once.
        """
        if not self.neighbour_weight or not self.neighbours.startswith(NEIGHBOUR_LISTS):
            return lambda ids: self.of(project, ids)
        texts = with_vector(project, self.lexical or self.embedding)
        everything = texts, self.without_neighbours(project, texts)
        return lambda ids: self._read(project, ids, everything)

    def _read(self, project: Project, ids: Ints, everything: tuple[Ints, Floats] | None) -> Floats:
        """Return the features of stored texts; ``everything`` has the ids and plain features of all, if at hand."""
        plain = self.without_neighbours(project, ids)
        if not self.neighbours:
            return plain
        if not self.neighbour_weight:
            return np.hstack([plain, np.zeros_like(plain)])
        stored = load_vectors(project, self.neighbours, ids)
        if self.neighbours.startswith(NEIGHBOUR_LISTS):
            near, weights = unpacked(stored)
            texts = np.unique(near) if everything is None else everything[0]
            features = self.without_neighbours(project, texts) if everything is None else everything[1]
            stored = weighted_means(_places(texts, near), weights, features)
        return np.hstack([plain, np.float32(self.neighbour_weight) * stored])

    def without_neighbours(self, project: Project, ids: Ints) -> Floats:
        """Return the features of stored texts without the kNN features; only these are in memory at once."""
        if not self.lexical:
            return load_vectors(project, self.embedding, ids)
        width = vector_dimensions(project)
        features = np.empty((len(ids), width[self.embedding] + width[self.lexical]), dtype=np.float32)
        for start in range(0, len(ids), TEXTS_PER_BLOCK):
            part = slice(start, start + TEXTS_PER_BLOCK)
            features[part, : width[self.embedding]] = load_vectors(project, self.embedding, ids[part])
            lexical = load_vectors(project, self.lexical, ids[part])
            features[part, width[self.embedding] :] = np.float32(self.lexical_weight) * lexical
        return features

    def of_names(self, project: Project, names: Sequence[str]) -> Floats:
        """Return the features of label names read as texts, shape (n, d), float32."""
        return self.of_others(project, [spoken(name) for name in names])

    def of_others(self, project: Project, texts: Sequence[str]) -> Floats:
        """Return the features of texts that are no texts of the project, shape (n, d), float32; vectors are stored."""
        return self.of_new(project).beside(name_vectors(project, self.embedding, texts), texts)

    def of_new(self, project: Project) -> NewTexts:
        """Return what computes the same features for texts that are not in the project."""
        lexical = load_lexical(project, self.lexical) if self.lexical else None
        stored = with_vector(project, self.neighbours) if self.neighbours else None
        if stored is not None and not len(stored):
            raise StoreError(f"the neighbours of {project.name} were replaced by a newer round. Try again.")
        reference = None if stored is None else self.without_neighbours(project, stored)
        return NewTexts(self.embedding, lexical, self.lexical_weight, reference, self.neighbour_weight)


@dataclass(frozen=True)
class NewTexts:
    """Computes features of texts that are not in a project; it does not need the project.

    Attributes
    ----------
    embedding : str
    lexical : LexicalModel or None
    lexical_weight : float
    reference : ndarray of shape (m, d), float32, or None
        Features of the project's texts, among which a new text has its neighbours; None without kNN features.
    neighbour_weight : float
    copy : float
        Texts whose directions differ by less are the same text; see :class:`Neighbourhood`.
    """

    embedding: str
    lexical: LexicalModel | None
    lexical_weight: float
    reference: Floats | None
    neighbour_weight: float
    copy: float = COPY

    @cached_property
    def neighbourhood(self) -> Neighbourhood | None:
        """The reference texts, prepared for the search; None without kNN features."""
        return None if self.reference is None else Neighbourhood(self.reference, self.copy)

    def features(self, texts: Sequence[str]) -> Floats:
        """Return the features of texts, shape (n, d) or, with kNN features, (n, 2 d), float32."""
        return self.beside(encode(self.embedding, texts), texts)

    def beside(self, embedded: Floats, texts: Sequence[str]) -> Floats:
        """Return the features of texts, given their embeddings of shape (n, e).

        Raises
        ------
        EmbeddingError
            If the embeddings have another length than those of the reference.
        """
        plain = embedded
        if self.lexical is not None:
            plain = _beside(embedded, self.lexical_weight, lexical_vectors(self.lexical, texts))
        if self.reference is not None:
            words = plain.shape[1] - embedded.shape[1]
            refuse_another_length(self.embedding, embedded, self.reference.shape[1] - words)
        if self.neighbourhood is None:
            return plain
        return _beside(plain, self.neighbour_weight, self.neighbourhood.means(plain))


def _places(texts: Ints, near: Ints) -> Ints:
    """Return where these texts are among ``texts``, which ascend."""
    places = np.minimum(np.searchsorted(texts, near), max(len(texts) - 1, 0))
    if not np.array_equal(texts[places], near):
        raise StoreError("a neighbour of a text has no vector. Restore the project from a backup.")
    return places


def _beside(features: Floats, weight: float, more: Floats) -> Floats:
    return np.hstack([features, np.float32(weight) * more]).astype(np.float32)


def spoken(name: str) -> str:
    """Return a label's name as words: card_not_working -> card not working."""
    return " ".join(re.sub(r"[_\-/.]+", " ", name).split()) or name


def _file(project: Project, name: str) -> Path:
    return project.folder / f"{name}.npz"
