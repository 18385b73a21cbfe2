from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import normalize

from red_core.steps.unit_rows import unit_rows


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_rows_are_one_long_to_the_bit_as_scikit_learn_makes_them_and_zeros_stay(kind):
    vectors = np.random.default_rng(0).normal(size=(200, 33)).astype(kind)
    vectors[3], vectors[5] = 0, np.finfo(kind).eps / 10
    before = vectors.copy()

    found = unit_rows(vectors)

    assert found.dtype == kind
    assert (found == normalize(vectors)).all()
    assert (vectors == before).all()
    assert np.linalg.norm(np.delete(found, [3, 5], axis=0), axis=1) == pytest.approx(1.0, abs=1e-6)
