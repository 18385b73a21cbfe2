import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from red_core.steps.cell_search import CellSearch
from tests.helpers.vectors import around_centres

TEN = 11  # and the text itself


@pytest.fixture(scope="module")
def texts():
    return around_centres(4_000)


def test_it_finds_nearly_all_of_the_nearest_texts_with_their_distances(texts):
    unit = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    distance, near = CellSearch(texts, TEN).nearest(unit[:300])
    true_distance, true = NearestNeighbors(n_neighbors=TEN, algorithm="brute").fit(unit).kneighbors(unit[:300])
    shared = [len(np.intersect1d(found, right)) for found, right in zip(near, true, strict=True)]
    assert np.mean(shared) / TEN > 0.97
    assert (near[:, 0] == np.arange(300)).all()
    assert (np.diff(distance, axis=1) >= 0).all()
    same = (near == true).all(axis=1)
    assert same.mean() > 0.8
    assert distance[same] == pytest.approx(true_distance[same], abs=1e-3)


def test_the_same_texts_give_the_same_index_to_the_bit(texts):
    unit = texts[:50] / np.linalg.norm(texts[:50], axis=1, keepdims=True)
    first, second = (CellSearch(texts, TEN).nearest(unit) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_texts_may_be_mapped_from_a_file(texts, tmp_path):
    texts.tofile(tmp_path / "texts.f32")
    mapped = np.memmap(tmp_path / "texts.f32", dtype="<f4", mode="r", shape=texts.shape)
    unit = texts[:50] / np.linalg.norm(texts[:50], axis=1, keepdims=True)
    here, there = CellSearch(texts, TEN).nearest(unit), CellSearch(mapped, TEN).nearest(unit)
    assert all(np.array_equal(a, b) for a, b in zip(here, there, strict=True))


def test_where_the_cells_hold_too_few_the_rest_is_opposite():
    few = np.eye(3, dtype=np.float32)
    distance, _ = CellSearch(few, 3).nearest(few[:1])
    assert distance[0].tolist() == pytest.approx([0.0, 2**0.5, 2**0.5])


def test_a_text_without_features_changes_nothing(texts):
    with_a_zero = np.vstack([texts, np.zeros((1, texts.shape[1]), dtype=np.float32)])
    distance, _ = CellSearch(with_a_zero, TEN).nearest(np.zeros((1, texts.shape[1]), dtype=np.float32))
    assert np.isfinite(distance).all()
