"""A cap of tokens is a cap, whatever replies cost; what a server takes beyond it is learned from its first reply."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from red_core.judges.chat import Reply, ask_in_json
from red_core.judges.client import Client, Endpoint, all_of, most_tokens
from red_core.judges.correction import LlmCorrector
from red_core.judges.dialect import ANSWER_TOKENS, REASONING_TOKENS, WRITTEN_TOKENS, Dialect
from red_core.judges.llm_judge import LlmJudge
from red_core.judges.meanings import TASK, Meaning
from red_core.judges.server_settings import judge_server
from red_core.records import Attempt, Label
from red_core.steps.judge_reliability import judge_rates
from tests.helpers.fault_server import FaultServer, Heard, Said, always, chat, llm_judge, refused, some_questions


class Ledger:
    """Stores attempts as the project does, in memory; remembers the most that was ever spent."""

    def __init__(self, cap: int) -> None:
        self.cap, self.rows, self.most = cap, list[int](), 0

    def __call__(self, tokens: Sequence[int]) -> list[int]:
        ids = []
        for each in tokens:
            if sum(self.rows) + each > self.cap:
                break
            self.rows.append(each)
            ids.append(len(self.rows) - 1)
        self.most = max(self.most, sum(self.rows))
        return ids

    def settle(self, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            if attempt.tokens_in is not None and attempt.tokens_out is not None:
                self.rows[attempt.id] = attempt.tokens_in + attempt.tokens_out
        self.most = max(self.most, sum(self.rows))


BILLS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["answer", "prose", "busy"])), max_size=40)


@given(BILLS, st.integers(0, 12_000), st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_whatever_replies_cost_the_cap_is_never_exceeded(bills, cap, at_once):
    """A reply costs anything up to all bytes that were sent and the limit that was sent."""
    left, lock = list(bills), threading.Lock()

    def behave(heard: Heard) -> Said:
        with lock:
            read, written, kind = left.pop() if left else (1.0, 1.0, "answer")
        if kind == "busy":
            return refused(429)
        sent = len(json.dumps(heard.body, ensure_ascii=False).encode())
        usage = {"prompt_tokens": int(read * sent), "completion_tokens": int(written * heard.body["max_tokens"])}
        return chat('{"verdict": "valid"}' if kind == "answer" else "prose", usage=usage)

    ledger = Ledger(cap)
    with FaultServer(behave) as server:
        judge = llm_judge(judge_server(at_once=at_once), reserve=ledger)
        for group in judge.answers(some_questions(25)):
            for _, answer in group:
                ledger.settle(answer.attempts)
        most = max((most_tokens(heard.body, ANSWER_TOKENS) for heard in server.heard), default=2000)
    assert ledger.most <= cap
    assert server.heard or cap < 2000
    if len(server.answered) < 25:  # it ended for lack of room, not before
        assert cap - sum(ledger.rows) < most


def test_a_server_that_ignores_the_limit_is_reserved_for_what_it_took():
    """The case that was seen: 300 tokens in and 3,000 out for each reply, eight at once, a cap of 60,000."""
    usage = {"prompt_tokens": 300, "completion_tokens": 3000}
    ledger = Ledger(60_000)
    with FaultServer(always(chat('{"verdict": "valid"}', usage=usage))):
        judge = llm_judge(judge_server(at_once=8), reserve=ledger)
        for group in judge.answers(some_questions(60)):
            for _, answer in group:
                ledger.settle(answer.attempts)
    assert 40_000 < ledger.most <= 60_000


# A server that takes no limit, or ignores it

Group = list[tuple[int, Any]]
MEANING = '{"belongs": "a", "does_not_belong": "b", "told_from": []}'
ITEMS = 12


def verdicts(endpoint: Endpoint) -> Iterator[Group]:
    return LlmJudge(endpoint, judge_rates({}, {})).answers(some_questions(10 + ITEMS)[10:])


def meanings(endpoint: Endpoint) -> Iterator[Group]:
    async def ask(client: Client, message: str) -> Reply[Meaning]:
        return await ask_in_json(client, TASK, message, Meaning)

    return all_of(endpoint, [f"label {n}" for n in range(10, 10 + ITEMS)], ask)


def corrections(endpoint: Endpoint) -> Iterator[Group]:
    candidates = [(Label(1, "refund"), ()), (Label(2, "repair"), ())]
    return LlmCorrector(endpoint).corrections([(f"text {n}", candidates) for n in range(10, 10 + ITEMS)])


ASKED: dict[Callable[[Endpoint], Iterator[Group]], str] = {
    verdicts: '{"verdict": "valid"}', meanings: MEANING, corrections: '{"choice": 1}',
}  # fmt: skip
"""What is asked, with a reply that can be read. All requests of one kind are equally long."""


def all_asked(ask: Callable[[Endpoint], Iterator[Group]], ledger: Ledger, at_once: int, dialect: Dialect) -> None:
    for group in ask(Endpoint(judge_server(at_once=at_once), dialect, ledger)):
        for _, came in group:
            ledger.settle(came.attempts)


@given(
    st.sampled_from(list(ASKED)),
    st.integers(0, 9_000),
    st.lists(st.booleans(), max_size=ITEMS),
    st.integers(3_000, 40_000),
    st.integers(2, 8),
    st.sampled_from([Dialect(), Dialect(limit=""), Dialect(limit="", most_out=REASONING_TOKENS)]),
)
@example(meanings, 9_000, [], 40_000, 8, Dialect())
@example(corrections, 3_000, [False] * ITEMS, 20_000, 8, Dialect(limit=""))
@settings(max_examples=40, deadline=None)
def test_replies_that_ignore_the_limit_pass_the_cap_by_the_first_one_at_most(
    ask, written, readable, cap, at_once, dialect
):
    """Every reply takes the same. Only the request in flight before the first reply had too small a reserve."""
    left, lock = list(readable), threading.Lock()

    def behave(_heard: Heard) -> Said:
        with lock:
            well = left.pop() if left else True
        usage = {"prompt_tokens": 300, "completion_tokens": written}
        return chat(ASKED[ask] if well else "prose", usage=usage)

    ledger = Ledger(cap)
    with FaultServer(behave) as server:
        all_asked(ask, ledger, at_once, dialect)
        first = most_tokens(server.heard[0].body, 0) if server.heard else 0
    assert ledger.most <= cap + max(0, 300 + written - first)
    assert sum(row == 300 + written for row in ledger.rows) == len(server.heard)  # whatever came is counted


@pytest.mark.parametrize(
    ("ask", "most_out"), [(verdicts, 0), (meanings, WRITTEN_TOKENS), (corrections, WRITTEN_TOKENS)]
)
@pytest.mark.parametrize("reasons", [ANSWER_TOKENS, REASONING_TOKENS])
def test_where_no_limit_can_be_sent_the_expected_length_is_reserved(ask, most_out, reasons):
    ledger = Ledger(most_out + reasons)  # no room for what is sent
    with FaultServer() as server:
        all_asked(ask, ledger, 4, Dialect(limit="", most_out=reasons))
    assert server.heard == []


def test_the_larger_of_two_limits_counts():
    both = {"max_tokens": 64, "max_completion_tokens": 5_000}
    assert most_tokens(both, 64) >= 5_000
    assert most_tokens({"max_tokens": "many"}, 700) >= 700
