"""Key presses: strictly read, carried out once and in order; and cards with their evidence."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import count as numbers
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from red_core.data.importing import import_files
from red_core.errors import StateError, StoreError
from red_core.records import Answer, Example, Project
from red_core.review.audits import deal
from red_core.review.decisions import decide, undo
from red_core.review.desk import PressOutcome, apply_key_press, cards_with_evidence
from red_core.review.presses import KeyPress, read_key_press
from red_core.store import database
from red_core.store.database import connection, open_project
from red_core.store.decisions import decided
from red_core.store.desk import Card, item_of, queue
from red_core.store.flags import flags
from red_core.store.labels import set_meanings
from red_core.store.texts import contents, pool, seeds
from red_core.store.verdicts import add_proposals, add_verdicts
from red_core.training.samples import ValidSamples, valid_samples
from tests.helpers.small_projects import (
    EMBEDDING,
    count,
    embed,
    fake_encode,
    label_ids,
    pool_rows,
    question,
    reviewed_round,
    seed_rows,
    small_project,
    text_ids,
    write_csv,
)

ANN, BOB = "ann", "bob"
PROPOSED = 20
TORN = "torn between the two"
_NUMBERS = numbers(1)


def new_id() -> str:
    return f"{next(_NUMBERS):032x}"


def press(project: Project, kind: str, text: int = 0, *, who: str = ANN, **more: Any) -> PressOutcome:
    """Carry out a key press as a browser sends it."""
    return apply_key_press(project, read_key_press({"id": new_id(), "kind": kind, "text": text} | more), who=who)


def rows(project: Project, columns: str = "kind, text, label, who") -> list[tuple[Any, ...]]:
    with connection(project) as db:
        return list(db.execute(f"SELECT {columns} FROM decision ORDER BY id").fetchall())


def samples_of(project: Project) -> ValidSamples:
    return valid_samples(project, EMBEDDING, np.array(sorted(label_ids(project).values())))


def shown(project: Project, *texts: int) -> list[Card]:
    items = [item_of(project, text) for text in texts]
    return cards_with_evidence(project, items, samples_of(project), EMBEDDING)


def card(project: Project, text: int) -> Card:
    return shown(project, text)[0]


def press_card(project: Project, seen: Card, kind: str, *, who: str = ANN, **more: Any) -> PressOutcome:
    """Decide about a card with what it had seen when it was made."""
    label = seen.label.id if kind in {"accept", "reject", "relabel"} else None
    given = {"label": label, "proposal": seen.proposal, "seen": list(seen.seen)} | more
    return press(project, kind, seen.text, who=who, **given)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """4 labels with meanings, 40 pool texts, a round to review with 20 proposals, and a text under two labels."""
    rows = [*seed_rows(), (TORN, "repair"), (TORN, "refund")]
    project = small_project(tmp_path_factory.mktemp("review") / "workspace", seeds=rows, pool=pool_rows())
    ids = sorted(label_ids(project).values())
    set_meanings(project, {label: f"means {label}" for label in ids}, ANN)
    texts = pool(project).tolist()
    wanted = {text: ids[place % 4] for place, text in enumerate(texts)}
    number = reviewed_round(project, {text: (label, 0.9) for text, label in wanted.items()}, judge="chat")
    first, second = (int(text) for text in seeds(project)[0][:2])
    evidence = (Example(first, "", 0.12345, "seed"), Example(second, "", -0.5, "analyst"))
    asked = [
        replace(question(text, wanted[text], wanted[text] % 4 + 1), examples=evidence, rival_examples=evidence[1:])
        for text in texts[:PROPOSED]
    ]
    proposals = add_proposals(project, number, asked)
    reply = Answer("valid", 0.9, 1.0, "raw", "m", "v", meaning_id=ids[0])
    add_verdicts(project, "chat", [(proposal, reply) for proposal in proposals])
    return project


@pytest.fixture
def project(untouched: Project, workspace: Path) -> Project:
    return copy_of(untouched, workspace)


def copy_of(project: Project, workspace: Path) -> Project:
    shutil.copytree(project.workspace, workspace)
    return open_project(workspace, project.name)


@pytest.fixture
def text(project: Project) -> int:
    return int(pool(project)[0])


# A key press is carried out once

KINDS = [("accept", 1), ("relabel", 2), ("reject", 3), ("none", None), ("skip", None)]


@pytest.mark.parametrize(("kind", "label"), KINDS)
def test_a_key_press_that_arrives_twice_is_stored_once(kind, label, project, text):
    act = read_key_press({"id": new_id(), "kind": kind, "text": text, "label": label})
    assert {apply_key_press(project, act, who=ANN) for _ in range(3)} == {PressOutcome(act.request_id)}
    assert rows(project) == [(kind, text, label, ANN)]


def test_a_flag_is_a_key_press_of_its_own(project, text):
    flag = read_key_press({"id": new_id(), "flag": text, "raised": True, "comment": " who knows? "})
    assert {apply_key_press(project, flag, who=ANN) for _ in range(2)} == {PressOutcome(flag.request_id)}
    assert flags(project, [text])[text].comment == "who knows?"
    unknown = read_key_press({"id": new_id(), "flag": 10**6, "raised": True})
    assert apply_key_press(project, unknown, who=ANN).refused.startswith("there is no such text")
    assert rows(project) == []


@pytest.mark.parametrize(
    "raw", [{"flag": 1}, {"flag": 1, "raised": "yes"}, {"meaning_of": 1}, {"meaning_of": 1, "words": 2}]
)
def test_what_is_no_flag_and_no_meaning_is_refused(raw):
    with pytest.raises(StateError, match="not understood"):
        read_key_press({"id": new_id()} | raw)


def test_a_key_press_is_stored_with_all_its_facts(project, text):
    proposal, name, reason = item_of(project, text)[1], new_id(), "it says so\nplainly\0 — ünïcödé"
    outcome = press(
        project, "accept", text, id=name, label=1, proposal=proposal, reason=reason, seconds=2.5, queue="to decide"
    )  # fmt: skip
    assert outcome == PressOutcome(name)
    (row,) = rows(project, "text, kind, label, proposal, reason, who, act, seconds, queue, undoes, batch, belief")
    assert row == (text, "accept", 1, proposal, reason, ANN, name, 2.5, "to decide", None, None, None)


def test_seconds_may_be_a_whole_number_or_unknown(project, text):
    press(project, "none", text, seconds=3)
    press(project, "none", text, seconds=0)
    press(project, "none", text, seconds=None)
    assert rows(project, "seconds") == [(3.0,), (0.0,), (None,)]


@pytest.mark.parametrize("named", [True, False])
def test_an_undo_that_arrives_twice_undoes_once_with_the_same_outcome(named, project, text):
    other = int(pool(project)[1])
    press(project, "none", other)
    outcome = press(project, "accept", text, label=1)
    act = read_key_press({"id": new_id(), "kind": "undo", "undoes": outcome.request_id if named else None})
    assert {apply_key_press(project, act, who=ANN) for _ in range(3)} == {PressOutcome(act.request_id, back=text)}
    assert decided(project) == {other: -1}
    assert rows(project, "kind, undoes, act")[2:] == [("undo", 2, act.request_id)]


def test_a_late_copy_of_an_undone_key_press_stays_undone(project, text):
    act = read_key_press({"id": new_id(), "kind": "accept", "text": text, "label": 1})
    apply_key_press(project, act, who=ANN)
    press(project, "undo", undoes=act.request_id)
    assert apply_key_press(project, act, who=ANN) == PressOutcome(act.request_id)
    assert decided(project) == {}
    assert len(rows(project)) == 2


def test_an_act_that_comes_again_after_the_card_changed_was_carried_out_and_is_not_refused(project, text):
    seen = card(project, text)
    outcome = press_card(project, seen, "accept")
    press(project, "none", text, who=BOB)
    assert press_card(project, seen, "accept", id=outcome.request_id) == outcome
    assert len(rows(project)) == 2


def test_a_refused_key_press_is_refused_again_and_never_stored(project, text):
    name = new_id()
    first, second = (press(project, "accept", text, id=name) for _ in range(2))
    assert first == second == PressOutcome(name, refused="to accept a text takes a label.")
    assert rows(project) == []


def test_one_key_press_sent_many_times_at_once_is_stored_once(project, text):
    act = read_key_press({"id": new_id(), "kind": "none", "text": text})
    with ThreadPoolExecutor(6) as threads:
        outcomes = set(threads.map(lambda _: apply_key_press(project, act, who=ANN), range(12)))
    assert outcomes == {PressOutcome(act.request_id)}
    assert len(rows(project)) == 1


def test_what_cannot_be_stored_now_is_said_to_come_again_and_is_then_stored(project, text, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    act = read_key_press({"id": new_id(), "kind": "none", "text": text})
    with closing(sqlite3.connect(project.database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program has held the database"):
            apply_key_press(project, act, who=ANN)
        other.rollback()
    assert apply_key_press(project, act, who=ANN) == PressOutcome(act.request_id)
    assert rows(project) == [("none", text, None, ANN)]


def test_the_name_of_a_decision_is_no_name_for_an_undo(project, text):
    pressed = press(project, "accept", text, label=1)
    outcome = press(project, "undo", id=pressed.request_id)
    assert (decided(project), len(rows(project))) == ({text: 1}, 1)
    assert (outcome.request_id, outcome.back) == (pressed.request_id, None)


# In order, even if some arrive twice

STEP = (
    st.tuples(st.sampled_from(["accept", "relabel", "reject"]), st.integers(0, 2), st.integers(1, 2))
    | st.tuples(st.sampled_from(["none", "skip"]), st.integers(0, 2), st.none())
    | st.tuples(st.just("undo"), st.none(), st.integers(0, 9) | st.none())
)
"""A kind, a text and a label; for an undo, the position of the key press it undoes, or None for the newest."""


@dataclass
class Desk:
    """The expected rows: request id, kind, text, label, person, and the row that is undone."""

    rows: list[tuple[str, str, int, int | None, str, int | None]] = field(default_factory=list)

    def standing(self, who: str) -> list[int]:
        undone = {row[5] for row in self.rows}
        mine = (number for number, row in enumerate(self.rows, 1) if row[4] == who and row[1] != "undo")
        return [number for number in mine if number not in undone]

    def take(self, who: str, act: KeyPress) -> None:
        if act.request_id in {row[0] for row in self.rows}:
            return
        if act.kind != "undo":
            self.rows.append((act.request_id, act.kind, act.text, act.label, who, None))
            return
        standing = self.standing(who)
        if act.undoes is not None:
            standing = [number for number in standing if self.rows[number - 1][0] == act.undoes]
        if standing:
            self.rows.append((act.request_id, "undo", self.rows[standing[-1] - 1][2], None, who, standing[-1]))


@given(st.lists(st.tuples(st.sampled_from([ANN, BOB]), STEP, st.integers(0, 3)), max_size=12))
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@example([(ANN, ("accept", 0, 1), 1), (ANN, ("undo", None, 0), 0), (ANN, ("none", 0, None), 2)])
def test_key_presses_are_stored_in_order_even_if_some_arrive_twice(untouched, tmp_path_factory, steps):
    project = copy_of(untouched, tmp_path_factory.mktemp("acts") / "workspace")
    texts, model = pool(project).tolist(), Desk()
    sent: dict[str, list[KeyPress]] = {ANN: [], BOB: []}
    for who, (kind, place, number), again in steps:
        mine = sent[who]
        raw: dict[str, Any] = {"id": new_id(), "kind": kind}
        if kind != "undo":
            raw |= {"text": texts[place], "label": number}
        elif number is not None:
            raw["undoes"] = mine[number % len(mine)].request_id if mine else new_id()
        mine.append(read_key_press(raw))
        for act in [mine[-1], *mine[-again:]][: 1 + again]:  # unacknowledged ones arrive again, in order
            apply_key_press(project, act, who=who)
            model.take(who, act)
    assert rows(project, "act, kind, text, label, who, undoes") == model.rows


# Untrusted input

HUGE = [2**63 - 1, 2**63, 2**64, 10**40, -(2**63), -(2**63) - 1]
SIGNS = st.text(st.characters(), max_size=8) | st.sampled_from(["\ud800", "a\0b", "\u202e", "0" * 32, "a" * 5_000])
PLAIN = st.none() | st.booleans() | st.integers() | st.sampled_from(HUGE) | st.floats() | SIGNS
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SIGNS, inner, max_size=4))
NUMBER = st.integers(-2, 45) | st.sampled_from(HUGE)
FIELDS = {
    "kind": st.sampled_from(["accept", "relabel", "none", "reject", "skip", "undo"]),
    "text": NUMBER,
    "label": st.none() | st.integers(1, 4) | NUMBER,
    "proposal": st.none() | NUMBER,
    "seen": st.none() | st.lists(NUMBER, min_size=2, max_size=2),
    "own": st.lists(st.just("0" * 32), max_size=2),
    "queue": st.sampled_from(["", "to decide", "q" * 60, "a\0b"]),
    "seconds": st.none() | st.sampled_from([0, 0.0, 1.5, 1e6, 2**63]),
    "reason": st.sampled_from(["", "r" * 2_000, "a\0b", "\U0001f469", "'; DROP TABLE text; --"]),
    "undoes": st.none() | st.just("0" * 32),
}
AUDIT_FIELDS = {
    "kind": st.sampled_from(["label", "none", "cannot tell", "undo"]),
    "audit": st.none() | st.integers(1, 3) | NUMBER,
    "label": FIELDS["label"],
    "seconds": FIELDS["seconds"],
    "undoes": FIELDS["undoes"],
}


def near(fields: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Valid key presses, and such with a value replaced, removed or added."""
    good = st.fixed_dictionaries({"kind": fields["kind"]}, optional={k: v for k, v in fields.items() if k != "kind"})
    bad = st.dictionaries(st.sampled_from([*fields, "id"]) | SIGNS, JSON, max_size=2)
    return st.tuples(good, st.just({}) | bad).map(lambda parts: parts[0] | parts[1])


