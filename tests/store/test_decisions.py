"""Decisions and feed-backs against models of plain lists and dictionaries."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from red_core.errors import StateError
from red_core.records import FeedBackItem, Project
from red_core.review.decisions import Provenance, decide, undo
from red_core.store.database import connection
from red_core.store.decisions import add_feed_back, decided, last_decision, rejected, roll_back
from red_core.store.jobs import add_job
from red_core.store.rounds import close_round, current_training_rows, list_rounds
from red_core.store.texts import pool, seeds
from tests.helpers.small_projects import count, label_ids, reviewed_round, seed_rows, small_project

PEOPLE = ("ann", "bob")


@contextmanager
def tiny() -> Iterator[Project]:
    """Two labels of two seeds, and four texts in the pool."""
    rows = [(f"{word} of the pool", "refund") for word in ("one", "two", "three", "four")]
    with tempfile.TemporaryDirectory() as folder:
        yield small_project(Path(folder) / "w", seeds=seed_rows(("refund", "delivery"), 2), pool=rows, often=True)


# Decisions

ACT = (
    st.tuples(st.sampled_from(["accept", "relabel", "reject"]), st.integers(0, 2), st.integers(1, 2))
    | st.tuples(st.sampled_from(["none", "skip"]), st.integers(0, 2), st.none())
    | st.tuples(st.just("undo newest"), st.none(), st.none())
    | st.tuples(st.just("undo one"), st.integers(0, 9), st.none())
)


@dataclass
class Model:
    """What stands: id -> (who, kind, text, label)."""

    standing: dict[int, tuple[str, str, int, int | None]] = field(default_factory=dict)

    def newest_of(self, who: str) -> int | None:
        return max((id_ for id_, each in self.standing.items() if each[0] == who), default=None)

    def decided(self) -> dict[int, int]:
        """The newest label fixed for each text, unless that very label was rejected after it."""
        found: dict[int, int] = {}
        for _, (_, kind, text, label) in sorted(self.standing.items()):
            if kind in ("accept", "relabel", "none"):
                found[text] = -1 if label is None else label
            elif kind == "reject" and found.get(text) == label:
                del found[text]
        return found

    def rejected(self) -> set[tuple[int, int]]:
        """The pairs rejected, unless that very label was accepted after it."""
        found: set[tuple[int, int]] = set()
        for _, (_, kind, text, label) in sorted(self.standing.items()):
            if label is not None and kind == "reject":
                found.add((text, label))
            elif label is not None and kind in ("accept", "relabel"):
                found.discard((text, label))
        return found


def act(project: Project, model: Model, who: str, kind: str, place: int | None, label: int | None) -> None:
    if not kind.startswith("undo"):
        text = int(pool(project)[place or 0])
        model.standing[decide(project, text, kind, label=label, who=who)] = (who, kind, text, label)
        return
    ids = sorted(model.standing)
    chosen = model.newest_of(who) if kind == "undo newest" else ids[(place or 0) % len(ids)] if ids else None
    if chosen is None:
        with pytest.raises(StateError, match="no decision to undo"):
            undo(project, who=who)
        return
    text, _ = undo(project, decision=None if kind == "undo newest" else chosen, who=who)
    assert text == model.standing.pop(chosen)[2]


@given(st.lists(st.tuples(st.sampled_from(PEOPLE), ACT), max_size=15))
@example(
    [("ann", ("accept", 0, 1)), ("bob", ("relabel", 0, 2)), ("bob", ("undo newest", None, None))],
)
def test_any_sequence_of_deciding_and_undoing_leaves_exactly_what_stands(acts):
    with tiny() as project:
        model = Model()
        for who, (kind, place, label) in acts:
            before = count(project, "SELECT count(*) FROM decision")
            act(project, model, who, kind, place, label)
            assert decided(project) == model.decided()
            assert rejected(project) == model.rejected()
            assert count(project, "SELECT count(*) FROM decision") >= before


def test_undoing_shows_the_decision_before(project):
    text = int(pool(project)[0])
    decide(project, text, "relabel", label=1)
    decide(project, text, "none")
    undo(project)
    assert decided(project) == {text: 1}


def test_undoing_twice_takes_back_two_decisions(project):
    first, second = (int(text) for text in pool(project)[:2])
    decide(project, first, "accept", label=1)
    decide(project, second, "accept", label=1)
    assert [undo(project)[0], undo(project)[0]] == [second, first]
    assert decided(project) == {}


def test_nobody_undoes_anothers_newest_decision_by_accident(project):
    text = int(pool(project)[0])
    decide(project, text, "accept", label=1, who="ann")
    with pytest.raises(StateError, match="no decision to undo"):
        undo(project, who="bob")
    assert decided(project) == {text: 1}


def test_a_decision_is_undone_once(project):
    decision = decide(project, int(pool(project)[0]), "accept", label=1)
    undo(project, decision=decision)
    with pytest.raises(StateError, match="no decision to undo"):
        undo(project, decision=decision)


def test_an_undo_cannot_be_undone(project):
    decide(project, int(pool(project)[0]), "accept", label=1)
    undo(project)
    with pytest.raises(StateError, match="no decision to undo"):
        undo(project, decision=last_decision(project))


def test_skipping_changes_nothing(project):
    text = int(pool(project)[0])
    decide(project, text, "accept", label=1)
    decide(project, text, "skip")
    assert (decided(project), rejected(project)) == ({text: 1}, set())


def test_no_row_of_a_decision_is_ever_taken_away(project):
    decide(project, int(pool(project)[0]), "accept", label=1, who="ann", provenance=Provenance(reason="it says so"))
    undo(project, who="ann")
    with connection(project) as db:
        rows = db.execute("SELECT kind, label, who, reason, undoes FROM decision ORDER BY id").fetchall()
    assert rows == [("accept", 1, "ann", "it says so", None), ("undo", None, "ann", "", 1)]


def test_the_last_decision_is_zero_before_the_first(project):
    assert last_decision(project) == 0


# Feeding back and rolling back

FEED = st.tuples(st.just("feed"), st.dictionaries(st.integers(0, 3), st.integers(1, 2), max_size=4))
TURN = FEED | st.tuples(st.just("roll back"), st.integers(1, 6))


def feed(project: Project, items: dict[int, int], weight: float = 0.9) -> int:
    """Run a round that feeds back these texts (by place in the pool) with their labels; return its number."""
    before = list_rounds(project)
    if before and before[-1].state == "to review":  # what was rolled back is to review again
        close_round(project)
    number = reviewed_round(project, {})
    texts = pool(project).tolist()
    chosen = [FeedBackItem(texts[place], label, weight, "verdict") for place, label in items.items()]
    add_feed_back(
        project, number, chosen, made_on=last_decision(project), accept_evidence_check=True, who="tester"
    )  # fmt: skip
    return number


def fed_back(project: Project) -> dict[int, int]:
    """Return what trains beside the seeds: place in the pool -> label."""
    place = {text: number for number, text in enumerate(pool(project).tolist())}
    return {place[text]: label for text, label, _ in current_training_rows(project) if text in place}


@given(st.lists(TURN, max_size=7))
@example([("feed", {0: 1, 1: 1}), ("feed", {0: 2}), ("roll back", 2)])
def test_rolling_back_takes_out_exactly_that_feed_back(turns):
    with tiny() as project:
        standing: dict[int, dict[int, int]] = {}
        for turn, what in turns:
            if turn == "feed":
                standing[feed(project, what)] = what
            elif what in standing:
                last = list_rounds(project)[-1]
                assert roll_back(project, what, "tester") == len(standing.pop(what))
                after = list_rounds(project)[-1].state
                assert after == ("to review" if last.id == what and last.state == "fed back" else last.state)
            else:
                with pytest.raises(StateError, match=f"round {what} has no feed back"):
                    roll_back(project, what, "tester")
            newest: dict[int, int] = {}
            for _, items in sorted(standing.items()):
                newest |= items
            assert fed_back(project) == newest


def test_rolling_back_keeps_decisions_and_verdicts_and_seeds(project):
    decide(project, int(pool(project)[0]), "accept", label=1)
    number = feed(project, {0: 1, 1: 2})
    roll_back(project, number, "tester")
    assert len(decided(project)) == 1
    assert [text for text, _, _ in current_training_rows(project)] == seeds(project)[0].tolist()


def test_a_round_is_rolled_back_once(project):
    number = feed(project, {0: 1})
    roll_back(project, number, "tester")
    with pytest.raises(StateError, match="has no feed back to undo"):
        roll_back(project, number, "tester")


def test_nothing_is_rolled_back_while_a_job_runs(project):
    number = feed(project, {0: 1})
    add_job(project, "round", "{}", "tester")
    with pytest.raises(StateError, match="a job is running"):
        roll_back(project, number, "tester")
    assert fed_back(project) == {0: 1}


def test_nothing_is_fed_back_while_a_job_runs(project):
    number = reviewed_round(project, {})
    add_job(project, "round", "{}", "tester")
    with pytest.raises(StateError, match="a job is running"):
        add_feed_back(project, number, [], made_on=0, accept_evidence_check=False, who="tester")
    assert list_rounds(project)[-1].state == "to review"


def test_a_round_is_fed_back_once(project):
    number = feed(project, {0: 1})
    with pytest.raises(StateError, match="no round is to review"):
        add_feed_back(project, number, [], made_on=0, accept_evidence_check=False, who="tester")


def test_a_closed_round_cannot_be_fed_back(project):
    number = reviewed_round(project, {})
    close_round(project)
    with pytest.raises(StateError, match="no round is to review"):
        add_feed_back(project, number, [], made_on=0, accept_evidence_check=False, who="tester")


def test_items_that_cannot_all_be_stored_leave_the_round_to_review(project):
    text = int(pool(project)[0])
    number, twice = reviewed_round(project, {}), [FeedBackItem(text, label, 1.0, "verdict") for label in (1, 2)]
    with pytest.raises(Exception, match="UNIQUE"):
        add_feed_back(project, number, twice, made_on=0, accept_evidence_check=False, who="tester")
    assert list_rounds(project)[-1].state == "to review"
    assert fed_back(project) == {}


# What decisions do to the training set


@pytest.mark.parametrize(
    ("kind", "label"), [("relabel", "delivery"), ("accept", "delivery"), ("none", None), ("reject", "refund")]
)
def test_a_decision_against_a_fed_back_label_takes_it_out_of_the_training_set(kind, label, project):
    ids = label_ids(project)
    feed(project, {0: ids["refund"]})
    decide(project, int(pool(project)[0]), kind, label=ids[label] if label else None)
    assert fed_back(project) == {}


@pytest.mark.parametrize(
    ("kind", "label"), [("relabel", "refund"), ("accept", "refund"), ("skip", None), ("reject", "delivery")]
)
def test_a_decision_that_does_not_speak_against_it_leaves_it_in(kind, label, project):
    ids = label_ids(project)
    feed(project, {0: ids["refund"]})
    decide(project, int(pool(project)[0]), kind, label=ids[label] if label else None)
    assert fed_back(project) == {0: ids["refund"]}


def test_undoing_a_decision_against_a_fed_back_label_puts_it_in_again(project):
    feed(project, {0: 1})
    decide(project, int(pool(project)[0]), "none")
    undo(project)
    assert fed_back(project) == {0: 1}


def test_a_label_fed_back_for_a_seed_does_not_replace_its_own(project):
    (text, *_), (own, *_) = (found.tolist() for found in seeds(project))
    number = reviewed_round(project, {})
    add_feed_back(
        project, number, [FeedBackItem(text, own % 4 + 1, 1.0, "decision")],
        made_on=0, accept_evidence_check=False, who="tester",
    )  # fmt: skip
    assert (text, own, 1.0) in current_training_rows(project)
    assert len(current_training_rows(project)) == 16
