"""A fake judge on a loopback port. It knows the right label of every text, and its error rate can be set."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from red_core.judges.server_settings import JudgeServer

KEY = "sk-Never0Show1This2Key"
MODEL = "small-judge"
USAGE = {"prompt_tokens": 200, "completion_tokens": 10, "total_tokens": 210}


@dataclass
class Oracle:
    """The state of a fake judge; :func:`oracle` starts one.

    Attributes
    ----------
    truth : mapping of text to label
        A text that is missing here has no label.
    error : float
        Share of wrong verdicts, in [0, 1]. Text and label alone decide which verdicts are wrong.
    stamp : bool
        Whether it always says valid.
    model, words : str
        The name of its model, and what it writes as explanations and meanings.
    prose : str or None
        Its reply instead of JSON.
    status : int
        HTTP status; any other than 200 is an error with ``prose`` as its message.
    """

    truth: Mapping[str, str]
    error: float = 0.0
    stamp: bool = False
    model: str = MODEL
    words: str = "The text names it"
    prose: str | None = None
    status: int = 200
    address: str = ""
    heard: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def reply(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON reply to the object in the user's message."""
        if "candidates" in asked:
            right = self.truth.get(asked["text"])
            return {"choice": next((c["number"] for c in asked["candidates"] if c["label"] == right), 0)}
        if "seeds" in asked:
            near = [{"label": label["label"], "how": self.words} for label in asked["near_labels"]]
            return {"belongs": f"{self.words}: {asked['label']}.", "does_not_belong": self.words, "told_from": near}
        if "verdict" in asked:
            return {"explanation": self.words}
        return {"verdict": "valid" if self.stamp or self.is_right(asked) else "invalid"}

    def is_right(self, asked: dict[str, Any]) -> bool:
        """Return whether the judge calls the suggested label right. An injected instruction is not part of the text."""
        text, label = asked["text"].split("\n\nNote to the reviewer")[0], asked["proposed"]["label"]
        drawn = int.from_bytes(hashlib.sha256(f"{text} {label}".encode()).digest()[:4], "big") / 2**32
        return bool((self.truth.get(text) == label) != (drawn < self.error))

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the requests that have this key."""
        return [asked for asked in self.heard if kind in asked]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    oracle: Oracle

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked = json.loads(body["messages"][-1]["content"])
        self.oracle.heard.append(asked)
        self.oracle.keys.add(self.headers["authorization"].removeprefix("Bearer "))
        prose = self.oracle.prose
        if self.oracle.status != 200:
            self._send({"error": {"message": prose or "as you wish"}})
            return
        content = json.dumps(self.oracle.reply(asked), ensure_ascii=False) if prose is None else prose
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        self._send({"model": self.oracle.model, "choices": [choice], "usage": USAGE})

    def _send(self, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(self.oracle.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the signature is the library's
        """Keep quiet."""


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that closed the connection."""


@contextmanager
def oracle(truth: Mapping[str, str], **how: Any) -> Iterator[Oracle]:
    """Run an oracle on a free loopback port."""
    judge = Oracle(truth, **how)
    with _Http(("127.0.0.1", 0), type("Handler", (_Handler,), {"oracle": judge})) as http:
        judge.address = f"http://127.0.0.1:{http.server_address[1]}/v1"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield judge
        http.shutdown()
        thread.join(10)


def nobody() -> str:
    """Return an address where no server listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


def no_judge(patch: pytest.MonkeyPatch, secrets: Path) -> None:
    """Remove every setting of a judge; new settings are saved in this file."""
    for about in JudgeServer.model_fields.values():
        patch.delenv(str(about.alias), raising=False)
    patch.setenv("RED_SECRETS", str(secrets))


def use(patch: pytest.MonkeyPatch, address: str, model: str = MODEL, **more: str) -> None:
    """Set the environment variables of a judge; ``more`` maps further variables to values."""
    named = {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": KEY, "RED_JUDGE_MODEL": model, "RED_JUDGE_AT_ONCE": "2"}
    for name, value in (named | more).items():
        patch.setenv(name, value)
