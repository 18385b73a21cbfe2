"""Every error a user can meet, each one line that says what to do.

RedError
├── InputError       a file or a row in it cannot be used
├── SettingsError    a setting is unknown or out of its range
├── ProjectError     no such project, or a name that is taken or not allowed
├── StateError       refused for now: a job runs, a round waits, nothing is there yet
│   └── CardChanged  what a person looked at is not so any more
├── StoreError       the database or its folder: locked, full, read-only, corrupt, newer
├── EmbeddingError   the embedding model is missing or is not the one expected
├── JudgeError       the judge cannot be used
├── AccessError      who asks may not do this, or nobody may be served so
│   └── NotSignedIn  nobody has signed in yet, or too long ago
├── BudgetSpent      a question would pass a cap of tokens or money
└── Cancelled        a person stopped the job; what was stored stays, and it can be resumed
"""

from __future__ import annotations

LONGEST_TOLD = 1_000
"""Characters of an error, which may quote what somebody sent."""


class RedError(Exception):
    """The root: its text is one line, for people, and says what to do.

    Parameters
    ----------
    told : str
        What is put on one line here, whatever of a file, a name or a setting it quotes.
    """

    def __init__(self, told: str) -> None:
        super().__init__(one_line(told, LONGEST_TOLD))


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
        The row as a person counts it in that file (a CSV's header is row 1).
    """

    def __init__(self, file: str, rule: str, remedy: str, row: int | None = None) -> None:
        self.file, self.rule, self.remedy, self.row = file, rule, remedy, row
        place = file if row is None else f"{file}, row {row}"
        super().__init__(one_line(f"{place}: {rule}. {remedy}"))

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str, int | None]]:
        """Let it be raised in another process."""
        return type(self), (self.file, self.rule, self.remedy, self.row)


class SettingsError(RedError):
    """A setting is unknown or out of its range."""


class ProjectError(RedError):
    """There is no such project, or its name is taken or not allowed."""


class StateError(RedError):
    """What was asked is refused for now; the text says what has to come first."""


class CardChanged(StateError):
    """A decision rests on what is not so any more; the text says what changed."""


class StoreError(RedError):
    """The project's database or folder cannot be read or written."""


class EmbeddingError(RedError):
    """The embedding model is missing or is not the one expected."""


class JudgeError(RedError):
    """The judge cannot be used."""


class AccessError(RedError):
    """Who asks may not do this, or the app may not be served like this."""


class NotSignedIn(AccessError):
    """Nobody has signed in yet, or too long ago."""


class BudgetSpent(RedError):
    """A question would pass a cap of tokens; what was stored stays."""


class Cancelled(RedError):
    """A person stopped the job; what was stored stays, and it can be resumed."""


def one_line(text: str, longest: int = 400) -> str:
    """Return ``text`` on one printable line, cut at ``longest`` characters with an ellipsis."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"
