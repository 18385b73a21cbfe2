from __future__ import annotations

import json
import re
import time
from typing import Any, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from red_core.errors import one_line
from red_core.judges.apis import read_reply
from red_core.judges.contents import content_of, thinks, unwrapped, what_came
from red_core.judges.replies import Band, Reply, strict_json
from red_core.judges.server_settings import ApiName
from red_core.records import Outcome
from tests.helpers.any_json import ANYTHING, changed_somewhere
from tests.helpers.fault_server import (
    MODEL,
    TOKENS,
    FaultServer,
    Said,
    always,
    ask,
    chat,
    honest,
    noul,
    predicate,
    word,
)
from tests.helpers.paths import ROOT
from tests.helpers.reply_shapes import SHAPES

WIRES: tuple[ApiName, ...] = get_args(ApiName)
WORDS = ("valid", "invalid", "unsure")
YES = '{"verdict": "valid"}'


def read(wire: ApiName, said: Said):
    return read_reply(wire, said.sent.decode("utf-8", "replace"), Band())


def changed(said: Said, old: str, new: str) -> Said:
    text = said.sent.decode()
    assert old in text
    return Said(text.replace(old, new))


@pytest.mark.parametrize("verdict", WORDS)
def test_the_exact_word_is_the_verdict(verdict):
    reply = read("chat", word(verdict))
    assert (reply.outcome, reply.p_valid, reply.model) == (verdict, None, MODEL)
    assert (reply.tokens_in, reply.tokens_out) == TOKENS


NO_ANSWER = {
    "prose": chat("The label is valid."),
    "a bare word": chat("valid"),
    "a bare string": chat('"valid"'),
    "not valid": chat("Not valid."),
    "words around it": chat(f"Sure! {YES}"),
    "a list": chat(f"[{YES}]"),
    "two answers": chat(f'{YES}\n{{"verdict": "invalid"}}'),
    "another word": chat('{"verdict": "not valid"}'),
    "an extra key": chat('{"verdict": "valid", "confidence": 1}'),
    "a key twice": chat('{"verdict": "invalid", "verdict": "valid"}'),
    "another key": chat('{"answer": "valid"}'),
    "a boolean": chat('{"verdict": true}'),
    "a list of one": chat('{"verdict": ["valid"]}'),
    "nothing": chat('{"verdict": null}'),
    "half of it": chat('{"verdict": "val'),
    "empty": chat(""),
    "no content": chat(None),
    "a string in a string": chat(json.dumps(YES)),
    "cut short": chat(YES, finish="length"),
    "a tool was called": chat(YES, finish="tool_calls"),
    "two choices": changed(word("valid"), '"choices": [', '"choices": [{"message": {"content": ""}}, '),
    "no choices": changed(word("valid"), '"choices"', '"chances"'),
    "null choices": Said({"model": MODEL, "choices": None}),
    "a key of the reply twice": changed(word("valid"), '{"model"', '{"choices": [], "model"'),
    "HTML": Said("<html><body>valid</body></html>", headers={"Content-Type": "text/html"}),
    "an error with status 200": Said({"error": {"message": "valid"}}),
    "truncated": Said(word("valid").sent[:-20]),
    "empty body": Said(b""),
    "no UTF-8": Said(b"\xff\xfe" + word("valid").sent),
    "a byte-order mark": Said(b"\xef\xbb\xbf" + word("valid").sent),
    "a stream": Said(b"data: " + word("valid").sent + b"\n\ndata: [DONE]\n"),
    "nested too deeply": Said("[" * 100_000),
    "a number of a million digits": Said("1" * 1_000_000),
}


@pytest.mark.parametrize("said", NO_ANSWER.values(), ids=NO_ANSWER.keys())
def test_whatever_else_a_chat_says_is_no_answer(said):
    assert read("chat", said).outcome == "unparseable"


@pytest.mark.parametrize(
    "said", [NO_ANSWER[name] for name in ("not valid", "HTML", "truncated", "a key twice", "empty", "cut short")]
)
def test_what_is_no_answer_comes_through_http_as_no_answer_with_its_raw_text(said):
    with FaultServer(always(said)) as server:
        (answer,) = ask()
    assert (answer.outcome, answer.p_valid, answer.raw) == ("unparseable", None, said.sent.decode())
    assert len(server.heard) == 2


# As servers and gateways send it


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.server}: {shape.shape}")
def test_a_shape_is_read_as_the_table_says(shape):
    reply = read_reply("chat", shape.body, Band())
    assert reply.outcome == shape.outcome
    assert reply.p_valid == (None if shape.probability is None else pytest.approx(shape.probability, abs=1e-6))
    tokens = (reply.tokens_in, reply.tokens_out, reply.tokens_cached)
    assert tokens == (shape.tokens or (None, None, None))


