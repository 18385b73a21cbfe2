from __future__ import annotations

import itertools
import json
import math
import time
from dataclasses import replace
from typing import Any

import pytest

from red_core.errors import JudgeError
from red_core.judges.connect import connect
from red_core.judges.server_settings import judge_server
from red_core.records import Label
from tests.helpers.fault_server import (
    KEY,
    MODEL,
    FaultServer,
    Heard,
    Said,
    always,
    chat,
    closed_address,
    error,
    honest,
    in_turn,
    is_right,
    noul,
    predicate,
    refused,
    some_questions,
    word,
)

RIGHT, LATER = some_questions(2)
WRONG = type(LATER)(
    LATER.text, LATER.content, Label(2, "repair"), Label(1, "refund"), (), (), 0.5, 0.5, "self-test", 0.0
)  # fmt: skip


def form_asked(heard: Heard) -> str:
    return str(heard.body.get("response_format", {"type": "plain"})["type"])


def tried(server: FaultServer) -> list[str]:
    return [form for form, _ in itertools.groupby(form_asked(heard) for heard in server.heard)]


def found(**settings):
    numbers = itertools.count(1)
    known = {"response_format": "auto", "timeout": 5}
    return connect(judge_server(**known | settings), lambda tokens: [next(numbers) for _ in tokens], RIGHT, WRONG)


def obeys_only(*forms: str, else_: Said):
    return lambda heard: honest(heard) if form_asked(heard) in forms else else_


PROSE = chat("Certainly! The label is valid.")


def test_a_server_that_enforces_the_schema_is_asked_with_it_at_once():
    with FaultServer() as server:
        connection = found()
    assert (connection.form, connection.model, tried(server)) == ("json_schema", MODEL, ["json_schema"])
    assert connection.sentences == (
        "Asking for JSON with a schema: works. It called a right label valid and a wrong one invalid.",
        "It gives no probabilities, so only its answers valid, invalid and unsure count.",
    )
    assert len(connection.attempts) == len(server.heard) == 2
    assert server.heard[0].body["response_format"]["json_schema"]["strict"] is True


def test_a_server_that_refuses_the_schema_is_asked_for_an_object():
    with FaultServer(obeys_only("json_object", else_=refused(400))) as server:
        connection = found()
    assert (connection.form, tried(server)) == ("json_object", ["json_schema", "json_object"])
    first, second, _ = connection.sentences
    assert first.startswith("Asking for JSON with a schema: it did not work, status 400: ")
    assert second.startswith("Asking for a JSON object: works.")
    assert len(connection.attempts) == len(server.heard)


def test_a_server_that_breaks_down_over_the_schema_is_asked_for_an_object():
    with FaultServer(obeys_only("json_object", "plain", else_=refused(500))) as server:
        assert found().form == "json_object"
    assert tried(server) == ["json_schema", "json_object"]


def test_a_server_that_takes_the_schema_and_does_not_obey_is_not_believed():
    with FaultServer(obeys_only("plain", else_=PROSE)) as server:
        connection = found()
    assert (connection.form, tried(server)) == ("plain", ["json_schema", "json_object", "plain"])
    assert connection.sentences[0] == (
        "Asking for JSON with a schema: the server replied, but not with the answer that was asked for: 'Certainly! "
        "The label is valid.'. Try another RED_JUDGE_FORMAT or another model."
    )
    assert connection.sentences[-2].startswith("Asking for JSON in the instructions only: works.")


def test_a_server_that_only_ever_writes_prose_cannot_be_used():
    with FaultServer(always(PROSE)):
        connection = found()
    assert connection.form is None
    assert len(connection.sentences) == 3
    assert len(connection.attempts) == 3 * 2 * 2  # each is asked once more


def test_a_server_that_obeys_only_one_of_the_pairs_does_not_obey():
    with FaultServer(lambda heard: PROSE if heard.state["proposed"]["label"] == "repair" else honest(heard)):
        assert found().form is None


def test_a_model_that_refuses_is_said_to():
    with FaultServer(always(chat(None, refusal="no"))):
        connection = found()
    assert connection.form is None
    assert connection.sentences[0].endswith(": the model refused to answer.")


def test_wrong_answers_work_but_are_warned_of():
    with FaultServer(always(word("valid"))):
        connection = found()
    assert connection.form == "json_schema"
    assert connection.sentences[0].endswith(
        "It called a right label valid and a wrong one valid. Two answers prove little. The self-test measures "
        "how accurate the judge is."
    )


@pytest.mark.parametrize("form", ["json_schema", "json_object", "plain"])
def test_a_form_that_is_set_is_the_only_one_tried(form):
    with FaultServer(always(PROSE)) as server:
        assert found(response_format=form).form is None
    assert tried(server) == [form]


