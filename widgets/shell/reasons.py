"""Where the projects are, and why something failed: in one line that shows no path of the server."""

from __future__ import annotations

import os
from pathlib import Path

from red_core.errors import RedError
from red_core.records import Job
from widgets.shell.words import ENDED


def workspace() -> Path:
    """Return the folder that holds the projects."""
    return Path(os.environ.get("RED_WORKSPACE", "workspace"))


def reason_of(error: RedError | OSError) -> str:
    """Return an error of ours, or of the file system, as one line for a screen."""
    if isinstance(error, RedError):
        return without_folder(str(error))
    file = f"{error.filename}: " if error.filename else ""
    return without_folder(
        f"{file}{error.strerror or error}. Ask your administrator to check the disk and the permissions."
    )


def why_ended(job: Job, *, while_: str = "") -> str:
    """Return how a job ended and why, as the end of a sentence: ``failed: the disk is full``."""
    why = f": {without_folder(job.error).rstrip('.')}" if job.error else ""
    return f"{ENDED[job.state]}{while_}{why}"


def without_folder(message: str) -> str:
    """Return a message without the folder of the projects, also where a worker or a link gave it another name."""
    given = workspace()
    whole = {str(given.absolute()), str(given.resolve())}
    for folder in sorted(whole, key=len, reverse=True):
        message = message.replace(f"{folder}/", "").replace(folder, "the folder of the projects")
    return message if given == Path() else message.replace(f"{given}/", "")
