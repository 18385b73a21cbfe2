from __future__ import annotations

import gc
import json
import math
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from itertools import chain

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from red_core.errors import BudgetSpent, JudgeError, StoreError
from red_core.judges import client
from red_core.judges.client import FAILURES_IN_A_ROW, TRIES, all_of
from red_core.judges.pace import Pace
from red_core.judges.server_settings import judge_server
from tests.helpers.any_json import changed_somewhere
from tests.helpers.fault_server import (
    KEY,
    MODEL,
    TOKENS,
    FaultServer,
    Heard,
    Said,
    always,
    ask,
    closed_address,
    endpoint,
    honest,
    in_turn,
    llm_judge,
    refused,
    some_questions,
    word,
)

# A pause, and sending again


def test_a_pause_in_seconds_holds_for_every_worker():
    with FaultServer(in_turn(refused(429, **{"Retry-After": "1"}))) as server:
        answers = ask(12, at_once=4)
    assert {a.outcome for a in answers} == {"valid"}
    assert not [t for t in server.times() if 0.1 < t < 0.99]
    assert sum(t >= 0.99 for t in server.times()) > 0


def test_a_pause_until_a_date_holds_for_every_worker():
    until = math.ceil(time.time()) + 1
    with FaultServer(in_turn(refused(429, **{"Retry-After": formatdate(until, usegmt=True)}))) as server:
        ask(12, at_once=4)
        over = until - time.time() + time.monotonic() - server.heard[0].at
    assert not [t for t in server.times() if 0.1 < t < over - 0.01]
    assert max(server.times()) >= over - 0.01


def test_a_pause_that_grows_while_others_wait_holds_for_them_too():
    short, long = refused(429, **{"Retry-After": "0.3"}), refused(429, **{"Retry-After": "1"})
    with FaultServer(in_turn(short, Said(long.body, 429, long.headers, delay=0.15))) as server:
        ask(6, at_once=2)
    assert not [t for t in server.times() if 0.1 < t < 1.14]


def test_a_pause_of_an_hour_is_not_waited_for():
    with (
        FaultServer(always(refused(429, **{"Retry-After": "3600"}))) as server,
        pytest.raises(JudgeError, match=r"^the judge at 127\.0\.0\.1:\d+ asks to wait 3,600 s\. Go on after that\.$"),
    ):
        ask(5)
    assert len(server.heard) == 1


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
def test_a_server_that_recovers_is_asked_again(status):
    with FaultServer(in_turn(refused(status), refused(status))) as server:
        (answer,) = ask()
    assert answer.outcome == "valid"
    refusal = (0, 0) if status < 500 else (None, None)  # work may have been done, and paid for, behind a 5xx
    assert [(a.tokens_in, a.tokens_out) for a in answer.attempts] == [refusal, refusal, TOKENS]
    assert len(server.heard) == 3


def test_a_request_that_only_fails_is_given_up_and_is_no_verdict():
    with FaultServer(always(refused(500))) as server:
        (answer,) = ask()
    assert (answer.outcome, answer.log_likelihood_ratio, answer.model) == ("failed", 0.0, "")
    assert answer.raw == "status 500: Error code: 500 - as you wish"
    assert len(server.heard) == len(answer.attempts) == TRIES


def test_a_server_that_only_fails_ends_the_run_with_the_reason():
    words = rf"^{FAILURES_IN_A_ROW} questions in a row failed at 127.*the last with: status 500: .*Check the server"
    with FaultServer(always(refused(500))) as server, pytest.raises(JudgeError, match=words):
        ask(30)
    assert len(server.heard) == FAILURES_IN_A_ROW * TRIES


def test_failures_with_answers_between_do_not_end_the_run():
    def seven_of_eight_fail(heard: Heard) -> Said:
        return honest(heard) if int(heard.text.split()[-1]) % 8 == 0 else refused(500)

    with FaultServer(seven_of_eight_fail):
        outcomes = [a.outcome for a in ask(24)]
    assert [outcomes.count(kind) for kind in ("valid", "failed")] == [3, 21]


def test_a_server_that_hangs_is_not_waited_for_beyond_the_timeout():
    with FaultServer(always(Said(word("valid").body, delay=20))):
        began = time.monotonic()
        (answer,) = ask(timeout=0.1)
    assert (answer.outcome, answer.raw) == ("failed", "no reply within 0.4 s")  # it was given more and more time
    assert {(a.tokens_in, a.tokens_out) for a in answer.attempts} == {(None, None)}
    assert time.monotonic() - began < 5


