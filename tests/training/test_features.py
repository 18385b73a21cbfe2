from __future__ import annotations

import numpy as np

from red_core.store.arrays import save_arrays
from red_core.store.vectors import append_vectors, with_vector
from red_core.training.features import Features, prepare_lexical, prepare_neighbours
from tests.helpers.small_projects import DIMENSIONS, EMBEDDING, FAST


def test_names_that_only_begin_like_ours_are_not_taken_for_ours(project):
    texts = with_vector(project, EMBEDDING)
    save_arrays(project.folder / "lexical-4-0-old.npz", seen=np.arange(3))
    append_vectors(project, f"near-{EMBEDDING}-embedding-0.5-old", texts, np.zeros((len(texts), DIMENSIONS)))
    settings = FAST.model_copy(update={"lexical_dimensions": 4})
    assert prepare_lexical(project, settings, texts, lambda _done, _total: None) == "lexical-4-0-56"
    features = Features(EMBEDDING, "", 0.5)
    name = prepare_neighbours(project, settings, features, texts, lambda _done, _total: None)
    assert name == f"near-{EMBEDDING}-embedding-0.5-56"