@pytest.fixture(scope="module")
def hit(untouched: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that receives every example of hypothesis, with three texts to audit."""
    project = copy_of(untouched, tmp_path_factory.mktemp("hit") / "workspace")
    deal(project, who=ANN, count=3, purpose="label", label=1)
    return project


@given(raw=JSON | near(FIELDS))
@settings(max_examples=300)
@example(raw=[1])
@example(raw="act")
@example(raw=None)
@example(raw=[["id", "0" * 32], ["kind", "skip"]])
def test_any_input_is_a_key_press_or_is_refused_in_one_line(raw):
    if isinstance(raw, dict):
        raw = {"id": new_id()} | raw
    try:
        act = read_key_press(raw)
    except StateError as error:
        message = str(error)
        assert message.isprintable()
        assert len(message) < 500
        assert message.startswith("this key press was not understood (")
    else:
        assert {name: value for name, value in act.model_dump(by_alias=True).items() if name in raw} == raw


@given(raw=near(FIELDS))
@settings(max_examples=100)
@example(raw={"kind": "none", "text": 2**63})
@example(raw={"kind": "accept", "text": 20, "label": 2**63})
@example(raw={"kind": "accept", "text": 20, "label": 1, "proposal": -(2**63) - 1})
@example(raw={"kind": "none", "text": 20, "seen": [2**63, 0]})
@example(raw={"kind": "accept", "text": 20, "label": 1, "seen": [0, 2**63]})
def test_an_act_stores_what_it_says_or_nothing(hit, raw):
    raw = {"id": new_id()} | raw
    before = rows(hit, "act")
    try:
        outcome = apply_key_press(hit, read_key_press(raw), who=ANN)
    except StateError:
        assert rows(hit, "act") == before
        return
    stored = rows(hit, "kind, text, label, proposal, queue, reason, act")[len(before) :]
    assert outcome.request_id == raw["id"]
    if raw["kind"] == "undo":
        assert [(row[0], row[1], row[-1]) for row in stored] in ([], [("undo", outcome.back, raw["id"])])
    elif outcome.refused or (raw["id"],) in before:
        assert stored == []
    else:
        whole = {"text": 0, "label": None, "proposal": None, "queue": "", "reason": ""} | raw
        assert stored == [tuple(whole[n] for n in ("kind", "text", "label", "proposal", "queue", "reason", "id"))]


@pytest.mark.long
@pytest.mark.timeout(900)
@given(raw=JSON | near(FIELDS))
@settings(max_examples=2_000)
def test_two_thousand_hostile_messages_store_what_they_say_or_nothing(hit, raw):
    if isinstance(raw, dict):
        test_an_act_stores_what_it_says_or_nothing.hypothesis.inner_test(hit, raw)
    else:
        test_any_input_is_a_key_press_or_is_refused_in_one_line.hypothesis.inner_test(raw)


@given(raw=JSON | near(AUDIT_FIELDS))
@settings(max_examples=100)
@example(raw={"kind": "none", "audit": 2**63})
@example(raw={"kind": "label", "audit": 1, "label": 2**63})
@example(raw=[1])
def test_an_answer_to_an_audit_is_stored_or_refused(hit, raw):
    raw = {"id": new_id(), "audit": None} | raw if isinstance(raw, dict) else raw
    before = audit_acts(hit)
    try:
        outcome = apply_key_press(hit, read_key_press(raw), who=ANN)
    except StateError:
        assert audit_acts(hit) == before
        return
    assert outcome.request_id == raw["id"]
    assert audit_acts(hit) == before + [raw["id"]] * (not outcome.refused and raw["id"] not in before)


def audit_acts(project: Project) -> list[str]:
    with connection(project) as db:
        return [act for (act,) in db.execute("SELECT act FROM audit_answer ORDER BY id")]


REFUSED: list[dict[str, Any]] = [
    {"id": None}, {"id": "0" * 31}, {"id": "0" * 33}, {"id": "A" * 32}, {"id": "0" * 32 + "\n"}, {"id": 0},
    {"id": "٠" * 32}, {"kind": "decide"}, {"kind": None}, {"kind": "ACCEPT"}, {"kind": ["accept"]}, {"kind": {}},
    {"text": 1.0}, {"text": True}, {"text": "1"}, {"text": None}, {"text": [1]}, {"text": 1e300},
    {"label": 1.0}, {"label": False}, {"label": "1"}, {"proposal": 1.0}, {"proposal": True}, {"proposal": "1"},
    {"seen": []}, {"seen": [1]}, {"seen": [1, 2, 3]}, {"seen": [1, None]}, {"seen": [1, True]}, {"seen": [1.0, 1]},
    {"seen": "12"}, {"seen": {"0": 1, "1": 2}}, {"own": None}, {"own": "0" * 32}, {"own": ["0"]}, {"own": [None]},
    {"own": ["0" * 32] * 1_001}, {"queue": "q" * 61}, {"queue": None}, {"queue": 1}, {"queue": "\ud800"},
    {"seconds": -0.1}, {"seconds": 1e6 + 1}, {"seconds": float("nan")}, {"seconds": float("inf")}, {"seconds": True},
    {"seconds": "1"}, {"reason": "r" * 2_001}, {"reason": None}, {"reason": 1}, {"reason": "a\udfff"},
    {"undoes": ""}, {"undoes": "x" * 32}, {"undoes": 1}, {"who": BOB}, {"batch": 1}, {"belief": 1.0}, {"": 1},
    {"\ud800": 1},
]  # fmt: skip


@pytest.mark.parametrize("more", REFUSED, ids=lambda more: ascii(more)[:40])
def test_what_is_no_act_is_not_understood(more):
    good = {"id": "0" * 32, "kind": "accept", "text": 1, "label": 1}
    assert read_key_press(good).kind == "accept"
    with pytest.raises(StateError, match=r"^this key press was not understood \(.*: .*\)\. Load the page again\.$"):
        read_key_press(good | more)


@pytest.mark.parametrize("missing", ["id", "kind"])
def test_an_act_has_a_name_and_a_kind(missing):
    good = {"id": "0" * 32, "kind": "accept"}
    with pytest.raises(StateError, match=f"{missing}: Field required"):
        read_key_press({name: value for name, value in good.items() if name != missing})


@pytest.mark.parametrize(
    "more",
    [{"audit": 1.0}, {"audit": True}, {"label": 1.0}, {"text": 1}, {"kind": "skip"}, {"seconds": -1}, {"who": BOB}],
    ids=str,
)
def test_what_is_no_answer_to_an_audit_is_not_understood(more):
    with pytest.raises(StateError, match="this key press was not understood"):
        read_key_press({"id": "0" * 32, "kind": "none", "audit": 1} | more)


# Answers to an audit


@pytest.fixture
def dealt(project: Project) -> list[int]:
    return [one.audit for one in deal(project, who=ANN, count=3, purpose="label", label=1)]


def test_an_answer_that_comes_again_is_stored_once(project, dealt):
    raw = {"id": new_id(), "kind": "label", "audit": dealt[0], "label": 1, "seconds": 2.5}
    assert {apply_key_press(project, read_key_press(raw), who=ANN) for _ in range(3)} == {PressOutcome(raw["id"])}
    with connection(project) as db:
        stored = db.execute("SELECT audit, kind, label, seconds, who, act FROM audit_answer").fetchall()
    assert stored == [(dealt[0], "label", 1, 2.5, ANN, raw["id"])]


def test_an_undone_answer_brings_its_audit_back_once(project, dealt):
    for audit in dealt[:2]:
        apply_key_press(project, read_key_press({"id": new_id(), "kind": "cannot tell", "audit": audit}), who=ANN)
    raw = {"id": new_id(), "kind": "undo", "audit": None}
    assert {apply_key_press(project, read_key_press(raw), who=ANN) for _ in range(3)} == {
        PressOutcome(raw["id"], back=dealt[1])
    }
    assert count(project, "SELECT count(*) FROM audited") == 1


def test_a_refused_answer_says_why(project, dealt):
    def told(who: str = ANN, **raw: Any) -> str:
        return apply_key_press(project, read_key_press({"id": new_id()} | raw), who=who).refused

    assert told(kind="undo", audit=None) == "there is no answer to undo."
    assert "takes a label" in told(kind="label", audit=dealt[0])
    assert "takes no label" in told(kind="none", audit=dealt[0], label=1)
    assert "there is no audit 999" in told(kind="none", audit=999)
    assert told(kind="none", audit=dealt[0]) == ""
    assert (
        told(kind="none", audit=dealt[0], who=BOB)
        == f"ann has already answered audit {dealt[0]}. Continue with the next one."
    )
    assert told(kind="undo", who=BOB, audit=None) == "there is no answer to undo."


# A card that has changed


CHANGES: dict[str, tuple[Callable[[Project, int], object], str]] = {
    "accept": (lambda p, t: decide(p, t, "accept", label=2, who=BOB), "bob said accept: delivery, 2"),
    "relabel": (lambda p, t: decide(p, t, "relabel", label=3, who=BOB), "bob said relabel: "),
    "reject": (lambda p, t: decide(p, t, "reject", label=2, who=BOB), "bob said reject: delivery, 2"),
    "none": (lambda p, t: decide(p, t, "none", who=BOB), "bob said none of these, 2"),
    "undo": (lambda p, _: undo(p, who=BOB), "bob undid a decision, 2"),
    "another tab": (lambda p, t: press(p, "none", t), "ann said none of these, 2"),
}


@pytest.mark.parametrize("kind", ["accept", "relabel", "none", "reject"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_somebody_decided_since_refuses_an_act_and_brings_the_card_back(change, kind, project, text):
    decide(project, text, "none", who=BOB)
    seen = card(project, text)
    what, told = CHANGES[change]
    what(project, text)
    before = rows(project)
    outcome = press_card(project, seen, kind)
    assert outcome.refused.startswith(told)
    assert outcome.back == text
    assert rows(project) == before
    assert press_card(project, card(project, text), kind).refused == ""


def test_the_newest_change_is_told(project, text):
    seen = card(project, text)
    decide(project, text, "none", who=BOB)
    decide(project, text, "accept", label=1, who="cleo")
    assert press_card(project, seen, "accept").refused.startswith("cleo said accept: refund")


def test_what_was_decided_before_the_card_was_made_is_no_change(project, text):
    decide(project, text, "none", who=BOB)
    undo(project, who=BOB)
    assert press_card(project, card(project, text), "accept").refused == ""


def test_what_was_decided_about_another_text_is_no_change(project, text):
    seen = card(project, text)
    decide(project, int(pool(project)[1]), "none", who=BOB)
    assert press_card(project, seen, "accept").refused == ""


def test_a_skip_is_no_change(project, text):
    seen = card(project, text)
    decide(project, text, "skip", who=BOB)
    press_card(project, seen, "skip")
    assert press_card(project, seen, "accept").refused == ""


def test_own_acts_are_no_change(project, text):
    seen = card(project, text)
    first = press_card(project, seen, "none")
    back = press(project, "undo", undoes=first.request_id)
    second = press_card(project, seen, "accept", own=[first.request_id, back.request_id])
    third = press_card(project, seen, "reject", own=[first.request_id, back.request_id, second.request_id])
    assert (second.refused, third.refused) == ("", "")


def test_own_acts_do_not_hide_what_somebody_else_did(project, text):
    seen = card(project, text)
    first = press_card(project, seen, "none")
    decide(project, text, "accept", label=2, who=BOB)
    last = press_card(project, seen, "reject", own=[first.request_id])
    assert last.refused.startswith("bob said accept")
    hers = press_card(project, card(project, text), "none", who=BOB)
    assert press_card(project, seen, "reject", own=[first.request_id]).refused.startswith("bob said none of these")
    assert press_card(project, seen, "reject", own=[first.request_id, hers.request_id]).refused.startswith(
        "bob said accept"
    )


def test_an_act_that_rests_on_nothing_is_not_held_against_anything(project, text):
    decide(project, text, "accept", label=2, who=BOB)
    set_meanings(project, {1: "anew"}, BOB)
    assert press(project, "accept", text, label=1).refused == ""


@pytest.mark.parametrize("kind", ["accept", "reject"])
def test_an_edited_meaning_refuses_what_rests_on_it(kind, project, text):
    seen = card(project, text)
    set_meanings(project, {seen.label.id: "means something else"}, BOB)
    outcome = press_card(project, seen, kind)
    assert (outcome.refused, outcome.back) == ("the label's meaning was edited", text)
    assert rows(project) == []
    assert press_card(project, card(project, text), kind).refused == ""


@pytest.mark.parametrize("kind", ["none", "relabel", "skip"])
def test_an_edited_meaning_does_not_refuse_what_does_not_rest_on_it(kind, project, text):
    seen = card(project, text)
    set_meanings(project, dict.fromkeys(label_ids(project).values(), "means something else"), BOB)
    assert press_card(project, seen, kind).refused == ""


@pytest.mark.parametrize("kind", ["accept", "reject"])
def test_the_meaning_of_another_label_is_no_change(kind, project, text):
    seen = card(project, text)
    set_meanings(project, {label: "anew" for label in label_ids(project).values() if label != seen.label.id}, BOB)
    assert press_card(project, seen, kind).refused == ""


# Refused, and why

WHY: list[tuple[dict[str, Any], str]] = [
    ({"kind": "accept"}, "to accept a text takes a label."),
    ({"kind": "relabel"}, "to relabel a text takes a label."),
    ({"kind": "reject"}, "to reject a text takes a label."),
    ({"kind": "none", "label": 1}, "to none a text takes no label."),
    ({"kind": "skip", "label": 1}, "to skip a text takes no label."),
    ({"kind": "none", "text": 999}, "there is no text 999 in project small."),
    ({"kind": "none", "text": -1}, "there is no text -1 in project small."),
    (
        {"kind": "accept", "label": 99},
        "cannot accept: there is no such text, label or suggested label in project small",
    ),
    (
        {"kind": "accept", "label": 0},
        "cannot accept: there is no such text, label or suggested label in project small",
    ),
    (
        {"kind": "none", "proposal": 999},
        "cannot none: there is no such text, label or suggested label in project small",
    ),
    ({"kind": "undo"}, "there is no decision to undo."),
]


@pytest.mark.parametrize(("raw", "why"), WHY, ids=lambda value: str(value)[:40])
def test_a_refused_act_says_why_and_stores_nothing(raw, why, project, text):
    outcome = apply_key_press(project, read_key_press({"id": new_id(), "text": text} | raw), who=ANN)
    assert outcome.refused.startswith(why)
    assert outcome.back is None
    assert rows(project) == []


# Undoing


@pytest.mark.parametrize(("kind", "label"), KINDS)
def test_any_act_is_undone_by_its_name_and_its_card_comes_back(kind, label, project, text):
    pressed = press(project, kind, text, label=label)
    press(project, "none", int(pool(project)[1]))
    outcome = press(project, "undo", undoes=pressed.request_id)
    assert (outcome.refused, outcome.back) == ("", text)
    assert rows(project, "kind, undoes")[2:] == [("undo", 1)]


def test_the_undo_of_a_refused_act_is_quiet(project, text):
    press(project, "none", int(pool(project)[1]))
    refused = press(project, "accept", text)
    name = new_id()
    assert press(project, "undo", id=name, undoes=refused.request_id) == PressOutcome(name)
    assert len(rows(project)) == 1


def test_an_act_that_was_undone_elsewhere_is_not_undone_again(project, text):
    press(project, "none", int(pool(project)[1]))
    outcome = press(project, "accept", text, label=1)
    press(project, "undo")
    name = new_id()
    assert press(project, "undo", id=name, undoes=outcome.request_id) == PressOutcome(name)
    assert len(rows(project)) == 3


def test_an_undo_is_not_undone_by_its_name(project, text):
    outcome = press(project, "accept", text, label=1)
    back = press(project, "undo", undoes=outcome.request_id)
    assert press(project, "undo", undoes=back.request_id).refused == ""
    assert decided(project) == {}
    assert len(rows(project)) == 2


def test_without_a_name_the_newest_of_the_person_is_undone_then_the_one_before(project):
    first, second, third = pool(project).tolist()[:3]
    press(project, "accept", first, label=1)
    press(project, "skip", second)
    press(project, "none", third, who=BOB)
    assert [press(project, "undo").back for _ in range(2)] == [second, first]
    assert press(project, "undo").refused == "there is no decision to undo."
    assert decided(project) == {third: -1}


def test_nobody_undoes_what_another_person_decided(project, text):
    outcome = press(project, "accept", text, label=1, who=BOB)
    assert press(project, "undo").refused == "there is no decision to undo."
    assert press(project, "undo", undoes=outcome.request_id).back is None
    assert decided(project) == {text: 1}


# Cards with their evidence


def nearest(samples: ValidSamples, project: Project, text: int, label: int, number: int) -> list[tuple[int, str, str]]:
    """Return text, content and origin of the nearest valid samples of a label, by brute force."""
    own, vector = [], fake_encode(EMBEDDING, contents(project, [text]))[0]
    for place, other in enumerate(samples.texts.tolist()):
        if samples.label_ids[samples.labels[place]] == label and other != text:
            content = contents(project, [other])[0]
            similarity = float(vector @ fake_encode(EMBEDDING, [content])[0])
            own.append((-similarity, other, content, "seed" if samples.is_seed[place] else "analyst"))
    return [(other, content, origin) for _, other, content, origin in sorted(own)[:number]]


def told(examples: Sequence[Example]) -> list[tuple[int, str, str]]:
    return [(one.text, one.content, one.origin) for one in examples]


def test_a_proposal_shows_the_evidence_the_judge_had_whatever_is_nearest_now(project, text):
    for other in pool(project).tolist()[1:9]:
        decide(project, other, "accept", label=1)
    drawn_card = card(project, text)
    first, second = (int(seed) for seed in seeds(project)[0][:2])
    words = {seed: content for content, seed in text_ids(project).items()}
    left = Example(first, words[first], 0.1235, "seed"), Example(second, words[second], -0.5, "analyst")
    assert (drawn_card.examples, drawn_card.rival_examples) == (left, left[1:])
    assert (drawn_card.proposal, drawn_card.outcome, drawn_card.judge) == (1, "valid", "chat")


def test_a_text_without_a_proposal_shows_the_nearest_valid_samples_of_what_is_likeliest(project):
    texts = pool(project).tolist()
    for other in texts[:PROPOSED]:
        decide(project, other, "accept", label=sorted(label_ids(project).values())[texts.index(other) % 4])
    samples = samples_of(project)
    assert set(samples.is_seed.tolist()) == {True, False}
    bare = shown(project, *texts[PROPOSED : PROPOSED + 8])
    for found in bare:
        assert (found.proposal, found.reason, found.outcome, found.verdict) == (None, "", "", None)
        assert found.label.id == next(label for label, _ in found.best)
        assert found.belief == dict(found.best)[found.label.id]
        assert told(found.examples) == nearest(samples, project, found.text, found.label.id, 3)
        assert told(found.rival_examples) == nearest(samples, project, found.text, found.runner_up.id, 3)
        assert len(found.examples) == len(found.rival_examples) == 3
    assert {one.origin for found in bare for one in found.examples} == {"seed", "analyst"}


@pytest.mark.parametrize("number", [1, 2, 5])
def test_as_many_samples_are_shown_as_asked_for(number, project):
    text = int(pool(project)[-1])
    (found,) = cards_with_evidence(project, [(text, None)], samples_of(project), EMBEDDING, number)
    assert len(found.examples) == min(number, 4)


def test_a_text_is_no_evidence_of_itself(project):
    text = int(pool(project)[-1])
    label = card(project, text).label.id
    decide(project, text, "accept", label=label)
    assert text in samples_of(project).texts.tolist()
    drawn_card = card(project, text)
    assert drawn_card.label.id == label
    assert text not in {one.text for one in drawn_card.examples}


def test_a_text_without_a_vector_shows_no_samples_beside_others_that_do(project, tmp_path):
    late = write_csv(tmp_path / "late.csv", ["text"], [["refund came late"]])
    import_files(project.workspace, project.name, pool=late, embedding=EMBEDDING)
    new, old = text_ids(project)["refund came late"], int(pool(project)[PROPOSED])
    first, second, third = shown(project, new, old, 1)
    assert (first.text, first.examples, first.rival_examples, first.best) == (new, (), (), ())
    assert (first.label.id, first.runner_up.id) == tuple(sorted(label_ids(project).values())[:2])
    assert (second.text, len(second.examples), third.text) == (old, 3, 1)


def test_a_label_that_came_after_the_samples_were_gathered_shows_none(project, tmp_path):
    samples, text = samples_of(project), int(pool(project)[PROPOSED])
    more = write_csv(tmp_path / "more.csv", ["text", "label"], [("voucher please", "voucher"), ("two", "voucher")])
    import_files(project.workspace, project.name, more, embedding=EMBEDDING)
    new = text_ids(embed(project))["voucher please"]
    (found, other) = cards_with_evidence(project, [(new, None), (text, None)], samples, EMBEDDING)
    assert (found.label.name, found.examples) == ("voucher", ())
    assert len(found.rival_examples) == len(other.examples) == 3


def test_a_contradiction_shows_its_two_labels_and_the_samples_of_both(project):
    torn, ids, samples = text_ids(project)[TORN], label_ids(project), samples_of(project)
    (item,) = queue(project, 1, "contradictions")
    assert item == (torn, None)
    (found,) = cards_with_evidence(project, [item], samples, EMBEDDING)
    assert {found.label.name, found.runner_up.name} == {"refund", "repair"}
    for label, examples in ((found.label, found.examples), (found.runner_up, found.rival_examples)):
        assert told(examples) == nearest(samples, project, torn, ids[label.name], 3)


def test_cards_come_in_the_order_of_their_items(project):
    texts = [*pool(project).tolist(), text_ids(project)[TORN]]
    mixed = np.random.default_rng(0).permutation(texts).tolist()
    assert [found.text for found in shown(project, *mixed)] == mixed
    assert shown(project) == []
