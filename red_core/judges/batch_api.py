"""OpenAI's protocol for batches (``/files`` and ``/batches``): upload, create, look, cancel, read.

What a server says is read strictly, as everywhere: the openai package does not check it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from openai import AsyncOpenAI
from pydantic import AfterValidator, Field

from red_core.errors import JudgeError, one_line
from red_core.judges.batch_calls import NoSuchThingError, NotKnownError, asked, received
from red_core.judges.client import TRIES, pause
from red_core.judges.faults import is_filtered
from red_core.judges.replies import Count, Lenient, model_of, strict_json
from red_core.judges.server_settings import JudgeServer
from red_core.text import storable

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
"""The states of a batch that will not change any more."""
OK, SERVER_FAULT = 200, 500
PAGES = 5
"""Pages of the list of batches that are searched, the newest first."""
Name = Annotated[str, Field(max_length=500, pattern=r"^[0-9A-Za-z][ -~]*$")]
"""What a server calls a file or a batch. It is stored, and becomes a part of an address."""


class _File(Lenient):
    id: Name
    filename: str = ""


class _Counts(Lenient):
    """What the server has carried out; None where it does not say."""

    completed: Count | None = None
    failed: Count | None = None

    @property
    def done(self) -> int | None:
        """The requests that were carried out."""
        return None if self.completed is None else self.completed + (self.failed or 0)


class _Fault(Lenient):
    message: str | None = None


class _Faults(Lenient):
    data: list[_Fault] | None = None


class ServerBatch(Lenient):
    """A batch as the server describes it."""

    id: Name
    status: Annotated[str, AfterValidator(lambda status: status.casefold().replace("canceled", "cancelled"))]
    input_file_id: str | None = None
    output_file_id: Name | Literal[""] | None = None
    error_file_id: Name | Literal[""] | None = None
    request_counts: _Counts | None = None
    errors: _Faults | None = None

    @property
    def files(self) -> list[str]:
        """The files in which its replies are."""
        return [file for file in (self.output_file_id, self.error_file_id) if file]

    @property
    def done(self) -> int | None:
        """How many of its requests the server has carried out; None if it does not say."""
        return (self.request_counts or _Counts()).done

    @property
    def fault(self) -> str:
        """What the server says is wrong with the batch as a whole; '' if nothing."""
        faults = (self.errors or _Faults()).data or []
        return next((one_line(fault.message, 200) for fault in faults if fault.message), "")


class _Page(Lenient):
    data: list[ServerBatch] = Field(default_factory=list)
    has_more: bool = False


class _Response(Lenient):
    status_code: int
    body: Any = None


class _Line(Lenient):
    """One line of a file of replies."""

    custom_id: str
    response: _Response | None = None
    error: Any = None

    @property
    def status(self) -> int:
        """The status of the response; 0 where there is none."""
        return self.response.status_code if self.response is not None else 0

    @property
    def words(self) -> str:
        """What the server says in place of a reply."""
        return _as_json(self.error or (self.response.body if self.response is not None else None))

    @property
    def filtered(self) -> bool:
        """Whether a filter of the server stopped the request."""
        return is_filtered(self.status, self.words)

    def failure(self, server: JudgeServer) -> tuple[str, bool]:
        """Return why there is no reply, and whether the request may have cost something."""
        words = server.scrubbed(self.words)
        why = one_line(f"status {self.status}: {words}" if self.status else words, 200)
        return why, self.status >= SERVER_FAULT or self.filtered


@dataclass(frozen=True)
class BatchReplies:
    """What the files of a batch hold, by the custom id of the request.

    Attributes
    ----------
    bodies : dict of str to list of str
        The different bodies of replies with status 200; one each, if the server keeps to the protocol.
    failures : dict of str to (str, bool)
        Why there is no reply, and whether the request may have cost something.
    filtered : frozenset of str
        The requests that a filter of the server stopped.
    models : frozenset of str
        The names of the models that replied.
    why : str
        Why there is none for all other requests.
    others_cost_nothing : bool
        Whether the server says that it did not carry out the other requests.
    """

    bodies: Mapping[str, list[str]]
    failures: Mapping[str, tuple[str, bool]]
    filtered: frozenset[str]
    models: frozenset[str]
    why: str
    others_cost_nothing: bool

    @classmethod
    def received(cls, server: JudgeServer, batch: ServerBatch | None) -> BatchReplies:
        """Read the files of a batch that has ended; None stands for a batch that the server does not know any more."""
        if batch is None:
            why = "the server does not know the batch any more"
            return cls({}, {}, frozenset(), frozenset(), why, others_cost_nothing=False)
        bodies: dict[str, list[str]] = {}
        failures: dict[str, tuple[str, bool]] = {}
        models: set[str] = set()
        lines = _lines_of(server, batch)
        for line in lines:
            if line.response is not None and line.response.status_code == OK:
                body = _as_json(line.response.body)
                models.add(model_of(line.response.body))
                bodies.setdefault(line.custom_id, [])
                if body not in bodies[line.custom_id]:
                    bodies[line.custom_id].append(body)
            else:
                failures[line.custom_id] = line.failure(server)
        not_run = batch.done is not None and len({line.custom_id for line in lines}) >= batch.done
        why = f"the batch ended before its reply ({batch.status})"
        filtered = frozenset(line.custom_id for line in lines if line.filtered)
        return cls(bodies, failures, filtered, frozenset(models), why, not_run)


def _as_json(value: Any) -> str:  # noqa: ANN401  whatever JSON holds
    """Return JSON that can be stored as UTF-8; '' if it is nested too deeply to be written."""
    try:
        return storable(json.dumps(value, ensure_ascii=False))
    except RecursionError:
        return ""


def url(server: JudgeServer) -> str:
    """Return the path of a chat, as a batch names it."""
    return "/chat/completions" if "api-version" in server.query else "/v1/chat/completions"


def upload(server: JudgeServer, bodies: Mapping[str, dict[str, Any]]) -> str:
    """Upload a file of requests, by their custom ids; return what the server calls it.

    Raises
    ------
    JudgeError
        If the server takes no batches, or cannot be reached.
    """
    lines = ({"custom_id": name, "method": "POST", "url": url(server), "body": body} for name, body in bodies.items())
    content = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    file = ("questions.jsonl", content.encode("utf-8", "replace"))
    return asked(server, lambda to: to.files.with_raw_response.create(file=file, purpose="batch"), _File).id


def create(server: JudgeServer, file: str) -> str:
    """Create a batch from an uploaded file; return what the server calls it.

    If it is not known whether a request arrived, the server's list is searched before another one is sent: a batch
    that is created twice is paid twice.
    """
    values: dict[str, Any] = {"input_file_id": file, "endpoint": url(server), "completion_window": "24h"}
    error = JudgeError("")
    for turn in range(TRIES):
        try:
            return asked(server, lambda to: to.batches.with_raw_response.create(**values), ServerBatch, repeat=False).id
        except NotKnownError as unknown:
            error = unknown
            time.sleep(pause(turn))
            if found := created_from(server, file):
                return found
    raise error


def created_from(server: JudgeServer, file: str) -> str:
    """Return the batch that was created from a file; '' if the server lists none."""
    after: dict[str, Any] = {}
    for _ in range(PAGES):
        page = asked(server, partial(_list, after=after), _Page)
        for batch in page.data:
            if batch.input_file_id == file:
                return batch.id
        if not page.data or not page.has_more:
            break
        after = {"after": page.data[-1].id}
    return ""


def state_of(server: JudgeServer, batch: str, *, repeat: bool = True) -> ServerBatch | None:
    """Return a batch as it is now; None if the server does not know it any more."""
    try:
        return asked(server, lambda to: to.batches.with_raw_response.retrieve(batch), ServerBatch, repeat=repeat)
    except NoSuchThingError:
        return None


def cancel(server: JudgeServer, batch: str) -> None:
    """Cancel a batch, if the server can be reached; what it has answered by then can still be read."""
    with suppress(JudgeError):
        received(server, lambda to: to.batches.with_raw_response.cancel(batch), repeat=False)


def _lines_of(server: JudgeServer, batch: ServerBatch) -> list[_Line]:
    """Return the lines of all files of replies; a line that is none of the protocol, or a file gone, is left out."""
    found = []
    for file in batch.files:
        try:
            content = received(server, partial(_content, file=file))
        except NoSuchThingError:
            continue
        for line in content.split("\n"):
            with suppress(ValueError):
                found.append(_Line.model_validate(strict_json(line)))
    return found


def delete(server: JudgeServer, files: Iterable[str]) -> None:
    """Delete files at the server, if it can be reached: their texts are needed no more."""
    for file in files:
        with suppress(JudgeError):
            received(server, partial(_delete, file=file), repeat=False)


async def _list(to: AsyncOpenAI, after: dict[str, Any]) -> Any:  # noqa: ANN401  the package's raw response
    return await to.batches.with_raw_response.list(limit=100, **after)


async def _content(to: AsyncOpenAI, file: str) -> Any:  # noqa: ANN401  the package's raw response
    return await to.files.with_raw_response.content(file)


async def _delete(to: AsyncOpenAI, file: str) -> Any:  # noqa: ANN401  the package's raw response
    return await to.files.with_raw_response.delete(file)
