"""Replies without a limit, and redirects: what a server may not do to us."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from red_core.access.bounded_http import LONGEST_REPLY, retry_after
from red_core.errors import JudgeError
from red_core.judges.listed_models import listed_models
from red_core.judges.server_settings import judge_server
from tests.helpers.any_json import changed_somewhere
from tests.helpers.fault_server import KEY, FaultServer, Said, always, ask, use_settings, word

ANSWER = word("valid").sent
MEGABYTES = 200


def packed(body: bytes, how: str) -> Said:
    pack = {"gzip": gzip.compress, "deflate": zlib.compress}[how]
    return Said(pack(body), headers={"Content-Encoding": how})


@pytest.mark.parametrize("how", ["gzip", "deflate"])
def test_a_packed_answer_is_read(how):
    with FaultServer(always(packed(ANSWER, how))):
        assert [answer.outcome for answer in ask()] == ["valid"]


@pytest.mark.parametrize("how", ["gzip", "deflate"])
def test_of_a_reply_that_unpacks_to_much_one_megabyte_is_kept(how):
    said = packed(b" " * (MEGABYTES << 20), how)
    with FaultServer(always(said)):
        ask()  # imports and connections are made before memory is measured
        tracemalloc.start()
        (answer,) = ask()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert answer.outcome == "unparseable"
    assert peak < 10 * LONGEST_REPLY


def test_of_an_endless_reply_one_megabyte_is_read():
    with endless_server() as (address, sent), pytest.MonkeyPatch.context() as patch:
        use_settings(patch, {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": KEY, "RED_JUDGE_MODEL": "tiny"})
        (answer,) = ask(timeout=10.0)
    assert answer.outcome == "unparseable"
    assert max(sent) < 20 * LONGEST_REPLY  # what the kernel's buffers take included


@contextmanager
def endless_server() -> Iterator[tuple[str, list[int]]]:
    """Serve replies that end only when the client hangs up; yield the address and the bytes sent of each."""
    sent: list[int] = []

    def reply(client: socket.socket) -> None:
        with client, suppress(OSError):
            client.recv(65_536)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
            sent.append(0)
            while sent[-1] < 1 << 30:
                sent[-1] += client.send(b" " * 65_536)

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):  # closed at the end
            while True:
                reply(listener.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", sent
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip"])
def test_a_reply_that_cannot_be_unpacked_is_a_failure_and_no_verdict(encoding):
    with FaultServer(always(Said(ANSWER, headers={"Content-Encoding": encoding}))):
        (answer,) = ask()
    assert answer.outcome == "failed"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_says_what_to_do(status):
    with FaultServer() as elsewhere:
        there = f"{elsewhere.address}/chat/completions"
        with (
            FaultServer(always(Said(b"{}", status, {"Location": there}))) as server,
            pytest.raises(JudgeError, match=rf"redirects to another address \({status}\).*OPENAI_BASE_URL"),
        ):
            ask()
        assert len(server.heard) == 1
        assert elsewhere.heard == []


CHARSETS = [
    "base64", "bz2", "cp037", "hex", "idna", "quopri", "rot13", "undefined", "unicode_escape", "utf-16", "utf-32",
    "utf-7", "uu", "zlib",
]  # fmt: skip


@pytest.mark.parametrize("charset", CHARSETS)
def test_json_is_read_as_utf_8_whatever_charset_a_header_names(charset):
    named = {"Content-Type": f"application/json; charset={charset}"}
    models = Said('{"data": [{"id": "größer"}]}', headers=named)
    with FaultServer(lambda heard: models if heard.method == "GET" else Said(ANSWER, headers=named)) as server:
        assert ask()[0].outcome == "valid"
        assert listed_models(judge_server()) == ["größer"]
        server.behave = always(Said('{"error": {"message": "größer"}}', 400, named))
        assert ask()[0].raw.endswith("größer")


@pytest.mark.parametrize("charset", [None, "utf-16", "hex"])
def test_bytes_that_are_no_utf_8_are_read_with_marks_of_replacement(charset):
    named = {} if charset is None else {"Content-Type": f"application/json; charset={charset}"}
    with FaultServer(always(Said(b"\xff" + ANSWER, headers=named))):
        assert ask()[0].raw.startswith("\ufffd{")


def test_a_list_of_models_with_anything_in_any_place_is_a_list_of_names():
    @given(changed_somewhere({"object": "list", "data": [{"id": "a", "object": "model"}, {"id": "b"}]}))
    @settings(max_examples=60)
    def check(body):
        server.behave = always(Said(json.dumps(body)))
        assert all(isinstance(name, str) for name in listed_models(judge_server()))

    with FaultServer() as server:
        check()


def test_the_list_of_models_is_bounded_too():
    said = packed(b'{"data": [' + b" " * (MEGABYTES << 20) + b"]}", "gzip")
    with FaultServer(always(said)):
        tracemalloc.start()
        assert listed_models(judge_server()) == []
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 10 * LONGEST_REPLY


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)) | st.floats().map(str))
@example("Wed, 21 Oct 99999999999 07:28:00 GMT")
@example("inf")
@example("nan")
def test_any_retry_after_is_a_pause_or_none(told):
    pause = retry_after(httpx2.Headers({"retry-after": told}))
    assert pause is None or pause >= 0


@pytest.mark.parametrize(
    ("told", "pause"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", None),
        ("soon", None),
        ("", None),
        ("1_0", None),
        ("1e400", None),
        ("+7", None),
        (".5", None),
        ("9" * 400, 1e9),
    ],
)
def test_a_retry_after_in_seconds_is_read(told, pause):
    assert retry_after(httpx2.Headers({"retry-after": told})) == pause


def test_a_date_that_has_passed_is_no_pause():
    assert retry_after(httpx2.Headers({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"})) == 0.0
