"""R.E.D. (Recursive Expert Delegation): label text with hundreds of labels and a handful of examples each.

``red_core.api`` has the public names. They are imported when the first of them is used. ``RedClassifier`` comes alone:
a server that only predicts needs neither the database nor the app.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from red_core.api import *  # noqa: F403  the names that a type checker sees


def __getattr__(name: str) -> Any:  # noqa: ANN401  any public name
    if name == "RedClassifier":
        return import_module("red_core.takeaway").RedClassifier
    if name == "__all__" or not name.startswith("_"):
        return getattr(import_module("red_core.api"), name)
    raise AttributeError(f"module 'red_core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__getattr__("__all__")])
