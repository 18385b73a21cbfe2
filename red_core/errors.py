"""Every error that a user can see. Each is one line that says what to do.

RedError
├── InputError       a file or a row in it cannot be used
├── SettingsError    a setting is unknown or out of its range
├── ProjectError     no such project, or a name that is taken or not allowed
│   └── ProjectReplaced  another project has taken the place of this one
├── StateError       not possible yet or now: a job runs, a round waits, nothing to work on
│   └── CardChanged  the card changed after it was shown
├── StoreError       the database or its folder is locked, full, read-only, corrupt or of a newer version
├── EmbeddingError   the embedding model is missing or is not the one expected
├── JudgeError       the judge cannot be used
├── AccessError      the user lacks permission, or the server may not listen on this address without sign-in
│   └── NotSignedIn  nobody is signed in, or the sign-in has expired
├── BudgetSpent      the next question would exceed the limit of tokens
└── Cancelled        a user stopped the job; stored results stay, and it can be resumed
"""

from __future__ import annotations

LONGEST_MESSAGE = 1_000
"""Most characters of an error message: it may quote a file, a name or a setting."""


class RedError(Exception):
    """The base class of all errors that a user sees.

    Parameters
    ----------
    message : str
        What was wrong, the rule, and what to do. It is put on one line and cut at LONGEST_MESSAGE characters.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message, LONGEST_MESSAGE))


class InputError(RedError):
    """A file, or a row in it, cannot be used.

    Parameters
    ----------
    file : str
        The file as the user named it.
    rule : str
        The rule that was broken, with the value found.
    remedy : str
        What to do about it.
    row : int or None
        The row number as a person counts it: the header of a CSV file is row 1.
    """

    def __init__(self, file: str, rule: str, remedy: str, row: int | None = None) -> None:
        self.file, self.rule, self.remedy, self.row = file, rule, remedy, row
        where = file if row is None else f"{file}, row {row}"
        super().__init__(one_line(f"{where}: {rule}. {remedy}"))

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str, int | None]]:
        """Return what pickle needs, so that the error can be raised from another process."""
        return type(self), (self.file, self.rule, self.remedy, self.row)


class SettingsError(RedError):
    """A setting is unknown or out of its range."""


class ProjectError(RedError):
    """The project does not exist, or its name is taken or not allowed."""


class ProjectReplaced(ProjectError):
    """The folder holds another project than the one that was shown; nothing was stored.

    Parameters
    ----------
    name : str
        The name of both projects.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            f"another project has taken the place of project {name} since this was shown. Nothing was stored. Load the "
            "page again."
        )


class StateError(RedError):
    """The action is not possible now; the message says what has to happen first."""


class CardChanged(StateError):
    """The card changed after it was shown (optimistic lock); the message says what changed."""


class StoreError(RedError):
    """The project's database or folder cannot be read or written."""


class EmbeddingError(RedError):
    """The embedding model is missing or is not the one expected."""


class JudgeError(RedError):
    """The judge cannot be used."""


class AccessError(RedError):
    """The user lacks permission, or the server may not listen on this address without sign-in."""


class NotSignedIn(AccessError):
    """Nobody is signed in, or the sign-in has expired."""


class BudgetSpent(RedError):
    """The next question would exceed the limit of tokens; stored results stay."""


class Cancelled(RedError):
    """A user stopped the job; stored results stay, and it can be resumed."""


def one_line(text: str, longest: int = 400) -> str:
    """Return ``text`` on one printable line, cut at ``longest`` characters with an ellipsis."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"