def test_the_table_of_the_docs_is_this_table():
    page = (ROOT / "docs" / "judge.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and line.count("|") == 4]
    assert [shape.row for shape in SHAPES] == [row for row in rows if row in {shape.row for shape in SHAPES}]
    assert len(SHAPES) >= 30
    assert len({shape.server.split(" (seen)")[0] for shape in SHAPES}) >= 12


@pytest.mark.parametrize("end", ["stop", "eos", "end_turn", "COMPLETE", "anything else", "", None])
def test_any_end_but_a_cut_is_an_end(end):
    assert read("chat", chat(YES, finish=end)).outcome == "valid"


@pytest.mark.parametrize("end", ["length", "LENGTH", "max_tokens", "tool_calls", "error"])
def test_after_a_cut_there_is_no_answer(end):
    assert read("chat", chat(YES, finish=end)).outcome == "unparseable"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (chat("Sure! It is valid."), r"for: 'Sure! It is valid\.'\. Try another RED_JUDGE_FORMAT or another model\."),
        (chat("", finish="length"), r'reasons and does not come to its answer.*"reasoning_effort": "none"'),
        (chat("<think>Hmm"), "Switch this off with RED_JUDGE_EXTRA"),
        (chat('{"verd', finish="length"), "the answer was cut"),
        (Said("<!doctype html><title>x</title>"), r"sends a web page\. Check OPENAI_BASE_URL"),
        (Said(b""), "the reply is empty"),
        (Said({"error": {"message": "no"}}), "none of this API"),
        (noul(0.9), "none of this API"),
    ],
)
def test_what_came_is_quoted_with_what_to_do(said, words):
    told = what_came(said.sent.decode())
    assert re.search(words, told)
    assert "\n" not in told
    assert len(told) < 400


@given(st.text(st.characters()), ANYTHING)
def test_whatever_came_is_told_in_one_line(raw, value):
    for text in (raw, json.dumps(value), chat(raw).sent.decode()):
        assert one_line(what_came(text), 1000) == what_came(text)


@given(ANYTHING)
@settings(max_examples=300)
def test_no_logprobs_make_reading_fail_or_give_what_is_no_probability(value):
    body = json.loads(word("valid").sent)
    for place in (value, {"content": value}, {"content": [{"token": '{"verdict": "', "top_logprobs": value}]}):
        body["choices"][0]["logprobs"] = place
        reply = read_reply("chat", json.dumps(body), Band())
        assert reply.outcome in {"valid", "unparseable"}  # NaN and Infinity are not JSON
        assert reply.p_valid is None or 0 <= reply.p_valid <= 1


@pytest.mark.parametrize("begin", ["<think>", "<thought>", "[THINK]", "\u25c1think\u25b7", "<|START_THINKING|>"])
def test_an_empty_block_is_no_reasoning(begin):
    end = begin.replace("<|START", "<|END").replace("<t", "</t").replace("[T", "[/T").replace("\u25c1t", "\u25c1/t")
    for inside, reasons in (("", False), ("\n\n", False), ("Hmm [1] <b>.", True)):
        said = chat(f"{begin}{inside}{end}\n{YES}")
        assert thinks(json.loads(said.sent)) == reasons
        assert read("chat", said).outcome == "valid"
    assert thinks(json.loads(chat(begin).sent))  # it was cut, or goes on
    assert thinks(json.loads(chat(f"Hmm.</think>{YES}").sent))
    assert not thinks(json.loads(chat(f"\n</think>{YES}").sent))


@pytest.mark.parametrize(("value", "reasons"), [(None, False), ("", False), ("\n\n", False), ("Hmm.", True)])
@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_white_space_beside_the_answer_is_no_reasoning(name, value, reasons):
    body = json.loads(chat(YES).sent)
    body["choices"][0]["message"][name] = value
    assert thinks(body) == reasons


REFUSALS = {
    "in words": ("chat", chat(None, refusal="I cannot help with that.")),
    "in words beside an answer": ("chat", chat(YES, refusal="No.")),
    "by a filter": ("chat", chat("", finish="content_filter")),
    "as a type": ("decisions", predicate(type="refusal")),
    "as a type with a probability": ("decisions", predicate(type="refusal", probability=0.9)),
}


