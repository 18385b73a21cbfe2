"""Refusals in the words of different servers: of a text, of a parameter, of an account that is empty."""

from __future__ import annotations

import time
from typing import Any

import pytest

from red_core.errors import JudgeError
from red_core.judges.project import judge_check
from red_core.records import Answer
from tests.helpers.fault_server import (
    TOKENS,
    FaultServer,
    Heard,
    Said,
    always,
    ask,
    chat,
    honest,
    in_turn,
)
from tests.helpers.small_projects import FAST
from tests.judges.test_connect import found


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None} | more}


def tokens(answers: list[Answer]) -> list[tuple[int | None, int | None]]:
    return [(attempt.tokens_in, attempt.tokens_out) for answer in answers for attempt in answer.attempts]


# A filter stops a text, and answers the others

AZURE = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
FILTERS: dict[str, tuple[int, Any]] = {
    "Azure OpenAI": (400, error(AZURE, code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"})),
    "OpenAI": (400, error("Invalid prompt: your prompt was flagged as potentially violating our usage policy.")),
    "litellm": (400, error("litellm.BadRequestError: litellm.ContentPolicyViolationError: AzureException", code="400")),
    "DeepSeek": (400, error("Content Exists Risk")),
    "Qwen": (400, error("Input data may contain inappropriate content.", code="data_inspection_failed")),
    "Databricks": (400, {"error_code": "BAD_REQUEST", "message": '{"finishReason": "input_guardrail_triggered"}'}),
    "OpenRouter": (403, error("m requires moderation. Your input was flagged for harassment.", code=403)),
    "Claude": (400, error("Output blocked by content filtering policy")),
}


@pytest.mark.parametrize(("status", "body"), FILTERS.values(), ids=FILTERS)
def test_a_text_that_a_filter_stops_is_refused_and_ends_no_run(status, body):
    with FaultServer(always(Said(body, status))) as server:
        answers = ask(12)
    assert {answer.outcome for answer in answers} == {"refused"}
    assert len(server.heard) == 12
    assert set(tokens(answers)) == {(None, None)}  # the server has read the text, and may count it


def test_a_filter_that_stops_every_injection_ends_no_self_test(project):
    def behave(heard: Heard) -> Said:
        return Said(error(AZURE, code="content_filter"), 400) if "Ignore your rules" in heard.text else honest(heard)

    with FaultServer(behave):
        test = judge_check(project, FAST.model_copy(update={"self_test_seeds": 10, "canaries": 5}))
    assert test.pairs == 20


# An error in place of a reply, with status 200


def test_an_error_in_place_of_a_reply_is_the_refusal_that_it_names():
    busy = Said({"error": {"code": 429, "message": "Provider returned error"}, "user_id": "u"})
    with FaultServer(in_turn(busy, busy)):
        (answer,) = ask()
    assert answer.outcome == "valid"
    assert tokens([answer]) == [(0, 0), (0, 0), TOKENS]
    with FaultServer(always(Said({"error": {"code": "502", "message": "Provider returned error"}}))):
        (answer,) = ask()
    assert (answer.outcome, answer.raw) == ("failed", "status 502: Error code: 502 - Provider returned error")
    with (
        FaultServer(always(Said({"error": {"code": 402, "message": "Insufficient credits"}}))) as server,
        pytest.raises(JudgeError, match=r"Top up the account \(402\)"),
    ):
        ask(9)
    assert len(server.heard) == 1


# A quota that no pause of minutes renews

SPENT = {
    "Moonshot": error("suspended due to insufficient balance", type="exceeded_current_quota_error"),
    "Zhipu": error("Insufficient balance or no resource package. Please recharge.", code="1113"),
    "Gemini": [error("You exceeded your current quota.", details=[{"quotaId": "GenerateRequestsPerDayPerProject"}])],
    "OpenRouter": error("Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 requests", code=429),
}
PASSING = {
    "Mistral": {"message": "Requests rate limit exceeded"},
    "Gemini": [error("You exceeded your current quota.", details=[{"quotaId": "GenerateRequestsPerMinutePerProject"}])],
    "OpenAI": error("Rate limit reached on requests per day (RPD): Limit 10000. Please try again in 8.64s."),
}


@pytest.mark.parametrize("body", SPENT.values(), ids=SPENT)
def test_a_quota_that_is_used_up_is_told_at_once(body):
    began = time.monotonic()
    with (
        FaultServer(always(Said(body, 429))) as server,
        pytest.raises(JudgeError, match=r"the quota is used up.*Top up the account"),
    ):
        ask(20)
    assert time.monotonic() - began < 5
    assert len(server.heard) == 1


@pytest.mark.parametrize("body", PASSING.values(), ids=PASSING)
def test_a_limit_of_minutes_is_waited_for(body):
    with FaultServer(in_turn(Said(body, 429))):
        assert [answer.outcome for answer in ask()] == ["valid"]


def test_a_daily_limit_with_a_pause_that_the_server_names_is_waited_for():
    body = error("Rate limit reached on tokens per day (TPD): Limit 100000")
    with FaultServer(in_turn(Said(body, 429, {"Retry-After": "0.1"}))):
        assert [answer.outcome for answer in ask()] == ["valid"]


# Parameters


def reasoning_model(*, takes: Any = None, logprobs_status: int = 400):
    """Return the behaviour of OpenAI's models that reason: they refuse what they do not know, by its name."""

    def behave(heard: Heard) -> Said:
        body = heard.body
        if "logprobs" in body:
            return Said(error("You are not allowed to request logprobs from this model."), logprobs_status)
        if "max_tokens" in body:
            return Said(error("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."), 400)
        if "temperature" in body:
            return Said(error("Unsupported value: 'temperature' does not support 0 with this model."), 400)
        known = {"model", "messages", "response_format", "max_completion_tokens", "reasoning_effort"}
        if unknown := set(body) - known:
            return Said(error(f"Unrecognized request argument supplied: {min(unknown)}"), 400)
        effort = body.get("reasoning_effort")
        if effort is not None and effort != takes:
            return Said(error(f"Unsupported value: 'reasoning_effort' does not support '{effort}' here."), 400)
        if effort is None and body["max_completion_tokens"] < 500:
            details = {"completion_tokens_details": {"reasoning_tokens": 64}}
            usage = {"prompt_tokens": 9, "completion_tokens": 64, "total_tokens": 73}
            return chat("", finish="length", usage=usage | details)
        return honest(heard)

    return behave


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize(("takes", "most_out"), [("none", 64), ("minimal", 64), (None, 4096)])
def test_a_model_that_refuses_switches_by_their_names_is_asked_in_another_way(takes, most_out, status):
    with FaultServer(reasoning_model(takes=takes, logprobs_status=status)):
        connection = found()
    assert connection.dialect is not None
    assert connection.dialect.quiet == ({} if takes is None else {"reasoning_effort": takes})
    assert (connection.dialect.limit, connection.dialect.most_out) == ("max_completion_tokens", most_out)
    assert (connection.dialect.temperature, connection.dialect.logprobs) == (False, False)


def test_a_switch_is_tried_without_the_probabilities_that_the_server_refuses():
    def behave(heard: Heard) -> Said:
        if "logprobs" in heard.body:
            return Said(error("logprobs is not supported"), 400)
        if heard.body.get("thinking"):
            return honest(heard)
        return chat(f"<think>Hmm.</think>{honest(heard).body['choices'][0]['message']['content']}")  # type: ignore[index]

    with FaultServer(behave):
        connection = found()
    assert connection.dialect is not None
    assert connection.dialect.quiet == {"thinking": {"type": "disabled"}}


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Developer instruction is not enabled for models/gemma-3-27b-it"),
        (500, "Conversation roles must alternate user/assistant/user/assistant/..."),
        (400, "Only user and assistant roles are supported!"),
        (422, "Input should be 'user' or 'assistant', input: 'system'"),
    ],
)
def test_a_server_without_system_messages_is_asked_without_and_keeps_the_other_parameters(status, message):
    def behave(heard: Heard) -> Said:
        if heard.body["messages"][0]["role"] == "system":
            return Said(error(message), status)
        return honest(heard)

    with FaultServer(behave) as server:
        connection = found()
    assert connection.dialect is not None
    assert not connection.dialect.system
    assert {"temperature", "max_tokens", "logprobs"} <= set(server.heard[-1].body)


def test_two_parameters_refused_in_a_list_of_faults_are_both_dropped():
    def behave(heard: Heard) -> Said:
        extra = [name for name in ("logprobs", "temperature") if name in heard.body]
        told = [{"loc": ["body", name], "msg": "Extra inputs are not permitted", "type": "x"} for name in extra]
        return Said({"detail": told}, 422) if told else honest(heard)

    with FaultServer(behave) as server:
        connection = found()
    assert connection.dialect is not None
    assert (connection.dialect.temperature, connection.dialect.logprobs) == (False, False)
    assert server.heard[-1].body["max_tokens"] == 64
