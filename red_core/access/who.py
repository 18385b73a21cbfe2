"""The current user: an analyst may do everything, a viewer may only read.

Every connection to a project calls :func:`current_user`. On the command line, and without sign-in, that is the user who
is logged in to this machine, as an analyst. The app registers once how the user of a session is found. The lookup runs
at every call, so that no thread can act as a user it served earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from getpass import getuser
from typing import Literal

from red_core.errors import AccessError


@dataclass(frozen=True)
class Person:
    """A user of a project.

    Attributes
    ----------
    name : str
        An e-mail address or a login name. It is stored with everything the user does.
    role : {"analyst", "viewer"}
    operator : bool
        Whether this user runs the server: by its command line, or at its machine without sign-in and without a proxy.
        An operator decides where texts and keys go.
    """

    name: str
    role: Literal["analyst", "viewer"]
    operator: bool = False

    @property
    def may_write(self) -> bool:
        """Whether this user may change anything."""
        return self.role == "analyst"


def login() -> str:
    """Return the login name on this machine."""
    try:
        return getuser()
    except (OSError, KeyError):  # a container without login names
        return "analyst"


def person_here() -> Person:
    """Return the user who is logged in to this machine, as an analyst and operator."""
    return Person(login(), "analyst", operator=True)


_acting: ContextVar[Callable[[], Person] | None] = ContextVar("how the current user is found", default=None)
_find: Callable[[], Person] = person_here


def find_person_by(find: Callable[[], Person]) -> None:
    """Register how this process finds the current user; ``find`` raises AccessError if there is none."""
    global _find  # noqa: PLW0603  one per process: a server or a command
    _find = find


def current_user() -> Person:
    """Return the current user.

    Raises
    ------
    AccessError
        If nobody is signed in, or the user has no access.
    """
    return (_acting.get() or _find)()


def who_acts() -> str:
    """Return the name of the current user, which is stored with what they do.

    Raises
    ------
    AccessError
        As :func:`current_user`.
    """
    return current_user().name


@contextmanager
def acting_by(find: Callable[[], Person]) -> Iterator[None]:
    """Find the current user by this function inside the block: for work of a session in another thread."""
    token = _acting.set(find)
    try:
        yield
    finally:
        _acting.reset(token)


def acting_as(person: Person) -> AbstractContextManager[None]:
    """Make this the current user inside the block."""
    return acting_by(lambda: person)


def refuse_viewers() -> None:
    """Raise AccessError if the current user may not write.

    Raises
    ------
    AccessError
        If the current user is a viewer, or there is none.
    """
    person = current_user()
    if not person.may_write:
        raise AccessError(
            f"{person.name} is a viewer here and cannot change anything. "
            "Ask the administrator of this app for the role of an analyst."
        )
