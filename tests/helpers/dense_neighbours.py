"""A project as version 0.1 stored it: the mean vector of each text's neighbours, and a round that read them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from red_core.records import Project
from red_core.steps.neighbour_features import Neighbourhood
from red_core.store.arrays import load_arrays, save_arrays
from red_core.store.vectors import append_vectors, forget_vectors, with_vector
from red_core.training.model import load_model, model_file


def as_version_0_1_stored_it(project: Project, round_id: int = 1) -> str:
    """Store the neighbours of a round, and of its model, as mean vectors; return their name."""
    path = model_file(project, round_id)
    features = load_model(path).features
    name = features.neighbours.replace("nearest-", "near-")
    texts = with_vector(project, features.neighbours)
    plain = replace(features, neighbours="").of(project, texts)
    append_vectors(project, name, texts, Neighbourhood(plain).means(plain))
    stored = load_arrays(path)
    words = [str(word).replace(features.neighbours, name) for word in stored["words"]]
    save_arrays(path, **(stored | {"words": np.array(words)}))
    forget_vectors(project, [features.neighbours])
    return name
