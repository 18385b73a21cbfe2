"""Refusals in the words of different servers: of a text, of an account that is empty."""

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
    error,
    honest,
    in_turn,
)
from tests.helpers.small_projects import FAST


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
    with FaultServer(always(Said({"error": {"message": "the engine died", "type": "server_error"}}))):
        assert ask()[0].raw == "status 500: Error code: 500 - the engine died"
    with (
        FaultServer(always(Said({"error": {"code": 402, "message": "Insufficient credits"}}))) as server,
        pytest.raises(JudgeError, match=r"Top up the account \(402\)"),
    ):
        ask(9)
    assert len(server.heard) == 1


# A refusal that ends the run


@pytest.mark.parametrize(
    ("status", "body", "end"),
    [
        (
            403,
            error("Country, region, or territory not supported"),
            ". It says: Country, region, or territory not supported.",
        ),
        (
            404,
            error("No endpoints found matching your data policy."),
            ". It says: No endpoints found matching your data policy.",
        ),
        (402, error("Insufficient Balance"), ". It says: Insufficient Balance."),
        (404, "<html><h1>404</h1></html>", "(404)."),
        (403, b"", "(403)."),
        (403, "<html>Your request was flagged by our firewall</html>", "(403)."),
        (401, {"detail": {"a": 1}}, "(401)."),
    ],
)
def test_a_refusal_that_ends_the_run_is_told_in_the_words_of_the_server(status, body, end):
    with FaultServer(always(Said(body, status))), pytest.raises(JudgeError) as told:
        ask(9)
    assert str(told.value).endswith(end)


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