def test_a_reply_that_only_drips_is_not_waited_for_beyond_the_timeout():
    with FaultServer(always(Said(word("valid").body, drip=0.05))):
        (answer,) = ask(timeout=0.1)
    assert (answer.outcome, answer.raw) == ("failed", "no reply within 0.4 s")


def test_a_connection_that_breaks_inside_a_reply_is_tried_again():
    broken = Said(word("valid").body, stop_after=40)
    with FaultServer(in_turn(broken)):
        assert [a.outcome for a in ask()] == ["valid"]
    with FaultServer(always(broken)) as server:
        (answer,) = ask()
    assert answer.outcome == "failed"
    assert answer.raw.startswith("the connection broke: ")
    assert {(a.tokens_in, a.tokens_out) for a in answer.attempts} == {(None, None)}
    assert len(server.heard) == TRIES


def test_a_server_that_goes_away_for_good_ends_the_run_with_the_reason():
    with (
        FaultServer(in_turn(word("valid"), then=always(Said(b"x", stop_after=0)))),
        pytest.raises(JudgeError) as caught,
    ):
        ask(20)
    assert re.search(r"in a row failed .*the connection broke: \S", str(caught.value))


# What trying again does not cure


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server that speaks https, with a certificate of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    own = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    certificate = own.sign(key, hashes.SHA256())
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    plain = serialization.NoEncryption()
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as http:
        http.socket = context.wrap_socket(http.socket, server_side=True)
        http.handle_error = lambda *_: None  # type: ignore[method-assign]  a client without trust hangs up
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield http.server_address[1]
        http.shutdown()
        thread.join(10)


def told_within(seconds: float, **settings: object) -> str:
    """Return the error of a server that cannot be used, which must come in time."""
    began = time.monotonic()
    with pytest.raises(JudgeError) as caught:
        ask(20, **settings)
    assert time.monotonic() - began < seconds
    return str(caught.value)


def test_a_refused_connection_is_told_at_once():
    with FaultServer() as server:
        message = told_within(5, base_url=closed_address(), at_once=4)
    assert re.fullmatch(r"the connection was refused: nothing listens at 127\S+ Start the server, or check .*", message)
    assert server.heard == []


def test_a_certificate_that_is_not_trusted_is_told_with_the_remedy(tls_server):
    with FaultServer():
        message = told_within(5, base_url=f"https://127.0.0.1:{tls_server}/v1")
    assert "certificate that is not trusted (self-signed certificate)" in message
    assert "SSL_CERT_FILE" in message


def test_http_to_a_port_of_https_is_told(tls_server):
    with FaultServer():
        message = told_within(5, base_url=f"http://127.0.0.1:{tls_server}/v1")
    assert message.endswith("speaks https at this port. Let OPENAI_BASE_URL begin with https://.")
    gc.collect()  # a connection that was left open would fail this test


def test_https_to_a_port_of_http_is_told():
    with FaultServer() as server:
        message = told_within(5, base_url=server.address.replace("http:", "https:"))
    assert message.endswith("speaks no https at this port. Let OPENAI_BASE_URL begin with http://.")


def test_https_to_a_port_that_waits_for_a_line_is_told():
    with FaultServer(), socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        message = told_within(6, base_url=f"https://127.0.0.1:{silent.getsockname()[1]}/v1")
    assert "takes the connection, but no https. Let OPENAI_BASE_URL begin with http://" in message


def test_a_handshake_that_is_given_up_leaves_no_connection_open():
    with FaultServer(), socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        told_within(6, base_url=f"https://127.0.0.1:{silent.getsockname()[1]}/v1", timeout=0.2)
        gc.collect()  # a connection that was left open would fail this test


def test_a_host_that_is_not_there_is_told():
    with FaultServer():
        message = told_within(5, base_url="http://no-such-host.invalid/v1")
    assert message.startswith("there is no host no-such-host.invalid on this network.")


def test_a_private_address_is_refused_where_the_operator_says_so():
    with FaultServer() as server:
        message = told_within(5, private_addresses=False)
    assert "RED_JUDGE_PRIVATE_ADDRESSES" in message
    assert server.heard == []


