"""Word and character features: hashed TF-IDF of n-grams, reduced by SVD. The model is plain arrays, no pickle."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from red_core.records import Floats, Ints
from red_core.text import UNSPACED

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = 2**15
"""Hash buckets for word n-grams, and as many for character n-grams."""
MOST_TEXTS_TO_FIT = 20_000
"""More texts do not change the SVD much, so it is fitted on a random sample of this size."""
LEAST_LENGTH = 1e-3
"""A shorter projection is rounding noise: the text shares no words or characters with the dimensions."""
CHARACTERS_READ = 2_000
"""Characters of a text that are read for words: somewhat more than the embedding model reads."""


@dataclass(frozen=True)
class LexicalModel:
    """The fitted TF-IDF and SVD.

    Attributes
    ----------
    seen : ndarray of shape (m,), int64
        The hash buckets that occurred, in [0, 2 * COLUMNS), ascending.
    idf : ndarray of shape (m,), float32
        Their inverse document frequencies.
    components : ndarray of shape (k, m), float32
        SVD components.
    """

    seen: Ints
    idf: Floats
    components: Floats

    @cached_property
    def by_bucket(self) -> Floats:
        """The components transposed, (m, k), in the order in which scipy multiplies without a copy."""
        return np.ascontiguousarray(self.components.T)


def fit_lexical(texts: Sequence[str], dimensions: int, *, random_state: int) -> LexicalModel:
    """Return idf and SVD fitted on the texts, or on a random sample of them.

    Parameters
    ----------
    texts : sequence of n str
    dimensions : int
        Number of SVD dimensions; at most n - 1 are used.
    random_state : int
    """
    from sklearn.utils.extmath import randomized_svd  # noqa: PLC0415  scikit-learn takes a second to import

    if len(texts) > MOST_TEXTS_TO_FIT:
        rng = np.random.default_rng(random_state)
        texts = [texts[i] for i in np.sort(rng.choice(len(texts), MOST_TEXTS_TO_FIT, replace=False))]
    counts = _hashed_counts(texts)
    document_frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    seen = np.flatnonzero(document_frequency)
    idf = (np.log((1 + len(texts)) / (1 + document_frequency[seen])) + 1.0).astype(np.float32)
    weighted = _weighted(counts, seen, idf)
    kept_components = max(1, min(dimensions, len(texts) - 1))
    _, _, components = randomized_svd(weighted, kept_components, n_iter=4, random_state=random_state)
    return LexicalModel(seen, idf, components.astype(np.float32))


def lexical_vectors(model: LexicalModel, texts: Sequence[str]) -> Floats:
    """Return unit vectors of shape (n, k), float32; the zero vector for a text without known words or characters."""
    weighted = _weighted(_hashed_counts(texts), model.seen, model.idf)
    projected = np.asarray(weighted @ model.by_bucket, dtype=np.float32)
    lengths = np.linalg.norm(projected, axis=1, keepdims=True)
    known = lengths > LEAST_LENGTH
    return np.where(known, projected / np.where(known, lengths, 1.0), 0.0).astype(np.float32)


def _hashed_counts(texts: Sequence[str]) -> Any:  # noqa: ANN401  scipy ships no types
    beginnings = [text[:CHARACTERS_READ] for text in texts]
    spaced = [UNSPACED.sub(r" \g<0> ", text) for text in beginnings]  # there, each character counts as a word
    words, characters = _vectorizers()
    return sparse.hstack([words.transform(spaced), characters.transform(beginnings)], format="csr")


@cache
def _vectorizers() -> tuple[Any, Any]:
    """Return the vectorizers of words and of characters; they have no state."""
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415  scikit-learn takes a second to import

    shared: dict[str, Any] = {"n_features": COLUMNS, "alternate_sign": False, "norm": None, "dtype": np.float32}
    words = HashingVectorizer(analyzer="word", ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **shared)
    return words, HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), **shared)


def _weighted(counts: Any, seen: Ints, idf: Floats) -> Any:  # noqa: ANN401
    """Return sublinear counts times idf; the word part and the character part each have length 1."""
    texts = counts.shape[0]
    place = np.full(2 * COLUMNS, -1, dtype=np.int64)
    place[seen] = np.arange(len(seen))
    known = place[counts.indices] >= 0
    buckets, columns = counts.indices[known], place[counts.indices[known]]
    rows = np.repeat(np.arange(texts), np.diff(counts.indptr))[known]
    values = (1.0 + np.log(counts.data[known])) * idf[columns]
    part = 2 * rows + (buckets >= COLUMNS)
    values /= np.sqrt(np.bincount(part, values.astype(np.float64) ** 2, minlength=2 * texts))[part]
    return sparse.csr_matrix((values.astype(np.float32), (rows, columns)), shape=(texts, len(seen)))
