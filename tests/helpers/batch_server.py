"""OpenAI's protocol for batches as the behaviour of a fault server: files, batches, and faults at every step."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import HTTP
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from red_core.judges import batch_judge
from tests.helpers.fault_server import Behaviour, FaultServer, Heard, Said, honest, refused
from tests.helpers.letter_server import Compared, compares
from tests.helpers.small_projects import FAST

Line = dict[str, Any]
IN_BATCHES = FAST.model_copy(
    update={
        "judge": "llm",
        "batch": True,
        "self_test_seeds": 10,
        "canaries": 1,
        "least_gain": 0.0,
        "least_bits": 0.0,
        "most_questions": 10,
    }
)
"""Settings of a round that asks in batches."""
GONE, RESERVED = (0, 0), (-1, -1)
"""Tokens of a request that did not run, and of one whose tokens are not known: the reserve counts."""


class KilledError(BaseException):
    """Stands for a kill -9 between two steps."""


@dataclass
class Batching:
    """See the module. A batch is carried out as a whole when it was looked at ``looks`` times.

    Attributes
    ----------
    answer : callable
        Answers a chat, alone or in a batch.
    end : str
        The state in which a batch ends.
    share : float
        Share of its requests that are carried out before that.
    arrange : callable
        What becomes of the lines of replies.
    instead, lost : dict of str to list of Said
        By step (upload, create, list, look, read, cancel, delete): replies to the first requests, which have no effect;
        and replies to requests that have their effect all the same.
    steps : Counter of str
        How often each step was asked for.
    """

    answer: Behaviour = honest
    looks: int = 2
    end: str = "completed"
    share: float = 1.0
    arrange: Callable[[list[Line]], list[Line]] = list
    instead: dict[str, list[Said]] = field(default_factory=dict)
    lost: dict[str, list[Said]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __call__(self, heard: Heard) -> Said:
        """Answer a request."""
        parts = urlsplit(heard.path)
        step, act = self._step(heard.method, parts.path.removeprefix("/v1").strip("/").split("/"))
        if act is None:
            return self.answer(heard)
        self.steps[step] += 1
        if self.instead.get(step):
            return self.instead[step].pop(0)
        said = act(heard, parse_qs(parts.query))
        return self.lost[step].pop(0) if self.lost.get(step) else said

    def _step(self, method: str, path: list[str]) -> tuple[str, Callable[[Heard, Any], Said] | None]:
        known: dict[tuple[str, str, int], tuple[str, Callable[[Heard, Any], Said]]] = {
            ("POST", "files", 1): ("upload", lambda heard, _: self._upload(heard)),
            ("GET", "files", 3): ("read", lambda _, __: self._read(path[1])),
            ("DELETE", "files", 2): ("delete", lambda _, __: self._delete(path[1])),
            ("POST", "batches", 1): ("create", lambda heard, _: self._create(heard.body)),
            ("GET", "batches", 1): ("list", lambda _, query: self._list(query)),
            ("GET", "batches", 2): ("look", lambda _, __: self._look(path[1])),
            ("POST", "batches", 3): ("cancel", lambda _, __: self._cancel(path[1])),
        }
        return known.get((method, path[0], len(path)), ("chat", None))

    def _upload(self, heard: Heard) -> Said:
        head = f"Content-Type: {heard.headers['content-type']}\r\n\r\n".encode()
        form = message_from_bytes(head + heard.raw, policy=HTTP)
        parts = {str(part.get_param("name", header="content-disposition")): part for part in form.iter_parts()}
        assert parts["purpose"].get_payload(decode=True) == b"batch"
        name = f"file-{next(self._numbers)}"
        self.files[name] = parts["file"].get_payload(decode=True).decode()
        return Said({"id": name, "object": "file", "filename": parts["file"].get_filename()})

    def _read(self, file: str) -> Said:
        return Said(self.files[file]) if file in self.files else refused(404)

    def _delete(self, file: str) -> Said:
        return Said({"id": file, "deleted": self.files.pop(file, None) is not None})

    def _create(self, body: dict[str, Any]) -> Said:
        if body["input_file_id"] not in self.files or body["endpoint"] != "/v1/chat/completions":
            return refused(400)
        name = f"batch_{next(self._numbers)}"
        lines = [json.loads(line) for line in self.files[body["input_file_id"]].split("\n")]
        counts = {"total": len(lines), "completed": 0, "failed": 0}
        self.batches[name] = {
            "id": name, "status": "validating", "input_file_id": body["input_file_id"], "output_file_id": None,
            "error_file_id": None, "request_counts": counts, "left": self.looks, "lines": lines,
        }  # fmt: skip
        return self._described(name)

    def _described(self, name: str) -> Said:
        return Said({key: value for key, value in self.batches[name].items() if key not in {"left", "lines"}})

    def _list(self, query: dict[str, list[str]]) -> Said:
        names = list(self.batches)[::-1]
        if "after" in query:
            names = names[names.index(query["after"][0]) + 1 :]
        page = [json.loads(self._described(name).sent) for name in names[:2]]
        return Said({"object": "list", "data": page, "has_more": len(names) > 2})

    def _look(self, name: str) -> Said:
        if name not in self.batches:
            return refused(404)
        batch = self.batches[name]
        batch["left"] -= 1
        if batch["status"] in {"validating", "in_progress", "cancelling"}:
            batch["status"] = "in_progress" if batch["status"] == "validating" else batch["status"]
            if batch["left"] <= 0:
                cancelled = batch["status"] == "cancelling"
                self._carry_out(batch, "cancelled" if cancelled else self.end)
        return self._described(name)

    def _cancel(self, name: str) -> Said:
        self.batches[name]["status"] = "cancelling"
        return self._described(name)

    def _carry_out(self, batch: dict[str, Any], end: str) -> None:
        batch["status"] = end
        lines, most = batch["lines"], int(self.share * len(batch["lines"]))
        if end == "failed":
            batch["errors"] = {
                "object": "list",
                "data": [{"code": "too_many", "message": "too many tokens", "line": 1}],
            }
            return
        told = [self._answered(line) for line in lines[:most]]
        unanswered = {"code": f"batch_{end}", "message": f"This request could not be executed: the batch {end}."}
        told += [{"custom_id": line["custom_id"], "response": None, "error": unanswered} for line in lines[most:]]
        good = [line for line in told if line["response"] and line["response"]["status_code"] == 200]
        batch["request_counts"] |= {"completed": len(good), "failed": len(told[:most]) - len(good)}
        for kind, kept in (("output", self.arrange(good)), ("error", [line for line in told if line not in good])):
            if kept:
                batch[f"{kind}_file_id"] = name = f"file-{next(self._numbers)}"
                self.files[name] = (
                    "\n".join(line if isinstance(line, str) else json.dumps(line) for line in kept) + "\n"
                )

    def _answered(self, line: Line) -> Line:
        heard = Heard(0.0, line["url"], {}, line["body"])
        question = str(Compared.of(heard)) if compares(heard) else f"{heard.text} {heard.state['proposed']['label']}"
        self.asked[question] += 1
        said = self.answer(heard)
        response = {"status_code": said.status, "request_id": "r", "body": said.body}
        return {"id": "b", "custom_id": line["custom_id"], "response": response, "error": None}


@contextmanager
def batch_server(**how: Any) -> Iterator[Batching]:
    """Run a server of batches; nobody waits long for it."""
    behaviour = Batching(**how)
    with pytest.MonkeyPatch.context() as patch, FaultServer(behaviour):
        for name in ("FIRST_WAIT", "LONGEST_WAIT", "BEAT"):
            patch.setattr(batch_judge, name, 0.01)
        yield behaviour