@pytest.mark.parametrize(
    ("wire", "reply"),
    [("systemone", noul), ("decisions", lambda p: predicate(type="predicate", probability=p))],
)
def test_a_wire_of_probabilities_has_no_form_to_try(wire, reply):
    with FaultServer(lambda heard: reply(0.93 if is_right(heard) else 0.125)) as server:
        connection = found(wire=wire)
    assert connection.form == "plain"
    assert connection.sentences == ("works. It called a right label valid (p 0.93) and a wrong one invalid (p 0.12).",)
    assert len(server.heard) == 2


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_hopeless_server_is_told_at_once(status):
    with FaultServer(always(refused(status))) as server, pytest.raises(JudgeError, match=rf"\({status}\)") as caught:
        found()
    assert tried(server) == ["json_schema", *(["plain"] if status == 404 else [])]  # 404: the models are listed
    assert KEY not in str(caught.value)


def test_a_server_that_is_not_there_is_told():
    with FaultServer(), pytest.raises(JudgeError, match="nothing listens at"):
        found(base_url=closed_address())


def test_a_server_that_never_replies_is_told_after_one_timeout():
    began = time.monotonic()
    with FaultServer(always(Said(delay=20))) as server:
        connection = found(timeout=0.3)
    assert time.monotonic() - began < 3
    assert connection.form is None
    (sentence,) = connection.sentences
    assert sentence.endswith("no reply within 0.3 s. If the server is slow, raise RED_JUDGE_TIMEOUT.")
    assert len(server.heard) == 2


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_server_that_is_busy_or_loads_its_model_is_asked_in_the_same_way_again(status):
    loading = Said({"error": {"code": status, "message": "Loading model", "type": "unavailable_error"}}, status)
    with FaultServer(in_turn(loading, loading, loading)) as server:
        connection = found()
    assert (connection.form, tried(server)) == ("json_schema", ["json_schema"])
    assert all({"temperature", "max_tokens", "logprobs"} <= set(heard.body) for heard in server.heard)


def test_a_server_that_stays_busy_is_told_and_no_other_way_of_asking_is_tried():
    with FaultServer(always(refused(503))) as server:
        connection = found()
    assert (connection.form, tried(server)) == (None, ["json_schema"])
    (sentence,) = connection.sentences
    assert sentence.endswith("as you wish. The server is busy, or loads its model. Try again in a minute.")


def test_a_web_page_is_told_to_be_one():
    with FaultServer(always(Said("<!DOCTYPE html><html><body>Hello</body></html>"))):
        connection = found(response_format="json_schema")
    assert connection.form is None
    assert connection.sentences[0].endswith(
        "the address sends a web page. Check OPENAI_BASE_URL: it usually ends in /v1."
    )


# What a server refuses is not sent again


def refuses(*words: str):
    """Return the behaviour of a server that refuses these parameters by their names, and reads a system message."""

    def behave(heard: Heard) -> Said:
        for word_ in words:
            if word_ in heard.body or (word_ == "system" and heard.body["messages"][0]["role"] == "system"):
                return Said({"error": {"message": f"Unsupported parameter: '{word_}'"}}, 400)
        return honest(heard)

    return behave


@pytest.mark.parametrize(
    ("refused_words", "sent"),
    [
        (("temperature",), {"max_tokens": 64, "logprobs": True}),
        (("max_tokens",), {"temperature": 0, "max_completion_tokens": 64, "logprobs": True}),
        (("max_tokens", "max_completion_tokens"), {"temperature": 0, "logprobs": True}),
        (("logprobs",), {"temperature": 0, "max_tokens": 64}),
        (("temperature", "max_tokens", "logprobs"), {"max_completion_tokens": 64}),
        (("system",), {"temperature": 0, "max_tokens": 64, "logprobs": True}),
    ],
)
def test_a_parameter_that_is_refused_by_its_name_is_dropped_and_the_others_stay(refused_words, sent):
    with FaultServer(refuses(*refused_words)) as server:
        connection = found()
    assert connection.form == "json_schema"
    last = server.heard[-1].body
    names = ("temperature", "max_tokens", "max_completion_tokens", "logprobs")
    assert {name: last[name] for name in names if name in last} == sent
    assert (last["messages"][0]["role"] == "system") == ("system" not in refused_words)
    assert len(server.heard) <= 2 * (len(refused_words) + 1)


def test_a_server_that_refuses_without_a_name_is_asked_barely_at_the_end():
    bare = {"model", "messages", "response_format"}
    with FaultServer(lambda heard: honest(heard) if set(heard.body) <= bare else refused(400)) as server:
        connection = found()
    assert connection.form == "json_schema"
    assert set(server.heard[-1].body) == bare
    assert "(without temperature, a limit of tokens, a system message)" in connection.sentences[-2]


def likely(valid: float) -> Said:
    """Return an answer whose token of the verdict has this probability of *valid*."""
    p = {"valid": valid, "invalid": 1 - valid}
    best = max(p, key=p.__getitem__)
    tops = [{"token": word_, "logprob": math.log(chance)} for word_, chance in p.items()]
    tokens = [{"token": '{"verdict": "', "logprob": 0.0, "top_logprobs": []}]
    tokens += [{"token": best, "logprob": math.log(p[best]), "top_logprobs": tops}, {"token": '"}', "logprob": 0.0}]
    body = word(best).body
    assert isinstance(body, dict)
    (choice,) = body["choices"]
    return Said(body | {"choices": [choice | {"logprobs": {"content": tokens}}]})