# What cannot succeed


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, r"refused the key\. Check OPENAI_API_KEY \(401\)"),
        (402, r"wants payment first\. Top up the account \(402\)"),
        (403, r"Check OPENAI_API_KEY and RED_JUDGE_MODEL \(403\)"),
        (404, r"Check RED_JUDGE_MODEL, the API, and that OPENAI_BASE_URL ends in /v1 \(404\)"),
    ],
)
def test_a_hopeless_error_ends_the_run_at_once_and_says_what_to_do(status, remedy):
    with FaultServer(always(refused(status))) as server, pytest.raises(JudgeError, match=remedy):
        ask(30)
    assert [heard.path for heard in server.heard if not heard.path.endswith("/models")] == ["/v1/chat/completions"]


@pytest.mark.parametrize("status", [400, 404])
def test_a_model_that_is_gone_in_the_middle_of_a_run_is_told_with_those_the_server_has(status):
    def behave(heard: Heard) -> Said:
        if heard.path.endswith("/models"):
            return Said({"data": [{"id": f"model-{n}"} for n in range(10)]})
        return honest(heard) if len(server.heard) <= 3 else refused(status)

    with FaultServer(behave) as server, pytest.raises(JudgeError) as caught:
        ask(30)
    assert "The server does not list tiny. It lists: model-0, model-1," in str(caught.value)
    assert str(caught.value).endswith("and 2 more.")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["code", "type"])
def test_an_empty_account_is_not_asked_again(field):
    empty = Said({"error": {"message": "no", field: "insufficient_quota"}}, 429, {"Retry-After": "1"})
    with (
        FaultServer(always(empty)) as server,
        pytest.raises(JudgeError, match=r"quota is used up\. Top up the account"),
    ):
        ask(30)
    assert len(server.heard) == 1


def test_the_same_refusal_three_times_ends_the_run():
    words = r"refuses every question, status 400: .*as you wish"
    with FaultServer(always(refused(400))) as server, pytest.raises(JudgeError, match=words):
        ask(30)
    assert [heard.path for heard in server.heard if not heard.path.endswith("/models")] == ["/v1/chat/completions"] * 3


def test_one_refusal_is_one_failed_question():
    with FaultServer(in_turn(refused(400), then=honest)) as server:
        answers = ask(3)
    assert [a.outcome for a in answers] == ["failed", "valid", "valid"]
    assert [(a.tokens_in, a.tokens_out) for a in answers[0].attempts] == [(0, 0)]
    assert len(server.heard) == 3


def test_refusals_with_ever_other_words_end_the_run_too():
    def another(heard: Heard) -> Said:
        return Said({"error": {"message": heard.text}}, 422)

    with FaultServer(another) as server, pytest.raises(JudgeError, match="8 questions in a row failed"):
        ask(30)
    assert len(server.heard) == FAILURES_IN_A_ROW


@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b'{"error": {"code": ["a"], "type": {"b": 1}}}', b"[1]"])
@pytest.mark.parametrize("status", [400, 500])
def test_an_error_of_any_shape_is_one_line(status, body):
    with FaultServer(always(Said(body, status))):
        (answer,) = ask()
    assert answer.outcome == "failed"
    assert answer.raw.startswith(f"status {status}: ")
    assert "\n" not in answer.raw


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "bad"}, r'\{"error": "bad"\}'),
        ({"detail": [{"msg": "no logprobs"}]}, "no logprobs"),
        (["bad"], r'\["bad"\]'),
        ("plain\n\x00 words", "plain words"),
        ({"error": {"message": "bad", "param": "x"}}, "Error code: 400 - bad$"),
        (f"the key {KEY} is wrong", r"the key \*\*\* is wrong"),
        ("x" * 10_000, "x{100,150}…$"),
        (b"", "Error code: 400$"),
    ],
)
def test_the_first_words_of_an_error_of_any_shape_are_told(body, words):
    with FaultServer(always(Said(body, 400))):
        (answer,) = ask()
    assert re.search(words, answer.raw)
    assert len(answer.raw) <= 200


@pytest.mark.parametrize("status", [300, 304])
def test_a_status_that_names_no_other_address_is_no_redirect(status):
    with FaultServer(always(Said(b"", status))):
        assert ask()[0].raw == f"status {status}: Error code: {status}"


def test_an_error_with_anything_in_any_place_is_one_line():
    error = {"error": {"message": "no", "type": "x", "code": "y", "param": None}, "detail": [{"msg": "no"}]}

    @given(st.sampled_from([304, 400, 404, 429, 500]), changed_somewhere(error))
    @settings(max_examples=60)
    def check(status, body):
        server.behave = always(Said(json.dumps(body), status, {"Retry-After": "0"}))
        try:
            told = ask()[0].raw
        except JudgeError as raised:
            told = str(raised)
        assert 0 < len(told) < 300
        assert told.isprintable()

    with FaultServer() as server:
        check()


