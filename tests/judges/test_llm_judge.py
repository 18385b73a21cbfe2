from __future__ import annotations

import json
import logging
import re
import traceback
from dataclasses import replace

import numpy as np
import pytest

from red_core.errors import JudgeError
from red_core.judges.dialect import Dialect
from red_core.judges.llm_judge import LONGEST_RAW, NOT_SENT, identity
from red_core.judges.prompt import LONGEST_TEXT, prompt_of
from red_core.judges.server_settings import judge_server
from red_core.records import PROMPT_VERSION, Label
from red_core.steps.judge_reliability import ProbabilityScale, judge_rates
from tests.helpers.fault_server import (
    ASKED_FOR,
    KEY,
    MODEL,
    TOKENS,
    FaultServer,
    Heard,
    Said,
    always,
    ask,
    chat,
    honest,
    in_turn,
    llm_judge,
    noul,
    predicate,
    refused,
    some_questions,
    word,
)

RATES = judge_rates({"valid": 40, "invalid": 10}, {"valid": 5, "invalid": 45})
PROSE = chat("I think it is valid.")


@pytest.mark.parametrize("verdict", ["valid", "invalid", "unsure"])
def test_an_answer_is_worth_what_the_self_test_measured(verdict):
    with FaultServer(always(word(verdict))):
        ((_, answer),) = next(llm_judge(rates=RATES).answers(some_questions()))
    assert (answer.outcome, answer.p_valid, answer.model) == (verdict, None, MODEL)
    assert answer.log_likelihood_ratio == pytest.approx(np.log(RATES.right[verdict] / RATES.wrong[verdict]))
    assert answer.prompt_version == PROMPT_VERSION
    assert answer.raw == word(verdict).sent.decode()


def test_a_probability_is_worth_what_the_scale_says():
    scale = ProbabilityScale(0.5, -0.25)
    with FaultServer(always(noul(0.8))):
        judge = llm_judge(judge_server(wire="systemone"), rates=RATES, scale=scale)
        ((_, answer),) = next(judge.answers(some_questions()))
    assert (answer.outcome, answer.p_valid) == ("valid", 0.8)
    assert answer.log_likelihood_ratio == pytest.approx(0.5 * np.log(0.8 / 0.2) - 0.25)


def test_without_a_scale_a_probability_counts_as_its_outcome():
    with FaultServer(always(noul(0.8))):
        ((_, answer),) = next(llm_judge(judge_server(wire="systemone"), rates=RATES).answers(some_questions()))
    assert answer.log_likelihood_ratio == pytest.approx(np.log(RATES.right["valid"] / RATES.wrong["valid"]))


@pytest.mark.parametrize(
    ("wire", "said", "path"),
    [
        ("chat", word("valid"), "/v1/chat/completions"),
        ("systemone", noul(0.9), "/v1/systemone"),
        ("decisions", predicate(type="predicate", name="valid", probability=0.9), "/v1/decisions"),
    ],
)
def test_every_wire_is_asked_on_its_path_about_the_same_question(wire, said, path):
    with FaultServer(always(said)) as server:
        (answer,) = ask(wire=wire)
    assert answer.outcome == "valid"
    assert [h.path for h in server.heard] == [path]
    assert server.heard[0].state == prompt_of(some_questions()[0]).state


def test_temperature_0_a_limit_and_the_likeliest_tokens_are_asked_for():
    with FaultServer() as server:
        ask()
    (heard,) = server.heard
    assert (heard.body["temperature"], heard.body["max_tokens"]) == (0, 64)
    assert (heard.body["logprobs"], heard.body["top_logprobs"]) == (True, 5)


def test_more_parameters_are_sent_with_every_request_and_null_takes_one_out():
    with FaultServer() as server:
        ask(3, extra={"seed": 7, "max_tokens": 9, "temperature": None})
    assert {(h.body["seed"], h.body["max_tokens"], h.body["model"]) for h in server.heard} == {(7, 9, ASKED_FOR)}
    assert not any("temperature" in h.body for h in server.heard)


