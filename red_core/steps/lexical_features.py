"""Words and characters beside the embedding: hashed TF-IDF, reduced by SVD. All state is arrays, no pickle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd

from red_core.records import Floats

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = 2**15
"""Hash buckets for words and for characters each."""
MOST_TEXTS_TO_FIT = 20_000
"""The SVD settles long before this many texts; a random sample keeps a round's start short."""
LONGEST_TEXT = 2_000
"""Characters counted per text: as much as the embedding model reads, and then some."""


@dataclass(frozen=True)
class LexicalModel:
    """Inverse document frequencies (2 * COLUMNS,) and SVD components (k, 2 * COLUMNS), float32."""

    idf: Floats
    components: Floats


def fit_lexical(texts: Sequence[str], dimensions: int, *, random_state: int) -> LexicalModel:
    """Fit idf and SVD on (a sample of) the texts.

    Parameters
    ----------
    texts : sequence of n str
    dimensions : int
        Wanted SVD dimensions; at most n - 1 are kept.
    random_state : int
    """
    if len(texts) > MOST_TEXTS_TO_FIT:
        rng = np.random.default_rng(random_state)
        texts = [texts[i] for i in np.sort(rng.choice(len(texts), MOST_TEXTS_TO_FIT, replace=False))]
    counts = _hashed_counts(texts)
    document_frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    idf = np.log((1 + len(texts)) / (1 + document_frequency)) + 1.0
    idf[document_frequency == 0] = 0.0
    weighted = _weighted(counts, idf)
    kept = max(1, min(dimensions, len(texts) - 1))
    _, _, components = randomized_svd(weighted, kept, n_iter=4, random_state=random_state)
    return LexicalModel(idf.astype(np.float32), components.astype(np.float32))


def lexical_vectors(model: LexicalModel, texts: Sequence[str]) -> Floats:
    """Return unit vectors of shape (n, k), float32; a text without known words or characters is the zero vector."""
    projected = np.asarray(_weighted(_hashed_counts(texts), model.idf) @ model.components.T, dtype=np.float32)
    return np.asarray(normalize(projected), dtype=np.float32)


def _hashed_counts(texts: Sequence[str]) -> Any:  # noqa: ANN401  scipy ships no types
    cut = [text[:LONGEST_TEXT] for text in texts]
    shared: dict[str, Any] = {"n_features": COLUMNS, "alternate_sign": False, "norm": None, "dtype": np.float32}
    words = HashingVectorizer(analyzer="word", ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **shared)
    characters = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), **shared)
    return sparse.hstack([words.transform(cut), characters.transform(cut)], format="csr")


def _weighted(counts: Any, idf: Floats) -> Any:  # noqa: ANN401
    """Sublinear counts times idf, words and characters each of length 1, so that neither drowns the other."""
    damped = counts.copy()
    damped.data = (1.0 + np.log(damped.data)) * idf[damped.indices]
    return sparse.hstack([normalize(damped[:, :COLUMNS]), normalize(damped[:, COLUMNS:])], format="csr")
