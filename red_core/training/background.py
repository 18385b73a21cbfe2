"""The background: texts of no label, as noise where a project has too few labels to be noise for one another.

With one subset of six labels there is no text of another subset, so nothing shows a classifier what belongs to none of
its labels. The messages of the demo are such texts for every project, except those that resemble one of its labels.
"""

from __future__ import annotations

import csv
import io
from functools import cache
from importlib.resources import files

import numpy as np

from red_core.records import Booleans, Floats, Ints
from red_core.settings import Settings
from red_core.steps.label_map import label_vectors

TEXTS = 300
ALIKE = 0.25
"""A text is like a label if it is more similar to it than this share of the label's own examples."""
DOUBT = (
    "With so few labels, the program can hardly tell which texts belong to none of them. The estimate can be several "
    "points too high: audit some texts before you trust it."
)
"""What a person should know about the estimated accuracy of a project that has a background."""


def wants_background(settings: Settings, labels: int) -> bool:
    """Return whether a project with so many labels has a background."""
    return labels <= settings.background_labels


@cache
def background_texts() -> tuple[str, ...]:
    """Return TEXTS messages of the demo, spread evenly over its file."""
    written = (files("red_core") / "data" / "demo" / "pool.csv").read_text("utf-8")
    texts = [row["text"] for row in csv.DictReader(io.StringIO(written, newline=""))]
    return tuple(texts[int(row)] for row in np.linspace(0, len(texts) - 1, TEXTS))


def unlike_labels(features: Floats, examples: Floats, labels: Ints) -> Booleans:
    """Return which texts are unlike every label, shape (m,).

    Parameters
    ----------
    features : ndarray of shape (m, d), float32
    examples : ndarray of shape (n, d), float32
    labels : ndarray of shape (n,), int64
        In 0..L-1; every label has an example.
    """
    means = label_vectors(examples, labels, int(labels.max()) + 1)
    own = np.einsum("nd,nd->n", examples, means[labels]) / np.linalg.norm(examples, axis=1)
    least = np.array([np.quantile(own[labels == label], ALIKE) for label in range(len(means))])
    similarity = features @ means.T / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    return np.asarray((similarity < least).all(axis=1))
