"""What is told of a text and of a label, by whom, and in which order."""

from __future__ import annotations

import re

import pytest

from red_core.data.importing import import_files
from red_core.labels.subsets import form_subsets
from red_core.records import Answer, Project
from red_core.review.decisions import Provenance, decide, feed_back, plan_feed_back, undo
from red_core.store.database import connection
from red_core.store.decisions import roll_back
from red_core.store.history import label_history, text_history
from red_core.store.labels import set_meanings
from red_core.store.texts import pool
from red_core.store.verdicts import add_proposals, add_verdicts
from tests.helpers.small_projects import (
    EMBEDDING,
    FAST,
    label_ids,
    question,
    reviewed_round,
    seed_rows,
    small_project,
    text_ids,
    write_csv,
)

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")


def told(project: Project, text: int) -> list[str]:
    return [without_folder(event.what) for event in text_history(project, text)]


def without_folder(what: str) -> str:
    return re.sub(r"from \S+/", "from ", what)


def told_of_label(project: Project, label: int) -> list[str]:
    return [event.what for event in label_history(project, label)]


@pytest.fixture
def text(project: Project) -> int:
    return int(pool(project)[0])


def judge(project: Project, number: int, text: int, name: str = "llm", model: str = "a model") -> None:
    (proposal,) = add_proposals(project, number, [question(text, 2, 4, 0.75)])
    add_verdicts(project, name, [(proposal, Answer("valid", 0.875, 1.0, "yes", model, "7"))])


def answer(project: Project, text: int, kind: str, label: int | None = None, purpose: str = "certificate") -> None:
    """Store a blind answer about a text, audited now."""
    with connection(project) as db:
        audit = db.execute(
            "INSERT INTO audit (text, purpose, round, options, who, at) VALUES (?, ?, 1, '[]', 'eve', 'z')",
            [text, purpose],
        ).lastrowid
        db.execute(
            "INSERT INTO audit_answer (audit, kind, label, who, at) VALUES (?, ?, ?, 'eve', ?)",
            [audit, kind, label, "9999-01-01T00:00:00.000+00:00"],
        )
        db.conn.commit()


# Texts


def test_a_text_begins_with_the_file_it_came_from(project, text):
    (event,) = text_history(project, text)
    assert (event.who, without_folder(event.what)) == ("tester", "imported from small-pool.csv, row 2, without a label")
    assert MOMENT.fullmatch(event.at)


def test_a_seed_begins_with_its_label_and_never_tells_a_truth(project):
    seed = text_ids(project)[seed_rows()[0][0]]
    assert told(project, seed) == ["imported from small-seeds.csv, row 2, as a seed of refund"]
    assert "refund" not in told(project, int(pool(project)[0]))[0]


def test_every_row_of_a_folded_text_is_told(workspace):
    project = small_project(workspace, pool=[("refund now", "refund"), (" refund  now ", "refund")])
    assert [what.split(",")[1] for what in told(project, int(pool(project)[0]))] == [" row 2", " row 3"]


def test_the_whole_way_of_a_text_is_told_in_its_order(project, text):
    number = reviewed_round(project, {text: (2, 0.75)})
    judge(project, number, text)
    decide(project, text, "reject", label=2, who="ann", provenance=Provenance(reason="it is not"))
    undo(project, who="ann")
    decide(project, text, "skip", who="bob")
    decide(project, text, "relabel", label=3, who="bob", provenance=Provenance(reason=""))
    feed_back(project, plan_feed_back(project), who="cleo")
    roll_back(project, number, "dan")
    answer(project, text, "label", 1)
    assert [(event.who, event.what) for event in text_history(project, text)][1:] == [
        ("the program", "round 1 proposed delivery (confidence 0.75) before repair (0.25), chosen by value"),
        ("judge a model", "judged valid for delivery"),
        ("ann", "rejected delivery: it is not"),
        ("ann", "undid: rejected delivery"),
        ("bob", "skipped"),
        ("bob", "relabelled as warranty"),
        ("cleo", "fed back as warranty in round 1, weight 1.00, by decision"),
        ("dan", "feed-back of round 1 rolled back"),
        ("eve", "audited blind: refund"),
    ]


