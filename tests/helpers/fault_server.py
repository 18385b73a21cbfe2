"""A judge's server on loopback, over real HTTP, that does with every request what a test tells it to."""

from __future__ import annotations

import itertools
import json
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import pytest

from red_core.judges import client
from red_core.judges.client import Endpoint
from red_core.judges.dialect import Dialect
from red_core.judges.llm_judge import LlmJudge
from red_core.judges.server_settings import JudgeServer, judge_server
from red_core.records import Answer, JudgeRates, Label, Question
from red_core.steps.judge_reliability import ProbabilityScale, judge_rates

KEY = "sk-proj-Never0Store1This2Key"
ASKED_FOR, MODEL = "tiny", "tiny-1"
"""The model asked for, and as the reply names it."""
TOKENS = (100, 5)
"""What an answer says it took."""


@dataclass(frozen=True)
class Heard:
    """A request: when it arrived, on the monotonic clock, and what it said."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    method: str = "POST"
    raw: bytes = b""

    @property
    def state(self) -> dict[str, Any]:
        """The question, whatever the wire."""
        told = self.body.get("state") or self.body.get("input") or self.body["messages"][-1]["content"]
        if isinstance(told, str) and not told.startswith("{"):  # the instructions stand before it
            told = told[told.index("{\n") :]
        return dict(told if isinstance(told, dict) else json.loads(told))

    @property
    def text(self) -> str:
        """The text in question."""
        return str(self.state["text"])


@dataclass(frozen=True)
class Said:
    """What comes back. ``stop_after`` bytes of the body the connection breaks; ``drip`` sends a byte at a time."""

    body: str | bytes | dict[str, Any] = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    stop_after: int | None = None
    drip: float = 0.0

    @property
    def sent(self) -> bytes:
        """The body as it goes over the wire."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


Behaviour = Callable[[Heard], Said]


def chat(content: str | None, *, finish: str | None = "stop", refusal: str | None = None, **more: Any) -> Said:
    """Return a well-formed chat reply."""
    message = {"role": "assistant", "content": content, "refusal": refusal}
    usage = {"prompt_tokens": TOKENS[0], "completion_tokens": TOKENS[1], "total_tokens": sum(TOKENS)}
    choice = {"index": 0, "finish_reason": finish, "message": message}
    return Said({"model": MODEL, "choices": [choice], "usage": usage} | more)


def word(verdict: str) -> Said:
    """Return a chat reply that is exactly an answer."""
    return chat(json.dumps({"verdict": verdict}))


def noul(probability: Any) -> Said:
    """Return a reply of the systemone wire."""
    usage = {"input_tokens": TOKENS[0], "output_tokens": TOKENS[1]}
    return Said({"model": MODEL, "answers": {"valid": {"noul": probability}}, "usage": usage})


def predicate(**answer: Any) -> Said:
    """Return a reply of the decisions wire."""
    usage = {"input_tokens": TOKENS[0], "output_tokens": TOKENS[1]}
    return Said({"model": MODEL, "answers": [answer], "usage": usage})


def refused(status: int, *, code: str | None = None, **headers: str) -> Said:
    """Return an error as the OpenAI API words it."""
    return Said({"error": {"message": "as you wish", "type": None, "code": code}}, status, headers)


def error(message: str, **more: Any) -> dict[str, Any]:
    """Return the body of an error as the OpenAI API words it."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None} | more}


def is_right(heard: Heard) -> bool:
    """Judge as the small projects are made: a text belongs to the label it begins with."""
    return heard.text.startswith(heard.state["proposed"]["label"])


def honest(heard: Heard) -> Said:
    """Answer as :func:`is_right` says."""
    return word("valid" if is_right(heard) else "invalid")


def in_turn(*said: Said, then: Behaviour = honest) -> Behaviour:
    """Return what answers the first requests one after another, and all others by ``then``."""
    left, lock = list(said), threading.Lock()

    def behave(heard: Heard) -> Said:
        with lock:
            if left:
                return left.pop(0)
        return then(heard)

    return behave


def always(said: Said) -> Behaviour:
    """Return what gives every request the same reply."""
    return lambda _: said


def use_settings(patch: pytest.MonkeyPatch, settings: Mapping[str, str]) -> None:
    """Make these the only settings of a judge, here and in the processes that are started."""
    for about in JudgeServer.model_fields.values():
        patch.delenv(str(about.alias), raising=False)
    patch.setenv("RED_SECRETS", os.devnull)
    for name, value in settings.items():
        patch.setenv(name, value)


def closed_address() -> str:
    """Return the base_url of a server that is not there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


