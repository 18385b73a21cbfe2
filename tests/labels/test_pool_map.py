"""The pool on the map: each text once, counted in its cell, computed again only when labels or pool change."""

from __future__ import annotations

import numpy as np
import pytest

from red_core.data.importing import import_files
from red_core.labels.edit_kinds import Move, Rename
from red_core.labels.edits import apply_edit
from red_core.labels.pool_map import CELLS, draw_pool_map, texts_inside
from red_core.labels.subsets import form_subsets
from red_core.store.labels import current_layout
from red_core.store.texts import pool
from tests.helpers.small_projects import EMBEDDING, FAST, embed, label_ids, pool_rows, write_csv


@pytest.fixture
def placed(project):
    form_subsets(project, FAST, EMBEDDING, "tester")
    return project


def files(project):
    return sorted(path.name for path in (project.folder / "map").iterdir())


def test_every_pool_text_has_coordinates_and_is_counted_in_its_cell(placed):
    drawn = draw_pool_map(placed, EMBEDDING)
    assert drawn["texts"].tolist() == pool(placed).tolist()
    assert drawn["spots"].shape == (40, 2)
    assert (drawn["spots"].min(axis=0) >= drawn["low"]).all()
    assert (drawn["spots"].max(axis=0) <= drawn["high"]).all()
    assert drawn["counts"].sum() == 40
    cells = ((drawn["spots"] - drawn["low"]) / (drawn["high"] - drawn["low"]) * CELLS).astype(int)
    assert (drawn["counts"][cells[:, 0], cells[:, 1]] > 0).all()


def test_a_text_lies_nearest_to_a_similar_label(placed):
    drawn, places = draw_pool_map(placed, EMBEDDING), current_layout(placed)[2]
    of_text = np.array([label_ids(placed)[name] - 1 for _, name in pool_rows()])
    nearest = np.linalg.norm(drawn["spots"][:, None] - places[None], axis=2).argmin(axis=1)
    assert (nearest == of_text).mean() > 0.6


def test_the_map_is_computed_again_only_when_labels_or_pool_change(placed, tmp_path):
    draw_pool_map(placed, EMBEDDING)
    once = files(placed)
    apply_edit(placed, Rename(1, "money back"), "ann")
    apply_edit(placed, Move(1, 1 - int(current_layout(placed)[1][0])), "ann")
    draw_pool_map(placed, EMBEDDING)
    assert files(placed) == once  # a name or a subset changes no coordinates
    more = write_csv(tmp_path / "more.csv", ["text"], [["refund is new here"]])
    import_files(placed.workspace, placed.name, None, more, who="ann")
    drawn = draw_pool_map(embed(placed), EMBEDDING)
    assert len(drawn["texts"]) == 41
    assert len(files(placed)) == 2


def test_before_the_texts_have_vectors_there_is_no_map(placed, tmp_path):
    more = write_csv(tmp_path / "more.csv", ["text"], [["refund is new here"]])
    import_files(placed.workspace, placed.name, None, more, who="ann")
    with pytest.raises(KeyError):
        draw_pool_map(placed, EMBEDDING)


def test_the_texts_inside_a_polygon_are_returned(placed):
    drawn = draw_pool_map(placed, EMBEDDING)
    (left, low), (right, high) = drawn["low"], drawn["high"]
    assert texts_inside(drawn, np.array([[left, low], [right, low], [right, high], [left, high]])).tolist() == (
        pool(placed).tolist()
    )
    x, y = drawn["spots"][7]
    around = np.array([[x - 1e-3, y - 1e-3], [x + 1e-3, y - 1e-3], [x + 1e-3, y + 1e-3], [x - 1e-3, y + 1e-3]])
    assert int(drawn["texts"][7]) in texts_inside(drawn, around).tolist()
    assert texts_inside(drawn, np.zeros((0, 2))).tolist() == []
