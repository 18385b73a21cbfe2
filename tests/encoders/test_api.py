"""An encoder behind an address: a real server on loopback, and every kind of reply that is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings

from red_core import cli
from red_core.cli.doctor import examine
from red_core.encoders import EncoderSpec, api, encode
from red_core.encoders.api import embedding_server
from red_core.encoders.loading import loaded_encoder
from red_core.errors import BudgetSpent, EmbeddingError, StoreError
from red_core.records import Project
from red_core.rounds.encoder_change import NEXT, change_encoder, price_of_change
from red_core.store.texts import remember, seeds
from red_core.store.vectors import append_vectors, vector_dimensions
from red_core.takeaway import RedClassifier
from red_core.training.embeddings import name_vectors
from red_core.training.encoder_choice import encoder_of
from tests.helpers.any_json import changed_somewhere
from tests.helpers.small_projects import EMBEDDING, FAST, small_project

Fault = Callable[[dict[str, Any]], tuple[int, Any]]


def vector_of(text: str) -> list[float]:
    return [float(len(text)), 1.0, float(text.count("a"))]


def right(request: dict[str, Any]) -> tuple[int, Any]:
    data = [{"index": n, "embedding": vector_of(text)} for n, text in enumerate(request["input"])]
    return 200, {"data": data[::-1], "usage": {"total_tokens": len(request["input"])}}


class Server:
    """Answers right, or as ``faults`` say, one for each request."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append(request)
                server.keys.append(self.headers.get("Authorization"))
                status, body = (server.faults.pop(0) if server.faults else right)(request)
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Retry-After", "0")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/v1"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    Thread(target=made.http.serve_forever, args=(0.05,), daemon=True).start()
    for name, value in {"URL": made.address, "MODEL": "small", "KEY": "secret-key-1", "BATCH": "2"}.items():
        monkeypatch.setenv(f"RED_EMBEDDING_{name}", value)
    loaded_encoder.cache_clear()
    yield made
    made.http.shutdown()
    made.http.server_close()
    loaded_encoder.cache_clear()


def line() -> str:
    named = embedding_server()
    assert named is not None
    return named.name


TEXTS = ["a", "bb", "banana", "ccc", "d"]


def test_vectors_come_in_the_order_of_the_texts_with_length_1(server: Server) -> None:
    vectors = encode(line(), TEXTS)
    expected = np.array([vector_of(text) for text in TEXTS])
    assert vectors == pytest.approx(expected / np.linalg.norm(expected, axis=1, keepdims=True), abs=1e-6)
    assert vectors.dtype == np.float32
    assert sorted(len(request["input"]) for request in server.requests) == [1, 2, 2]
    assert set(server.keys) == {"Bearer secret-key-1"}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_fault_is_tried_again(server: Server, status: int) -> None:
    server.faults = [lambda _request: (status, {"error": "later"})] * 2
    assert len(encode(line(), ["a"])) == 1
    assert len(server.requests) == 3


