"""Who acts, and what that person may do: an analyst everything, a viewer only read.

Every connection to a project asks :func:`acting`. On the command line, and where nobody has to sign in, that is whoever
is logged in to this machine, an analyst. The app says once how the person of a session is found, and it is found anew
each time: no thread can act as somebody it served earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from getpass import getuser
from typing import Literal

from red_core.errors import AccessError


@dataclass(frozen=True)
class Person:
    """Somebody who uses a project.

    Attributes
    ----------
    name : str
        What stands beside what the person does: an e-mail address, or a login name.
    role : {"analyst", "viewer"}
    """

    name: str
    role: Literal["analyst", "viewer"]

    @property
    def may_write(self) -> bool:
        """Whether this person may change anything."""
        return self.role == "analyst"


def login() -> str:
    """Return the login name on this machine."""
    try:
        return getuser()
    except (OSError, KeyError):  # no login name: a bare container
        return "analyst"


def person_here() -> Person:
    """Return who is logged in to this machine: an analyst."""
    return Person(login(), "analyst")


_told: ContextVar[Person | None] = ContextVar("the person who acts", default=None)
_find: Callable[[], Person] = person_here


def find_person_by(find: Callable[[], Person]) -> None:
    """Let ``find`` say, for this whole process, who acts; it raises AccessError where nobody may."""
    global _find  # noqa: PLW0603  one process is one server, or one command
    _find = find


def current_user() -> Person:
    """Return who acts now.

    Raises
    ------
    AccessError
        If nobody does whom this process may serve.
    """
    return _told.get() or _find()


def who_acts() -> str:
    """Return the name that stands beside what is done now.

    Raises
    ------
    AccessError
        As :func:`acting`.
    """
    return current_user().name


@contextmanager
def acting_as(person: Person) -> Iterator[None]:
    """Let this person act inside the block: for work of a session that another thread does."""
    before = _told.set(person)
    try:
        yield
    finally:
        _told.reset(before)


def refuse_viewers() -> None:
    """Let only those who may write go on.

    Raises
    ------
    AccessError
        If a viewer acts, or nobody.
    """
    person = current_user()
    if not person.may_write:
        raise AccessError(
            f"{person.name} is a viewer here, who reads everything and changes nothing. "
            "Ask whoever runs this app to make you an analyst."
        )