def test_what_had_come_is_yielded_before_the_run_ends():
    came = []
    with FaultServer(in_turn(word("valid"), word("invalid"), then=always(refused(401)))), pytest.raises(JudgeError):
        came.extend(pair for group in llm_judge().answers(some_questions(9)) for pair in group)
    assert [(place, answer.outcome) for place, answer in came] == [(0, "valid"), (1, "invalid")]


def test_an_error_of_one_question_loses_no_answer_of_another():
    async def ask_one(_client, item):
        if item == "odd":
            raise ZeroDivisionError
        return item

    came = []
    with FaultServer(), pytest.raises(ZeroDivisionError):
        came.extend(chain.from_iterable(all_of(endpoint(judge_server(at_once=4)), ["a", "odd", "b"], ask_one)))
    assert sorted(came) == [(0, "a"), (2, "b")]


def test_a_hopeless_error_is_told_even_where_the_budget_ends_at_the_same_time():
    async def both(_line: object, number: int) -> None:
        raise JudgeError("no key") if number == 0 else BudgetSpent("spent")

    with FaultServer(), pytest.raises(JudgeError, match="no key"):
        list(client.all_of(endpoint(judge_server(at_once=2)), [0, 1], both))


# Many at once


def slowly(heard: Heard) -> Said:
    return Said(honest(heard).body, delay=0.03)


@pytest.mark.parametrize("at_once", [1, 4, 16])
def test_no_more_questions_are_in_flight_than_allowed_and_all_are_answered_once(at_once):
    together = threading.Barrier(at_once, timeout=20)

    def when_all_are_there(heard: Heard) -> Said:
        if not heard.text.endswith(" 0"):  # the first goes alone
            together.wait()
        return honest(heard)

    with FaultServer(when_all_are_there) as server:
        answers = ask(33, at_once=at_once)
    assert {a.outcome for a in answers} == {"valid"}
    assert server.most_at_once == at_once
    assert sorted(h.text for h in server.heard) == sorted(q.content for q in some_questions(33))
    assert len({a.attempts[0].id for a in answers}) == 33


def test_the_first_question_goes_alone():
    went = []

    def behave(heard: Heard) -> Said:
        went.append(len(server.heard))
        return Said(honest(heard).body, delay=0.0 if heard.text.endswith(" 0") else 0.2)

    with FaultServer(behave) as server:
        answers = ask(4, at_once=4)
        together = server.most_at_once
    assert [a.outcome for a in answers] == ["valid"] * 4
    assert server.answered[0].text.endswith(" 0")
    assert (went[0], together) == (1, 3)


def test_answers_come_while_others_are_in_flight():
    def one_hangs(heard: Heard) -> Said:
        return Said(honest(heard).body, delay=1.0 if heard.text.endswith(" 1") else 0.0)

    with FaultServer(one_hangs) as server:
        groups = llm_judge(judge_server(at_once=4)).answers(some_questions(20))
        early = [place for group, _ in zip(groups, range(5), strict=False) for place, _ in group]
        assert len(server.heard) > len(server.answered)
        groups.close()
    assert early
    assert 1 not in early


def test_closing_early_cancels_what_is_in_flight_and_sends_nothing_more():
    with FaultServer(slowly) as server:
        groups = llm_judge(judge_server(at_once=4)).answers(some_questions(40))
        next(groups)
        groups.close()
        sent = len(server.heard)
        time.sleep(0.2)
        assert len(server.heard) == sent < 40


def test_a_spent_budget_ends_the_asking_without_an_error_and_what_is_in_flight_comes():
    left = iter(range(1, 11))

    def reserve(tokens: Sequence[int]) -> list[int]:
        return [attempt for _, attempt in zip(tokens, left, strict=False)]

    with FaultServer(slowly) as server:
        judge = llm_judge(judge_server(at_once=4), reserve=reserve)
        came = [place for group in judge.answers(some_questions(40)) for place, _ in group]
    assert len(came) == len(set(came)) == len(server.heard) == 10


def test_attempts_that_are_due_at_once_are_stored_at_once():
    sizes = []

    def reserve(tokens: Sequence[int]) -> list[int]:
        sizes.append(len(tokens))
        return list(range(len(tokens)))

    with FaultServer(slowly):
        list(llm_judge(judge_server(at_once=16), reserve=reserve).answers(some_questions(48)))
    assert (sizes[:2], sum(sizes)) == ([1, 15], 48)  # the first goes alone