def some_questions(count: int = 1) -> list[Question]:
    """Return questions whose right answer is *valid*, the places in their texts."""
    label, rival = Label(1, "refund"), Label(2, "repair")
    return [
        Question(n, f"refund, case {n}", label, rival, (), (), 0.6, 0.4, "value", 0.1) for n in range(count)
    ]  # fmt: skip


def llm_judge(
    server: JudgeServer | None = None,
    *,
    rates: JudgeRates | None = None,
    scale: ProbabilityScale | None = None,
    **changes: Any,
) -> LlmJudge:
    """Return a judge without a self-test, whose attempts are numbered and not stored."""
    return LlmJudge(endpoint(server, **changes), rates or judge_rates({}, {}), scale)


def endpoint(server: JudgeServer | None = None, **changes: Any) -> Endpoint:
    """Return an endpoint whose attempts are numbered and not stored."""
    numbers = itertools.count(1)
    dialect = changes.pop("dialect", None) or Dialect(form=changes.pop("form", "json_schema"))
    known = {"dialect": dialect, "reserve": lambda tokens: [next(numbers) for _ in tokens]}
    return Endpoint(server or judge_server(), **known | changes)


def ask(questions: Sequence[Question] | int = 1, **settings: Any) -> list[Answer]:
    """Return the answers in the order of the questions, by the settings in force with these changes."""
    asked = some_questions(questions) if isinstance(questions, int) else questions
    came = [pair for group in llm_judge(judge_server(**settings)).answers(asked) for pair in group]
    assert sorted(place for place, _ in came) == list(range(len(asked)))
    return [answer for _, answer in sorted(came, key=lambda pair: pair[0])]


class FaultServer:
    """See the module. As long as it is open, the judge's settings are its own, and pauses are short.

    Attributes
    ----------
    heard, answered : list of Heard
        Every request in the order of arrival, and those whose reply was sent.
    hung_up : list of Heard
        Those whose client was gone before the reply.
    most_at_once : int
        How many overlapped.
    """

    def __init__(self, behave: Behaviour = honest) -> None:
        self.behave = behave
        self.heard: list[Heard] = []
        self.answered: list[Heard] = []
        self.hung_up: list[Heard] = []
        self.most_at_once = 0
        self._now = 0
        self._patch = pytest.MonkeyPatch()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def address(self) -> str:
        """The judge's base_url."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        settings = {"OPENAI_BASE_URL": self.address, "OPENAI_API_KEY": KEY, "RED_JUDGE_MODEL": ASKED_FOR}
        use_settings(self._patch, settings | {"RED_JUDGE_AT_ONCE": "1", "RED_JUDGE_FORMAT": "json_schema"})
        self._patch.setattr(client, "FIRST_PAUSE", 0.01)
        self._patch.setattr(client, "LONGEST_PAUSE", 0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
        self._over.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)

    def times(self) -> list[float]:
        """Return when each request arrived, in seconds after the first."""
        return [heard.at - self.heard[0].at for heard in self.heard]

    @contextmanager
    def taking(self, heard: Heard) -> Iterator[Said]:
        """Count a request for as long as it is in flight."""
        with self._lock:
            self.heard.append(heard)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            said = self.behave(heard)
            self._over.wait(said.delay)
        finally:
            with self._lock:
                self._now -= 1
        self.answered.append(heard)
        yield said

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond the end of the test."""
        self._over.wait(seconds)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    owner: FaultServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_POST(self) -> None:
        owner = self.server.owner
        length = int(self.headers.get("content-length", 0))
        raw = self.rfile.read(length)
        if len(raw) < length:  # the client was killed while it sent
            self.close_connection = True
            return
        headers = {k.lower(): v for k, v in self.headers.items()}
        body = json.loads(raw or b"{}") if not headers.get("content-type", "").startswith("multipart") else {}
        heard = Heard(time.monotonic(), self.path, headers, body, self.command, raw)
        with owner.taking(heard) as said:
            if self._gone():
                owner.hung_up.append(heard)
            self._say(said, owner)

    def do_GET(self) -> None:
        self.do_POST()

    def do_DELETE(self) -> None:
        self.do_POST()

    def _gone(self) -> bool:
        """Tell whether the client closed the connection."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _say(self, said: Said, owner: FaultServer) -> None:
        body = said.sent
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **said.headers}
        head = f"HTTP/1.1 {said.status} {HTTPStatus(said.status).phrase}\r\n"
        told = head + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        if said.drip:
            self.wfile.write(told.encode())
            for at in range(len(body)):
                self.wfile.write(body[at : at + 1])
                owner.wait(said.drip)
            return
        self.wfile.write(told.encode() + body[: said.stop_after])
        self.close_connection = said.stop_after is not None

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the signature is the library's
        """Keep quiet."""