@pytest.mark.parametrize(("wire", "said"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_is_no_verdict_on_the_label(wire, said):
    with FaultServer(always(said)) as server:
        (answer,) = ask(wire=wire)
    assert (answer.outcome, answer.p_valid) == ("refused", None)
    assert len(server.heard) == 1


@pytest.mark.parametrize(
    ("p", "outcome"),
    [
        (0, "invalid"),
        (0.39, "invalid"),
        (0.4, "unsure"),
        (0.59, "unsure"),
        (0.6, "valid"),
        (1, "valid"),
        (1.0, "valid"),
    ],
)
@pytest.mark.parametrize("wire", ["systemone", "decisions"])
def test_a_probability_is_read_by_the_band(wire, p, outcome):
    said = noul(p) if wire == "systemone" else predicate(type="predicate", name="valid", probability=p)
    reply = read(wire, said)
    assert (reply.outcome, reply.p_valid, reply.model) == (outcome, p, MODEL)
    assert (reply.tokens_in, reply.tokens_out) == TOKENS


@pytest.mark.parametrize("p", [1.7, -0.1, float("nan"), float("inf"), "0.9", "high", True, None, [0.9], 10**400])
@pytest.mark.parametrize("wire", ["systemone", "decisions"])
def test_what_is_no_probability_is_no_answer(wire, p):
    said = noul(p) if wire == "systemone" else predicate(type="predicate", probability=p)
    assert read(wire, said).outcome == "unparseable"


@pytest.mark.parametrize(
    "said",
    [
        Said({"answers": {}}),
        Said({"answers": None}),
        Said({"answers": {"other": {"noul": 0.9}}}),
        Said({"answers": {"valid": {"noul": 0.9}, "other": {"noul": 0.9}}}),
        Said({"answers": [{"noul": 0.9}]}),
        Said({"answers": {"valid": 0.9}}),
        Said('{"answers": {"valid": {"noul": 0.1, "noul": 0.9}}}'),
    ],
)
def test_answers_to_other_questions_than_the_one_are_no_answer(said):
    assert read("systemone", said).outcome == "unparseable"


@pytest.mark.parametrize(
    "said", [Said({"answers": []}), Said({"answers": None}), predicate(probability=0.9), predicate(type="other")]
)
def test_decisions_without_their_one_predicate_are_no_answer(said):
    assert read("decisions", said).outcome == "unparseable"


@pytest.mark.parametrize("wire", WIRES)
def test_one_wires_answer_is_no_answer_on_another(wire):
    answers = {"chat": word("valid"), "systemone": noul(0.9), "decisions": predicate(type="predicate", probability=0.9)}
    for other, said in answers.items():
        assert (read(wire, said).outcome == "valid") == (wire == other)


# Tokens and names


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"prompt_tokens": 1}, {"prompt_tokens": -1, "completion_tokens": 1}, [1, 2],
     {"prompt_tokens": "9", "completion_tokens": 1}, {"prompt_tokens": 10**30, "completion_tokens": 1},
     {"prompt_tokens": 1.5, "completion_tokens": 1}],
)  # fmt: skip
def test_tokens_that_were_not_counted_well_are_unknown_and_the_answer_stands(usage):
    reply = read("chat", chat(YES, usage=usage))
    assert (reply.outcome, reply.tokens_in, reply.tokens_out) == ("valid", None, None)


def test_tokens_of_a_reply_that_is_no_answer_are_counted():
    reply = read("chat", chat("I think so"))
    assert (reply.outcome, reply.tokens_in, reply.tokens_out, reply.model) == ("unparseable", *TOKENS, MODEL)


@pytest.mark.parametrize("name", ["\ud800", "a\x00b\nc", "x" * 10_000, 7, None, ["m"]])
def test_a_models_name_is_always_a_short_line_that_can_be_stored(name):
    found = read("chat", Said(json.dumps({"model": name}))).model
    assert len(found) <= 200
    assert found.isprintable()
    assert found.encode().decode() == found


def test_more_keys_of_a_server_around_the_answer_do_no_harm():
    assert read("chat", chat(YES, id="x", system_fingerprint=None, service_tier="default")).outcome == "valid"


# Whatever comes


@given(st.sampled_from(WIRES), st.binary(max_size=300))
def test_no_bytes_make_reading_fail_or_are_taken_for_an_answer(wire, raw):
    assert read_reply(wire, raw.decode("utf-8", "replace"), Band()).outcome == "unparseable"


@given(st.sampled_from(WIRES), ANYTHING)
@settings(max_examples=300)
def test_no_json_makes_reading_fail(wire, value):
    assert read_reply(wire, json.dumps(value), Band()).outcome in get_args(Outcome)


