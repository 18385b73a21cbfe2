"""Selections of tables and charts as a browser sends them: what cannot be selected is left out, and nothing fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from widgets.review.desk import KEY, _receive
from widgets.shell.selections import chosen_rows, outlines

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
ANYTHING = st.recursive(
    SCALARS, lambda e: st.lists(e, max_size=4) | st.dictionaries(st.text(max_size=5), e, max_size=4)
)
OUTLINE = st.dictionaries(st.sampled_from(["x", "y", "z"]), ANYTHING | st.lists(st.floats(), max_size=4), max_size=3)
SELECTION = st.fixed_dictionaries({"rows": ANYTHING, "point_indices": ANYTHING, "lasso": st.lists(OUTLINE, max_size=3)})
STATES = ANYTHING | st.fixed_dictionaries({"selection": ANYTHING | SELECTION})


@given(STATES, st.integers(0, 5))
@settings(max_examples=400)
@example({"selection": {"rows": [True, -1, "0", 1.0, 2, 9**30]}}, 3)
@example({"selection": {"lasso": [{"x": [1.0, float("nan")], "y": [1.0, 2.0]}, {"x": [1], "y": [1, 2]}]}}, 3)
def test_any_selection_is_one_that_can_be_or_none(state: Any, count: int) -> None:
    for name in ("rows", "point_indices"):
        assert all(type(row) is int and 0 <= row < count for row in chosen_rows(state, count, name))
    for outline in outlines(state):
        assert outline.shape[1] == 2
        assert np.isfinite(outline).all()


def test_a_true_selection_is_taken() -> None:
    state = {"selection": {"rows": [2, 0], "lasso": [{"x": [0, 1.5], "y": [2, 3]}]}}
    assert chosen_rows(state, 3) == [2, 0]
    (outline,) = outlines(state)
    assert outline.tolist() == [[0, 2], [1.5, 3]]


@pytest.mark.parametrize("state", [None, 7, "text", [1], *({"message": sent} for sent in (7, [["a"]], {"acts": 1}))])
def test_any_state_of_the_desk_is_answered_in_one_line(state: object, monkeypatch: pytest.MonkeyPatch) -> None:
    session: dict[str, object] = {KEY: state, "sitting": object()}
    monkeypatch.setattr("streamlit.session_state", session)
    _receive()
    assert "\n" not in str(session.get("review_error", ""))
