"""Any JSON, and a valid reply with any JSON in one of its places."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

_DEEP: Any = json.loads("[" * 700 + "]" * 700)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),  # surrogates as well
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)
ODD = st.sampled_from(
    [None, True, 0, -1, 1.5, 10**400, 1e300, "", "\ud800", "..", [], ["x"], {}, {"x": 1}, [[]], _DEEP]
)
Place = tuple[str | int, ...]


def places(value: Any) -> Iterator[Place]:
    """Yield the place of every value inside JSON, the whole first."""
    yield ()
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from ((key, *rest) for rest in places(each))


def put(body: Any, place: Place, value: Any) -> Any:
    """Return JSON with another value in one place."""
    if not place:
        return value
    changed = copy.deepcopy(body)
    inner = changed
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return changed


def changed_somewhere(*bodies: Any) -> st.SearchStrategy[Any]:
    """Return what draws one of the replies with any JSON in one of its places."""
    every = [(body, place) for body in bodies for place in places(body)]
    return st.builds(lambda at, value: put(*at, value), st.sampled_from(every), ODD | ANYTHING)