def test_more_headers_are_sent_with_every_request():
    with FaultServer() as server:
        ask(2, headers={"X-Team": "blue"})
    assert {h.headers["x-team"] for h in server.heard} == {"blue"}


def test_azure_gets_its_version_and_its_own_header_for_the_key():
    with FaultServer() as server:
        address = server.address.replace("/v1", "/openai/deployments/d") + "?api-version=2024-10-21"
        ask(base_url=address, api_key="abc123")
    (heard,) = server.heard
    assert heard.path == "/openai/deployments/d/chat/completions?api-version=2024-10-21"
    assert heard.headers["api-key"] == "abc123"
    assert "authorization" not in heard.headers


def test_without_a_system_role_the_instructions_begin_the_users_message():
    with FaultServer(always(word("valid"))) as server:
        judge = llm_judge(dialect=Dialect(system=False))
        list(judge.answers(some_questions()))
    ((message,),) = [heard.body["messages"] for heard in server.heard]
    assert message["role"] == "user"
    assert message["content"].startswith("You check one proposed label of one text.")
    assert '"text": "refund, case 0"' in message["content"]


def test_another_model_than_the_one_that_was_tested_is_not_believed():
    with FaultServer(), pytest.raises(JudgeError, match=r"now answers as tiny-1; small-7 was tried and tested"):
        list(llm_judge(dialect=Dialect(model="small-7")).answers(some_questions()))


def test_a_judge_is_who_answered():
    server, dialect = judge_server(model="m", base_url="http://127.0.0.1:9/v1"), Dialect(model="m-2025")
    name = identity(server, dialect)
    assert re.fullmatch(r"chat/m-2025 at 127\.0\.0\.1:9, parameters [0-9a-f]{6}", name)
    others = {
        identity(server.model_copy(update={"base_url": "http://127.0.0.1:9/other"}), dialect),
        identity(server.model_copy(update={"extra": {"seed": 1}}), dialect),
        identity(server, dialect.model_copy(update={"model": "m-2026"})),
        identity(server, dialect.model_copy(update={"temperature": False})),
        identity(server, dialect.model_copy(update={"form": "plain"})),
        identity(server.model_copy(update={"wire": "systemone"}), dialect),
    }
    assert len(others | {name}) == 7
    assert identity(server, dialect.model_copy(update={"seconds": 3.0})) == name


# What cannot be read


def test_what_cannot_be_read_is_asked_once_more():
    with FaultServer(in_turn(PROSE)) as server:
        (answer,) = ask()
    assert answer.outcome == "valid"
    assert [(a.tokens_in, a.tokens_out) for a in answer.attempts] == [TOKENS, TOKENS]
    assert server.heard[0].body == server.heard[1].body


def test_what_cannot_be_read_twice_is_a_verdict_of_its_own_with_its_raw_text():
    with FaultServer(always(PROSE)) as server:
        ((_, answer),) = next(llm_judge(rates=RATES).answers(some_questions()))
    assert (answer.outcome, answer.raw, answer.model) == ("unparseable", PROSE.sent.decode(), MODEL)
    assert answer.log_likelihood_ratio == pytest.approx(np.log(RATES.right["unparseable"] / RATES.wrong["unparseable"]))
    assert len(server.heard) == len(answer.attempts) == 2


def test_no_reply_after_one_that_cannot_be_read_is_no_verdict_and_its_cost_is_kept():
    with FaultServer(in_turn(PROSE, then=always(refused(500)))):
        (answer,) = ask()
    assert (answer.outcome, answer.raw) == ("failed", "status 500: Error code: 500 - as you wish")
    assert (answer.attempts[0].tokens_in, answer.attempts[0].tokens_out) == TOKENS


def test_a_reply_without_usage_leaves_its_attempt_at_the_reserve():
    with FaultServer(always(chat('{"verdict": "valid"}', usage=None))):
        (answer,) = ask()
    assert [(a.tokens_in, a.tokens_out) for a in answer.attempts] == [(None, None)]


def test_a_long_reply_is_kept_to_a_limit():
    with FaultServer(always(Said("x" * (LONGEST_RAW + 1000)))):
        (answer,) = ask()
    assert answer.raw == "x" * LONGEST_RAW