def test_probabilities_are_used_where_the_server_gives_them():
    with FaultServer(lambda heard: likely(0.9 if is_right(heard) else 0.2)):
        connection = found()
    assert connection.sentences == (
        connection.sentences[0],
        "It gives probabilities, which say more than its words.",
    )
    assert connection.sentences[0].endswith("a right label valid (p 0.90) and a wrong one invalid (p 0.20).")
    assert connection.dialect is not None
    assert connection.dialect.logprobs


# Models that reason


def reasoning(*, switch: str | None):
    """Return the behaviour of a model that reasons unless this parameter is sent, and is cut by a small limit."""

    def behave(heard: Heard) -> Said:
        answer = honest(heard)
        if switch in heard.body:
            return answer
        if heard.body.get("max_tokens", 99) < 500:
            return chat("", finish="length")
        content = answer.body["choices"][0]["message"]["content"]  # type: ignore[index, call-overload]
        return chat(f"<think>Hmm, let me see.</think>\n\n{content}")

    return behave


@pytest.mark.parametrize("switch", ["reasoning_effort", "chat_template_kwargs", "thinking", "think"])
def test_reasoning_is_switched_off_where_the_server_has_a_switch(switch):
    with FaultServer(reasoning(switch=switch)) as server:
        connection = found()
    assert connection.form == "json_schema"
    assert connection.dialect is not None
    assert list(connection.dialect.quiet) == [switch]
    assert connection.dialect.most_out == 64
    assert switch in server.heard[-1].body


@pytest.mark.parametrize("block", ["think", "thought", "reasoning", "seed:think"])
def test_reasoning_that_is_cut_in_its_block_gets_room(block):
    def behave(heard: Heard) -> Said:
        if heard.body["max_tokens"] < 500:
            return chat(f"<{block}>Hmm, let me", finish="length")
        content = honest(heard).body["choices"][0]["message"]["content"]  # type: ignore[index, call-overload]
        return chat(f"<{block}>Hmm.</{block}>{content}")

    with FaultServer(behave):
        connection = found()
    assert connection.dialect is not None
    assert connection.dialect.most_out == 4096


def test_a_model_that_begins_with_an_empty_block_needs_no_switch_and_no_room():
    def behave(heard: Heard) -> Said:
        content = honest(heard).body["choices"][0]["message"]["content"]  # type: ignore[index, call-overload]
        return chat(f"<think>\n\n</think>\n\n{content}")

    with FaultServer(behave) as server:
        connection = found()
    assert connection.dialect is not None
    assert (connection.dialect.quiet, connection.dialect.most_out) == ({}, 64)
    assert len(server.heard) == 2


def test_reasoning_that_cannot_be_switched_off_gets_room():
    with FaultServer(reasoning(switch=None)) as server:
        connection = found()
    assert connection.dialect is not None
    assert (connection.dialect.most_out, connection.dialect.quiet) == (4096, {})
    assert server.heard[-1].body["max_tokens"] <= 4096
    assert "cannot be switched off" in connection.sentences[-1]


def test_the_seconds_of_one_request_are_remembered_and_not_those_of_the_first():
    """The first request of a server may wait until its model is loaded."""
    left = [0.7]
    with FaultServer(lambda heard: replace(honest(heard), delay=left.pop() if left else 0.2)):
        dialect = found().dialect
    assert dialect is not None
    assert 0.2 <= dialect.seconds < 0.6


# Parameters in the words of different servers


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


# An unknown model


@pytest.mark.parametrize("name", ["models/tiny", "tiny:latest", "tiny"])
def test_a_model_that_is_listed_under_a_longer_name_is_listed(name):
    with (
        FaultServer(lambda heard: Said({"data": [{"id": name}]}) if heard.path.endswith("/models") else refused(404)),
        pytest.raises(JudgeError) as told,
    ):
        found()
    assert "does not list" not in str(told.value)


@pytest.mark.parametrize("listed", [{"data": [{"id": "large"}]}, [{"id": "large"}]])
def test_the_models_of_a_list_without_a_name_are_told(listed):
    with (
        FaultServer(lambda heard: Said(json.dumps(listed)) if heard.path.endswith("/models") else refused(404)),
        pytest.raises(JudgeError, match="It lists: large"),
    ):
        found()


def test_an_unknown_model_is_told_with_those_the_server_has():
    def behave(heard: Heard) -> Said:
        if heard.path.endswith("/models"):
            return Said({"data": [{"id": f"model-{n}"} for n in range(10)]})
        return refused(404)

    began = time.monotonic()
    with FaultServer(behave), pytest.raises(JudgeError) as caught:
        found()
    assert time.monotonic() - began < 5
    assert "The server does not list tiny. It lists: model-0, model-1," in str(caught.value)
    assert "and 2 more" in str(caught.value)