WRONG: dict[str, tuple[Fault, str]] = {
    "refused": (lambda _: (401, {"error": "who are you"}), "answered 401"),
    "too few": (lambda r: (200, {"data": right(r)[1]["data"][:-1]}), "sent 1 vectors for 2"),
    "one twice": (lambda r: (200, {"data": right(r)[1]["data"][:1] * 2}), "sent 1 vectors for 2"),
    "another length": (
        lambda _: (200, {"data": [{"index": 0, "embedding": [1.0, 2.0]}, {"index": 1, "embedding": [1.0]}]}),
        "no list of vectors of one length",
    ),
    "not a number": (
        lambda _: (200, b'{"data": [{"index": 0, "embedding": [NaN, 1]}, {"index": 1, "embedding": [1, 1]}]}'),
        "no vectors of finite numbers",
    ),
    "too large": (
        lambda _: (200, b'{"data": [{"index": 0, "embedding": [1e999, 1]}, {"index": 1, "embedding": [1, 1]}]}'),
        "no vectors of finite numbers",
    ),
    "zero": (
        lambda _: (200, {"data": [{"index": 0, "embedding": [0, 0]}, {"index": 1, "embedding": [1, 0]}]}),
        "no vectors of finite numbers",
    ),
    "words": (
        lambda _: (200, {"data": [{"index": 0, "embedding": ["x"]}, {"index": 1, "embedding": ["y"]}]}),
        "no list of vectors",
    ),
    "a page": (lambda _: (200, b"<html>hello</html>"), "no list of vectors"),
    "nothing": (lambda _: (200, b""), "no list of vectors"),
    "a number": (lambda _: (200, b"7"), "no list of vectors"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_reply_stores_nothing(server: Server, project: Project, fault: str) -> None:
    answer, said = WRONG[fault]
    server.faults = [answer] * 40
    remember(project, NEXT, line(), anew=True)
    with pytest.raises(EmbeddingError, match=said) as caught:
        encode(line(), ["a", "b"])
    assert "secret-key" not in str(caught.value)
    with pytest.raises(EmbeddingError):
        change_encoder(project, FAST, lambda _stage, _done, _total: None, "ann")
    assert encoder_of(project) == EMBEDDING
    assert line() not in vector_dimensions(project)


def test_anything_in_any_place_of_a_reply_is_vectors_or_a_refusal(server: Server) -> None:
    body = {
        "object": "list", "model": "small", "usage": {"total_tokens": 2},
        "data": [{"index": 0, "embedding": [1.0, 2.0]}, {"index": 1, "embedding": [2.0, 1.0]}],
    }  # fmt: skip

    @given(changed_somewhere(body))
    @settings(max_examples=150)
    def check(changed: Any) -> None:
        loaded_encoder.cache_clear()
        server.faults = [lambda _: (200, changed)]
        with suppress(EmbeddingError):
            vectors = encode(line(), ["a", "b"])
            assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)

    check()


def short(request: dict[str, Any]) -> tuple[int, Any]:
    return 200, {"data": [{"index": n, "embedding": [1.0, 2.0]} for n in range(len(request["input"]))]}


def test_a_reply_of_another_length_stores_nothing_and_is_not_remembered(server: Server, project: Project) -> None:
    assert encode(line(), ["a"]).shape == (1, 3)
    server.faults = [short]
    with pytest.raises(StoreError, match="None is stored"):
        append_vectors(project, EMBEDDING, np.array([1]), encode(line(), ["a"]))
    assert encode(line(), ["a"]).shape == (1, 3)


def test_one_call_gives_one_length(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults = [short]
    with pytest.raises(EmbeddingError, match="vectors of different lengths"):
        encode(line(), TEXTS)
    monkeypatch.setenv("RED_EMBEDDING_DIMENSIONS", "3")
    loaded_encoder.cache_clear()
    server.faults = [short]
    with pytest.raises(EmbeddingError, match="2 numbers instead of 3"):
        encode(line(), ["a"])


@pytest.mark.parametrize("neighbours", [(), (1.0,)])
def test_where_nothing_is_stored_another_length_is_refused_too(server: Server, neighbours: tuple[float, ...]) -> None:
    changes = FAST.model_dump(exclude={"preset", "random_state"}) | {"neighbour_weights": neighbours}
    model = RedClassifier(line(), changes).fit(["banana", "a", "bb", "ccc"], ["x", "x", "y", "y"])
    server.faults = [short]
    with pytest.raises(EmbeddingError, match=r"instead of \d+\. Check the server"):
        model.predict(["bandana"])
    assert model.predict(["bandana"]).shape == (1,)


def test_names_of_labels_of_another_length_are_not_kept(server: Server, project: Project) -> None:
    append_vectors(project, line(), seeds(project)[0][:1], encode(line(), ["a"]))
    server.faults = [short]
    with pytest.raises(EmbeddingError, match="2 numbers instead of 3"):
        name_vectors(project, line(), ["refund"])
    assert name_vectors(project, line(), ["refund", "repair"]).shape == (2, 3)


def test_a_project_changes_to_it(server: Server, project: Project) -> None:
    remember(project, NEXT, line(), anew=True)
    change_encoder(project, FAST, lambda _stage, _done, _total: None, "ann")
    assert encoder_of(project) == line()
    assert vector_dimensions(project)[line()] == 3
    assert sum(len(request["input"]) for request in server.requests) >= 56


def test_the_limit_of_tokens_holds(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RED_EMBEDDING_MOST_TOKENS", "20")
    monkeypatch.setenv("RED_EMBEDDING_AT_ONCE", "1")
    with pytest.raises(BudgetSpent, match="20 tokens"):
        encode(line(), ["four"] * 40)
    asked = sum(len(request["input"]) for request in server.requests)
    assert 0 < asked <= 20  # the server counts one token for each text


def test_another_address_or_model_is_never_asked(server: Server) -> None:
    for name in ("api:small@http://127.0.0.1:9/v1", f"api:large@{server.address}"):
        with pytest.raises(EmbeddingError, match="is not set here"):
            encode(name, ["a"])
    assert server.requests == []


def test_private_addresses_can_be_forbidden(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RED_EMBEDDING_PRIVATE_ADDRESSES", "false")
    monkeypatch.setattr(api, "TRIES", 1)
    with pytest.raises(EmbeddingError):
        encode(line(), ["a"])
    assert server.requests == []


@pytest.mark.parametrize(
    ("text", "total"), [("refund " * 172, 1205), ("信用卡丢了怎么办", 25), ("a", 4)], ids=["long", "Chinese", "short"]
)
def test_the_price_follows_the_length_of_the_texts(
    text: str, total: int, server: Server, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RED_EMBEDDING_PRICE", "1000")
    texts = [(f"{text}{number}", f"label {number}") for number in range(4)]
    project = small_project(workspace, seeds=texts[:2], pool=texts[2:])
    sent = price_of_change(project, EncoderSpec(line()))
    assert sent == (
        f"4 texts are sent to 127.0.0.1:{server.http.server_port}. About {total:,} tokens, {total / 1000:.2f} in the "
        "currency of the price."
    )
    command = ["--workspace", str(workspace), "encoder", "small", line()]
    monkeypatch.setattr("red_core.cli.encoders.work", lambda *_given, **_more: None)
    assert CliRunner().invoke(cli.main, command).stdout.startswith(sent)
    assert json.loads(CliRunner().invoke(cli.main, [*command, "--json"]).stdout)["project"] == "small"


def test_the_price_is_that_of_the_texts_that_are_left(
    server: Server, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert price_of_change(project, EncoderSpec(line())) == f"56 texts are sent to {embedding_server().host}."
    monkeypatch.setenv("RED_EMBEDDING_PRICE", "1")
    append_vectors(project, line(), seeds(project)[0], np.ones((16, 3), dtype=np.float32))
    assert price_of_change(project, EncoderSpec(line())).startswith("40 texts")
    assert price_of_change(project, EncoderSpec("another")) == ""
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("URL", "ftp://secret-key-1"), ("URL", "http://[::1"), ("URL", "http://host:99999"),
        ("URL", "http://host/v1?key=secret-key-1"), ("URL", "http://secret-key-1@host/v1"), ("URL", "secret-key-1"),
        ("KEY", "secret-key-1\nx"), ("KEY", "schlüssel-secret-key-1"), ("KEY", "secret-key-1 x"),
        ("HEADERS", "secret-key-1"), ("HEADERS", '["secret-key-1"]'), ("HEADERS", '{"a b": "secret-key-1"}'),
        ("HEADERS", '{"x": "secret-key-1\\ny"}'), ("HEADERS", '{"x": "é secret-key-1"}'),
        ("BATCH", "secret-key-1"), ("BATCH", "0"), ("AT_ONCE", "65"), ("TIMEOUT", "-1"), ("PRICE", "x"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_told_in_one_line_that_names_it_and_quotes_nothing(
    name: str, value: str, server: Server, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"RED_EMBEDDING_{name}", value)
    shown = CliRunner().invoke(cli.main, ["encoders"])
    assert shown.exit_code == 1
    assert shown.stderr.startswith(f"Error: embedding setting RED_EMBEDDING_{name}: ")
    assert shown.stderr.count("\n") == 1
    assert "secret-key-1" not in shown.stderr
    (found,) = [finding for finding in examine(workspace) if finding.about == "encoder server"]
    assert (found.state, found.told) == ("broken", shown.stderr.removeprefix("Error: ").strip())
    assert server.requests == []


def test_doctor_names_the_server_and_asks_it_nothing(server: Server, workspace: Path) -> None:
    (found,) = [finding for finding in examine(workspace) if finding.about == "encoder server"]
    assert (found.state, found.told) == ("ok", f"small at {server.address[7:-3]} is set; it is not asked here")
    assert server.requests == []


def test_without_settings_there_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RED_EMBEDDING_URL", raising=False)
    assert embedding_server() is None
    monkeypatch.setenv("RED_EMBEDDING_MODEL", "m")
    for address in ("ftp://somewhere", "https://me:secret@somewhere/v1", "https://somewhere/v1?key=secret"):
        monkeypatch.setenv("RED_EMBEDDING_URL", address)  # an address is shown and stored: it may hold no secret
        with pytest.raises(EmbeddingError, match="RED_EMBEDDING_URL") as caught:
            embedding_server()
        assert "secret" not in str(caught.value)


def test_a_model_has_an_identity(server: Server) -> None:
    loaded = loaded_encoder(EncoderSpec(line()))
    assert loaded.dimensions == 3
    assert len(loaded.weights_sha256()) == 64
    assert len(server.requests) == 1