@pytest.mark.parametrize(
    ("kind", "label", "what"),
    [("accept", 1, "accepted refund"), ("none", None, "said none of these"), ("reject", 1, "rejected refund")],
)
def test_each_kind_of_decision_has_its_words(kind, label, what, project, text):
    decide(project, text, kind, label=label)
    assert told(project, text)[-1] == what


def test_what_was_decided_in_bulk_or_restored_says_so(project, text):
    decide(project, text, "accept", label=1)
    with connection(project) as db:
        db.execute("UPDATE decision SET belief = .9, act = 'restored:abc'")
        db.conn.commit()
    assert told(project, text)[-1] == "accepted refund, in bulk, restored from an export"


@pytest.mark.parametrize(
    ("name", "model", "who"),
    [("evidence", "", "Similarity check (no LLM)"), ("llm", "small", "judge small"), ("chat", "", "judge chat")],
)
def test_the_evidence_check_is_never_taken_for_an_llm(name, model, who, project, text):
    judge(project, reviewed_round(project, {}), text, name, model)
    assert text_history(project, text)[-1].who == who


@pytest.mark.parametrize(("kind", "words"), [("none", "none of these"), ("cannot tell", "cannot tell")])
def test_an_audit_tells_its_answer_and_never_whether_it_was_planted(kind, words, project, text):
    reviewed_round(project, {})
    answer(project, text, kind, purpose="planted")
    assert told(project, text)[-1] == f"audited blind: {words}"


def test_nothing_is_told_of_other_texts(project, text):
    number = reviewed_round(project, {})
    other = int(pool(project)[1])
    judge(project, number, other)
    decide(project, other, "accept", label=1)
    feed_back(project, plan_feed_back(project))
    roll_back(project, number, "tester")
    answer(project, other, "none")
    assert len(told(project, text)) == 1


# Labels


def test_a_label_begins_with_its_seeds(project):
    events = label_history(project, label_ids(project)["refund"])
    assert [without_folder(event.what) for event in events] == [
        "4 seed rows imported from small-seeds.csv", "added to the label set, version 1",
    ]  # fmt: skip
    assert {event.who for event in events} == {"tester"}


def test_a_label_of_a_later_file_is_added_with_it(workspace, project, tmp_path):
    rows = [("upgrade one", "upgrade"), ("upgrade two", "upgrade")]
    import_files(workspace, "small", write_csv(tmp_path / "b.csv", ["text", "label"], rows), who="bob")
    assert "added to the label set, version 2" in told_of_label(project, label_ids(project)["upgrade"])
    assert "added to the label set, version 2" not in told_of_label(project, label_ids(project)["refund"])


def test_places_and_meanings_of_a_label_are_told_and_no_others(project):
    form_subsets(project, FAST, EMBEDDING, "ann")
    set_meanings(project, {1: "money goes back"}, "bob")
    set_meanings(project, {1: "", 2: "parcels"}, "cleo")
    found = [(event.who, event.what) for event in label_history(project, 1)][2:]
    assert re.fullmatch(r"placed in subset [12], subsets formed, version 2", found[0][1])
    assert [found[0][0], *found[1:]] == ["ann", ("bob", "meaning: money goes back"), ("cleo", "meaning taken away")]


def test_what_was_said_of_a_label_is_summed_up(project):
    first, second, third = (int(text) for text in pool(project)[:3])
    number = reviewed_round(project, {first: (2, 0.75)})
    judge(project, number, first)
    add_proposals(project, number, [question(second, 2, 4)])
    decide(project, first, "accept", label=2, who="ann")
    decide(project, second, "accept", label=2, who="ann")
    undo(project, who="ann")
    decide(project, third, "reject", label=2, who="ann")
    decide(project, third, "relabel", label=1, who="ann")
    feed_back(project, plan_feed_back(project), who="bob")
    roll_back(project, number, "cleo")
    answer(project, third, "label", 2)
    assert [(event.who, event.what) for event in label_history(project, 2)][2:] == [
        ("the program", "round 1: 2 proposed, 1 judged, 1 of them valid"),
        ("ann", "texts that day: 2 accepted, 1 of them undone since"),
        ("ann", "texts that day: 1 rejected"),
        ("bob", "round 1: 1 fed back"),
        ("cleo", "feed-back of round 1 rolled back: 1"),
        ("eve", "texts that day: 1 given this label blind"),
    ]
