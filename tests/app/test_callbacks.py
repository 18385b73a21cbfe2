"""What the callbacks of a session hold: Streamlit keeps them as long as the session lasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from streamlit.runtime.state import SessionState
from streamlit.testing.v1 import AppTest

from red_core.records import Project
from red_core.store.labels import list_labels

InState = Callable[..., Project]


def rows_in(value: Any, seen: dict[int, Any]) -> None:
    """Add every row of a label that can be reached from a callback to ``seen``, by identity."""
    match value:
        case partial():
            parts = [value.func, *value.args, *value.keywords.values()]
        case FunctionType():
            parts = [cell.cell_contents for cell in value.__closure__ or ()]
        case MethodType():
            parts = [value.__func__]
        case Mapping() if "confused_with" in value:
            seen[id(value)] = value
            return
        case list() | tuple():
            parts = list(value)
        case _:
            return
    for part in parts:
        rows_in(part, seen)


def widgets_of(app: AppTest) -> dict[str, Any]:
    """Return what Streamlit keeps of every widget that this session ever had."""
    state: Any = app._session_state
    while not isinstance(state, SessionState):
        state = state._state
    kept: dict[str, Any] = state._new_widget_state.widget_metadata
    return kept


def rows_held(app: AppTest) -> int:
    """Return how many rows of labels the callbacks of this session hold."""
    seen: dict[int, Any] = {}
    for widget in widgets_of(app).values():
        rows_in((widget.callback, widget.callback_args, list((widget.callback_kwargs or {}).values())), seen)
    return len(seen)


def test_the_callbacks_of_the_label_map_hold_no_rows_however_many_labels_are_chosen(
    in_state: InState, open_app: Callable[..., AppTest]
) -> None:
    project = in_state("to review")
    app = open_app("label_map")
    for label in list_labels(project):
        app.selectbox(key="label").set_value(label.name).run()
        assert any(key.endswith(f"alike_all_{label.id}") for key in widgets_of(app))
    assert not app.exception
    assert rows_held(app) == 0