def test_a_store_that_fails_ends_the_run_with_its_error_and_nothing_is_sent():
    def reserve(_tokens: Sequence[int]) -> list[int]:
        raise StoreError("the disk is full")

    with FaultServer() as server, pytest.raises(StoreError, match="the disk is full"):
        list(llm_judge(judge_server(at_once=4), reserve=reserve).answers(some_questions(9)))
    assert server.heard == []


def test_more_is_reserved_than_a_request_of_plain_words_takes():
    reserved = []
    with FaultServer() as server:
        list(llm_judge(reserve=lambda tokens: reserved.extend(tokens) or [1]).answers(some_questions()))
        words = str(server.heard[0].body).split()
    assert reserved[0] > 2 * len(words)


def test_without_a_key_a_server_of_ones_own_is_asked_all_the_same():
    with FaultServer() as server:
        (answer,) = ask(api_key="")
    assert (answer.outcome, answer.model) == ("valid", MODEL)
    assert server.heard[0].path == "/v1/chat/completions"


# Retry-After


def test_pauses_double_up_to_a_longest():
    for turn in range(12):
        middle = min(client.FIRST_PAUSE * 2**turn, client.LONGEST_PAUSE)
        assert 0.75 * middle <= client.pause(turn) <= 1.25 * middle


# A slow server


def two_slots(seconds: float) -> Callable[[Heard], Said]:
    """Return the behaviour of a server that works on two requests at a time and lets the others wait."""
    slots = threading.Semaphore(2)

    def behave(heard: Heard) -> Said:
        with slots:
            time.sleep(seconds)
        return honest(heard)

    return behave


def test_eight_in_flight_on_two_slots_time_out_once_and_all_are_answered():
    with FaultServer(two_slots(0.15)) as server:
        answers = ask(24, at_once=8, timeout=0.5)
    assert {a.outcome for a in answers} == {"valid"}
    again = len(server.heard) - 24
    assert again <= 12  # 8 at once wait .6 s at the end of the queue; 4 at once do not


def test_a_trial_that_was_slow_begins_with_fewer_in_flight():
    pace = Pace.for_server(8, 30.0, 10.0)
    assert pace.in_flight == 1
    assert Pace.for_server(8, 30.0, 0.1).in_flight == 8
    assert Pace.for_server(8, 30.0, 0.0).in_flight == 8


def test_where_replies_are_quick_all_questions_are_expected_to_be_in_flight():
    assert [Pace.expected(8, 30.0, seconds) for seconds in (0.0, 0.5, 9.9, 10.0, 25.0)] == [8, 8, 8, 1, 1]
    pace = Pace.for_server(8, 30.0, 4.0)
    for _ in range(100):
        pace.replied(4.0)
    assert pace.in_flight == Pace.expected(8, 30.0, 4.0) == 8


def test_the_number_in_flight_rises_slowly_and_is_halved_once_for_all_that_were_late_together():
    pace = Pace(16, 30.0, window=4)
    for _ in range(8):
        pace.replied(0.1)
    assert 5 <= pace.in_flight <= 6
    pace.replied(20.0)  # slow: the server has no more room
    before, sent = pace.window, time.monotonic()
    pace.late(sent)
    pace.late(sent)
    assert pace.window == before / 2


def test_a_single_request_that_is_late_gets_more_time_up_to_a_limit():
    pace = Pace(4, 30.0, window=1)
    for _ in range(6):
        pace.late(time.monotonic())
    assert (pace.in_flight, pace.timeout) == (1, 120.0)


def test_a_request_that_was_given_up_is_hung_up_at_the_server():
    with FaultServer(always(Said(word("valid").body, delay=1.0))) as server:
        ask(timeout=0.1)
        wait_until(lambda: len(server.hung_up) == TRIES)


def test_a_run_that_is_cancelled_hangs_up_what_is_in_flight():
    with FaultServer(in_turn(word("valid"), then=always(Said(word("valid").body, delay=1.5)))) as server:
        groups = llm_judge(judge_server(at_once=4)).answers(some_questions(40))
        next(groups)  # the first, which goes alone
        next(groups)  # empty, after a second of silence
        groups.close()
        wait_until(lambda: len(server.hung_up) == 4)


def wait_until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.02)
