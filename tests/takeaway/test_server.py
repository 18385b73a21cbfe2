"""``red serve-model``: a real server on loopback, asked over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from click.testing import CliRunner

from red_core.cli import main
from red_core.takeaway import RedClassifier, server
from tests.helpers.small_projects import LABELS

TOKEN = "a-token-of-the-tests"  # noqa: S105
BEARER = {"Authorization": f"Bearer {TOKEN}"}
TEXTS = [f"{name} or so {number}" for name in LABELS for number in range(5)]


@pytest.fixture(scope="module")
def model(folder: Path) -> RedClassifier:
    return RedClassifier.from_folder(folder)


@pytest.fixture(scope="module")
def address(model: RedClassifier) -> Iterator[str]:
    config = uvicorn.Config(server.make_app(model, TOKEN), port=0, log_level="error", ws="none")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    running.should_exit = True
    thread.join()


def post(address: str, value: object) -> httpx.Response:
    return httpx.post(f"{address}/predict", json=value, headers=BEARER)


def test_it_answers_as_the_classifier_does(address, model):
    answers = post(address, {"texts": TEXTS}).json()
    labels, shares = model.predict_top(TEXTS, 2)
    assert [answer["label"] for answer in answers] == labels[:, 0].tolist()
    assert [answer["runner_up"] for answer in answers] == labels[:, 1].tolist()
    assert [answer["confidence"] for answer in answers] == pytest.approx(shares[:, 0].tolist(), abs=1e-4)
    none = model.predict_proba(TEXTS)[:, model.classes_.tolist().index("none of these")]
    assert [answer["none_of_these"] for answer in answers] == pytest.approx(none.tolist(), abs=1e-4)


def test_requests_that_wait_together_are_one_batch_and_each_gets_its_own(address, model, monkeypatch):
    batches = []
    real = model.predict_proba
    monkeypatch.setattr(
        model, "predict_proba", lambda texts: (time.sleep(0.05), batches.append(len(texts)), real(texts))[2]
    )

    async def all_at_once() -> list[str]:
        async with httpx.AsyncClient(base_url=address, headers=BEARER) as client:
            asked = [client.post("/predict", json={"texts": [text]}) for text in TEXTS]
            return [answer.json()[0]["label"] for answer in await asyncio.gather(*asked)]

    assert asyncio.run(all_at_once()) == model.classes_[real(TEXTS).argmax(axis=1)].tolist()
    assert max(batches) > 1
    assert len(batches) < 2 * len(TEXTS)


REFUSED = {
    "no texts": ({"texts": []}, 422, "body.texts"),
    "too many": ({"texts": ["a"] * 257}, 422, "at most 256"),
    "a long text": ({"texts": ["a" * 20_001]}, 422, "at most 20000 characters"),
    "an empty text": ({"texts": ["a", " "]}, 422, "texts, row 2: an empty text"),
    "no string": ({"texts": [7]}, 422, "valid string"),
    "another field": ({"texts": ["a"], "k": 1}, 422, "Extra inputs"),
    "no object": ([], 422, "body"),
}


@pytest.mark.parametrize(("value", "status", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_gets_one_line(value, status, says, address):
    answer = post(address, value)
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])
    assert says in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]


def test_no_json_gets_one_line(address):
    answer = httpx.post(f"{address}/predict", content=b"{", headers=BEARER | {"Content-Type": "application/json"})
    assert (answer.status_code, type(answer.json()["detail"])) == (422, str)


@pytest.mark.parametrize("given", [{}, {"Content-Type": "application/x-www-form-urlencoded"}])
def test_json_without_its_header_is_told_what_to_send(given, address):
    answer = httpx.post(f"{address}/predict", content=b'{"texts": ["refund"]}', headers=BEARER | given)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "send JSON, with the header Content-Type: application/json"


@pytest.mark.parametrize("body", [b'{"texts": ["\xff"]}', b"[" * 100_000])
def test_what_is_no_text_gets_one_line(body, address):
    answer = httpx.post(f"{address}/predict", content=body, headers=BEARER | {"Content-Type": "application/json"})
    assert (answer.status_code, type(answer.json()["detail"])) == (400, str)


def test_a_large_body_is_refused_before_it_is_read(address):
    answer = httpx.post(f"{address}/predict", content=(b" " * 10**6 for _ in range(6)), headers=BEARER)
    assert (answer.status_code, answer.json()["detail"]) == (413, "more than 4,000,000 bytes")


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": b"Bearer \xe9"}])
def test_without_the_token_only_health_answers(given, address):
    for path in ("/labels", "/openapi.json", "/docs", "/predict"):
        assert httpx.get(address + path, headers=given).status_code == 401
    assert httpx.get(f"{address}/health", headers=given).json() == {"ok": True, "labels": 4}


def test_the_description_names_the_paths(address):
    described = httpx.get(f"{address}/openapi.json", headers=BEARER).json()
    assert sorted(described["paths"]) == ["/health", "/labels", "/predict"]
    assert {entry["name"] for entry in httpx.get(f"{address}/labels", headers=BEARER).json()} == set(LABELS)


def test_the_description_says_what_the_service_does(address, model):
    described = httpx.get(f"{address}/openapi.json", headers=BEARER).json()
    paths, schemas = described["paths"], described["components"]["schemas"]
    assert set(paths["/predict"]["post"]["responses"]) == {
        "200", "400", "401", "408", "413", "422", "500", "503",
    }  # fmt: skip
    assert set(paths["/labels"]["get"]["responses"]) == {"200", "401"}
    for refusal in [*paths["/predict"]["post"]["responses"].items(), *paths["/labels"]["get"]["responses"].items()]:
        if refusal[0] != "200":
            assert refusal[1]["content"]["application/json"]["schema"]["$ref"].endswith("/Refusal")
    assert schemas["Refusal"]["properties"]["detail"]["type"] == "string"
    assert [paths[path][verb].get("security") for path, verb in (("/predict", "post"), ("/health", "get"))] == [
        [{"HTTPBearer": []}], None,
    ]  # fmt: skip
    open_one = server.make_app(model).openapi()
    assert "401" not in open_one["paths"]["/predict"]["post"]["responses"]
    assert "securitySchemes" not in open_one["components"]


@pytest.mark.parametrize("given", [f"bearer {TOKEN}", f"BEARER  {TOKEN}"])
def test_the_scheme_of_the_token_is_read_without_case(given, address):
    assert httpx.get(f"{address}/labels", headers={"Authorization": given}).status_code == 200
    assert httpx.get(f"{address}/labels", headers={"Authorization": TOKEN}).status_code == 401


def test_a_body_without_an_end_is_given_up(address, monkeypatch):
    monkeypatch.setattr(server, "SECONDS_FOR_A_BODY", 0.2)
    where = httpx.URL(address)
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((where.host, where.port), timeout=10) as client:
        client.sendall(head.encode() + b'5\r\n{"tex\r\n')
        answer = client.recv(4_096).decode()
    assert answer.startswith("HTTP/1.1 408 ")


def test_what_a_client_sent_before_it_hung_up_is_not_labelled(address, model, monkeypatch):
    asked = []
    real = model.predict_proba
    monkeypatch.setattr(model, "predict_proba", lambda texts: (asked.append(texts), real(texts))[1])
    where, body = httpx.URL(address), b'{"texts": ["refund"]}'
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((where.host, where.port), timeout=10) as client:
        client.sendall(f"{head}Content-Length: {len(body) + 5}\r\n\r\n".encode() + body)
    time.sleep(0.2)
    assert post(address, {"texts": ["repair"]}).status_code == 200
    assert asked == [["repair"]]


def test_a_failure_of_the_model_is_one_line_and_the_next_request_works(address, model, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(model, "predict_proba", lambda _texts: 1 / 0)
        answer = post(address, {"texts": ["a"]})
        assert (answer.status_code, list(json.loads(answer.text))) == (500, ["detail"])
    assert post(address, {"texts": ["refund"]}).status_code == 200


def test_too_many_waiting_requests_get_503(model, monkeypatch):
    monkeypatch.setattr(server, "MOST_WAITING", 1)

    async def two() -> None:
        batcher = server.Batcher(model)  # nobody works
        first = asyncio.create_task(batcher.label(["a"]))
        await asyncio.sleep(0)
        with pytest.raises(asyncio.QueueFull):
            await batcher.label(["b"])
        first.cancel()

    asyncio.run(two())


def test_a_taken_port_is_told_in_one_line_and_no_address_is_printed(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(main, ["serve-model", str(folder), "--port", port])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"Error: the service cannot listen on 127.0.0.1, port {port} (Address already in use)."
    )
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("address", ["nohost.invalid", "192.0.2.1", "a" * 80])
def test_an_address_of_another_machine_is_told_in_one_line(address, folder):
    words = ["serve-model", str(folder), "--address", address]
    done = CliRunner().invoke(main, words, env={"RED_MODEL_TOKEN": TOKEN})
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "--address" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "token", "says"),
    [
        (["--address", "0.0.0.0"], "", "anybody could connect to 0.0.0.0. Set RED_MODEL_TOKEN"),  # noqa: S104
        ([], "short", "RED_MODEL_TOKEN needs at least 16"),
    ],
)
def test_an_open_address_needs_a_token(arguments, token, says, folder):
    done = CliRunner().invoke(main, ["serve-model", str(folder), *arguments], env={"RED_MODEL_TOKEN": token})
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert says in done.output