def test_a_reply_that_names_no_model_is_of_the_model_asked_for():
    with FaultServer(always(chat('{"verdict": "valid"}', model=None))):
        (answer,) = ask()
    assert (answer.outcome, answer.model) == ("valid", ASKED_FOR)


# What is asked


@pytest.mark.parametrize("text", ["", ":", "\u200b\u202e", "?!"])
def test_a_text_that_cannot_be_judged_is_not_sent(text):
    with FaultServer() as server:
        (answer,) = ask([replace(some_questions()[0], content=text)])
    assert (answer.outcome, answer.raw, answer.attempts) == ("unsure", NOT_SENT, ())
    assert answer.log_likelihood_ratio == 0.0
    assert server.heard == []


def test_an_answer_says_which_meaning_the_judge_read_and_that_the_text_was_cut():
    question = replace(some_questions()[0], label=Label(1, "refund", "About money.", 9))
    with FaultServer():
        whole, cut = ask([question, replace(question, content="refund " * LONGEST_TEXT)])
    assert (whole.meaning_id, whole.cut, cut.meaning_id, cut.cut) == (9, False, 9, True)


def test_the_answers_key_is_the_questions_on_this_wire_and_model():
    with FaultServer():
        (answer,) = ask()
    assert answer.question_key == prompt_of(some_questions()[0]).key("chat", ASKED_FOR)


def test_a_budget_spent_at_the_second_asking_ends_the_run_and_the_first_reply_is_counted():
    calls = iter(([1], [], [], []))
    with FaultServer(always(PROSE)) as server:
        (group,) = llm_judge(reserve=lambda _tokens: next(calls)).answers(some_questions(3))
    ((index, answer),) = group
    assert (index, answer.outcome) == (0, "unparseable")
    assert [(a.tokens_in, a.tokens_out) for a in answer.attempts] == [TOKENS]
    assert len(server.heard) == 1


# The key


def tells_all(heard: Heard) -> str:
    return json.dumps({"headers": dict(heard.headers), "path": heard.path})


@pytest.mark.parametrize("status", [400, 422, 429, 500])
@pytest.mark.parametrize("key", [KEY, "plainWithoutAnyPrefix99", 'with"quote'])
def test_a_server_that_tells_the_key_in_an_error_is_not_quoted(status, key, caplog):
    caplog.set_level(logging.DEBUG)
    with FaultServer(lambda heard: Said({"error": {"message": tells_all(heard)}}, status)) as server:
        (answer,) = ask(api_key=key)
    assert f"Bearer {key}" in server.heard[0].headers["authorization"]
    assert key not in repr(answer)
    assert key not in caplog.text


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 500])
def test_an_error_that_ends_the_run_does_not_hold_the_key(status):
    def tells(heard: Heard) -> Said:
        return Said({"error": {"message": tells_all(heard), "code": heard.headers["authorization"]}}, status)

    with FaultServer(tells), pytest.raises(JudgeError) as caught:
        ask(30)
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("wire", ["chat", "systemone", "decisions"])
def test_a_server_that_tells_the_key_in_its_answers_is_not_quoted(wire):
    def tells(heard: Heard) -> Said:
        body = json.loads(honest(heard).sent)
        return Said(body | {"model": heard.headers["authorization"], "note": tells_all(heard)})

    with FaultServer(tells):
        (answer,) = ask(wire=wire)
    assert KEY not in repr(answer)
    assert "***" in answer.raw
    assert "***" in answer.model


def test_a_key_across_the_limit_of_a_kept_reply_is_not_kept_in_part():
    key = "Abcdefghijklmnopqrstuvwxyz0123456789"
    with FaultServer(always(Said("x" * (LONGEST_RAW - 12) + key))):
        (answer,) = ask(api_key=key)
    assert key[:8] not in answer.raw


def test_a_broken_connection_does_not_tell_the_key():
    with FaultServer(always(Said(b"x" * 100, headers={"Content-Encoding": "gzip"}))):
        (answer,) = ask()
    assert answer.outcome == "failed"
    assert KEY not in repr(answer)
