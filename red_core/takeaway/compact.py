"""Make a model small enough to take away, whatever the number of unlabelled texts was.

Word and character features keep the columns that matter most. The kNN features keep a sample of the texts among which
a new text has its neighbours. Both are rounded to 8 bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from red_core.records import Floats
from red_core.steps.lexical_features import LexicalModel
from red_core.training.features import NewTexts
from red_core.training.text_model import TextModel

MOST_COLUMNS = 12_288
"""Hash buckets of words and characters that are kept: 3 MB at 256 dimensions."""
MOST_REPRESENTATIVES = 32_768
"""Texts that are kept as possible neighbours: at most 21 MB at 640 dimensions. Fewer texts, fewer MB."""
COPY = 0.03
"""Unit vectors nearer than this are copies: rounding moves a vector by about half as much."""
Bytes = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Rounded:
    """Rows rounded to 8 bits: ``values`` (n, d) int8 times ``scale`` (n,) float32."""

    values: Bytes
    scale: Floats

    @property
    def rows(self) -> Floats:
        """The rows as float32, shape (n, d)."""
        return self.values.astype(np.float32) * self.scale[:, None]


def rounded(rows: Floats) -> Rounded:
    """Return the rows rounded to 8 bits, each with a scale of its own."""
    scale = np.abs(rows).max(axis=1, initial=0.0).astype(np.float32) / np.float32(127)
    steps = rows / np.where(scale, scale, 1.0)[:, None]
    return Rounded(np.round(steps).astype(np.int8), scale)


def compact(model: TextModel, random_state: int = 0) -> TextModel:
    """Return a small model that labels nearly as ``model`` does; docs/model.md has the measured difference."""
    return replace(model, texts=_compact_texts(model.texts, random_state))


def _compact_texts(texts: NewTexts, random_state: int) -> NewTexts:
    lexical, reference = texts.lexical, texts.reference
    if lexical is not None:
        lexical = _main_columns(lexical)
    if reference is not None:
        if len(reference) > MOST_REPRESENTATIVES:
            rng = np.random.default_rng(random_state)
            reference = reference[np.sort(rng.choice(len(reference), MOST_REPRESENTATIVES, replace=False))]
        reference = rounded(reference).rows
    return replace(texts, lexical=lexical, reference=reference, copy=COPY)


def _main_columns(model: LexicalModel) -> LexicalModel:
    """Return the model with the columns that move the features most, rounded."""
    # A column's idf falls with its frequency: exp(1 - idf) is the share of texts that have it.
    share = np.exp(1.0 - model.idf.astype(np.float64))
    weight: Any = np.sqrt(share) * model.idf * np.linalg.norm(model.components, axis=0)
    kept = np.sort(np.argsort(-weight, kind="stable")[:MOST_COLUMNS])
    components = rounded(np.ascontiguousarray(model.components[:, kept])).rows
    return LexicalModel(model.seen[kept], model.idf[kept], components)