@given(
    st.text(st.characters()) | ANYTHING.map(json.dumps) | st.sampled_from(WORDS).map(lambda w: f'{{"verdict":"{w}"}}')
)
@example("Not valid.")
@example(f"{YES}.")
@settings(max_examples=300)
def test_only_the_exact_answer_of_a_chat_is_a_verdict(content):
    found = read("chat", chat(content)).outcome
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    small = {k.strip().casefold(): v for k, v in value.items()} if isinstance(value, dict) else {}
    said = small.get("verdict")
    said = said.strip().casefold() if isinstance(said, str) else ""
    exact = isinstance(value, dict) and len(value) == 1 and said in WORDS
    assert found == (said if exact else "unparseable")


_TOKENS = [{"token": token, "logprob": -0.1, "top_logprobs": [{"token": token, "logprob": -0.1}]}
           for token in ('{"verdict": "', "valid", '"}')]  # fmt: skip
_PARTS = [{"type": "thinking", "thinking": "Hmm."}, {"type": "text", "text": YES}]
_DETAILS = {"completion_tokens_details": {"reasoning_tokens": 1}, "prompt_tokens_details": {"cached_tokens": 1}}
_USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11} | _DETAILS
_MESSAGE = {"role": "assistant", "content": YES, "refusal": None, "tool_calls": [{"function": {"name": "x"}}]}
_CHOICE = {"index": 0, "finish_reason": "stop", "message": _MESSAGE, "logprobs": {"content": _TOKENS}}
BODIES: dict[ApiName, list[Any]] = {
    "chat": [
        {"id": "x", "model": MODEL, "choices": [_CHOICE], "usage": _USAGE},
        {"model": MODEL, "choices": [_CHOICE | {"message": {"content": _PARTS}}]},
    ],
    "systemone": [json.loads(noul(0.9).sent)],
    "decisions": [json.loads(predicate(type="predicate", probability=0.9).sent)],
}


@pytest.mark.parametrize("wire", WIRES)
@given(data=st.data())
@settings(max_examples=400)
def test_anything_in_any_place_of_a_reply_is_an_answer_or_unparseable(wire, data):
    body = data.draw(changed_somewhere(*BODIES[wire]))
    raw = json.dumps(body)
    reply = read_reply(wire, raw, Band())
    assert reply.outcome in {"valid", "invalid", "unsure", "refused", "unparseable"}
    if wire == "chat":
        assert reply.outcome in {"valid", "refused", "unparseable"}  # never another answer
        assert isinstance(read_reply(wire, raw, Band(), compares=True), Reply)
        assert thinks(body) in {True, False}
        assert one_line(what_came(raw), 1000) == what_came(raw)


@pytest.mark.parametrize("kind", [["text"], {}, None, 1, True])
def test_a_part_of_an_odd_type_costs_only_its_own_question(kind):
    odd = chat([{"type": kind, "text": YES}])
    with FaultServer(lambda heard: odd if heard.text.endswith("3") else honest(heard)):
        outcomes = [answer.outcome for answer in ask(6, at_once=4)]
    assert outcomes == ["valid", "valid", "valid", "unparseable", "valid", "valid"]


@given(st.integers(0, 400))
def test_a_truncated_answer_is_no_answer(length):
    raw = word("valid").sent.decode()
    assert read_reply("chat", raw[: min(length, len(raw) - 1)], Band()).outcome == "unparseable"


@given(ANYTHING)
def test_json_without_surprises_is_read_as_it_was_written(value):
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError:
        return
    assert strict_json(text) == value


@pytest.mark.parametrize(
    "raw", ["NaN", "[Infinity]", '{"a": -Infinity}', '{"a": 1, "a": 1}', '[{"b": {"a": 1, "a": 2}}]']
)
def test_what_json_does_not_have_is_refused(raw):
    with pytest.raises(ValueError, match=r"is not a number in JSON|comes twice"):
        strict_json(raw)


def test_words_that_were_cut_short_are_no_words():
    assert content_of(json.loads(chat("so far", finish="length").sent)) == (None, False)
    assert content_of(json.loads(chat("all").sent)) == ("all", False)
    assert content_of(json.loads(chat("no", refusal="no").sent)) == (None, True)


@pytest.mark.parametrize("sign", [" ", "`", "```\n", "<think>", "~", "\n"])
def test_a_reply_of_one_megabyte_is_unwrapped_in_time(sign):
    started = time.process_time()
    unwrapped("```\n" + sign * (1_000_000 // len(sign)) + "x")
    assert time.process_time() - started < 5
    assert unwrapped("```json\n  {}  \n\n```") == "{}"
