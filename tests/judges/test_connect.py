from __future__ import annotations

import itertools

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
    honest,
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
    )
    assert len(connection.attempts) == len(server.heard) == 2
    assert server.heard[0].body["response_format"]["json_schema"]["strict"] is True


def test_a_server_that_refuses_the_schema_is_asked_for_an_object():
    with FaultServer(obeys_only("json_object", else_=refused(400))) as server:
        connection = found()
    assert (connection.form, tried(server)) == ("json_object", ["json_schema", "json_object"])
    first, second = connection.sentences
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
        "Asking for JSON with a schema: the server replied, but not with the answer that was asked for."
    )
    assert connection.sentences[-1].startswith("Asking for JSON in the instructions only: works.")


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
    assert tried(server) == ["json_schema"]
    assert KEY not in str(caught.value)


def test_a_server_that_is_not_there_is_told():
    with FaultServer():
        connection = found(base_url=closed_address())
    assert connection.form is None
    assert all("it did not work, the connection broke: " in sentence for sentence in connection.sentences)
